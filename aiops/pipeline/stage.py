"""What a stage gives back: the record for the next stage, or the reason why there is none.

Neighbours: `observe`, `triage`, `decide`, `act` and `announce` are the stages, `flow` runs them in order and stores what they decided.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from aiops.domain.decision import Decision

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Passed(Generic[T]):
    """The record goes on; `decisions` say why, and what was dropped beside it."""

    record: T
    decisions: tuple[Decision, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Dropped:
    """Nothing goes on; the last decision is the reason."""

    decisions: tuple[Decision, ...]

    @property
    def reason(self) -> str:
        """The CamelCase code of the last decision."""
        return self.decisions[-1].reason if self.decisions else "Nothing"

"""Results are values: what came of an attempt, a step, a verification, an execution.

Neighbours: `execution` makes them, `announce` and `report` read them. "Could not measure" never reads as "fixed".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What came of it. INCONCLUSIVE: whether it happened or helped is unknown; ERROR: we could not even try."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    SKIPPED = "skipped"
    SIMULATED = "simulated"


class Judgement(StrEnum):
    """What verification found."""

    HELPED = "helped"
    NO_EFFECT = "no-effect"
    HARMED = "harmed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Result:
    """An outcome with its reason (CamelCase code) and words for people."""

    outcome: Outcome
    reason: str
    detail: str = ""


class GuardMode(StrEnum):
    """OFF: not asked. SHADOW: recorded only. ENFORCE: a refusal stops the plan."""

    OFF = "off"
    SHADOW = "shadow"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One guard's answer to one plan. A guard that could not be evaluated refuses (`reason` GuardUnavailable)."""

    guard: str
    mode: GuardMode
    allowed: bool
    reason: str
    detail: str = ""

    @property
    def refuses(self) -> bool:
        """True if this stops the plan."""
        return not self.allowed and self.mode is GuardMode.ENFORCE

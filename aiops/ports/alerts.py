"""Silences of an Alertmanager (API v2). Neighbours: `adapters.alertmanager_silences`, `adapters.memory_alerts`, `adapters.dry_run`.

The API knows no idempotency key: whoever creates a silence puts one into the comment, and looks for it there before trying again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiops.domain.errors import OutsideRefusedError


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label: `=`, `!=`, `=~`, `!~`. A regular expression is anchored, as Alertmanager has it."""

    name: str
    value: str
    regex: bool = False
    equal: bool = True


@dataclass(frozen=True, slots=True)
class AlertSilence:
    """One silence; times are Unix seconds, `state` is pending, active or expired. `id` is empty before it is created."""

    matchers: tuple[Matcher, ...]
    starts_at: float
    ends_at: float
    created_by: str
    comment: str
    id: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class SilenceWrite:
    """What a write did; `applied` is False where it was only recorded, and then there is no `id`."""

    id: str
    applied: bool


class Silences(Protocol):
    """One Alertmanager. All raise OutsideRefusedError (its clear no), OutsideUnsentError (no connection) and OutsideUnavailableError (no whole answer)."""

    def create(self, silence: AlertSilence, *, timeout: float = 10.0) -> SilenceWrite:
        """A new one; the id is Alertmanager's. An end that is over, no matcher, or only matchers that take the empty text, are refused."""
        ...

    def expire(self, silence_id: str, *, timeout: float = 10.0) -> SilenceWrite:
        """End it now; one that is over already stays so. An unknown id is refused with the reason NotFound."""
        ...

    def list(self, *, timeout: float = 10.0) -> Sequence[AlertSilence]:
        """All that Alertmanager still knows, also what is over."""
        ...


class NoSilences:
    """Where the settings name no Alertmanager."""

    def create(self, silence: AlertSilence, *, timeout: float = 10.0) -> SilenceWrite:  # noqa: ARG002 (the port's signature)
        """Refused."""
        raise _absent()

    def expire(self, silence_id: str, *, timeout: float = 10.0) -> SilenceWrite:  # noqa: ARG002 (the port's signature)
        """Refused."""
        raise _absent()

    def list(self, *, timeout: float = 10.0) -> Sequence[AlertSilence]:  # noqa: ARG002 (the port's signature)
        """Refused."""
        raise _absent()


def _absent() -> OutsideRefusedError:
    return OutsideRefusedError("NotConfigured", "the settings name no Alertmanager (alertmanager.url)")

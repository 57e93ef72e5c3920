"""Change freezes and maintenance windows: times in which nothing is done to some targets, fixed or recurring.

Pure. Neighbours: the settings have them as text, `make` turns one into a `Freeze` or says what is wrong with which key; the guard `freeze` asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from aiops.domain.timezone import zone_of
from aiops.remediate.recurrence import LONGEST, Recurrence, problem


class FreezeError(ValueError):
    """`key` is the key of the freeze that is wrong."""

    def __init__(self, key: str, words: str) -> None:
        super().__init__(words)
        self.key = key


@dataclass(frozen=True, slots=True)
class Freeze:
    """For whom: `namespaces` (patterns, empty: all), `labels` of the target (all must be equal). `allow`: runbooks (patterns) that go on.

    When: from `begins` to `ends` (Unix seconds), or while a window of `recurrence` is open.
    """

    name: str
    namespaces: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    begins: float = 0.0
    ends: float = 0.0
    recurrence: Recurrence | None = None

    def until(self, now: float) -> float | None:
        """If it is in force: when that ends, Unix seconds."""
        if self.recurrence is not None:
            return self.recurrence.until(now)
        return self.ends if self.begins <= now < self.ends else None

    def allows(self, runbook: str) -> bool:
        """Whether this runbook goes on."""
        return any(fnmatchcase(runbook, pattern) for pattern in self.allow)

    def covers_namespace(self, namespace: str) -> bool:
        """Whether what stands in this namespace is frozen (if its labels are right too)."""
        return not self.namespaces or any(fnmatchcase(namespace, pattern) for pattern in self.namespaces)

    def covers_labels(self, labels: Mapping[str, Any]) -> bool:
        """Whether an object with these labels is frozen (if its namespace is right too)."""
        return all(str(labels.get(key, "")) == value for key, value in self.labels.items())


def make(
    name: str, *, rule: str = "", start: str = "", duration: float = 0.0, zone: str = "UTC", begins: str = "", ends: str = "",
    namespaces: tuple[str, ...] = (), labels: Mapping[str, str] | None = None, allow: tuple[str, ...] = (),
) -> Freeze:
    """From texts as the settings have them. Raises FreezeError with the settings' key that is wrong, and what is allowed."""
    _said("timezone", zone_of, zone)
    scope: dict[str, Any] = {"namespaces": namespaces, "labels": dict(labels or {}), "allow": allow}
    if rule:
        if begins or ends:
            raise FreezeError("rrule", "goes with duration (and start), from and until go together: give one pair")
        if not 0 < duration <= LONGEST:
            raise FreezeError("duration", "must be given with rrule: more than nothing, at most 31d")
        first = _said("start", _local, start) if start else None
        recurrence = Recurrence(rule, duration, zone, first)
        if wrong := problem(recurrence):
            raise FreezeError("start" if wrong.startswith("start ") else "rrule", wrong)
        return Freeze(name, **scope, recurrence=recurrence)
    if duration or start:
        raise FreezeError("duration" if duration else "start", "goes with rrule, which is not given")
    if not begins or not ends:
        raise FreezeError("until" if begins else "from", "must be given: either rrule with duration, or from with until")
    first_at, last_at = _said("from", _moment, begins, zone), _said("until", _moment, ends, zone)
    if first_at >= last_at:
        raise FreezeError("until", f"{ends} is not after from, {begins}")
    return Freeze(name, **scope, begins=first_at, ends=last_at)


def _said(key: str, read: Any, *values: Any) -> Any:
    try:
        return read(*values)
    except ValueError as error:
        raise FreezeError(key, str(error)) from error


def _local(text: str) -> datetime:
    """Wall-clock time."""
    moment = _iso(text)
    if moment.tzinfo is not None:
        raise ValueError(f"{text} is in local time of the timezone: leave the offset out")
    return moment


def _moment(text: str, zone: str) -> float:
    """Unix seconds; without an offset it is local time of the zone."""
    moment = _iso(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone_of(zone))).timestamp()


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no time: write for example 2026-12-24T18:00 or 2026-12-24T18:00:00+01:00") from None


def moment_words(at: float) -> str:
    """A time for people: `2026-12-24 17:00 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""Times that are known to be unlike others: a rule's result is skipped, or its learning, or both; the one says nothing of the other.

A yearly sale should be judged and not be learned; a nightly backup should be learned and not be told. Claims that stood before stay as they are while results
are skipped: nothing fires, nothing clears. Neighbours: `observe` asks at each poll, `remediate.freezes` has the windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from fnmatch import fnmatchcase

from aiops.remediate.freezes import Freeze

QUIET = "QuietTime"
"""The reason of a rule that is silent by its calendar."""


@dataclass(frozen=True, slots=True)
class QuietTime:
    """`rules`: patterns of names, none: all. `days`: whole days of `zone` instead of a window, as holidays are."""

    window: Freeze
    rules: tuple[str, ...]
    skip_result: bool
    skip_learning: bool
    days: frozenset[date] = frozenset()
    zone: tzinfo = UTC

    def open(self, now: float) -> bool:
        """Whether it is one of its times (`now` in Unix seconds). A day lasts from midnight to midnight, on two days of the year 23 or 25 hours."""
        return self.window.until(now) is not None or (bool(self.days) and datetime.fromtimestamp(now, self.zone).date() in self.days)


@dataclass(frozen=True, slots=True)
class Quiet:
    """What is skipped now, and the names of the times that say so."""

    result: bool
    learning: bool
    names: str


def quiet(times: Sequence[QuietTime], rule: str, now: float) -> Quiet:
    """What of this rule's answer at `now` (Unix seconds) is skipped."""
    open_now = [t for t in times if (not t.rules or any(fnmatchcase(rule, p) for p in t.rules)) and t.open(now)]
    return Quiet(any(t.skip_result for t in open_now), any(t.skip_learning for t in open_now), ", ".join(t.window.name for t in open_now))

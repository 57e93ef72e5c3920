"""From "wrong now" to "an alarm began": dead bands, hold, hysteresis, levels, for all series of a rule at once.

The state machine of one row: quiet → (breach held for `hold`) → firing → (recovered held for `clear_hold`) → quiet. A firing row has a level,
0 or 1 (critical), that rises after `hold` and falls slowly. What is not judged changes nothing. Neighbours: `bank` calls it with what
detectors found; the parameters are those of `domain.rule.Rule`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Column, Flags, Kept, RowArrays, Rows
from aiops.detect.contract import Scores
from aiops.domain.series import Floats

CALM = 60.0
"""Seconds (at least) a critical alarm must be below its critical level before it is called less than critical: nobody gains from a quick one."""
GAP_POLLS, GAP = 3.5, 60.0
"""A hold must be seen, not assumed: after this many polls, and this many seconds, without a judgement the timers start again. Where judgements
have become that rare for good (a slow source), the second such interval is no gap but the rhythm: else a hold could never pass."""
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Transitions:
    """What changed, as flags over the batch; at most one is set for a row."""

    fired: Flags
    cleared: Flags
    raised: Flags
    lowered: Flags

    @property
    def any(self) -> Flags:
        """Rows with a change."""
        return self.fired | self.cleared | self.raised | self.lowered


def outside_dead_band(values: Floats, scores: Scores, absolute: float, relative: float) -> tuple[Flags, Flags]:
    """Which departures are large enough to count, and which are known to be small around what is expected.

    A departure is measured from `expected`, or, where a detector expects nothing, from the limit that was crossed. It counts only if it
    exceeds both `absolute` (the value's unit) and `relative` (share of that reference). Returns (counts, within), both of shape (n,).
    """
    size = len(scores)
    if absolute <= 0.0 and relative <= 0.0:
        return np.ones(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    known = np.isfinite(scores.expected)
    with np.errstate(invalid="ignore", over="ignore"):
        crossed = np.where(values > scores.upper, scores.upper, np.where(values < scores.lower, scores.lower, np.nan))
        reference = np.where(known, scores.expected, crossed)
        departure = np.abs(values - reference)
        counts = (departure > absolute) & (departure > relative * np.abs(reference))
    unknown = ~np.isfinite(reference)
    return counts | unknown, known & ~counts


class Alarms(Kept):
    """Alarm state by row. Durations in seconds; `every` is the poll's interval."""

    def __init__(self, *, hold: float, clear_hold: float, every: float) -> None:
        self._hold, self._clear_hold = hold, clear_hold
        self._calm_hold = max(hold, clear_hold, CALM)
        self._gap = max(every * GAP_POLLS, GAP)
        self._state = RowArrays(
            firing=Column(False, np.bool_),
            level=Column(0, np.int8),
            since=Column(np.nan),
            worse_since=Column(np.nan),
            calm_since=Column(np.nan),
            good_since=Column(np.nan),
            judged_at=Column(np.nan),
            interval=Column(0.0),
        )

    def reserve(self, size: int) -> None:
        """Make rows 0..size-1 usable."""
        self._state.reserve(size)

    @property
    def firing(self) -> Flags:
        """By row, for all rows in use."""
        return np.asarray(self._state["firing"][: self._state.size], dtype=np.bool_)

    @property
    def level(self) -> NDArray[np.int8]:
        """By row: 1 is critical."""
        return np.asarray(self._state["level"][: self._state.size], dtype=np.int8)

    def step(self, rows: Rows, times: Floats, *, breach: Flags, critical: Flags, recovered: Flags) -> Transitions:
        """Judge distinct rows at `times` (Unix seconds). `recovered` must exclude `breach`; neither keeps the alarm and restarts the timers."""
        self._state.cover(rows)
        state = self._state
        firing, level = state["firing"][rows], state["level"][rows]
        with np.errstate(invalid="ignore"):
            # A row never judged has no interval.
            interval = times - state["judged_at"][rows]
            interval = np.where(np.isnan(interval), 0.0, interval)
        if not (breach.any() or critical.any() or firing.any()):
            # Nearly always: all is well, and no timer runs.
            for timer in ("since", "worse_since", "good_since", "calm_since"):
                state[timer][rows] = np.nan
            state["judged_at"][rows], state["interval"][rows] = times, interval
            return Transitions(*(np.zeros(len(rows), dtype=np.bool_) for _ in range(4)))
        gap = (interval > self._gap) & (interval > 2.0 * state["interval"][rows])
        since = _timer(state["since"][rows], breach, times, gap)
        worse = _timer(state["worse_since"][rows], critical, times, gap)
        good = _timer(state["good_since"][rows], recovered & firing, times, gap)
        calm = _timer(state["calm_since"][rows], firing & (level > 0) & ~critical, times, gap)
        fired = ~firing & _held(since, times, self._hold)
        cleared = firing & _held(good, times, self._clear_hold)
        at_worst = _held(worse, times, self._hold)
        raised = firing & ~cleared & (level == 0) & at_worst
        lowered = firing & ~cleared & (level > 0) & _held(calm, times, self._calm_hold)
        state["firing"][rows] = (firing | fired) & ~cleared
        state["level"][rows] = np.where(cleared | lowered, 0, np.where((fired & at_worst) | raised, 1, level))
        state["since"][rows] = since
        state["worse_since"][rows] = worse
        state["good_since"][rows] = np.where(cleared, np.nan, good)
        state["calm_since"][rows] = np.where(cleared | lowered, np.nan, calm)
        state["judged_at"][rows], state["interval"][rows] = times, interval
        return Transitions(fired, cleared, raised, lowered)


def _timer(since: Floats, running: Flags, times: Floats, gap: Flags) -> Floats:
    """Start times of conditions: kept while the condition holds without a gap, NaN while it does not."""
    start = np.where(np.isnan(since) | gap, times, since)
    return np.where(running, start, np.nan)


def _held(since: Floats, times: Floats, hold: float) -> Flags:
    with np.errstate(invalid="ignore"):
        return np.asarray(times - since >= hold - _TOLERANCE)

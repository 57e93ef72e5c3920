"""Which samples of a poll are new, and what a counter's sample says. Neighbour: `bank`.

Late and repeated samples are dropped: a server may answer from a cache, a clock may be set back. If a series' time stays behind for
longer than the rule's `stale_after`, the clock has really been set back, and the new time is taken.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from aiops.detect.arrays import Column, Flags, Kept, RowArrays, Rows
from aiops.domain.rule import MetricKind, Rule
from aiops.domain.series import Floats

AHEAD = 60.0
"""Seconds (or one poll interval, if longer) by which a sample may be ahead of the time asked for."""


class Intake(Kept):
    """Last accepted sample of each row."""

    def __init__(self, rule: Rule) -> None:
        self._counter = rule.kind is MetricKind.COUNTER
        self._patience = rule.stale_after
        self._ahead = max(AHEAD, rule.every)
        self._state = RowArrays(last=Column(np.nan), late_since=Column(np.nan), counter=Column(np.nan), counter_at=Column(np.nan))

    def reserve(self, size: int) -> None:
        """Make rows 0..size-1 usable."""
        self._state.reserve(size)

    def accept(self, rows: Rows, times: Floats, values: Floats, at: float, dropped: Counter[str]) -> tuple[Flags, Floats]:
        """Which of distinct rows' samples are new, and their values (of counters the increase a second, NaN where that is unknown)."""
        usable = np.isfinite(times) & (times <= at + self._ahead)
        state = self._state
        with np.errstate(invalid="ignore"):
            late = usable & (times <= state["last"][rows])
        if usable.all() and not late.any():
            # Nearly always: each sample is newer than the last.
            state["late_since"][rows], state["last"][rows] = np.nan, times
            return usable, self._rates(rows, times, values) if self._counter else values
        repeated = late & (times == state["last"][rows])
        behind = late & ~repeated
        started = np.where(behind, np.fmin(state["late_since"][rows], times), np.nan)
        rebased = behind & (times - started >= self._patience)
        accepted = usable & (~late | rebased)
        state["late_since"][rows] = np.where(accepted, np.nan, np.where(repeated, state["late_since"][rows], started))
        for name, flags in (("UnusableTime", ~usable), ("RepeatedSample", repeated), ("LateSample", behind & ~rebased)):
            if flags.any():
                dropped[name] += int(flags.sum())
        state["last"][rows[accepted]] = times[accepted]
        kept = values[accepted]
        return accepted, self._rates(rows[accepted], times[accepted], kept) if self._counter else kept

    def zeros(self, rows: Rows, at: float) -> tuple[Rows, Floats]:
        """Those of `rows` for which a zero at `at` is news, and its times."""
        with np.errstate(invalid="ignore"):
            fresh = rows[~(self._state["last"][rows] >= at)]
        self._state["last"][fresh] = at
        return fresh, np.full(len(fresh), at)

    def _rates(self, rows: Rows, times: Floats, values: Floats) -> Floats:
        """Increase a second since the last finite sample. A counter that fell was reset: it rose from zero since."""
        state, finite = self._state, np.isfinite(values)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            increase = values - state["counter"][rows]
            increase = np.where(increase < 0.0, values, increase)
            span = times - state["counter_at"][rows]
            rates = np.where(finite & (span > 0.0), increase / span, np.nan)
        state["counter"][rows] = np.where(finite, values, state["counter"][rows])
        state["counter_at"][rows] = np.where(finite, times, state["counter_at"][rows])
        return np.asarray(rates)

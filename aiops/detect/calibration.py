"""From "one false alarm in so long" to a level: each series' own past says how high its score goes so often. No distribution is assumed.

The peaks of the score (greatest within a few samples, so that one departure counts once) are exchangeable while nothing changes. Hence the next peak exceeds
the k-th greatest of n with probability k / (n + 1), and a level at that peak with k = (time seen) / (period asked) is exceeded once a period: this is the
argument of conformal prediction (Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005). Only the greatest peaks are kept, of two
generations of `GENERATION` periods, so the past that counts is four to eight periods long. While less than a period was seen, the level lies beyond the
greatest peak by the mean excess of the greatest ones (exponential tail; the only place where something is assumed), and, where the other series of the rule
have seen more together, leans on their common level. 160 bytes a series. Neighbours: `live_fleet` asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Column, Flags, RowArrays, Rows
from aiops.domain.series import Floats

QUIET = 5
"""Samples without a greater one after which a peak is one."""
KEPT, GENERATION = 8, 4.0
"""Peaks a generation keeps, and its length in periods."""
EARLIEST = 1 / 8
"""Share of a period after which a series alone has a level."""
FEWEST, FEWEST_POOLED = KEPT + 1, 3
"""Peaks before a series has a level: alone, and leaning on others."""
FLOOR = 0.25
"""The level is never below: a series that was perfectly still does not alarm at a hair's breadth."""
MOST = 2.0
"""A peak counts for at most so many times the level: an incident makes the series somewhat less sensitive, not deaf."""
POOL_KEPT, POOL_SERIES = 64, 5
"""Peaks that all series of a rule keep together, and how many must have been seen for a common level."""
REFRESH = 500.0
"""Levels are reckoned anew so many times a period, and when a peak enters the greatest ones."""
_GAP = 4.0
"""An interval counts as watched up to so many usual intervals."""


class Calibration:
    """Levels by row for one false alarm in `period` seconds. `pooled`: series that are new lean on the others."""

    def __init__(self, period: float, *, pooled: bool = True) -> None:
        self._period, self._pooled = period, pooled
        self._state = self._fresh()
        self._pool = np.full((2, POOL_KEPT), -1.0, dtype=np.float32)
        # Milliseconds as whole numbers: their sum does not depend on the order of series.
        self._watched = np.zeros(2, dtype=np.int64)

    @staticmethod
    def _fresh() -> RowArrays:
        return RowArrays(
            at=Column(np.nan), every=Column(np.nan, np.float32), seen=Column(0.0), before=Column(0.0),
            peak=Column(0.0, np.float32), left=Column(0, np.int8), peaks=Column(0, np.int32),
            tops=Column(-1.0, np.float32, (2, KEPT)), level=Column(np.nan, np.float32), level_at=Column(-np.inf),
        )  # fmt: skip

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._state.bytes_each

    def cover(self, rows: Rows) -> None:
        """Make rows usable."""
        self._state.cover(rows)

    def levels(self, rows: Rows) -> Floats:
        """The score that is exceeded once a period; NaN while too little was seen. Shape (n,)."""
        return self._state["level"][rows].astype(np.float64)

    def learn(self, rows: Rows, times: Floats, scores: Floats, quiet: Flags) -> None:
        """Finite scores of distinct rows, later than any before. `quiet`: of these only the time counts (an alarm that lasts is one peak, not many)."""
        s = self._state
        gap = np.nan_to_num(times - s["at"][rows])
        usual = s["every"][rows]
        s["every"][rows] = np.where(np.isnan(usual), np.where(gap > 0.0, gap, np.nan), usual + 0.1 * (np.minimum(gap, _GAP * usual) - usual))
        watched = np.round(np.minimum(gap, np.nan_to_num(_GAP * s["every"][rows])) * 1000.0)
        s["at"][rows] = times
        s["seen"][rows] += watched / 1000.0
        self._watched[0] += int(watched.astype(np.int64).sum())
        self._turn(rows)
        peak, left = s["peak"][rows], s["left"][rows]
        now = np.where(quiet, 0.0, scores).astype(np.float32)
        higher = (left == 0) | (now > peak)
        s["peak"][rows] = np.where(higher, now, peak)
        left = np.where(higher, QUIET, left - 1).astype(np.int8)
        s["left"][rows] = left
        done = rows[left == 0]
        if len(done):
            self._push(done)
        with np.errstate(invalid="ignore"):
            due = times - s["level_at"][rows] >= self._period / REFRESH
        if due.any():
            self._reckon(rows[due], times[due])

    def _turn(self, rows: Rows) -> None:
        """Whole generations become the former ones."""
        s = self._state
        full = rows[s["seen"][rows] >= GENERATION * self._period]
        if len(full):
            s["tops"][full, 1], s["tops"][full, 0] = s["tops"][full, 0], -1.0
            s["before"][full], s["seen"][full] = s["seen"][full], 0.0
        if self._watched[0] >= 1000.0 * self._period * POOL_KEPT / 2:
            self._pool = np.stack([np.full(POOL_KEPT, -1.0, dtype=np.float32), self._pool[0]])
            self._watched = np.array([0, self._watched[0]], dtype=np.int64)

    def _push(self, rows: Rows) -> None:
        s = self._state
        most = np.where(np.isnan(s["level"][rows]), np.inf, MOST * s["level"][rows])
        peak = np.minimum(s["peak"][rows], most).astype(np.float32)
        s["peaks"][rows] += 1
        enters = peak > s["tops"][rows, 0, 0]
        rows, peak = rows[enters], peak[enters]
        s["tops"][rows, 0, 0] = peak
        s["tops"][rows, 0] = np.sort(s["tops"][rows, 0], axis=1)
        s["level_at"][rows] = -np.inf
        if len(rows) and peak.max() > self._pool[0, 0]:
            # One series that is broken for ever must not make the level of all.
            highest = s["tops"][: s.size, 0, -1]
            peak = np.minimum(peak, MOST * np.median(highest[highest >= 0.0]))
            self._pool[0] = np.sort(np.concatenate([self._pool[0], peak]))[-POOL_KEPT:]

    def _reckon(self, rows: Rows, times: Floats) -> None:
        s = self._state
        tops = -np.sort(-s["tops"][rows].reshape(len(rows), -1), axis=1)
        share = (s["seen"][rows] + s["before"][rows]) / self._period
        known = (s["peaks"][rows] >= FEWEST) & (share >= EARLIEST)
        level = np.where(known, _level(tops, share), np.nan)
        common = self._common()
        if np.isfinite(common):
            lean = np.maximum(common, tops[:, 0])
            part = np.clip(share, 0.0, 1.0)
            level = np.where(part >= 1.0, level, np.where(known, part * np.nan_to_num(level) + (1.0 - part) * lean, lean))
            level = np.where(known | (s["peaks"][rows] >= FEWEST_POOLED), level, np.nan)
        s["level"][rows] = np.maximum(level, FLOOR)
        s["level_at"][rows] = times

    def _common(self) -> float:
        """The level of all series together, NaN while they have not seen a period or are too few."""
        watched = float(self._watched.sum()) / 1000.0 / self._period
        if not self._pooled or watched < 1.0 or int(np.count_nonzero(self._state["peaks"][: self._state.size] >= FEWEST_POOLED)) < POOL_SERIES:
            return float("nan")
        tops = -np.sort(-self._pool.reshape(1, -1), axis=1)
        return float(_level(tops, np.array([watched]))[0])

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series; what they gave to the common level stays."""
        self._state.reset(rows)

    def used(self) -> dict[str, NDArray[Any]]:
        """State for a snapshot."""
        return {**self._state.used(), "pool": self._pool.copy(), "watched": self._watched.copy()}

    def replace(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """State of a snapshot; raises ValueError if it does not fit."""
        own = dict(arrays)
        pool, watched = own.pop("pool", None), own.pop("watched", None)
        if pool is None or watched is None or pool.shape != self._pool.shape or watched.shape != (2,):
            raise ValueError("snapshot holds no common level")
        self._state.replace(own)
        self._pool, self._watched = pool.astype(np.float32), watched.astype(np.int64)


def _level(tops: NDArray[np.float32], share: Floats) -> Floats:
    """`tops`: (n, kept) peaks, falling, -1 where there is none; `share`: (n,) periods seen. Between the two peaks next to `share`, or beyond the first."""
    held = np.maximum((tops >= 0.0).sum(axis=1), 1)
    last = held - 1
    first = np.minimum(np.maximum(share, 1.0).astype(np.int64) - 1, last)
    second = np.minimum(first + 1, last)
    line = np.arange(len(tops))
    between = np.maximum(share, 1.0) % 1.0
    inside = tops[line, first] * (1.0 - between) + tops[line, second] * between
    count = np.minimum(np.maximum(last, 1), KEPT)
    highest = np.where(np.arange(tops.shape[1])[None, :] < count[:, None], np.maximum(tops, 0.0), 0.0).sum(axis=1) / count
    excess = np.maximum(highest - np.maximum(tops[line, np.minimum(count, last)], 0.0), 0.0)
    beyond = excess * np.log(np.maximum(1.0 / np.maximum(share, 1e-9), 1.0))
    return np.asarray(inside + beyond, dtype=np.float64)

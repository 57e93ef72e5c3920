"""Is a workload worse since its last release than it was before? Two samples of the same series: the time before the roll-out began, and the latest time since
it was complete and a grace passed.

It is worse if three quarters of the later stretch depart (1) by more than `z` times what medians of equally long stretches of the time before vary among
themselves, which holds for autocorrelated values too, (2) by more than any of these did, and (3) if ranks do not lie so by chance (H. Mann, D. Whitney, *On a
test of whether one of two random variables is stochastically larger than the other*, 1947; normal approximation with ties). Where the hours of the day are
known from two days or more, the difference that the time of day makes is taken off first. Judged is until `until` after the roll-out; a claim that stands then
ends as a change of regime. Neighbours: `contract`; `bank` tells when releases began and were complete.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from aiops.detect.arrays import Column, RowArrays, Rows, nan, packed, restored
from aiops.detect.contract import MAX_SCORE, Scores, Window, scattered
from aiops.domain.rule import Direction
from aiops.domain.series import Floats

LONGEST = 900.0
"""Seconds that a roll-out may take without the time before it being forgotten."""
LEAST_BEFORE, LEAST_AFTER = 12, 5
"""Samples without which nothing is compared."""
RECOVERED_SHARE = 0.5
HOUR, HOURS, DAYS, HOUR_GAIN = 3600.0, 24, 2, 0.3


class ReleaseComparison:
    """`before`, `after`, `grace`, `until`, `resolution` in seconds; `z` deviations and the share `chance` of false verdicts by ranks.

    `scale_floor`: the deviation is never below this share of the level before.
    """

    reason = "WorseSinceRelease"

    def __init__(
        self, *, before: float = 1200.0, after: float = 60.0, grace: float = 60.0, until: float = 900.0, resolution: float = 10.0, z: float = 6.0,
        chance: float = 0.001, scale_floor: float = 0.02, direction: Direction = Direction.UP,
    ) -> None:  # fmt: skip
        if after / resolution < LEAST_AFTER or before / resolution < LEAST_BEFORE:
            raise ValueError(f"release: of resolution ({resolution:g} s) at least {LEAST_AFTER} must go into after and {LEAST_BEFORE} into before")
        self._before, self._after, self._grace, self._until, self._resolution = before, after, grace, until, resolution
        self._z, self._chance, self._floor, self._direction = z, chance, scale_floor, direction
        self._kept = math.ceil((before + LONGEST + until) / resolution)
        self._state = self._fresh()

    def _fresh(self) -> RowArrays:
        return RowArrays(
            times=Column(np.nan, np.float64, (self._kept,)), values=Column(np.nan, np.float32, (self._kept,)), place=Column(0, np.int32),
            last=Column(-np.inf), began=Column(np.nan), ended=Column(np.nan), claimed=Column(False, np.bool_), seen=Column(0, np.int32),
            hours=Column(np.nan, np.float32, (HOURS,)), visits=Column(0, np.int8, (HOURS,)), hour=Column(-1, np.int64), total=Column(0.0), count=Column(0, np.int32),
        )  # fmt: skip

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._state.bytes_each

    def released(self, windows: Mapping[int, Window]) -> None:
        """The last release of what stands behind rows, as it is known now."""
        for row, window in windows.items():
            self._state.reserve(row + 1)
            self._state["began"][row], self._state["ended"][row] = window.began, window.ended

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says. Where no release is to be judged a sample is usual; while one is rolled out, and until there is enough, it is not judged."""
        ok = np.isfinite(values)
        rows, times, values = rows[ok], times[ok], values[ok]
        self._state.cover(rows)
        size = len(rows)
        score, expected, lower, upper = np.zeros(size), nan(size), nan(size), nan(size)
        if learn:
            self._keep(rows, times, values)
        s = self._state
        ready, changed = s["seen"][rows] >= LEAST_BEFORE, np.zeros(size, dtype=np.bool_)
        known = np.isfinite(s["began"][rows])
        over = ~known | (times > s["ended"][rows] + self._until)
        changed |= over & s["claimed"][rows]
        for place in np.flatnonzero(~over).tolist():
            judged = self._judge(int(rows[place]), float(times[place]), None if learn else float(values[place]))
            ready[place] = judged is not None
            if judged is not None:
                score[place], expected[place], reach = judged
                upper[place] = expected[place] + reach if self._direction is not Direction.DOWN else np.nan
                lower[place] = expected[place] - reach if self._direction is not Direction.UP else np.nan
        breach = ready & (score > 1.0)
        if learn:
            s["claimed"][rows] = breach | (s["claimed"][rows] & ~ready)
        scores = Scores(
            score=np.where(ready, np.minimum(score, MAX_SCORE), np.nan), expected=expected, lower=lower, upper=upper, ready=ready, breach=breach,
            critical=np.zeros(size, dtype=np.bool_), recovered=ready & (score <= RECOVERED_SHARE), changed=changed,
        )  # fmt: skip
        return scattered(scores, ok)

    def _keep(self, rows: Rows, times: Floats, values: Floats) -> None:
        s = self._state
        due = times - s["last"][rows] >= 0.9 * self._resolution
        rows, times, values = rows[due], times[due], values[due]
        place = s["place"][rows]
        with np.errstate(over="ignore"):
            s["times"][rows, place], s["values"][rows, place] = times, values
        s["place"][rows], s["last"][rows], s["seen"][rows] = (place + 1) % self._kept, times, np.minimum(s["seen"][rows] + 1, self._kept)
        self._learn_hours(rows, times, values)

    def _learn_hours(self, rows: Rows, times: Floats, values: Floats) -> None:
        """Means by hour of the day, blended from day to day. An hour during which something was claimed is none to learn from."""
        s, hour = self._state, (times // HOUR).astype(np.int64)
        turned = hour != s["hour"][rows]
        done = rows[turned & (s["count"][rows] > 0)]
        if len(done):
            slot = s["hour"][done] % HOURS
            mean, before = s["total"][done] / s["count"][done], s["hours"][done, slot]
            with np.errstate(over="ignore", invalid="ignore"):
                s["hours"][done, slot] = np.where(np.isnan(before), mean, before + HOUR_GAIN * (mean - before))
            s["visits"][done, slot] = np.minimum(s["visits"][done, slot] + 1, 100)
        new = rows[turned]
        s["hour"][new], s["total"][new], s["count"][new] = hour[turned], 0.0, 0
        calm = ~s["claimed"][rows]
        with np.errstate(over="ignore", invalid="ignore"):
            s["total"][rows[calm]] += values[calm]
        s["count"][rows[calm]] += 1

    def _judge(self, row: int, now: float, value: float | None) -> tuple[float, float, float] | None:
        """Score, expected value and how far from it the limit lies; None: there is too little."""
        s = self._state
        began, ended, times, values = float(s["began"][row]), float(s["ended"][row]), s["times"][row], s["values"][row].astype(np.float64)
        if not math.isfinite(ended) or now < ended + self._grace + self._after:
            return None
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        with np.errstate(invalid="ignore"):
            old = values[(times < began) & (times >= began - self._before)]
            new = values[(times >= ended + self._grace) & (times > now - self._after) & (times <= now)]
        if value is not None:
            new = np.append(new, value)
        # What single precision cannot hold is no level to compare with.
        old, new = old[np.isfinite(old)], new[np.isfinite(new)]
        if len(old) < LEAST_BEFORE or len(new) < LEAST_AFTER:
            return None
        shift = self._by_the_clock(row, now) - self._by_the_clock(row, began - min(self._before, len(old) * self._resolution) / 2.0)
        expected = float(np.median(old)) + (shift if math.isfinite(shift) else 0.0)
        stretches = np.median(sliding_window_view(old, min(len(new), len(old) // 2)), axis=1) - np.median(old)
        scale = max(1.4826 * float(np.median(np.abs(stretches))), self._floor * abs(float(np.median(old))), 1e-12)
        away = self._away(new - expected)
        score = max(0.0, away) / (self._z * scale)
        farthest = float(np.max(self._signed_all(stretches)))
        if score > 1.0 and (away <= farthest or by_chance(old + (shift if math.isfinite(shift) else 0.0), new) > self._chance):
            score = 1.0
        return score, expected, self._z * scale

    def _away(self, away: Floats) -> float:
        """By how much three quarters of them depart at least: what comes and goes does not."""
        up, down = float(np.quantile(away, 0.25, method="lower")), -float(np.quantile(away, 0.75, method="higher"))
        return max(up, down) if self._direction is Direction.BOTH else down if self._direction is Direction.DOWN else up

    def _signed_all(self, away: Floats) -> Floats:
        return np.abs(away) if self._direction is Direction.BOTH else -away if self._direction is Direction.DOWN else away

    def _by_the_clock(self, row: int, at: float) -> float:
        """What this time of the day is usually like, between the middles of hours; NaN where it is not known."""
        place = at / HOUR - 0.5
        first, share = math.floor(place), place - math.floor(place)
        slots = first % HOURS, (first + 1) % HOURS
        if min(self._state["visits"][row, slot] for slot in slots) < DAYS:
            return math.nan
        here, there = (float(self._state["hours"][row, slot]) for slot in slots)
        return here + share * (there - here)

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)

    def snapshot(self) -> bytes:
        """All that was learned."""
        return packed(self._state, {"detector": self.reason, "kept": self._kept})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged or of other parameters."""
        state, header = restored(data, self._fresh())
        if header.get("detector") != self.reason or header.get("kept") != self._kept:
            raise ValueError("snapshot is of another detector, or of other windows")
        self._state = state


def by_chance(first: Floats, second: Floats) -> float:
    """Two-sided p of the Mann-Whitney test, by the normal approximation with ties and continuity. Both finite, not empty."""
    pooled = np.concatenate([first, second])
    _, places, counts = np.unique(pooled, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[places]
    n, m = len(first), len(second)
    u = float(ranks[n:].sum()) - m * (m + 1) / 2.0
    ties = float((counts.astype(float) ** 3 - counts).sum())
    variance = n * m / 12.0 * ((n + m + 1) - ties / ((n + m) * (n + m - 1)))
    if variance <= 0.0:
        return 1.0
    z = max(0.0, abs(u - n * m / 2.0) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2.0))

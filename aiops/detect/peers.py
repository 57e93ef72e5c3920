"""A series against its siblings: which pod of a workload is unlike the others *now*? Membership may change; at least five must be there.

What the whole group does, be it a peak of traffic or a night, is no departure, and no history is needed. The distance is to the siblings' median, less what has
always been between the two, in robust deviations of the group (median absolute deviation; Iglewicz and Hoaglin, "How to Detect and Handle Outliers", ASQC 1993).
While a majority is sound, the median is. Unlike most detectors it needs company: rows of one poll are judged together. 220 bytes a series with a rate of false
alarms, 60 without. Neighbours: `bank` introduces series by their labels, `calibration` makes the level.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Column, Flags, RowArrays, Rows, nan, pack, part, unpack
from aiops.detect.calibration import Calibration
from aiops.detect.contract import MAX_SCORE, Scores, scattered
from aiops.detect.windows import MAD_TO_SIGMA, MEAN_TO_SIGMA
from aiops.domain.rule import Direction
from aiops.domain.series import Floats, Labels

FEWEST = 5
"""Siblings, the series itself counted, below which nothing is said."""
READY = 10
"""Polls of a series before it is judged."""
MEMORY, SLOW = 1000.0, 0.05
"""Polls over which the usual distance to the siblings is averaged, and the gain of the group's usual deviation."""
DOUBT = 30.0
"""Polls that no distance at all is worth when the usual one is averaged."""
RECOVERED_SHARE = 0.8
HUGE = 1e150
ALONE = -1
"""The group of rows that were never introduced."""


class Peers:
    """`by`: labels that siblings share (none: all series of the rule). `z`: robust deviations that are too many; with `false_alarms` (seconds in which one
    is borne) that factor is learned. `scale_floor`: share of the median that the deviation is never below. Raises ValueError if a number is impossible.
    """

    reason = "UnlikeItsPeers"

    def __init__(
        self,
        *,
        by: Sequence[str] = (),
        z: float = 6.0,
        scale_floor: float = 0.05,
        false_alarms: float | None = None,
        direction: Direction = Direction.BOTH,
    ) -> None:
        if z <= 0.0 or scale_floor < 0.0:
            raise ValueError(f"peers: z ({z:g}) must be above 0 and scaleFloor ({scale_floor:g}) not below 0")
        self._by, self._z, self._floor, self._period, self._direction = tuple(by), z, scale_floor, false_alarms, direction
        self._calibration = Calibration(false_alarms) if false_alarms is not None else None
        self._state, self._group = self._fresh(), RowArrays(group=Column(ALONE, np.int64))
        self._groups: dict[tuple[str, ...], int] = {}
        self._keys: dict[int, tuple[str, ...]] = {}
        self._members: Counter[int] = Counter()
        self._next = 0

    @staticmethod
    def _fresh() -> RowArrays:
        return RowArrays(count=Column(0, np.int64), offset=Column(0.0), usual=Column(0.0), loud=Column(False, np.bool_))

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._state.bytes_each + self._group.bytes_each + (self._calibration.bytes_each if self._calibration else 0)

    def introduce(self, rows: Sequence[int], labels: Sequence[Labels]) -> None:
        """Which series stand behind rows; before the first `score_and_learn` with them. Rows never introduced are siblings of each other."""
        for row, one in zip(rows, labels, strict=True):
            key = tuple(one.get(name, "") for name in self._by)
            self._group.reserve(row + 1)
            self._leave(row)
            if key not in self._groups:
                self._groups[key], self._keys[self._next] = self._next, key
                self._next += 1
            group = self._groups[key]
            self._members[group] += 1
            self._group["group"][row] = group

    def _leave(self, row: int) -> None:
        """A group without members is forgotten: names come and go without end."""
        group = int(self._group["group"][row])
        if group == ALONE:
            return
        self._group["group"][row] = ALONE
        self._members[group] -= 1
        if not self._members[group]:
            del self._members[group], self._groups[self._keys.pop(group)]

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says, but rows are judged with their siblings of the same batch; ready after 10 polls, while there are five of them."""
        ok = np.isfinite(values)
        rows, times, values = rows[ok], times[ok], np.clip(values[ok], -HUGE, HUGE)
        self._state.cover(rows)
        self._group.cover(rows)
        if self._calibration:
            self._calibration.cover(rows)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            return scattered(self._finite(rows, times, values, learn=learn), ok)

    def _finite(self, rows: Rows, times: Floats, values: Floats, *, learn: bool) -> Scores:
        s = self._state
        median, deviation, size = _siblings(self._group["group"][rows], values)
        company = size >= FEWEST
        count = s["count"][rows]
        expected = median + s["offset"][rows] * count / (count + DOUBT)
        scale = np.maximum(np.maximum(deviation, s["usual"][rows]), np.maximum(self._floor * np.abs(median), np.finfo(np.float64).tiny))
        z = (values - expected) / scale
        z = {Direction.UP: np.maximum(z, 0.0), Direction.DOWN: np.maximum(-z, 0.0), Direction.BOTH: np.abs(z)}[self._direction]
        plain = np.minimum(np.nan_to_num(z / self._z, nan=0.0), MAX_SCORE)
        level = self._calibration.levels(rows) if self._calibration else np.ones(len(rows))
        ready = company & (count >= READY) & np.isfinite(level)
        score = np.where(ready, np.minimum(plain / level, MAX_SCORE), np.nan)
        breach = ready & (score > 1.0)
        if learn:
            self._learn(rows[company], (values - median)[company], deviation[company], breach[company])
            judged = company & (count >= READY)
            if self._calibration:
                self._calibration.learn(rows[judged], times[judged], plain[judged], s["loud"][rows[judged]] & breach[judged])
            s["loud"][rows] = breach
        known = ready & np.isfinite(expected)
        reach = self._z * level * scale
        return Scores(
            score=score,
            expected=np.where(known, expected, np.nan),
            lower=nan(len(rows)) if self._direction is Direction.UP else np.where(known, expected - reach, np.nan),
            upper=nan(len(rows)) if self._direction is Direction.DOWN else np.where(known, expected + reach, np.nan),
            ready=ready,
            breach=breach,
            critical=np.zeros(len(rows), dtype=np.bool_),
            recovered=ready & (score <= RECOVERED_SHARE),
        )

    def _learn(self, rows: Rows, away: Floats, deviation: Floats, breach: Flags) -> None:
        s = self._state
        s["count"][rows] += 1
        gain = ~breach / np.minimum(s["count"][rows], MEMORY)
        s["offset"][rows] += gain * (away - s["offset"][rows])
        first = s["count"][rows] == 1
        s["usual"][rows] = np.where(first, deviation, s["usual"][rows] + SLOW * (deviation - s["usual"][rows]))

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)
        self._group.cover(rows)
        for row in rows.tolist():
            self._leave(row)
        if self._calibration:
            self._calibration.forget(rows)

    def snapshot(self) -> bytes:
        """All that was learned; who is whose sibling is said by `introduce`."""
        arrays: dict[str, NDArray[Any]] = {f"state.{name}": array for name, array in self._state.used().items()}
        if self._calibration:
            arrays |= {f"calibration.{name}": array for name, array in self._calibration.used().items()}
        return pack(arrays, {"detector": self.reason, "period": self._period})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged or of other parameters."""
        arrays, header = unpack(data)
        if header.get("detector") != self.reason or header.get("period") != self._period:
            raise ValueError("snapshot is of another detector, or of another rate of false alarms")
        state, calibration = self._fresh(), None
        state.replace(part(arrays, "state"))
        if self._period is not None:
            calibration = Calibration(self._period)
            calibration.replace(part(arrays, "calibration"))
        self._state, self._calibration = state, calibration


def _siblings(group: Rows, values: Floats) -> tuple[Floats, Floats, Rows]:
    """For each value the median of its group, the group's robust deviation from it, and the group's size; shape (n,)."""
    size = len(values)
    if not size:
        return np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
    _, group, counts = np.unique(group, return_inverse=True, return_counts=True)
    starts = np.cumsum(counts) - counts
    median = _middle(group, values, starts, counts)
    away = np.abs(values - median[group])
    spread = _middle(group, away, starts, counts)
    # In order, so that the sum does not depend on that of the batch.
    mean = np.add.reduceat(away[np.lexsort((away, group))], starts) / counts
    deviation = np.where(spread > 0.0, spread * MAD_TO_SIGMA, mean * MEAN_TO_SIGMA)
    return median[group], deviation[group], counts[group].astype(np.int64)


def _middle(group: Rows, values: Floats, starts: Rows, counts: Rows) -> Floats:
    line = values[np.lexsort((values, group))]
    return np.asarray(0.5 * line[starts + (counts - 1) // 2] + 0.5 * line[starts + counts // 2])

"""Adaptive windowing: a window of all that was seen since the last change, cut where the means of its two parts differ by more than chance bears.

The window is kept in buckets of 1, 2, 4, … samples, at most `BUCKETS` of a size, hence its memory grows with the logarithm of its length; cuts are tried
between buckets, every `clock` samples. After a change the window begins anew, as river's does. Values are taken to lie within a range of about one
(their unit sees to that). Neighbours: `change` learns the unit and holds the claim.

Source: Bifet and Gavaldà, SIAM Int. Conf. on Data Mining (2007), 443; with the variance of the whole window, as in their section 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aiops.detect.arrays import Column, RowArrays, Rows
from aiops.detect.change_test import Step
from aiops.domain.series import Floats

LEVELS, BUCKETS = 18, 5
"""Sizes of buckets, and how many there are of one: 1.3 million samples, then the window begins anew. 870 bytes a series."""
SHORTEST, GRACE = 5, 10
"""Samples that each part must have at least, and that must be exceeded before a cut is tried."""


class AdwinTest:
    """`delta`: how often a cut may be found where there is none. `clock`: samples between two tries."""

    def __init__(self, *, delta: float = 0.002, clock: int = 32) -> None:
        if not 0.0 < delta < 1.0 or clock < 1:
            raise ValueError(f"adwin: delta ({delta:g}) must be between 0 and 1, clock ({clock}) at least 1")
        self._delta, self._clock = delta, clock
        self.minimum = clock

    @property
    def columns(self) -> dict[str, Column]:
        """State of one row. `sums`: of each bucket, the oldest of a size first; `held`: how many buckets there are of each size."""
        return {"sums": Column(0.0, shape=(LEVELS, BUCKETS + 1)), "held": Column(0, np.int8, (LEVELS,)), "total": Column(0.0), "power": Column(0.0)}

    def spread(self, state: RowArrays, rows: Rows) -> Floats:
        """Standard deviation of what the window holds, 0 if it is empty."""
        count = np.maximum(state["count"][rows], 1)
        return np.asarray(np.sqrt(np.maximum(state["power"][rows], 0.0) / count))

    def step(self, state: RowArrays, rows: Rows, values: Floats) -> Step:
        """One value more for each row; the means of the best cut apart, in units of what chance bears, where a cut was tried."""
        count, total = state["count"][rows] + 1, state["total"][rows]
        # Welford's update, by the mean before.
        mean = total / np.maximum(count - 1, 1)
        state["power"][rows] += np.where(count > 1, (count - 1) * (values - mean) ** 2 / count, 0.0)
        state["count"][rows], state["total"][rows] = count, total + values
        _insert(state["sums"], state["held"], rows, values)
        full = state["held"][rows, -1] > BUCKETS
        state.reset_some(("sums", "held", "total", "power", "count"), rows[full])
        due = np.flatnonzero((count % self._clock == 0) & (count > GRACE) & ~full)
        ratio, up = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.bool_)
        if len(due):
            ratio[due], up[due] = self._cut(state, rows[due])
        return Step(ratio, up, state["total"][rows] / np.maximum(state["count"][rows], 1))

    def _cut(self, state: RowArrays, rows: Rows) -> tuple[Floats, Any]:
        """Of all cuts between buckets the one that departs most: (rows,) of departure over bound, and whether the newer part is higher."""
        order = np.arange(LEVELS - 1, -1, -1)
        there = np.arange(BUCKETS + 1)[None, None, :] < state["held"][rows][:, order, None]
        sizes = np.where(there, (1 << order)[None, :, None], 0).reshape(len(rows), -1)
        old, old_sum = np.cumsum(sizes, axis=1), np.cumsum(np.where(there, state["sums"][rows][:, order], 0.0).reshape(len(rows), -1), axis=1)
        count, total = state["count"][rows][:, None], state["total"][rows][:, None]
        new = count - old
        fit = there.reshape(len(rows), -1) & (old >= SHORTEST) & (new >= SHORTEST)
        log = np.log(2.0 * np.log(count) / self._delta)
        harmonic = 1.0 / np.maximum(old - SHORTEST + 1, 1) + 1.0 / np.maximum(new - SHORTEST + 1, 1)
        bound = np.sqrt(2.0 * harmonic * np.maximum(state["power"][rows][:, None] / count, 0.0) * log) + 2.0 / 3.0 * log * harmonic
        apart = (total - old_sum) / np.maximum(new, 1) - old_sum / np.maximum(old, 1)
        ratio = np.where(fit, np.abs(apart) / bound, 0.0)
        best = np.argmax(ratio, axis=1)
        lines = np.arange(len(rows))
        return ratio[lines, best], apart[lines, best] > 0.0


def _insert(sums: Any, held: Any, rows: Rows, values: Floats) -> None:
    """A bucket of one more; where there are too many of a size, the two oldest become one of the next."""
    sums[rows, 0, held[rows, 0]] = values
    held[rows, 0] += 1
    for level in range(LEVELS - 1):
        rows = rows[held[rows, level] > BUCKETS]
        if not len(rows):
            return
        sums[rows, level + 1, held[rows, level + 1]] = sums[rows, level, 0] + sums[rows, level, 1]
        held[rows, level + 1] += 1
        sums[rows, level, : BUCKETS - 1] = sums[rows, level, 2:]
        sums[rows, level, BUCKETS - 1 :] = 0.0
        held[rows, level] -= 2

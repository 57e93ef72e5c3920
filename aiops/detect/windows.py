"""Sliding windows by row with exact robust statistics. Neighbours: `kernels` does the loops, `seasonal` and `isolation_forest` use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Column, RowArrays, Rows
from aiops.detect.kernels import push, stats
from aiops.domain.series import Floats

# To the standard deviation of a normal distribution: of the median absolute deviation, and of the mean absolute deviation. The second
# stands in where more than half of the window is one value (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", ASQC 1993).
MAD_TO_SIGMA = 1.4826
MEAN_TO_SIGMA = 1.2533


@dataclass(frozen=True, slots=True)
class Spread:
    """Of n windows: how many values each holds, their median, and a robust standard deviation (0 for a constant, NaN if empty)."""

    count: NDArray[np.int64]
    median: Floats
    sigma: Floats


class Windows:
    """`slots` windows of `length` values for each row."""

    def __init__(self, length: int, slots: int = 1) -> None:
        self.length, self.slots = length, slots
        self._state = RowArrays(
            ring=Column(0.0, shape=(slots, length)),
            # Unused places are infinite, so that the line stays in order.
            ordered=Column(np.inf, shape=(slots, length)),
            count=Column(0, np.int64, (slots,)),
        )

    def cover(self, rows: Rows) -> None:
        """Make rows usable."""
        self._state.cover(rows)

    def push(self, rows: Rows, values: Floats, slot: Rows | None = None) -> None:
        """One finite value for each of distinct rows."""
        if len(rows):
            push(self._flat("ring"), self._flat("ordered"), self._state["count"].reshape(-1), self._places(rows, slot), np.ascontiguousarray(values))

    def spread(self, rows: Rows, slot: Rows | None = None) -> Spread:
        """Statistics of what the windows hold now."""
        size = len(rows)
        median, mad, mean = np.empty(size), np.empty(size), np.empty(size)
        places, count = self._places(rows, slot), self._state["count"].reshape(-1)
        if size:
            stats(self._flat("ordered"), count, places, median, mad, mean)
        held = np.minimum(count[places], self.length)
        return Spread(held, median, np.where(mad > 0.0, mad * MAD_TO_SIGMA, mean * MEAN_TO_SIGMA))

    def _places(self, rows: Rows, slot: Rows | None) -> Rows:
        return np.ascontiguousarray(rows * self.slots if slot is None else rows * self.slots + slot)

    def _flat(self, name: str) -> NDArray[Any]:
        # A view: the state's arrays are contiguous.
        return self._state[name].reshape(-1, self.length)

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)

    def used(self) -> dict[str, NDArray[Any]]:
        """State for a snapshot."""
        return self._state.used()

    def replace(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """State of a snapshot; raises ValueError if it does not fit."""
        self._state.replace(arrays)

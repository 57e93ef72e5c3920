"""Sliding windows by row with exact robust statistics: numpy up to some thousand rows a batch, compiled loops beyond.

Measured on two cores: 1,000 windows of 60 cost 0.3 ms in numpy and 0.45 ms compiled, 10,000 cost 7.5 and 5.3 ms. So a daemon of usual size never
loads numba, which would cost it a second and 70 MiB. Neighbours: `kernels` has the loops, `seasonal` and `isolation_forest` use windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Column, RowArrays, Rows
from aiops.domain.series import Floats

# To the standard deviation of a normal distribution: of the median absolute deviation, and of the mean absolute deviation. The second
# stands in where more than half of the window is one value (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", ASQC 1993).
MAD_TO_SIGMA = 1.4826
MEAN_TO_SIGMA = 1.2533
COMPILED_FROM = 5000
"""Rows in one batch from which on a rule's windows are kept by compiled loops."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of n windows: how many values each holds, their median, and a robust standard deviation (0 for a constant, NaN if empty)."""

    count: NDArray[np.int64]
    median: Floats
    sigma: Floats


class Windows:
    """`slots` windows of `length` values for each row. `compiled_from`: see `COMPILED_FROM`."""

    def __init__(self, length: int, slots: int = 1, *, compiled_from: int = COMPILED_FROM) -> None:
        self.length, self.slots = length, slots
        self._compiled_from = compiled_from
        # Unused places are infinite, so that they come last when a window is put in order.
        self._state = RowArrays(ring=Column(np.inf, shape=(slots, length)), count=Column(0, np.int64, (slots,)))
        self._ordered: RowArrays | None = None

    @property
    def bytes_each(self) -> int:
        """Memory of one row; kept in order too, it is nearly twice that."""
        return self._state.bytes_each + (self._ordered.bytes_each if self._ordered is not None else 0)

    def cover(self, rows: Rows) -> None:
        """Make rows usable."""
        self._state.cover(rows)
        if self._ordered is not None:
            self._ordered.reserve(self._state.size)

    def push(self, rows: Rows, values: Floats, slot: Rows | None = None) -> None:
        """One finite value for each of distinct rows."""
        if self._ordered is None and len(rows) >= self._compiled_from:
            self._compile()
        ring, count, places = self._state["ring"].reshape(-1, self.length), self._state["count"].reshape(-1), self._places(rows, slot)
        if self._ordered is None:
            ring[places, count[places] % self.length] = values
            count[places] += 1
        else:
            from aiops.detect.kernels import push  # deferred: numba is heavy

            push(ring, self._ordered["line"].reshape(-1, self.length), count, places, np.ascontiguousarray(values))

    def spread(self, rows: Rows, slot: Rows | None = None) -> Spread:
        """Statistics of what the windows hold now."""
        places, count = self._places(rows, slot), self._state["count"].reshape(-1)
        held = np.minimum(count[places], self.length)
        if self._ordered is None:
            median, mad, mean = _statistics(self._state["ring"].reshape(-1, self.length)[places], held)
        else:
            from aiops.detect.kernels import stats  # deferred: numba is heavy

            median, mad, mean = np.empty(len(rows)), np.empty(len(rows)), np.empty(len(rows))
            stats(self._ordered["line"].reshape(-1, self.length), count, places, median, mad, mean)
        return Spread(held, median, np.where(mad > 0.0, mad * MAD_TO_SIGMA, mean * MEAN_TO_SIGMA))

    def _compile(self) -> None:
        """Keep every window in order from now on."""
        self._ordered = RowArrays(line=Column(np.inf, shape=(self.slots, self.length)))
        self._ordered.replace({"line": np.sort(self._state.used()["ring"], axis=2)})

    def _places(self, rows: Rows, slot: Rows | None) -> Rows:
        return np.ascontiguousarray(rows * self.slots if slot is None else rows * self.slots + slot)

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)
        if self._ordered is not None:
            self._ordered.reset(rows)

    def used(self) -> dict[str, NDArray[Any]]:
        """State for a snapshot."""
        return self._state.used()

    def replace(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """State of a snapshot; raises ValueError if it does not fit."""
        self._state.replace(arrays)
        self._ordered = None


def _statistics(window: Floats, held: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Median, median absolute and mean absolute deviation of rows of which the first `held` values in order count; NaN where that is none."""
    line = np.sort(window, axis=1)
    # Of an even number of values the middle two; of an odd one twice the same.
    low = (np.maximum(held - 1, 0) // 2)[:, None]
    high = np.minimum(low + (held % 2 == 0)[:, None], window.shape[1] - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        median = _middle(line, low, high)
        away = np.abs(line - np.where(held > 0, median, 0.0)[:, None])
        away.sort(axis=1)
        mad = _middle(away, low, high)
        inside = np.arange(window.shape[1])[None, :] < held[:, None]
        mean = np.where(inside, away, 0.0).sum(axis=1) / np.maximum(held, 1)
    empty = held == 0
    return np.where(empty, np.nan, median), np.where(empty, np.nan, mad), np.where(empty, np.nan, mean)


def _middle(line: Floats, low: NDArray[np.int64], high: NDArray[np.int64]) -> Floats:
    a, b = np.take_along_axis(line, low, axis=1)[:, 0], np.take_along_axis(line, high, axis=1)[:, 0]
    both = (a + b) * 0.5
    # The sum of two huge values overflows; halves do not.
    return np.asarray(np.where(np.isfinite(both), both, a * 0.5 + b * 0.5))

"""The last samples of each series, kept so that an alarm can show what was seen before it. Neighbour: `bank`."""

from __future__ import annotations

import numpy as np

from aiops.detect.arrays import Column, Kept, RowArrays, Rows
from aiops.domain.series import Floats

LENGTH = 60
"""Samples kept a series: 960 bytes."""


class Recent(Kept):
    """A ring of `LENGTH` samples for each row."""

    def __init__(self) -> None:
        self._state = RowArrays(times=Column(np.nan, shape=(LENGTH,)), values=Column(np.nan, shape=(LENGTH,)), count=Column(0, np.int64))

    def add(self, rows: Rows, times: Floats, values: Floats) -> None:
        """One sample for each of distinct rows; NaN and ±Inf are kept, they are evidence too."""
        self._state.cover(rows)
        place = self._state["count"][rows] % LENGTH
        self._state["times"][rows, place] = times
        self._state["values"][rows, place] = values
        self._state["count"][rows] += 1

    def of(self, row: int) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
        """Times and values of a row, oldest first; None where a value was not finite."""
        if row >= self._state.size:
            return (), ()
        count = int(self._state["count"][row])
        order = np.arange(max(0, count - LENGTH), count) % LENGTH
        times, values = self._state["times"][row][order], self._state["values"][row][order]
        return tuple(times.tolist()), tuple(v if np.isfinite(v) else None for v in values.tolist())

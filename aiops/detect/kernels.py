"""Compiled loops: exact sliding median and MAD for many thousand windows. Imported only when a batch is that large, since numba costs
about a second and 70 MiB; `windows` does the same in numpy for fewer.

A window is a ring (order of arrival) beside the same values in rising order, so that a new sample moves at most one window's length and the
median absolute deviation is one merge outwards from the median: no sorting. `python -m aiops.detect.kernels` compiles them ahead, as an image build does;
at run time they are loaded from numba's cache, beside this file or in NUMBA_CACHE_DIR, if that place can be written to (numba asks for it); else
they are compiled in memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Rows
from aiops.detect.cut_forest import CutForest
from aiops.detect.flat_forest import FlatForest
from aiops.detect.fleet import Fleet
from aiops.detect.rest import COMPILED_FROM, Rest
from aiops.domain.series import Floats

Push = Callable[[NDArray[Any], NDArray[Any], NDArray[Any], Rows, Floats], None]
Stats = Callable[[NDArray[Any], NDArray[Any], Rows, Floats, Floats, Floats], None]


def _push(ring: NDArray[Any], ordered: NDArray[Any], count: NDArray[Any], rows: Rows, values: Floats) -> None:
    """Put finite `values[i]` into window `rows[i]`. `ring`, `ordered`: (windows, length); `count`: values ever put into each."""
    length = ring.shape[1]
    for i in range(rows.shape[0]):
        row, value, n = rows[i], values[i], count[rows[i]]
        line = ordered[row]
        held = min(n, length)
        if n >= length:
            old = ring[row, n % length]
            place = np.searchsorted(line, old)
            for j in range(place, length - 1):
                line[j] = line[j + 1]
            held = length - 1
        place = np.searchsorted(line[:held], value)
        for j in range(held, place, -1):
            line[j] = line[j - 1]
        line[place] = value
        ring[row, n % length] = value
        count[row] = n + 1


def _stats(ordered: NDArray[Any], count: NDArray[Any], rows: Rows, median: Floats, mad: Floats, mean: Floats) -> None:
    """Median, median absolute deviation and mean absolute deviation from the median of windows `rows`, into arrays of shape (n,); NaN if empty."""
    length = ordered.shape[1]
    for i in range(rows.shape[0]):
        line, n = ordered[rows[i]], min(count[rows[i]], length)
        if n == 0:
            median[i] = mad[i] = mean[i] = np.nan
            continue
        low, high = line[(n - 1) // 2], line[n // 2]
        middle = (low + high) * 0.5
        if not np.isfinite(middle):
            # The sum of two huge values overflowed; halves do not.
            middle = low * 0.5 + high * 0.5
        right = np.searchsorted(line[:n], middle)
        left = right - 1
        previous, deviation, total = 0.0, 0.0, 0.0
        for step in range(n):
            if left >= 0 and (right >= n or middle - line[left] <= line[right] - middle):
                deviation = middle - line[left]
                left -= 1
            else:
                deviation = line[right] - middle
                right += 1
            total += deviation
            if step == (n - 1) // 2:
                previous = deviation
            if step == n // 2:
                mad[i] = (previous + deviation) * 0.5
        median[i] = middle
        mean[i] = total / n


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    try:
        return cast("Callable[..., None]", numba.njit(cache=True)(function))
    except RuntimeError:
        # No place to keep compiled code (a read-only image without NUMBA_CACHE_DIR): compile in memory at first use.
        return cast("Callable[..., None]", numba.njit(function))


push: Push = _compiled(_push)
stats: Stats = _compiled(_stats)


def compile_all() -> None:
    """Compile every kernel for the types it is called with."""
    ring, ordered, count = np.zeros((2, 4)), np.full((2, 4), np.inf), np.zeros(2, dtype=np.int64)
    rows = np.array([0, 1], dtype=np.int64)
    push(ring, ordered, count, rows, np.array([1.0, 2.0]))
    stats(ordered, count, rows, np.empty(2), np.empty(2), np.empty(2))
    FlatForest(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.int16), np.zeros((1, 2)), 1.0).score_samples(np.zeros((1, 1)))
    forest = CutForest(2, trees=1, size=2, memory=2)
    for x in range(3):
        points = forest.points(np.full((2, 2), float(x)))
        forest.score(rows, points)
        forest.blame(rows, points)
        forest.learn(rows, points)
    fleet = Fleet(compiled_from=1)
    fleet.score_and_learn(rows, np.full(2, 60.0), np.ones(2))
    Rest().rested(np.arange(COMPILED_FROM), np.ones(COMPILED_FROM))


if __name__ == "__main__":
    # Run as a script this file is another module than the one detectors import: compile that one.
    importlib.import_module("aiops.detect.kernels").compile_all()

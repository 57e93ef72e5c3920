"""Functions on counters and slopes over a window: rate, increase, delta, irate, idelta, deriv, predict_linear, resets, changes.

The formulas are those of Prometheus 2.42, promql/functions.go; the same samples give the same numbers.
Neighbours: `windows` gives the samples, `range_functions` holds the table of all range functions.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from aiops.adapters.memory_prometheus.vectors import Bools, Floats, Ints
from aiops.adapters.memory_prometheus.windows import Windows, blocks_of_steps

Table = tuple[Floats, Bools]
Number = TypeVar("Number", Floats, Ints)
# Beyond 1.1 times the mean gap between samples a series is taken to begin or end inside the window.
_THRESHOLD = 1.1
_CANCELLED = 1e-6


def segment_sums(values: Floats, low: Ints, high: Ints) -> Floats:
    """Sum of `values[low:high]` for each pair; 0 where empty. Each is summed by itself: no NaN or rounding leaks between windows."""
    padded = np.append(values, 0.0)
    edges = np.stack([low, np.maximum(high, low)], axis=-1).reshape(-1)
    sums = np.add.reduceat(padded, edges)[::2].reshape(low.shape) if edges.size else np.zeros(low.shape)
    return np.where(high > low, sums, 0.0)


def running_counts(flags: Bools) -> Ints:
    """How many flags are set before each index; one longer than `flags`."""
    return np.concatenate([[0], np.cumsum(flags)]).astype(np.int64)


def _at(values: Number, index: Ints) -> Number:
    """Values at these indices, anything where the index is out of the array (callers mask those)."""
    if not len(values):
        return np.zeros(index.shape, dtype=values.dtype)
    # Not np.clip, which takes several times as long on small arrays.
    return values[np.minimum(np.maximum(index, 0), len(values) - 1)]


def _previous(values: Floats) -> Floats:
    return np.concatenate([[np.nan], values[:-1]]) if len(values) else values


def extrapolated(found: Windows, *, counter: bool, per_second: bool) -> Table:
    """rate, increase (`counter`) and delta: the change between first and last sample, extrapolated towards the window's edges.

    At most half a mean gap is added where the series seems to begin or end inside; a counter is never extrapolated below zero.
    """
    values, times = found.samples.values, found.samples.times
    present = found.counts >= 2
    first, last = _at(values, found.low), _at(values, found.high - 1)
    change = last - first
    if counter and len(values):
        fell = np.zeros(len(values) + 1, dtype=np.bool_)
        np.less(values[1:], values[:-1], out=fell[1:-1])
        # The first sample of a series has none before it (a series without samples begins where the next one does, or at the end).
        fell[found.samples.starts] = False
        if fell.any():
            drops = np.where(fell[:-1], _previous(values), 0.0)
            change = _with_drops(found, change, drops)
    from_time, to_time = _at(times, found.low), _at(times, found.high - 1)
    # Whole milliseconds are subtracted before seconds are made of them: seconds since 1970 have no digits to spare.
    to_start, to_end = (from_time - (found.ends - found.range)) / 1000.0, (found.ends - to_time) / 1000.0
    sampled = (to_time - from_time) / 1000.0
    gap = sampled / np.maximum(found.counts - 1, 1)
    if counter:
        to_zero = sampled * (first / change)
        to_start = np.where((change > 0) & (first >= 0) & (to_zero < to_start), to_zero, to_start)
    covered = sampled + np.where(to_start < gap * _THRESHOLD, to_start, gap / 2) + np.where(to_end < gap * _THRESHOLD, to_end, gap / 2)
    factor = covered / sampled
    if per_second:
        factor = factor / (found.range / 1000.0)
    return change * factor, present


def _with_drops(found: Windows, change: Floats, drops: Floats) -> Floats:
    """The change of a counter with what was lost at its resets added."""
    after_first = np.minimum(found.low + 1, len(drops))
    lost = segment_sums(drops, after_first, found.high)
    total = change + lost
    # Where huge terms cancel, only Prometheus' own order of adding gives Prometheus' digits.
    doubtful = np.isfinite(total) & (np.abs(total) < _CANCELLED * (np.abs(change) + np.abs(lost)))
    for row, column in zip(*np.nonzero(doubtful), strict=True):
        running = float(change[row, column])
        for drop in drops[after_first[row, column] : found.high[row, column]].tolist():
            running += drop
        total[row, column] = running
    return total


def instantaneous(found: Windows, *, per_second: bool) -> Table:
    """For irate and idelta: between the last two samples; a counter that fell counts from zero."""
    values, times = found.samples.values, found.samples.times
    last, before = _at(values, found.high - 1), _at(values, found.high - 2)
    change = last - before
    if per_second:
        change = np.where(last < before, last, change) / ((_at(times, found.high - 1) - _at(times, found.high - 2)) / 1000.0)
    return change, found.counts >= 2


def resets(found: Windows) -> Table:
    """How often the value fell."""
    return _steps(found, found.samples.values < _previous(found.samples.values))


def changes(found: Windows) -> Table:
    """How often the value changed; NaN to NaN is no change."""
    values, before = found.samples.values, _previous(found.samples.values)
    return _steps(found, (values != before) & ~(np.isnan(values) & np.isnan(before)))


def _steps(found: Windows, flags: Bools) -> Table:
    running = running_counts(flags)
    inside = running[found.high] - running[np.minimum(found.low + 1, len(flags))]
    return np.maximum(inside, 0).astype(np.float64), found.any


def deriv(found: Windows) -> Table:
    """Slope per second by least squares, through at least two samples."""
    # The intercept is not used, so its time only conditions the numbers: each window's first sample, as Prometheus does.
    slope, _ = _regression(found, None)
    return slope, found.counts >= 2


def predict_linear(found: Windows, now: Ints, ahead: Floats) -> Table:
    """The least-squares line's value `ahead` seconds after `now` (ms), each of shape (T,)."""
    slope, intercept = _regression(found, now)
    return slope * ahead[None, :] + intercept, found.counts >= 2


def _regression(found: Windows, origin: Ints | None) -> tuple[Floats, Floats]:
    """Slope and intercept at `origin` (ms for each step; None: each window's first sample). Shapes (n, T)."""
    slope, intercept = np.zeros(found.low.shape), np.zeros(found.low.shape)
    for steps in blocks_of_steps(found):
        low, count = found.low[:, steps].reshape(-1), found.counts[:, steps].reshape(-1)
        if not count.sum():
            continue
        filled = count > 0
        starts = np.concatenate([[0], np.cumsum(count[filled])[:-1]])
        width = count[filled]
        index = np.arange(int(width.sum())) - np.repeat(starts - low[filled], width)
        y, t = found.samples.values[index], found.samples.times[index]
        if origin is None:
            zero = found.samples.times[low[filled]]
        else:
            zero = np.broadcast_to(origin[steps], found.low[:, steps].shape).reshape(-1)[filled]
        x = (t - np.repeat(zero, width)) / 1000.0
        line = _fit(x, y, starts, width)
        for target, part in zip((slope, intercept), line, strict=True):
            block = np.zeros(low.shape)
            block[filled] = part
            target[:, steps] = block.reshape(found.low[:, steps].shape)
    return slope, intercept


def _fit(x: Floats, y: Floats, starts: Ints, width: Ints) -> tuple[Floats, Floats]:
    """Least squares of each segment, centred first: the plain sums would lose digits that Prometheus keeps by compensation."""
    mean_x, mean_y = np.add.reduceat(x, starts) / width, np.add.reduceat(y, starts) / width
    dx, dy = x - np.repeat(mean_x, width), y - np.repeat(mean_y, width)
    slope = np.add.reduceat(dx * dy, starts) / np.add.reduceat(dx * dx, starts)
    intercept = mean_y - slope * mean_x
    first = y[starts]
    constant = np.logical_and.reduceat(y == np.repeat(first, width), starts)
    infinite = constant & np.isinf(first)
    slope = np.where(constant, np.where(infinite, np.nan, 0.0), slope)
    return slope, np.where(constant, np.where(infinite, np.nan, first), intercept)

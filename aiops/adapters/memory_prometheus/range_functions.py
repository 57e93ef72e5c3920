"""The functions over a window: `*_over_time`, and the table that names all of them.

Semantics are those of Prometheus 2.42, promql/functions.go. Neighbours: `rates` for counters and slopes, `evaluator` calls the table.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aiops.adapters.memory_prometheus import rates
from aiops.adapters.memory_prometheus.rates import Table, segment_sums
from aiops.adapters.memory_prometheus.vectors import Bools, Floats, Ints
from aiops.adapters.memory_prometheus.windows import Windows, blocks_of_steps

RangeFunction = Callable[[Windows], Table]


def _sums(found: Windows) -> Floats:
    """Sums with compensation where it matters: Prometheus adds by Kahan and Neumaier, so big terms that cancel leave the small ones."""
    values, low, high = found.samples.values, found.low, found.high
    sums = segment_sums(values, low, high)
    for row, column in zip(*np.nonzero(_doubtful(found, sums)), strict=True):
        sums[row, column] = compensated(values[low[row, column] : high[row, column]])
    return sums


def _doubtful(found: Windows, sums: Floats) -> Bools:
    """Where terms cancel so far that the order of adding shows."""
    sizes = segment_sums(np.abs(found.samples.values), found.low, found.high)
    return np.isfinite(sizes) & (np.abs(sums) < 1e-6 * sizes)


def compensated(values: Floats) -> float:
    """Sum with Neumaier's improvement of Kahan's compensation (1974)."""
    total = lost = 0.0
    for value in values.tolist():
        total, lost = _compensated_step(value, total, lost)
    return total + lost


def _compensated_step(value: float, total: float, lost: float) -> tuple[float, float]:
    after = total + value
    return after, lost + ((total - after) + value if abs(total) >= abs(value) else (value - after) + total)


def sum_over_time(found: Windows) -> Table:
    """Sum."""
    return _sums(found), found.any


def avg_over_time(found: Windows) -> Table:
    """Mean; infinities of one sign stay, of both give NaN."""
    values, low, high = found.samples.values, found.low, found.high
    sums = segment_sums(values, low, high)
    mean = sums / np.maximum(found.counts, 1)
    for row, column in zip(*np.nonzero(_doubtful(found, sums) | np.isinf(sums)), strict=True):
        mean[row, column] = running_mean(values[low[row, column] : high[row, column]])
    return mean, found.any


def running_mean(values: Floats) -> float:
    """The mean as Prometheus updates it with each sample, which does not overflow. It loses digits where huge values cancel, and so must ours."""
    mean = lost = 0.0
    for count, value in enumerate(values.tolist(), start=1):
        if np.isinf(mean) and (np.isfinite(value) or value == mean):
            continue
        mean, lost = _compensated_step(value / count - mean / count, mean, lost)
    return mean if np.isinf(mean) else mean + lost


def _extreme(found: Windows, ufunc: np.ufunc) -> Table:
    padded = np.append(found.samples.values, np.nan)
    edges = np.stack([found.low, np.maximum(found.high, found.low)], axis=-1).reshape(-1)
    table = ufunc.reduceat(padded, edges)[::2].reshape(found.low.shape) if edges.size else np.zeros(found.low.shape)
    return table, found.any


def min_over_time(found: Windows) -> Table:
    """Least value; NaN only if all are."""
    return _extreme(found, np.fmin)


def max_over_time(found: Windows) -> Table:
    """Greatest value; NaN only if all are."""
    return _extreme(found, np.fmax)


def count_over_time(found: Windows) -> Table:
    """Number of samples."""
    return found.counts.astype(np.float64), found.any


def present_over_time(found: Windows) -> Table:
    """1 where there is a sample."""
    return np.ones(found.low.shape), found.any


def last_over_time(found: Windows) -> Table:
    """The newest sample."""
    if not len(found.samples.values):
        return np.zeros(found.low.shape), found.any
    return found.samples.values[np.maximum(found.high - 1, 0)], found.any


def stdvar_over_time(found: Windows) -> Table:
    """Population variance, in two passes over each window."""
    result = np.zeros(found.low.shape)
    for steps in blocks_of_steps(found):
        low, count = found.low[:, steps].reshape(-1), found.counts[:, steps].reshape(-1)
        filled = count > 0
        width = count[filled]
        if not len(width):
            continue
        starts = np.concatenate([[0], np.cumsum(width)[:-1]])
        index = np.arange(int(width.sum())) - np.repeat(starts - low[filled], width)
        # Counted from each window's first value: variance does not change, and large values keep their digits.
        values = found.samples.values[index] - np.repeat(found.samples.values[low[filled]], width)
        mean = np.add.reduceat(values, starts) / width
        variance = np.add.reduceat((values - np.repeat(mean, width)) ** 2, starts) / width
        block = np.zeros(low.shape)
        block[filled] = variance
        result[:, steps] = block.reshape(found.low[:, steps].shape)
    return result, found.any


def stddev_over_time(found: Windows) -> Table:
    """Population standard deviation."""
    variance, present = stdvar_over_time(found)
    return np.sqrt(variance), present


def quantile_over_time(found: Windows, q: Floats) -> Table:
    """The q-quantile of each window, `q` of shape (T,)."""
    result = np.zeros(found.low.shape)
    for row, column in zip(*np.nonzero(found.any), strict=True):
        result[row, column] = quantile(q[column], found.samples.values[found.low[row, column] : found.high[row, column]])
    return result, found.any


def quantile(q: float, values: Floats) -> float:
    """Prometheus' quantile: linear between ranks, NaN counts as the least value, q outside 0..1 gives an infinity."""
    if not len(values) or np.isnan(q):
        return np.nan
    if q < 0:
        return -np.inf
    if q > 1:
        return np.inf
    # numpy sorts NaN to the end; here they belong to the front.
    ordered = np.sort(values)
    missing = int(np.isnan(ordered).sum())
    ordered = np.roll(ordered, missing)
    rank = q * (len(ordered) - 1)
    lower = max(0, int(np.floor(rank)))
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - np.floor(rank)
    return float(ordered[lower] * (1 - weight) + ordered[upper] * weight)


# Functions of one window and nothing else; the others (quantile_over_time, predict_linear, absent_over_time) are in `evaluator`.
RANGE_FUNCTIONS: dict[str, RangeFunction] = {
    "avg_over_time": avg_over_time,
    "changes": rates.changes,
    "count_over_time": count_over_time,
    "delta": lambda found: rates.extrapolated(found, counter=False, per_second=False),
    "deriv": rates.deriv,
    "idelta": lambda found: rates.instantaneous(found, per_second=False),
    "increase": lambda found: rates.extrapolated(found, counter=True, per_second=False),
    "irate": lambda found: rates.instantaneous(found, per_second=True),
    "last_over_time": last_over_time,
    "max_over_time": max_over_time,
    "min_over_time": min_over_time,
    "present_over_time": present_over_time,
    "rate": lambda found: rates.extrapolated(found, counter=True, per_second=True),
    "resets": rates.resets,
    "stddev_over_time": stddev_over_time,
    "stdvar_over_time": stdvar_over_time,
    "sum_over_time": sum_over_time,
}

__all__ = ["RANGE_FUNCTIONS", "Ints", "compensated", "quantile", "quantile_over_time"]

"""histogram_quantile over classic buckets, as Prometheus 2.42 does it (promql/quantile.go).

Neighbours: `evaluator` calls `histogram_quantile`.
"""

from __future__ import annotations

import re

import numpy as np

from aiops.adapters.memory_prometheus.matchers import NAME
from aiops.adapters.memory_prometheus.vectors import Bools, Floats, Ints, LabelDict, LabelList, Vector, merged, remembered

_BOUND = "le"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE)


def histogram_quantile(q: Floats, vector: Vector) -> Vector:
    """One series for each histogram: the q-quantile (`q` of shape (T,)), linear within its bucket.

    A histogram without a +Inf bucket, with fewer than two buckets or without observations gives NaN.
    """
    labels, groups = remembered(vector.labels, "histograms", lambda: _histograms(vector.labels))
    steps = vector.values.shape[1]
    if groups and vector.present.all() and all(np.array_equal(bounds, groups[0][0]) for bounds, _ in groups):
        # All have the same buckets all the time: one table of (bucket, histogram and step).
        table = vector.values[np.stack([rows for _, rows in groups], axis=1)].reshape(len(groups[0][0]), -1)
        found = _quantiles(np.tile(q, len(groups)), groups[0][0], table).reshape(len(groups), steps)
        return merged(Vector(labels, found, np.ones(found.shape, dtype=np.bool_)))
    values, present = np.zeros((len(groups), steps)), np.zeros((len(groups), steps), dtype=np.bool_)
    for target, (bounds, rows) in enumerate(groups):
        here = vector.present[rows]
        present[target] = here.any(axis=0)
        # Buckets may come and go; steps that have the same buckets are computed together (nearly always all of them).
        for pattern in np.unique(here, axis=1).T:
            if pattern.any():
                columns = np.flatnonzero((here == pattern[:, None]).all(axis=0))
                values[target, columns] = _quantiles(q[columns], bounds[pattern], vector.values[rows[pattern]][:, columns])
    return merged(Vector(labels, values, present))


def _histograms(series: list[LabelDict]) -> tuple[LabelList, list[tuple[Floats, Ints]]]:
    """Labels of each histogram; its bounds, rising, and the rows of its buckets in that order."""
    groups: dict[frozenset[tuple[str, str]], list[tuple[float, int]]] = {}
    labels: dict[frozenset[tuple[str, str]], LabelDict] = {}
    for row, each in enumerate(series):
        bound = each.get(_BOUND, "")
        if not _NUMBER.fullmatch(bound):
            continue
        rest = {name: value for name, value in each.items() if name != _BOUND}
        key = frozenset(rest.items())
        groups.setdefault(key, []).append((float(bound), row))
        labels.setdefault(key, {name: value for name, value in rest.items() if name != NAME})
    for buckets in groups.values():
        buckets.sort(key=lambda bucket: bucket[0])
    tables = [(np.array([bound for bound, _ in buckets]), np.array([row for _, row in buckets])) for buckets in groups.values()]
    return LabelList(labels.values()), tables


def _quantiles(q: Floats, bounds: Floats, counts: Floats) -> Floats:
    """`bounds` (B,) rising, `counts` (B, T) cumulative; the quantile for each step."""
    result = np.full(len(q), np.nan)
    if np.isposinf(bounds[-1]):
        bounds, counts = _coalesced(bounds, counts)
        # Rounding of rates can make a bucket smaller than the one below.
        counts = np.where(np.isnan(counts), np.nan, np.fmax.accumulate(counts, axis=0))
        if len(bounds) >= 2:
            usable = counts[-1] != 0
            result[usable] = _interpolated(q[usable], bounds, counts[:, usable])
    result[q < 0] = -np.inf
    result[q > 1] = np.inf
    result[np.isnan(q)] = np.nan
    return result


def _coalesced(bounds: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Buckets with the same bound (written `1` and `1.0`) are added up."""
    different, first = np.unique(bounds, return_index=True)
    return (bounds, counts) if len(different) == len(bounds) else (different, np.add.reduceat(counts, first, axis=0))


def _interpolated(q: Floats, bounds: Floats, counts: Floats) -> Floats:
    rank = q * counts[-1]
    reached: Bools = counts[:-1] >= rank
    last = len(bounds) - 1
    bucket = np.where(reached.any(axis=0), reached.argmax(axis=0), last)
    steps = np.arange(len(q))
    below = np.maximum(bucket - 1, 0)
    start = np.where(bucket > 0, bounds[below], 0.0)
    before = np.where(bucket > 0, counts[below, steps], 0.0)
    inside = counts[bucket, steps] - before
    found = start + (bounds[bucket] - start) * ((rank - before) / inside)
    found = np.where((bucket == 0) & (bounds[0] <= 0), bounds[0], found)
    return np.asarray(np.where(bucket == last, bounds[last - 1], found))

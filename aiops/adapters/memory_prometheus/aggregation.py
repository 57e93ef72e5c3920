"""Aggregations over series: sum, avg, min, max, count, group, stddev, stdvar, quantile, topk, bottomk, count_values.

Semantics are those of Prometheus 2.42, promql/engine.go. Neighbours: `evaluator` calls `aggregate` and `count_values`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aiops.adapters.memory_prometheus.label_functions import checked_label, number_text
from aiops.adapters.memory_prometheus.matchers import NAME
from aiops.adapters.memory_prometheus.range_functions import quantile
from aiops.adapters.memory_prometheus.syntax import Aggregate
from aiops.adapters.memory_prometheus.vectors import Bools, Floats, Ints, LabelDict, LabelList, QueryError, Vector, remembered


def group_labels(labels: LabelDict, node: Aggregate) -> LabelDict:
    """The labels of the group that a series falls into."""
    if node.without:
        return {name: value for name, value in labels.items() if name != NAME and name not in node.labels}
    return {name: labels[name] for name in node.labels if name in labels}


def aggregate(node: Aggregate, vector: Vector, param: Floats | None) -> Vector:
    """`param` (T,) is k of topk and bottomk, q of quantile. QueryError for a k that is no integer."""
    labels, order, starts = remembered(vector.labels, ("groups", node.without, node.labels), lambda: _groups(node, vector.labels))
    if node.op in {"topk", "bottomk"}:
        return _extremes(vector, order, starts, _whole(param), largest=node.op == "topk")
    values, present = vector.values[order], vector.present[order]
    if not labels:
        return Vector([], values, present)
    counts = np.add.reduceat(present.astype(np.int64), starts, axis=0)
    return Vector(labels, _reduced(node.op, values, present, starts, counts, param), counts > 0)


def _groups(node: Aggregate, series: list[LabelDict]) -> tuple[LabelList, Ints, Ints]:
    """The groups' labels; the rows, those of one group side by side, so that each group is one slice; and where each slice begins."""
    groups: dict[frozenset[tuple[str, str]], int] = {}
    labels: list[LabelDict] = []
    place = np.empty(len(series), dtype=np.int64)
    for row, each in enumerate(series):
        found = group_labels(each, node)
        place[row] = groups.setdefault(frozenset(found.items()), len(groups))
        if place[row] == len(labels):
            labels.append(found)
    order = np.argsort(place, kind="stable")
    return LabelList(labels), order, np.searchsorted(place[order], np.arange(len(labels)))


def _reduced(op: str, values: Floats, present: Bools, starts: Ints, counts: Ints, param: Floats | None) -> Floats:
    if op == "quantile":
        return _quantiles(values, present, starts, param if param is not None else np.full(values.shape[1], np.nan))
    reduction = _REDUCTIONS.get(op)
    if reduction is None:
        raise QueryError(f"aggregation {op} is not supported")
    return reduction(values, present, starts, counts)


def _sums(values: Floats, present: Bools, starts: Ints, _: Ints) -> Floats:
    return np.asarray(np.add.reduceat(np.where(present, values, 0.0), starts, axis=0))


def _least(values: Floats, present: Bools, starts: Ints, _: Ints) -> Floats:
    return np.asarray(np.fmin.reduceat(np.where(present, values, np.nan), starts, axis=0))


def _greatest(values: Floats, present: Bools, starts: Ints, _: Ints) -> Floats:
    return np.asarray(np.fmax.reduceat(np.where(present, values, np.nan), starts, axis=0))


def _means(values: Floats, present: Bools, starts: Ints, counts: Ints) -> Floats:
    sums = np.add.reduceat(np.where(present, values, 0.0), starts, axis=0)
    finite = np.logical_and.reduceat(np.isfinite(values) | ~present, starts, axis=0)
    mean = sums / np.maximum(counts, 1)
    if (np.isinf(sums) & finite).any():
        # The sum overflowed though no value is infinite: divide first.
        widths = np.diff(np.append(starts, len(values)))
        share = np.repeat(np.maximum(counts, 1), widths, axis=0)
        mean = np.where(np.isinf(sums) & finite, np.add.reduceat(np.where(present, values / share, 0.0), starts, axis=0), mean)
    return np.asarray(mean)


def _variances(values: Floats, present: Bools, starts: Ints, counts: Ints) -> Floats:
    widths = np.diff(np.append(starts, len(values)))
    # Counted from the group's first present value: variance does not change, and large values keep their digits.
    rows = np.where(present, np.arange(len(values))[:, None], len(values))
    first = np.minimum(np.minimum.reduceat(rows, starts, axis=0), len(values) - 1)
    values = values - np.repeat(np.take_along_axis(values, first, axis=0), widths, axis=0)
    mean = np.repeat(_means(values, present, starts, counts), widths, axis=0)
    squares = np.where(present, (values - mean) ** 2, 0.0)
    variance = np.add.reduceat(squares, starts, axis=0) / np.maximum(counts, 1)
    # Prometheus starts a group with variance 0 and its first value unseen: one infinite or NaN value alone has variance 0.
    return np.where(counts == 1, 0.0, variance)


_REDUCTIONS: dict[str, Callable[[Floats, Bools, Ints, Ints], Floats]] = {
    "avg": _means,
    "count": lambda _values, _present, _starts, counts: counts.astype(np.float64),
    "group": lambda _values, _present, _starts, counts: np.ones(counts.shape),
    "max": _greatest,
    "min": _least,
    "stddev": lambda *parts: np.asarray(np.sqrt(_variances(*parts))),
    "stdvar": _variances,
    "sum": _sums,
}


def _quantiles(values: Floats, present: Bools, starts: Ints, q: Floats) -> Floats:
    result = np.zeros((len(starts), values.shape[1]))
    for group, (start, end) in enumerate(zip(starts, np.append(starts[1:], len(values)), strict=True)):
        for step in np.flatnonzero(present[start:end].any(axis=0)):
            result[group, step] = quantile(q[step], values[start:end, step][present[start:end, step]])
    return result


def _whole(param: Floats | None) -> Ints:
    if param is None or not (np.isfinite(param) & (np.abs(param) < 2**63)).all():
        raise QueryError("scalar value of k in topk or bottomk overflows int64")
    return param.astype(np.int64)


def _extremes(vector: Vector, order: Ints, starts: Ints, k: Ints, *, largest: bool) -> Vector:
    """The k largest or smallest of each group at each step; NaN comes last in both. The series keep all their labels."""
    if not vector.labels:
        return vector
    keep = np.zeros(vector.present.shape, dtype=np.bool_)
    sign = -1.0 if largest else 1.0
    for start, end in zip(starts, np.append(starts[1:], len(order)), strict=True):
        rows = order[start:end]
        for step in range(vector.values.shape[1]):
            here = rows[vector.present[rows, step]]
            # numpy sorts NaN to the end, also after the change of sign.
            ranking = np.argsort(sign * vector.values[here, step], kind="stable")
            keep[here[ranking[: max(0, int(k[step]))]], step] = True
    return Vector(vector.labels, vector.values, keep).rows(np.argsort(_ranking(vector, keep, sign), kind="stable")).compact()


def _ranking(vector: Vector, keep: Bools, sign: float) -> Floats:
    """Order of an instant answer: best first, as Prometheus gives it; the order of longer answers has no meaning."""
    return np.where(keep[:, 0], sign * vector.values[:, 0], np.inf) if keep.shape[1] == 1 else np.zeros(len(keep))


def count_values(node: Aggregate, vector: Vector, label: str) -> Vector:
    """How many series have each value; the value goes into `label`."""
    checked_label(label)
    rows: dict[frozenset[tuple[str, str]], tuple[LabelDict, Floats]] = {}
    steps = vector.values.shape[1]
    for row, each in enumerate(vector.labels):
        base = group_labels({**each, label: ""} if node.without else each, node)
        for step in np.flatnonzero(vector.present[row]):
            labels = {**base, label: number_text(float(vector.values[row, step]))}
            _, counts = rows.setdefault(frozenset(labels.items()), (labels, np.zeros(steps)))
            counts[step] += 1
    if not rows:
        return Vector([], np.empty((0, steps)), np.empty((0, steps), dtype=np.bool_))
    table = np.stack([counts for _, counts in rows.values()])
    return Vector([labels for labels, _ in rows.values()], table, table > 0)

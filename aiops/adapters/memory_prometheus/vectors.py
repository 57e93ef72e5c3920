"""What expressions evaluate to, for all steps of a query at once.

A `Vector` of n series over T steps is a table of values and a table of presence, since NaN is a value of its own in PromQL.
Labels are plain dicts that nobody changes. Neighbours: every file of this package.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops.adapters.memory_prometheus.matchers import NAME

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
LabelDict = dict[str, str]


SAME_LABELS = "vector cannot contain metrics with the same labelset"


class QueryError(Exception):
    """The query cannot be answered as asked; the text says why. Never leaves the package."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number for each step, shape (T,)."""

    values: Floats


@dataclass(frozen=True, slots=True)
class String:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Vector:
    """`labels[i]` belongs to row i of `values` and `present`, both of shape (n, T)."""

    labels: list[LabelDict]
    values: Floats
    present: Bools

    def rows(self, keep: Sequence[int] | Ints | Bools) -> Vector:
        """The rows with these indices (or where the mask holds)."""
        index = np.asarray(keep)
        if index.dtype == np.bool_:
            index = np.flatnonzero(index)
        return Vector([self.labels[i] for i in index.tolist()], self.values[index], self.present[index])

    def compact(self) -> Vector:
        """Without the rows that are nowhere present."""
        any_present = along(self.present, axis=1)
        return self if any_present.all() else self.rows(any_present)


Value = Scalar | String | Vector


def along(mask: Bools, axis: int) -> Bools:
    """`mask.any(axis)`, typed as an array."""
    return np.asarray(mask.any(axis=axis), dtype=np.bool_)


def empty(steps: int) -> Vector:
    """No series."""
    return Vector([], np.empty((0, steps)), np.empty((0, steps), dtype=np.bool_))


def identity(labels: LabelDict) -> frozenset[tuple[str, str]]:
    """What makes two label sets the same."""
    return frozenset(labels.items())


def without_name(labels: LabelDict) -> LabelDict:
    """The labels less the metric name."""
    if NAME not in labels:
        return labels
    rest = labels.copy()
    del rest[NAME]
    return rest


def without_names(labels: Iterable[LabelDict]) -> list[LabelDict]:
    """`without_name` for each."""
    return [without_name(each) for each in labels]


def same_name(labels: Sequence[LabelDict]) -> bool:
    """Whether all series bear one metric name: then dropping it makes no two of them alike."""
    return len({each.get(NAME) for each in labels}) <= 1


def merged(vector: Vector) -> Vector:
    """Rows with the same labels become one. QueryError if two of them have a value at the same step, as Prometheus answers."""
    seen: dict[frozenset[tuple[str, str]], int] = {}
    place = [seen.setdefault(identity(each), len(seen)) for each in vector.labels]
    if len(seen) == len(place):
        return vector
    steps = vector.values.shape[1]
    values, present = np.zeros((len(seen), steps)), np.zeros((len(seen), steps), dtype=np.bool_)
    labels: list[LabelDict] = [{} for _ in seen]
    for row, target in enumerate(place):
        here = vector.present[row]
        if (present[target] & here).any():
            raise QueryError(SAME_LABELS)
        values[target, here] = vector.values[row, here]
        present[target] |= here
        labels[target] = vector.labels[row]
    return Vector(labels, values, present)


def distinct(vector: Vector) -> Vector:
    """The vector without metric names; QueryError if two series are then alike, be it at different steps (functions of ranges are as strict)."""
    changed = Vector(without_names(vector.labels), vector.values, vector.present)
    if not same_name(vector.labels) and len({identity(each) for each in changed.labels}) < len(changed.labels):
        raise QueryError(SAME_LABELS)
    return changed


def dropping_name(vector: Vector, values: Floats) -> Vector:
    """New values for the same series without their metric name; QueryError when two become alike."""
    changed = Vector(without_names(vector.labels), values, vector.present)
    return changed if same_name(vector.labels) else merged(changed)

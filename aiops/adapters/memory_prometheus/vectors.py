"""What expressions evaluate to, for all steps of a query at once.

A `Vector` of n series over T steps is a table of values and a table of presence, since NaN is a value of its own in PromQL.
Labels are plain dicts that nobody changes. Neighbours: every file of this package.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from aiops.adapters.memory_prometheus.matchers import NAME

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
LabelDict = dict[str, str]


T = TypeVar("T")


class LabelList(list[LabelDict]):
    """Labels of a set of series that is asked for again and again: what was worked out from them is kept with them. Nobody changes the list."""

    __slots__ = ("memo",)

    def __init__(self, labels: Iterable[LabelDict]) -> None:
        super().__init__(labels)
        self.memo: dict[Hashable, object] = {}


def remembered(labels: list[LabelDict], key: Hashable, make: Callable[[], T]) -> T:
    """What `make` gives, once for each `key` of labels that are asked for again; `key` holds all that it depends on besides the labels."""
    if not isinstance(labels, LabelList):
        return make()
    found = labels.memo.get(key)
    if found is None:
        if len(labels.memo) >= _MOST_REMEMBERED:
            labels.memo.clear()
        found = labels.memo[key] = make()
    return cast("T", found)


def remembered_pair(labels: list[LabelDict], others: list[LabelDict], key: Hashable, make: Callable[[], T]) -> T:
    """The same for what depends on `others` too: the last ones only, and by what they are rather than what they hold."""
    if not isinstance(labels, LabelList):
        return make()
    found = labels.memo.get(key)
    if isinstance(found, tuple) and found[0] is others:
        return cast("T", found[1])
    made = make()
    labels.memo[key] = (others, made)
    return made


_MOST_REMEMBERED = 256
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
        labels = remembered(self.labels, ("rows", index.tobytes()), lambda: LabelList(self.labels[i] for i in index.tolist()))
        return Vector(labels, self.values[index], self.present[index])

    def compact(self) -> Vector:
        """Without the rows that are nowhere present."""
        # Nearly always: everything is there.
        return self if self.present.all() else self._without_absent()

    def _without_absent(self) -> Vector:
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
    return LabelList(without_name(each) for each in labels)


def same_name(labels: Sequence[LabelDict]) -> bool:
    """Whether all series bear one metric name: then dropping it makes no two of them alike."""
    return len({each.get(NAME) for each in labels}) <= 1


def _all_different(labels: Sequence[LabelDict]) -> bool:
    return len({identity(each) for each in labels}) == len(labels)


def merged(vector: Vector) -> Vector:
    """Rows with the same labels become one. QueryError if two of them have a value at the same step, as Prometheus answers."""
    if remembered(vector.labels, "all different", lambda: _all_different(vector.labels)):
        return vector
    seen: dict[frozenset[tuple[str, str]], int] = {}
    place = [seen.setdefault(identity(each), len(seen)) for each in vector.labels]
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
    changed, same = _nameless(vector.labels)
    if not same and not remembered(changed, "all different", lambda: _all_different(changed)):
        raise QueryError(SAME_LABELS)
    return Vector(changed, vector.values, vector.present)


def dropping_name(vector: Vector, values: Floats) -> Vector:
    """New values for the same series without their metric name; QueryError when two become alike."""
    labels, same = _nameless(vector.labels)
    changed = Vector(labels, values, vector.present)
    return changed if same else merged(changed)


def _nameless(labels: list[LabelDict]) -> tuple[list[LabelDict], bool]:
    """The labels without metric names, and whether there was one name only."""
    return remembered(labels, "nameless", lambda: (without_names(labels), same_name(labels)))

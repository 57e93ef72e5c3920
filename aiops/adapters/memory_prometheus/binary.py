"""Binary operators: arithmetic, comparison, and/or/unless, with vector matching.

Semantics are those of Prometheus 2.42, promql/engine.go. Neighbours: `evaluator` calls `binary`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aiops.adapters.memory_prometheus.matchers import NAME
from aiops.adapters.memory_prometheus.syntax import Binary, Matching
from aiops.adapters.memory_prometheus.vectors import (
    Bools,
    Floats,
    Ints,
    LabelDict,
    LabelList,
    QueryError,
    Scalar,
    Vector,
    along,
    empty,
    merged,
    remembered,
    remembered_pair,
    without_name,
    without_names,
)

Key = tuple[str, ...] | frozenset[tuple[str, str]]


_ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    # C's fmod: the sign of the dividend, as in Go.
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARISON: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
}


def binary(node: Binary, lhs: Scalar | Vector, rhs: Scalar | Vector) -> Scalar | Vector:
    """The operator over all steps. QueryError for matches that are not unique, at the first step where they are not."""
    if isinstance(lhs, Scalar) and isinstance(rhs, Scalar):
        values = _COMPARISON[node.op](lhs.values, rhs.values).astype(np.float64) if node.op in _COMPARISON else None
        return Scalar(_ARITHMETIC[node.op](lhs.values, rhs.values) if values is None else values)
    if isinstance(lhs, Vector) and isinstance(rhs, Vector):
        if node.matching.card == "many-to-many":
            return _set_operation(node, lhs, rhs)
        return _matched(node, lhs, rhs)
    vector = lhs if isinstance(lhs, Vector) else rhs
    if not isinstance(vector, Vector):
        raise QueryError(f"operator {node.op} needs a vector on one side")
    left = lhs.values[None, :] if isinstance(lhs, Scalar) else lhs.values
    right = rhs.values[None, :] if isinstance(rhs, Scalar) else rhs.values
    # A comparison keeps the vector's value, on whichever side it stands.
    values, keep = _computed(node, left, right, vector.values)
    labels = remembered(vector.labels, "without names", lambda: without_names(vector.labels)) if _drops_name(node) else vector.labels
    return merged(Vector(labels, values, vector.present & keep).compact())


def _drops_name(node: Binary) -> bool:
    # atan2 came later and keeps the name in 2.42.
    return node.as_bool or (node.op in _ARITHMETIC and node.op != "atan2")


def _computed(node: Binary, left: Floats, right: Floats, kept: Floats) -> tuple[Floats, Bools]:
    """Values, and where the result is kept at all."""
    if node.op in _ARITHMETIC:
        values = np.asarray(_ARITHMETIC[node.op](left, right))
        return values, np.ones(values.shape, dtype=np.bool_)
    holds = _COMPARISON[node.op](left, right)
    if node.as_bool:
        return holds.astype(np.float64), np.ones(holds.shape, dtype=np.bool_)
    return kept, holds


def _keys(labels: list[LabelDict], matching: Matching) -> list[Key]:
    """What decides whether two series belong together."""
    return remembered(labels, ("keys", matching.on, matching.labels), lambda: _new_keys(labels, matching))


def _new_keys(labels: list[LabelDict], matching: Matching) -> list[Key]:
    if matching.on:
        names = sorted(set(matching.labels))
        return [tuple(each.get(name, "") for name in names) for each in labels]
    ignored = {*matching.labels, NAME}
    return [frozenset(pair for pair in each.items() if pair[0] not in ignored) for each in labels]


def _set_operation(node: Binary, lhs: Vector, rhs: Vector) -> Vector:
    left, right = _keys(lhs.labels, node.matching), _keys(rhs.labels, node.matching)
    if node.op == "or":
        present = rhs.present & ~_where(right, left, lhs.present)
        labels = remembered_pair(lhs.labels, rhs.labels, "or", lambda: LabelList(lhs.labels + rhs.labels))
        both = Vector(labels, np.concatenate([lhs.values, rhs.values]), np.concatenate([lhs.present, present]))
        return merged(both.compact())
    other = _where(left, right, rhs.present)
    return Vector(lhs.labels, lhs.values, lhs.present & (other if node.op == "and" else ~other)).compact()


def _where(keys: list[Key], others: list[Key], present: Bools) -> Bools:
    """For each of `keys`, at which steps a series of the other side with that key is present."""
    found: dict[Key, Bools] = {}
    for key, row in zip(others, present, strict=True):
        before = found.get(key)
        found[key] = row if before is None else before | row
    nowhere = np.zeros(present.shape[1], dtype=np.bool_)
    return np.stack([found.get(key, nowhere) for key in keys]) if keys else np.zeros((0, present.shape[1]), dtype=np.bool_)


def _matched(node: Binary, lhs: Vector, rhs: Vector) -> Vector:
    """One-to-one and many-to-one; one-to-many is many-to-one with the sides exchanged, save for the operator itself."""
    if not lhs.labels or not rhs.labels:
        return empty(lhs.values.shape[1])
    exchanged = node.matching.card == "one-to-many"
    many, one = (rhs, lhs) if exchanged else (lhs, rhs)
    # Where one side has nothing at all, Prometheus looks no further and finds no duplicates either.
    alive = along(many.present, axis=0) & along(one.present, axis=0)
    many = Vector(many.labels, many.values, many.present & alive)
    # Rows of the one side that share a key are a matter of presence, so only what is unique at all times is remembered.
    unique = _unique_keys(one, node.matching)
    if not unique:
        _refuse_two(one, alive, node)
    first, second, labels = remembered_pair(many.labels, one.labels, ("matched", node.op, node.as_bool, node.matching), lambda: _pairs(many, one, node))
    if not len(first):
        return empty(len(alive))
    left, right = (one.values[second], many.values[first]) if exchanged else (many.values[first], one.values[second])
    values, keep = _computed(node, left, right, left)
    present = many.present[first] & one.present[second] & keep
    if node.matching.card == "one-to-one" and not (unique and _unique_keys(many, node.matching)):
        keys = _keys(many.labels, node.matching)
        _refuse_duplicates(node, [keys[row] for row in first.tolist()], present)
    return _unique(Vector(labels, values, present).compact())


def _by_key(vector: Vector, matching: Matching) -> dict[Key, list[int]]:
    found: dict[Key, list[int]] = {}
    for row, key in enumerate(_keys(vector.labels, matching)):
        found.setdefault(key, []).append(row)
    return found


def _unique_keys(vector: Vector, matching: Matching) -> bool:
    keys = _keys(vector.labels, matching)
    return remembered(vector.labels, ("unique", matching.on, matching.labels), lambda: len(set(keys)) == len(keys))


def _refuse_two(one: Vector, alive: Bools, node: Binary) -> None:
    """QueryError if two rows of the one side share a key at a step."""
    for rows in _by_key(one, node.matching).values():
        if len(rows) > 1 and (one.present[rows][:, alive].sum(axis=0) > 1).any():
            side = "left" if node.matching.card == "one-to-many" else "right"
            raise QueryError(
                f"found duplicate series for the match group on the {side} hand-side of the operation: {one.labels[rows[0]]}, "
                f"{one.labels[rows[1]]}; many-to-many matching not allowed: matching labels must be unique on one side"
            )


def _pairs(many: Vector, one: Vector, node: Binary) -> tuple[Ints, Ints, LabelList]:
    """Rows of both sides that belong together, and the labels of their result."""
    by_key = _by_key(one, node.matching)
    pairs = [(row, other) for row, key in enumerate(_keys(many.labels, node.matching)) for other in by_key.get(key, ())]
    labels = LabelList(_result_labels(node, many.labels[row], one.labels[other]) for row, other in pairs)
    return np.array([row for row, _ in pairs], dtype=np.int64), np.array([other for _, other in pairs], dtype=np.int64), labels


def _refuse_duplicates(node: Binary, keys: list[Key], present: Bools) -> None:
    taken: dict[Key, Bools] = {}
    for key, row in zip(keys, present, strict=True):
        before = taken.get(key)
        if before is not None and (before & row).any():
            raise QueryError(f"multiple matches for labels of `{node.op}`: many-to-one matching must be explicit (group_left/group_right)")
        taken[key] = row if before is None else before | row


def _unique(vector: Vector) -> Vector:
    try:
        return merged(vector)
    except QueryError as error:
        raise QueryError("multiple matches for labels: grouping labels must ensure unique matches") from error


def _result_labels(node: Binary, many: LabelDict, one: LabelDict) -> LabelDict:
    matching = node.matching
    labels = without_name(many) if _drops_name(node) else many
    if matching.card == "one-to-one":
        if matching.on:
            labels = {name: value for name, value in labels.items() if name in matching.labels}
        else:
            labels = {name: value for name, value in labels.items() if name not in matching.labels}
    if matching.include:
        labels = labels.copy()
        for name in matching.include:
            if one.get(name):
                labels[name] = one[name]
            else:
                labels.pop(name, None)
    return labels

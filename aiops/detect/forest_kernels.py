"""Compiled loops of the random cut forest: trees fed and pruned, and which feature is to blame. Imported only by `cut_forest`, since numba costs about a second and 70 MiB.

A tree of `size` leaves over d features: nodes 0..size-1 are leaves (their number is the place in the reservoir), size..2·size-2 are inner ones. `leaf` (trees, size,
d + 1): the point and the parent. `inner` (trees, size - 1, 2d + 6): lower bounds of the box, upper bounds negated, both children, dimension and place of the
cut, points below, parent; so one node is one or two lines of cache. Coordinates are whole numbers, so boxes and cuts are exact whatever was inserted
and forgotten before. A node whose box has no extent holds equal points and is never walked into. Insertion and deletion keep the law of the trees that would have been grown from the same
points (Guha, Mishra, Roy, Schrijvers, "Robust random cut forest based anomaly detection on streams", ICML 2016, theorems 2 and 3). Compiled ahead by `python -m aiops.detect.kernels`. Neighbour: `forest_walk` scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

NONE = -1
FIRST, SECOND, DIMENSION, AT, MASS, PARENT = range(6)
"""Of an inner node, counted from behind its box."""
LEFT_OVER = 1e-3
"""A share of the tree below which a walk ends."""
_whole: Any = np.int64


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as machine code, kept on disk."""
    try:
        return cast("Callable[..., Any]", numba.njit(cache=True, error_model="numpy", nogil=True)(function))
    except RuntimeError:
        # No place to keep compiled code (a read-only image without NUMBA_CACHE_DIR): compile in memory at first use.
        return cast("Callable[..., Any]", numba.njit(error_model="numpy", nogil=True)(function))


@compiled
def draw(state: Any, row: Any) -> Any:
    """The next 64 random bits of a row (splitmix64; Steele, Lea, Flood 2014). `state`: (rows,) uint64."""
    state[row] = state[row] + np.uint64(0x9E3779B97F4A7C15)
    z = state[row]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def below(state: Any, row: Any, bound: Any) -> Any:
    """A whole number 0..bound-1; the bias is below bound / 2^53."""
    return _whole((draw(state, row) >> np.uint64(11)) * (1.0 / 9007199254740992.0) * bound)


@compiled
def outside(leaf: Any, inner: Any, node: Any, point: Any, j: Any) -> Any:
    """How far outside of a node's box a point lies in feature `j`, and how wide the box is there."""
    size, features, x = leaf.shape[0], point.shape[0], _whole(point[j])
    if node < size:
        return abs(x - _whole(leaf[node, j])), _whole(0)
    low, high = _whole(inner[node - size, j]), -_whole(inner[node - size, features + j])
    return max(low - x, 0) + max(x - high, 0), high - low


@compiled
def blame_one(leaf: Any, inner: Any, root: Any, held: Any, point: Any, blame: Any) -> None:
    """Add to `blame`, (features,), which of them set `point` apart in one tree. What is added sums up to what `score_all` adds for the tree."""
    size, features = leaf.shape[0], point.shape[0]
    node, left = _whole(root), 1.0
    while True:
        sides, away = _whole(0), _whole(0)
        for j in range(features):
            out, side = outside(leaf, inner, node, point, j)
            away += out
            sides += side
        mass = _whole(1) if node < size else _whole(inner[node - size, 2 * features + MASS])
        if away > 0:
            parted = left * away / (sides + away)
            for j in range(features):
                out, side = outside(leaf, inner, node, point, j)
                blame[j] += parted * mass / held * out / away
            left -= parted
        if sides == 0 or left < LEFT_OVER:
            return
        at = 2 * features
        below_first = point[inner[node - size, at + DIMENSION]] <= inner[node - size, at + AT]
        node = _whole(inner[node - size, at + FIRST] if below_first else inner[node - size, at + SECOND])


@compiled
def blame_all(leaf: Any, inner: Any, root: Any, held: Any, rows: Any, points: Any, blame: Any) -> None:
    """By feature into `blame`, (n, features), what adds up to the score."""
    trees = root.shape[1]
    for i in range(rows.shape[0]):
        row = rows[i]
        for t in range(trees):
            if held[row] > 0:
                blame_one(leaf[row, t], inner[row, t], root[row, t], held[row], points[i], blame[i])
        for j in range(blame.shape[1]):
            blame[i, j] /= trees


@compiled
def adopt(leaf: Any, inner: Any, node: Any, parent: Any) -> None:
    """Note the parent of a node."""
    size = leaf.shape[0]
    if node < size:
        leaf[node, leaf.shape[1] - 1] = parent
    else:
        inner[node - size, inner.shape[1] - 6 + PARENT] = parent


@compiled
def bounds(leaf: Any, inner: Any, node: Any, j: Any) -> Any:
    """Lower bound and negated upper bound of a node's box in feature `j`."""
    size, features = leaf.shape[0], leaf.shape[1] - 1
    if node < size:
        return _whole(leaf[node, j]), -_whole(leaf[node, j])
    return _whole(inner[node - size, j]), _whole(inner[node - size, features + j])


@compiled
def insert(leaf: Any, inner: Any, root: Any, slot: Any, fresh: Any, point: Any, state: Any, row: Any) -> Any:
    """Put `point` into a tree that has a point already, as leaf `slot` below the unused inner node `fresh`. Returns the new root."""
    size, features = leaf.shape[0], point.shape[0]
    at = 2 * features
    node, above = _whole(root), _whole(NONE)
    while True:
        total = _whole(0)
        for j in range(features):
            low, high = bounds(leaf, inner, node, j)
            total -= min(low, _whole(point[j])) + min(high, -_whole(point[j]))
        first: Any = False
        dimension, cut, apart = 0, _whole(point[0]), total == 0
        if total > 0:
            place = below(state, row, total)
            for j in range(features):
                low, high = bounds(leaf, inner, node, j)
                least = min(low, _whole(point[j]))
                extent = -(least + min(high, -_whole(point[j])))
                if place < extent:
                    dimension, cut = j, least + place
                    first = cut < low
                    apart = first or cut >= -high
                    break
                place -= extent
        if apart:
            break
        for j in range(features):
            inner[node - size, j] = min(_whole(inner[node - size, j]), _whole(point[j]))
            inner[node - size, features + j] = min(_whole(inner[node - size, features + j]), -_whole(point[j]))
        inner[node - size, at + MASS] += 1
        above = node
        node = _whole(inner[node - size, at + (FIRST if point[inner[node - size, at + DIMENSION]] <= inner[node - size, at + AT] else SECOND)])
    new = fresh - size
    for j in range(features):
        low, high = bounds(leaf, inner, node, j)
        leaf[slot, j] = point[j]
        inner[new, j] = min(low, _whole(point[j]))
        inner[new, features + j] = min(high, -_whole(point[j]))
    inner[new, at + DIMENSION], inner[new, at + AT] = dimension, cut
    inner[new, at + FIRST], inner[new, at + SECOND] = (slot, node) if first else (node, slot)
    inner[new, at + MASS] = (1 if node < size else inner[node - size, at + MASS]) + 1
    adopt(leaf, inner, fresh, above)
    adopt(leaf, inner, node, fresh)
    adopt(leaf, inner, slot, fresh)
    if above == NONE:
        return fresh
    inner[above - size, at + (FIRST if inner[above - size, at + FIRST] == node else SECOND)] = fresh
    return _whole(root)


@compiled
def remove(leaf: Any, inner: Any, root: Any, slot: Any) -> Any:
    """Take leaf `slot` out of a tree of at least two points. Returns the new root and the inner node that is unused now."""
    size, features = leaf.shape[0], leaf.shape[1] - 1
    at = 2 * features
    gone = _whole(leaf[slot, features])
    first, second = _whole(inner[gone - size, at + FIRST]), _whole(inner[gone - size, at + SECOND])
    other = second if first == slot else first
    above = _whole(inner[gone - size, at + PARENT])
    adopt(leaf, inner, other, above)
    if above == NONE:
        return other, gone
    inner[above - size, at + (FIRST if inner[above - size, at + FIRST] == gone else SECOND)] = other
    shrinks: Any = True
    while above != NONE:
        node = above - size
        inner[node, at + MASS] -= 1
        if shrinks:
            a, b, shrinks = _whole(inner[node, at + FIRST]), _whole(inner[node, at + SECOND]), False
            for j in range(features):
                (low, high), (second_low, second_high) = bounds(leaf, inner, a, j), bounds(leaf, inner, b, j)
                low, high = min(low, second_low), min(high, second_high)
                shrinks = shrinks or low != inner[node, j] or high != inner[node, features + j]
                inner[node, j], inner[node, features + j] = low, high
        above = _whole(inner[node, at + PARENT])
    return _whole(root), gone


@compiled
def learn_all(leaf: Any, inner: Any, root: Any, held: Any, seen: Any, state: Any, rows: Any, points: Any, memory: Any) -> None:
    """Offer a point to the reservoir of each tree of each of the rows; `memory`: samples that a full reservoir stands for."""
    trees, size, features = root.shape[1], leaf.shape[2], points.shape[1]
    for i in range(rows.shape[0]):
        row, point = rows[i], points[i]
        seen[row] = min(seen[row] + 1, memory)
        n = _whole(held[row])
        for t in range(trees):
            if n < size:
                if n == 0:
                    for j in range(features):
                        leaf[row, t, 0, j] = point[j]
                    leaf[row, t, 0, features] = NONE
                    root[row, t] = 0
                else:
                    root[row, t] = insert(leaf[row, t], inner[row, t], root[row, t], n, size + n - 1, point, state, row)
            elif below(state, row, seen[row]) < size:
                slot = below(state, row, size)
                top, fresh = remove(leaf[row, t], inner[row, t], root[row, t], slot)
                root[row, t] = insert(leaf[row, t], inner[row, t], top, slot, fresh, point, state, row)
        if n < size:
            held[row] = n + 1

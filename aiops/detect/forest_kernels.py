"""Compiled loops of the random cut forest: one tree walked, fed, pruned. Imported only by `cut_forest`, since numba costs about a second and 70 MiB.

A tree of `size` leaves: nodes 0..size-1 are leaves (their number is the place in the reservoir), size..2·size-2 are inner ones. Coordinates are whole
numbers, so boxes and cuts are exact whatever was inserted and forgotten before. A node whose box has no extent holds equal points and is never
walked into. Insertion and deletion keep the law of the trees that would have been grown from the same points (Guha, Mishra, Roy, Schrijvers, "Robust
random cut forest based anomaly detection on streams", ICML 2016, theorems 2 and 3). Compiled ahead by `python -m aiops.detect.kernels`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

NONE = -1
_whole: Any = np.int64


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return cast("Callable[..., Any]", numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:
        # No place to keep compiled code (a read-only image without NUMBA_CACHE_DIR): compile in memory at first use.
        return cast("Callable[..., Any]", numba.njit(error_model="numpy")(function))


@_compiled
def draw(state: Any, row: Any) -> Any:
    """The next 64 random bits of a row (splitmix64; Steele, Lea, Flood 2014). `state`: (rows,) uint64."""
    state[row] = state[row] + np.uint64(0x9E3779B97F4A7C15)
    z = state[row]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_compiled
def below(state: Any, row: Any, bound: Any) -> Any:
    """A whole number 0..bound-1; the bias is below bound / 2^53."""
    return _whole((draw(state, row) >> np.uint64(11)) * (1.0 / 9007199254740992.0) * bound)


@_compiled
def walk(box: Any, child: Any, cut: Any, mass: Any, root: Any, held: Any, point: Any, blame: Any) -> Any:
    """How much of the tree `point` would set aside, 0..1: the expected share of the points that a cut through box and point parts from it.

    What lies within all boxes costs its leaf alone, what lies far outside of the outermost box the whole tree. `blame`, (features,) or empty, is added to: by
    which features it was set apart.
    """
    size, features, blamed = (box.shape[0] + 1) // 2, point.shape[0], blame.shape[0]
    node, left, found = _whole(root), 1.0, 0.0
    while True:
        sides, outside = 0, 0
        for j in range(features):
            low, high, x = _whole(box[node, 0, j]), _whole(box[node, 1, j]), _whole(point[j])
            sides += high - low
            outside += max(low - x, 0) + max(x - high, 0)
        m = _whole(1) if node < size else _whole(mass[node - size])
        if outside > 0:
            parted = left * outside / (sides + outside)
            worth = parted * m / held
            found += worth
            for j in range(blamed):
                low, high, x = _whole(box[node, 0, j]), _whole(box[node, 1, j]), _whole(point[j])
                blame[j] += worth * (max(low - x, 0) + max(x - high, 0)) / outside
            left -= parted
        if sides == 0 or left < 1e-3:
            return found
        inner = node - size
        node = _whole(child[inner, 0] if point[cut[inner, 0]] <= cut[inner, 1] else child[inner, 1])


@_compiled
def insert(box: Any, child: Any, parent: Any, cut: Any, mass: Any, root: Any, slot: Any, fresh: Any, point: Any, state: Any, row: Any) -> Any:
    """Put `point` into a tree that has a point already, as leaf `slot` below the unused inner node `fresh`. Returns the new root."""
    size, features = (box.shape[0] + 1) // 2, point.shape[0]
    node = _whole(root)
    while True:
        total = 0
        for j in range(features):
            total += max(_whole(box[node, 1, j]), _whole(point[j])) - min(_whole(box[node, 0, j]), _whole(point[j]))
        first: Any = False
        dimension, at, apart = 0, _whole(point[0]), total == 0
        if total > 0:
            place = below(state, row, total)
            for j in range(features):
                low = min(_whole(box[node, 0, j]), _whole(point[j]))
                extent = max(_whole(box[node, 1, j]), _whole(point[j])) - low
                if place < extent:
                    dimension, at = j, low + place
                    break
                place -= extent
            first = at < _whole(box[node, 0, dimension])
            apart = first or at >= _whole(box[node, 1, dimension])
        if apart:
            break
        for j in range(features):
            box[node, 0, j] = min(box[node, 0, j], point[j])
            box[node, 1, j] = max(box[node, 1, j], point[j])
        inner = node - size
        mass[inner] += 1
        node = _whole(child[inner, 0] if point[cut[inner, 0]] <= cut[inner, 1] else child[inner, 1])
    inner = fresh - size
    for j in range(features):
        box[slot, 0, j] = point[j]
        box[slot, 1, j] = point[j]
        box[fresh, 0, j] = min(box[node, 0, j], point[j])
        box[fresh, 1, j] = max(box[node, 1, j], point[j])
    cut[inner, 0], cut[inner, 1] = dimension, at
    child[inner, 0], child[inner, 1] = (slot, node) if first else (node, slot)
    mass[inner] = (1 if node < size else mass[node - size]) + 1
    above = parent[node]
    parent[fresh], parent[node], parent[slot] = above, fresh, fresh
    if above == NONE:
        return fresh
    child[above - size, 0 if child[above - size, 0] == node else 1] = fresh
    return root


@_compiled
def remove(box: Any, child: Any, parent: Any, mass: Any, root: Any, slot: Any) -> Any:
    """Take leaf `slot` out of a tree of at least two points. Returns the new root and the inner node that is unused now."""
    size, features = (box.shape[0] + 1) // 2, box.shape[2]
    gone = _whole(parent[slot])
    other = child[gone - size, 1] if child[gone - size, 0] == slot else child[gone - size, 0]
    above = _whole(parent[gone])
    parent[other] = above
    if above == NONE:
        return _whole(other), gone
    child[above - size, 0 if child[above - size, 0] == gone else 1] = other
    shrinks: Any = True
    while above != NONE:
        inner = above - size
        mass[inner] -= 1
        if shrinks:
            a, b, shrinks = child[inner, 0], child[inner, 1], False
            for j in range(features):
                low, high = min(box[a, 0, j], box[b, 0, j]), max(box[a, 1, j], box[b, 1, j])
                shrinks = shrinks or low != box[above, 0, j] or high != box[above, 1, j]
                box[above, 0, j], box[above, 1, j] = low, high
        above = _whole(parent[above])
    return _whole(root), gone


@_compiled
def score_all(box: Any, child: Any, cut: Any, mass: Any, root: Any, held: Any, rows: Any, points: Any, found: Any, blame: Any) -> None:
    """Mean over the trees of `walk` for each of the rows into `found` (n,), and by feature into `blame`, (n, features) or (n, 0)."""
    trees = root.shape[1]
    for i in range(rows.shape[0]):
        row, total = rows[i], 0.0
        if held[row] > 0:
            for t in range(trees):
                total += walk(box[row, t], child[row, t], cut[row, t], mass[row, t], root[row, t], held[row], points[i], blame[i])
        found[i] = total / trees
        for j in range(blame.shape[1]):
            blame[i, j] /= trees


@_compiled
def learn_all(
    box: Any, child: Any, parent: Any, cut: Any, mass: Any, root: Any, held: Any, seen: Any, state: Any, rows: Any, points: Any, memory: Any
) -> None:
    """Offer a point to the reservoir of each tree of each of the rows; `memory`: samples that a full reservoir stands for."""
    trees, size = root.shape[1], (box.shape[2] + 1) // 2
    for i in range(rows.shape[0]):
        row, point = rows[i], points[i]
        seen[row] = min(seen[row] + 1, memory)
        n = _whole(held[row])
        for t in range(trees):
            if n < size:
                if n == 0:
                    for j in range(point.shape[0]):
                        box[row, t, 0, 0, j] = point[j]
                        box[row, t, 0, 1, j] = point[j]
                    parent[row, t, 0] = NONE
                    root[row, t] = 0
                else:
                    root[row, t] = insert(
                        box[row, t], child[row, t], parent[row, t], cut[row, t], mass[row, t], root[row, t], n, size + n - 1, point, state, row
                    )
            elif below(state, row, seen[row]) < size:
                slot = below(state, row, size)
                top, fresh = remove(box[row, t], child[row, t], parent[row, t], mass[row, t], root[row, t], slot)
                root[row, t] = insert(box[row, t], child[row, t], parent[row, t], cut[row, t], mass[row, t], top, slot, fresh, point, state, row)
        if n < size:
            held[row] = n + 1

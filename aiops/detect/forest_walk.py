"""Compiled walk through the trees of many random cut forests: the score. Most of it is waiting for memory, and it is laid out for that.

All trees of a row are walked side by side, and the next row's trees are asked for beforehand: the trees of 5,000 series are larger than any cache, and a walk that asks for one node after
the other waits for each. Neighbours: `forest_kernels` has the layout and grows the trees, `cut_forest` calls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from aiops.detect.forest_kernels import AT, DIMENSION, FIRST, LEFT_OVER, MASS, SECOND, compiled

LINE = 32
"""Entries of two bytes in a line of cache."""
_small: Any = np.int32
# Unsigned places are not tested for counting from the end, which would be half of the time of a walk.
_at: Any = np.uint64


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")  # type: ignore[no-untyped-call]
    builder.call(ask, [builder.bitcast(builder.gep(data, [arguments[1]]), byte), word(0), word(3), word(1)])
    return context.get_dummy_value()


def _fetch(context: Any, array: Any, place: Any) -> Any:
    """Ask for the line of cache that holds `array[place]`, one-dimensional, without waiting for it."""
    del context
    return types.void(array, place), _generate


_intrinsic: Any = intrinsic
fetch = _intrinsic(_fetch)


@compiled
def fetch_all(flat: Any, begin: Any, length: Any) -> None:
    """Ask for so many entries."""
    for place in range(0, length, LINE):
        fetch(flat, begin + _at(place))


@compiled
def equal(leaves: Any, at: Any, q: Any, features: Any) -> Any:
    """Is the leaf that begins there the point itself?"""
    same: Any = True
    for j in range(features):
        same = same and _small(leaves[at + _at(j)]) == q[_at(j)]
    return same


@compiled
def beside(nodes: Any, at: Any, q: Any, twice: Any) -> Any:
    """Of the inner node that begins there: the extent of its box over all features, and how far outside of it the point lies."""
    sides, away = _small(0), _small(0)
    for j in range(twice):
        bound = _small(nodes[at + _at(j)])
        sides = _small(sides - bound)
        away = _small(away + max(_small(bound - q[_at(j)]), _small(0)))
    return sides, away


@compiled
def walk(nodes: Any, leaves: Any, size: Any, wide: Any, q: Any, node: Any, left: Any, inner_from: Any, leaf_from: Any) -> Any:
    """Sum over the trees of a row of how many of its points are set aside. `node`, `left`, `inner_from`, `leaf_from`, (trees,): where each walk begins; they are used up."""
    features = q.shape[0] // 2
    twice, one, total = _at(2 * features), _at(1), 0.0
    alive = _at(node.shape[0])
    while alive > _at(0):
        k = _at(0)
        while k < alive:
            ended: Any = node[k] < size
            if ended:
                if not equal(leaves, leaf_from[k] + node[k] * _at(features + 1), q, features):
                    total += left[k]
            else:
                at = inner_from[k] + (node[k] - size) * wide
                sides, away = beside(nodes, at, q, 2 * features)
                parted = left[k] * away / max(sides + away, 1)
                behind = at + twice
                total += parted * nodes[behind + _at(MASS)]
                left[k] -= parted
                ended = sides == 0 or left[k] < LEFT_OVER
                side = _at(SECOND) if q[_at(nodes[behind + _at(DIMENSION)])] > nodes[behind + _at(AT)] else _at(FIRST)
                node[k] = _at(nodes[behind + side])
            if ended:
                alive -= one
                node[k], left[k], inner_from[k], leaf_from[k] = node[alive], left[alive], inner_from[alive], leaf_from[alive]
            else:
                k += one
    return total


@compiled
def score_all(leaf: Any, inner: Any, root: Any, held: Any, rows: Any, points: Any, found: Any) -> None:
    """How much of what each of the rows knows its point would set aside, 0..1, into `found` (n,): the mean over trees of the expected share of the points
    that a cut through box and point parts from it, level by level.

    What lies within all boxes costs its leaf alone, what lies far outside of the outermost box the whole tree.
    """
    trees, features, size = root.shape[1], points.shape[1], _at(leaf.shape[2])
    nodes, leaves, wide = inner.reshape(-1), leaf.reshape(-1), _at(inner.shape[3])
    tree_nodes, tree_leaves = _at(inner.shape[2] * inner.shape[3]), _at(leaf.shape[2] * leaf.shape[3])
    node, left = np.empty(trees, np.uint64), np.empty(trees)
    inner_from, leaf_from = np.empty(trees, np.uint64), np.empty(trees, np.uint64)
    q = np.empty(2 * features, np.int32)
    for i in range(rows.shape[0]):
        row = rows[i]
        if i + 1 < rows.shape[0]:
            ahead = _at(rows[i + 1]) * _at(trees)
            fetch_all(nodes, ahead * tree_nodes, trees * inner.shape[2] * inner.shape[3])
            fetch_all(leaves, ahead * tree_leaves, trees * leaf.shape[2] * leaf.shape[3])
        if held[row] == 0:
            found[i] = 0.0
            continue
        for j in range(features):
            q[j], q[features + j] = points[i, j], -_small(points[i, j])
        for t in range(trees):
            tree = _at(row) * _at(trees) + _at(t)
            node[t], left[t] = _at(root[row, t]), 1.0
            inner_from[t], leaf_from[t] = tree * tree_nodes, tree * tree_leaves
        found[i] = walk(nodes, leaves, size, wide, q, node, left, inner_from, leaf_from) / held[row] / trees

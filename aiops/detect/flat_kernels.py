"""Compiled walk through a flattened isolation forest. Imported only by `flat_forest`, since numba costs about a second and 70 MiB."""

from __future__ import annotations

from typing import Any

import numpy as np

from aiops.detect.forest_kernels import compiled

BLOCK = 1024
"""Rows that are walked through one tree before the next tree: the rows and a tree stay in the nearest cache."""
_at: Any = np.uint64


@compiled
def add_depths(threshold: Any, feature: Any, value: Any, x: Any, found: Any) -> None:
    """Add the depth of each row of `x`, (n, features) float32, in each tree to `found`, (n,), tree after tree.

    `threshold`, `feature`: (trees, 2^depth - 1), node i above 2i + 1 and 2i + 2; `value`: (trees, 2^depth). Every walk has the same length, so the machine never guesses wrong.
    """
    trees, inner = threshold.shape
    one, ends, size = _at(1), _at(inner), found.shape[0]
    for begin in range(0, size, BLOCK):
        for t in range(trees):
            cuts, features, values = threshold[t], feature[t], value[t]
            for i in range(begin, min(begin + BLOCK, size)):
                node, row = _at(0), x[i]
                while node < ends:
                    node = node + node + one + _at(row[_at(features[node])] > cuts[node])
                found[i] += values[node - ends]

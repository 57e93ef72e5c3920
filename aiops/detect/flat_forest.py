"""A fitted isolation forest of scikit-learn as plain arrays: the same scores, several times as fast, and a snapshot of it needs no fitting.

Each tree is laid out as a full binary one: node i lies above 2i + 1 and 2i + 2, what ends early is continued by cuts that all pass to the left. scikit-learn
compares float32 values with float64 cuts, so each cut is rounded down to float32, which decides alike. The score is that of Liu, Ting, Zhou, "Isolation
Forest", ICDM 2008, as `IsolationForest.score_samples` gives it. Neighbours: `isolation_forest` fits, `flat_kernels` has the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.domain.series import Floats

EULER = 0.577215664901532860606512090082402431
DEEPEST = 16


@dataclass(frozen=True, slots=True)
class FlatForest:
    """`threshold` (float32), `feature` (int16): (trees, 2^depth - 1); `value`: (trees, 2^depth), the path length that an end stands for; `usual`: the sum that scores 0.5."""

    threshold: NDArray[np.float32]
    feature: NDArray[np.int16]
    value: Floats
    usual: float

    def score_samples(self, x: Floats) -> Floats:
        """`x`: (n, features), finite. As scikit-learn's: -1 is wholly isolated, -0.5 and above is usual; shape (n,)."""
        from aiops.detect.flat_kernels import add_depths  # deferred: numba is heavy

        depths = np.zeros(len(x))
        add_depths(self.threshold, self.feature, self.value, np.ascontiguousarray(x, dtype=np.float32), depths)
        return np.asarray(-(2.0 ** (-depths / self.usual)))

    def used(self) -> dict[str, NDArray[Any]]:
        """State for a snapshot."""
        return {"threshold": self.threshold, "feature": self.feature, "value": self.value, "usual": np.array([self.usual])}


def kept(arrays: Mapping[str, NDArray[Any]], features: int) -> FlatForest:
    """What `used` gave. Raises ValueError if it is none of a forest over so many features."""
    types = {"threshold": np.float32, "feature": np.int16, "value": np.float64, "usual": np.float64}
    if set(arrays) != set(types) or any(arrays[name].dtype != kind for name, kind in types.items()):
        raise ValueError("snapshot has another forest")
    threshold, feature, value, usual = (arrays[name] for name in types)
    inner = threshold.shape[-1] if threshold.ndim == 2 else 0
    fits = value.shape == (len(threshold), inner + 1) and feature.shape == threshold.shape and usual.shape == (1,) and (inner + 1) & inner == 0
    if not fits or not ((feature >= 0) & (feature < features)).all():
        raise ValueError("snapshot has a damaged forest")
    return FlatForest(threshold, feature, value, float(usual[0]))


def flattened(forest: Any) -> FlatForest:
    """A fitted `sklearn.ensemble.IsolationForest` over all features. Raises ValueError if a tree is deeper than 16."""
    trees = [one.tree_ for one in forest.estimators_]
    depth = max(1, *(int(tree.max_depth) for tree in trees))
    if depth > DEEPEST:
        raise ValueError(f"forest: a tree of depth {depth} cannot be flattened, at most {DEEPEST}")
    inner = 2**depth - 1
    threshold = np.full((len(trees), inner), np.inf, dtype=np.float32)
    feature, value = np.zeros((len(trees), inner), dtype=np.int16), np.zeros((len(trees), inner + 1))
    for t, tree in enumerate(trees):
        _lay_out(tree, depth, threshold[t], feature[t], value[t])
    return FlatForest(threshold, feature, value, len(trees) * float(path_length(np.array([forest.max_samples_]))[0]))


def _lay_out(tree: Any, depth: int, threshold: NDArray[np.float32], feature: NDArray[np.int16], value: Floats) -> None:
    left, right = tree.children_left, tree.children_right
    cuts = tree.threshold.astype(np.float32)
    cuts = np.where(cuts > tree.threshold, np.nextafter(cuts, np.float32(-np.inf)), cuts)
    ends = path_length(tree.n_node_samples)
    waiting = [(0, 0, 0)]
    while waiting:
        node, place, level = waiting.pop()
        if left[node] < 0:
            # All walks that come here pass to the left until the end.
            value[2 ** (depth - level) * (place + 1) - 1 - len(threshold)] = level + ends[node]
            continue
        threshold[place], feature[place] = cuts[node], tree.feature[node]
        waiting += [(left[node], 2 * place + 1, level + 1), (right[node], 2 * place + 2, level + 1)]


def path_length(samples: NDArray[Any]) -> Floats:
    """Mean depth at which a search among so many ends: what an end with more than one sample would still have cost."""
    n = np.maximum(np.asarray(samples, dtype=np.float64), 3.0)
    long = 2.0 * (np.log(n - 1.0) + EULER) - 2.0 * (n - 1.0) / n
    return np.where(samples <= 1, 0.0, np.where(samples == 2, 1.0, long))

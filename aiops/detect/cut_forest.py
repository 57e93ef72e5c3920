"""A random cut forest for each of many series, online: it inserts and forgets sample by sample and is never refitted.

Trees of random cuts (Liu, Ting, Zhou, "Isolation forest", ICDM 2008) keep a bounding box at each node (Guha, Mishra, Roy, Schrijvers, "Robust random cut forest
based anomaly detection on streams", ICML 2016), so that the forest sees not only that a point is alone but how far outside it lies: a forest without boxes is
blind beyond its edge. Each tree keeps a reservoir of `size` points; a full one stands for the last `memory` samples or so, older ones fading
(Aggarwal, "On biased reservoir sampling in the presence of stream evolution", VLDB 2006).

Features are kept in whole thousandths within ±32, so a state is exact and compact: 4 features, 10 trees of 16 points are about 6 kB a series.
Randomness is the seed's alone: each row begins with the same one, so neither the number of a row nor its neighbours matter. Neighbours: `forest_kernels` and
`forest_walk` have the loops, `focus` and `joint` feed it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Column, Kept, RowArrays, Rows
from aiops.domain.series import Floats

SEED = 20081215
Points = NDArray[np.int16]
THOUSANDTHS, EDGE = 1000.0, 32.0
"""Features are rounded to 1/1000 and cut at ±32."""


class CutForest(Kept):
    """One forest a row. `features` of a point; `trees` and `size` (points a tree keeps); `memory` in samples; `seed` of all that is random."""

    def __init__(self, features: int, *, trees: int, size: int, memory: int, seed: int = SEED) -> None:
        if features < 1 or trees < 1 or not 2 <= size <= 8192 or memory < size:
            raise ValueError(f"forest: features ({features}), trees ({trees}) must be 1 or more, size ({size}) 2 to 8192, memory ({memory}) at least that")
        self._features, self._memory = features, memory
        self._state = RowArrays(
            leaf=Column(0, np.int16, (trees, size, features + 1)), inner=Column(0, np.int16, (trees, size - 1, 2 * features + 6)),
            root=Column(0, np.int16, (trees,)), held=Column(0, np.int16), seen=Column(0, np.int64), random=Column(seed, np.uint64),
        )

    @property
    def bytes_each(self) -> int:
        """Memory of one row."""
        return self._state.bytes_each

    @staticmethod
    def compressed(z: Floats) -> Floats:
        """Deviations so that those of thousands still differ, yet do not stretch a box beyond use: ±1 becomes ±2.1, ±10 becomes ±7.2."""
        return np.asarray(3.0 * np.sign(z) * np.log1p(np.abs(z)))

    @staticmethod
    def points(values: Floats) -> Points:
        """Features, (n, features), as they are kept; NaN becomes 0."""
        return np.rint(np.clip(np.nan_to_num(values, nan=0.0), -EDGE, EDGE) * THOUSANDTHS).astype(np.int16)

    def score(self, rows: Rows, points: Points) -> Floats:
        """0..1 of shape (n,): which share of what it knows a point would set aside; 0 for a row that knows nothing."""
        from aiops.detect.forest_walk import score_all

        s = self._state
        s.cover(rows)
        found = np.zeros(len(rows))
        score_all(s["leaf"], s["inner"], s["root"], s["held"], rows, points, found)
        return found

    def blame(self, rows: Rows, points: Points) -> Floats:
        """What each feature adds to the score, (n, features)."""
        from aiops.detect.forest_kernels import blame_all

        s = self._state
        s.cover(rows)
        found = np.zeros((len(rows), self._features))
        blame_all(s["leaf"], s["inner"], s["root"], s["held"], rows, points, found)
        return found

    def learn(self, rows: Rows, points: Points) -> None:
        """One point for each of distinct rows."""
        from aiops.detect.forest_kernels import learn_all

        s = self._state
        s.cover(rows)
        learn_all(s["leaf"], s["inner"], s["root"], s["held"], s["seen"], s["random"], rows, points, self._memory)

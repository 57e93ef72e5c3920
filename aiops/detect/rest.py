"""One alarm an episode: a score counts only while it is the greatest of the recent past. Pure state by row; the models know nothing of it.

Two lengths are averaged, a short one and a long one: what exceeds only the last hour counts half. Maxima are kept for blocks of samples, so the
lengths are exact to one block. Neighbours: `fleet` gives scores; `aiops score` and the alarms ask here.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.arrays import Column, RowArrays, Rows
from aiops.domain.series import Floats

BLOCK, SHORT, LONG = 10, 60, 300
"""Samples."""
COMPILED_FROM = 2000
"""Scores of a batch that are worth loading the compiled loop, which finds the same."""


class Rest:
    """`rested(rows, scores)`: the scores, halved or 0 while the series rests."""

    def __init__(self) -> None:
        self._state = RowArrays(worst=Column(0.0, np.float32, (LONG // BLOCK,)), open=Column(0.0, np.float32), size=Column(0, np.int32), block=Column(0, np.int32))

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._state.bytes_each

    def rested(self, rows: Rows, scores: Floats) -> Floats:
        """Scores of one sample for each of distinct rows, in order of time; NaN counts as 0. The samples are remembered."""
        s = self._state
        s.cover(rows)
        now = np.nan_to_num(scores).astype(np.float32)
        if len(rows) >= COMPILED_FROM:
            from aiops.detect.fleet_kernels import rest_all  # deferred: numba is heavy

            counts = np.empty(len(rows))
            rest_all(s["worst"], s["open"], s["size"], s["block"], rows, now, SHORT // BLOCK, BLOCK, counts)
            return np.asarray(np.nan_to_num(scores) * counts)
        before, place = s["worst"][rows], s["block"][rows]
        newest = (place[:, None] - 1 - np.arange(SHORT // BLOCK)[None, :]) % (LONG // BLOCK)
        recent = np.maximum(np.take_along_axis(before, newest, axis=1).max(axis=1), s["open"][rows])
        longer = np.maximum(before.max(axis=1), s["open"][rows])
        s["open"][rows] = np.maximum(s["open"][rows], now)
        s["size"][rows] += 1
        full = rows[s["size"][rows] >= BLOCK]
        s["worst"][full, s["block"][full]] = s["open"][full]
        s["block"][full] = (s["block"][full] + 1) % (LONG // BLOCK)
        s["open"][full], s["size"][full] = 0.0, 0
        counts = 0.5 * (now > recent) + 0.5 * (now > longer)
        return np.asarray(np.nan_to_num(scores) * counts)

"""Many columns of one thing, row by row: how unusual is the whole? The mean of its three most unusual columns, smoothed a little; and, where asked, a forest.

Each column is set against everything seen of it so far, the departure taken in logarithms, so that one column cannot drown all others. An event that is
seen in one column alone and an event that moves many are both found; the mean over all columns would hide the first, the greatest alone is noise.
The random cut forest sees the departures of all columns at once and finds what is unusual only in company. Neighbours: `fleet` and `focus` judge single
series, `scoring` feeds all.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.cut_forest import SEED, CutForest
from aiops.domain.series import Floats

TOP = 3
READY = 20
FLOOR = 0.01
"""Share of a column's range seen so far that is added to its deviation: what hardly moves does not shout."""
SHARE_FLOOR = 0.02
"""The same for a column that never left 0..1: it is taken for a share, and two hundredths of the whole are noise whatever it did before."""
SMOOTHED = 0.3
HUGE, MOST = 1e150, 1e6
TREES, SIZE, MEMORY = 50, 256, 20_000
WEIGHT = 2.0
"""The forest says 0..1, columns a few units of logarithm: what brings the two to one scale."""
_ROW = np.zeros(1, dtype=np.int64)


class Joint:
    """State of one table of `columns` columns; with `forest`, about 2 kB and 100 bytes a column for each of its trees' 256 points."""

    def __init__(self, columns: int, *, forest: bool = False, seed: int = SEED) -> None:
        self._count = np.zeros(columns)
        self._mean, self._variance = np.zeros(columns), np.zeros(columns)
        self._low, self._high = np.full(columns, np.inf), np.full(columns, -np.inf)
        self._rows, self._smooth = 0, 0.0
        self._top = min(TOP, columns)
        self._forest = CutForest(columns, trees=TREES, size=SIZE, memory=MEMORY, seed=seed) if forest else None

    def score_and_learn(self, values: Floats) -> float:
        """One row, shape (columns,), NaN for what is missing. 0 is usual; 1 and more is unusual; 0 during the first 20 rows."""
        ok = np.isfinite(values)
        x = np.clip(np.where(ok, values, self._mean), -HUGE, HUGE)
        with np.errstate(over="ignore", invalid="ignore"):
            away = x - self._mean
            z = self._deviations(away)
            z[~ok | (self._count < READY)] = 0.0
            departed = np.log1p(np.abs(z))
            found = float(np.partition(departed, -self._top)[-self._top :].mean())
            self._count += ok
            gain = np.where(ok, 1.0 / np.maximum(self._count, 1.0), 0.0)
            self._mean += gain * away
            self._variance = (1.0 - gain) * (self._variance + gain * away * away)
        self._variance[self._count <= 1] = 0.0
        self._low[ok], self._high[ok] = np.minimum(self._low[ok], x[ok]), np.maximum(self._high[ok], x[ok])
        self._rows += 1
        if self._rows <= READY:
            return 0.0
        if self._forest is not None:
            point = CutForest.points(CutForest.compressed(z)[None, :])
            if self._rows > READY + SIZE:  # Trees of few points find everything new.
                found += WEIGHT * float(self._forest.score(_ROW, point)[0])
            self._forest.learn(_ROW, point)
        self._smooth += SMOOTHED * (found - self._smooth)
        return 0.5 * (found + self._smooth)

    def _deviations(self, away: Floats) -> Floats:
        span = np.where(self._count > 0, self._high - self._low, 0.0)
        share = (self._low >= 0.0) & (self._high <= 1.0)
        sigma = np.sqrt(self._variance) + FLOOR * span + SHARE_FLOOR * share + 1e-300
        return np.asarray(np.clip(away / sigma, -MOST, MOST))

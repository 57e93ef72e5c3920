"""Many columns of one thing, row by row: how unusual is the whole? The mean of its three most unusual columns, smoothed a little.

Each column is set against everything seen of it so far, the departure taken in logarithms, so that one column cannot drown all others. An event that is
seen in one column alone and an event that moves many are both found; the mean over all columns would hide the first, the greatest alone is noise.
Neighbours: `fleet` judges single series, `scoring` feeds both.
"""

from __future__ import annotations

import numpy as np

from aiops.domain.series import Floats

TOP = 3
READY = 20
FLOOR = 0.01
"""Share of a column's range seen so far that is added to its deviation: what hardly moves does not shout."""
SMOOTHED = 0.3
HUGE = 1e150


class Joint:
    """State of one table of `columns` columns."""

    def __init__(self, columns: int) -> None:
        self._count = np.zeros(columns)
        self._mean, self._variance = np.zeros(columns), np.zeros(columns)
        self._low, self._high = np.full(columns, np.inf), np.full(columns, -np.inf)
        self._rows, self._smooth = 0, 0.0
        self._top = min(TOP, columns)

    def score_and_learn(self, values: Floats) -> float:
        """One row, shape (columns,), NaN for what is missing. 0 is usual; 1 and more is unusual; 0 during the first 20 rows."""
        ok = np.isfinite(values)
        x = np.clip(np.where(ok, values, self._mean), -HUGE, HUGE)
        with np.errstate(over="ignore", invalid="ignore"):
            away = x - self._mean
            span = np.where(self._count > 0, self._high - self._low, 0.0)
            sigma = np.sqrt(self._variance) + FLOOR * span + 1e-300
            departed = np.log1p(np.minimum(np.abs(away) / sigma, 1e6))
            departed[~ok | (self._count < READY)] = 0.0
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
        self._smooth += SMOOTHED * (found - self._smooth)
        return 0.5 * (found + self._smooth)

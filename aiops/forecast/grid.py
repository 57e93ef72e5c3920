"""From samples as they came to evenly spaced values. Neighbours: `app.forecast_files` reads them, `fleet` forecasts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats

SPARSEST = 0.02
"""Share of the grid's points that must have a sample."""
LEAST = 3


@dataclass(frozen=True, slots=True)
class Grid:
    """`values` at `start + i · step`, none missing, and how they were made: `filled` points had no sample, `dropped` samples shared a point."""

    start: float
    step: float
    values: Floats
    filled: int
    dropped: int

    def after(self, steps: int) -> Floats:
        """The times of the next steps."""
        return np.asarray(self.start + self.step * (len(self.values) + np.arange(steps)))


def grid_of(times: Floats, values: Floats) -> Grid:
    """Sorted by time; the usual step is the median of the gaps; of samples at one point the last given holds; what is missing is interpolated.

    NaN and infinite values count as missing. Raises ValueError with the reason if nothing can be made of them.
    """
    usable = np.isfinite(times) & np.isfinite(values)
    if not usable.any():
        raise ValueError("no value is a finite number")
    times, values = times[usable], values[usable]
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    gaps = np.diff(times)
    gaps = gaps[gaps > 0.0]
    if len(gaps) < LEAST - 1:
        raise ValueError(f"{len(gaps) + 1} different times with a finite value; at least {LEAST} are needed")
    step = float(np.median(gaps))
    at = np.rint((times - times[0]) / step)
    if at[-1] + 1 > len(times) / SPARSEST:
        raise ValueError(f"{len(times)} values over {at[-1] + 1:.0f} steps of {step:g}: too few to fill the gaps between")
    index = at.astype(np.int64)
    points = np.full(int(index[-1]) + 1, np.nan)
    points[index] = values  # the last one holds where several share a point
    known = np.flatnonzero(~np.isnan(points))
    if len(known) < LEAST:
        raise ValueError(f"{len(known)} points in time with a finite value; at least {LEAST} are needed")
    filled = np.interp(np.arange(len(points)), known, points[known])
    return Grid(float(times[0]), step, filled, len(points) - len(known), len(values) - len(known))

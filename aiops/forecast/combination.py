"""One series by itself: simple forecasts, weighted by how each would have done at the last origins (Bates and Granger, Operational Research Quarterly 20, 1969).

Always answers. Neighbours: `candidates`; `fleet` asks it for every series; `boosting` takes it as a feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats
from aiops.forecast.candidates import Shape, candidates, shape_for

ORIGINS = 14
POWER = 6
"""Weight of a candidate: its error to this negative power."""
MEMORY = 0.95
"""Weight of an origin against the one after it."""


@dataclass(frozen=True, slots=True)
class Combined:
    """`mean` (horizon); what was tried: `origins` (rising, values known), `tried` (origins, steps) with the combination's forecasts and `errors` (truth less forecast)."""

    mean: Floats
    origins: np.ndarray
    tried: Floats
    errors: Floats
    shape: Shape


def origins_of(length: int, reach: int, horizon: int, step: int) -> np.ndarray:
    """The last origins that have `reach` values before and `horizon` after them, oldest first."""
    found = length - horizon - step * np.arange(ORIGINS)
    return found[found >= reach][::-1]


def errors_of(tried: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """Absolute and symmetric relative error of each candidate at each origin, from forecasts (candidates, origins, steps)."""
    missed = np.abs(tried - truth)
    return missed.mean(axis=2), (missed / (np.abs(tried) + np.abs(truth) + 1e-300)).mean(axis=2)


def weights_of(absolute: Floats, relative: Floats) -> Floats:
    """Weights that sum to 1, from both errors of each candidate: nights count as well as peaks."""
    error = np.zeros(len(absolute))
    for each in (absolute, relative):
        error += (each + 1e-300) / (each.min() + 1e-12 * each.max() + 1e-300)
    weight = (error / error.min()) ** -POWER
    return np.asarray(weight / weight.sum())


def combine(values: Floats, horizon: int, seasons: tuple[int, ...]) -> Combined:
    """Forecast the `horizon` steps after `values` (finite, at least 3, evenly spaced).

    Where the past is too short to try the whole horizon on it, the first steps of it decide.
    """
    length = len(values)
    step = next((p for p in sorted(seasons) if 1 < p <= length // 2), max(1, horizon // 4))
    shape = shape_for(length, seasons, horizon + 4 * step)
    steps = int(np.clip(length - shape.reach - min(4 * step, (length - shape.reach) // 2), 1, horizon))
    origins = origins_of(length, shape.reach, steps, step)
    found = candidates(values, np.append(origins, length), horizon, shape)
    if not len(origins):
        nothing = np.empty((0, steps))
        return Combined(found[:, -1].mean(axis=0), origins, nothing, nothing, shape)
    truth = values[origins[:, None] + np.arange(steps)]
    tried = found[:, :-1, :steps]
    recent = MEMORY ** np.arange(len(origins))[::-1]
    weight = weights_of(*(each @ recent / recent.sum() for each in errors_of(tried, truth)))
    back = np.tensordot(weight, tried, axes=1)
    return Combined(weight @ found[:, -1], origins, back, truth - back, shape)

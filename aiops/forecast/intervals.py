"""Intervals from what the same forecast missed at the last origins: split conformal prediction over rolling origins (Lei et al., JASA 113, 2018).

The steps of one origin hang together, so the origins count as the sample: of n of them the quantile is that of coverage · (n + 1) / n.
Neighbours: `combination` and `boosting` bring the errors.
"""

from __future__ import annotations

import numpy as np

from aiops.domain.series import Floats

NEIGHBOURS = 16
"""Steps within a sixteenth of the horizon lend each other their errors."""


def half_width(errors: Floats, horizon: int, coverage: float = 0.9) -> Floats:
    """For each of `horizon` steps how far the truth may lie from the forecast, from `errors` (origins, steps; truth less forecast).

    Beyond the steps that were tried the width grows with the square root of the step. NaN where nothing was tried.
    """
    origins, steps = errors.shape
    if not origins:
        return np.full(horizon, np.nan)
    reach = -(-steps // NEIGHBOURS)
    padded = np.pad(np.abs(errors), ((0, 0), (reach, reach)), mode="edge")
    near = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1).transpose(1, 0, 2).reshape(steps, -1)
    level = min(1.0, coverage * (origins + 1) / origins)
    known = np.quantile(near, level, axis=1)
    beyond = np.arange(steps + 1, horizon + 1)
    return np.concatenate([known, known[-1] * np.sqrt(beyond / steps)])

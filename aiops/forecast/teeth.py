"""Saw-teeth into the future: each rises from a trough and falls at a level (garbage collection) or after a time (log rotation, restarts).

Neighbours: `regimes` finds teeth, `exhaustion` asks for the step at which paths meet the limit.
"""

from __future__ import annotations

import numpy as np

from aiops.domain.series import Floats
from aiops.forecast.regimes import Teeth

MOST = 400
"""Teeth of a path, at most; what comes later counts as no crossing."""
IRREGULAR = 0.4
"""Deviation of durations, in units of their mean, from which on chance ends a tooth."""
LEVEL = 0.15
"""Deviation of peaks, in units of a tooth's height, up to which a level may be what ends them."""
RECENT = 40
"""Teeth that are drawn from."""


def line(at: Floats, values: Floats) -> tuple[float, float, Floats, float]:
    """Theil-Sen: slope, level at 0, residuals, and the slope's standard error (0 slope if there are fewer than five)."""
    if len(at) < 5:
        middle = float(np.median(values))
        return 0.0, middle, values - middle, 0.0
    i, j = np.triu_indices(len(at), k=1)
    slope = float(np.median((values[j] - values[i]) / (at[j] - at[i])))
    level = float(np.median(values - slope * at))
    rest = values - level - slope * at
    spread = float(np.sqrt(((at - at.mean()) ** 2).sum()))
    error = 1.25 * float(rest.std()) / spread if spread > 0.0 else 0.0
    if abs(slope) < 2.0 * error:
        slope, level = 0.0, float(np.median(values[-len(values) // 2 :]))
        rest = values - level
    return slope, level, rest, error


def by_level(teeth: Teeth) -> bool:
    """Whether peaks are alike, and more so than durations."""
    at = teeth.end.astype(np.float64)
    rest = line(at[-RECENT:], teeth.peak[-RECENT:])[2]
    height = float(np.median(teeth.peak - teeth.trough))
    long = (teeth.end - teeth.start)[-RECENT:]
    return float(rest.std()) / max(height, 1e-300) < min(LEVEL, float(long.std()) / max(float(long.mean()), 1e-300))


def _lasting(duration: Floats, paths: int, chance: np.random.Generator) -> Floats:
    """Durations of what ends by chance, with a mean that is known from so many."""
    return np.asarray(chance.exponential(1.0, paths) * duration.sum() / chance.gamma(len(duration), 1.0, paths))


def crossings(values: Floats, teeth: Teeth, limit: Floats, paths: int, chance: np.random.Generator) -> Floats:
    """For each path the step (1 is the next sample) at which it meets `limit` (horizon), inf if it does not."""
    horizon, now = len(limit), len(values) - 1
    start, end = teeth.start[-RECENT:].astype(float) - now, teeth.end[-RECENT:].astype(float) - now
    trough, peak = teeth.trough[-RECENT:], teeth.peak[-RECENT:]
    low_slope, low_level, low_rest, low_error = line(start, trough)
    high_slope, high_level, high_rest, high_error = line(end, peak)
    level = by_level(teeth)
    # Teeth as a whole rise or do not: troughs and peaks have one trend, that of the one known better.
    slope, error = (high_slope, high_error) if high_error <= low_error else (low_slope, low_error)
    if slope == 0.0:
        error = 0.0  # no trend was seen: none is made up
    tilt = slope + error * chance.standard_normal(paths)
    duration = np.maximum(end - start, 1.0)
    rate = np.maximum((peak - trough) / duration, 1e-300)
    irregular = float(duration.std()) > IRREGULAR * float(duration.mean())
    found = np.full(paths, np.inf)
    at = np.full(paths, float(teeth.since - now))
    base = np.full(paths, values[teeth.since])
    for j in range(MOST):
        alive = np.isinf(found) & (at < horizon)
        if not alive.any():
            break
        pick = chance.integers(0, len(rate), paths)
        pace = rate[pick]
        if level:
            top = high_level + high_rest[chance.integers(0, len(high_rest), paths)] + tilt * np.maximum(at + duration.mean(), 0.0)
            long = np.maximum((top - base) / pace, 1.0)
        else:
            long = _lasting(duration, paths, chance) if irregular else duration[chance.integers(0, len(duration), paths)]
            if j == 0 and irregular:  # what has no usual time is as far from its end as ever
                long = long - at
            elif j == 0:  # the one under way has lasted for a while already: as long as those did that lasted so long, or it falls now
                lasting = duration[duration >= -at[0]]
                long = lasting[chance.integers(0, len(lasting), paths)] if len(lasting) else -at
            top = base + pace * long
        if j == 0:
            top = np.maximum(top, values[-1])
            # From here on it goes on from the last sample.
            base, long, at = np.full(paths, values[-1]), np.maximum(long + at, 0.0), np.zeros(paths)
            top = base + pace * long if not level else top
        ceiling = limit[np.clip(at.astype(np.int64), 0, horizon - 1)]
        meets = alive & (top >= ceiling)
        step = at + np.clip((ceiling - base) / pace, 0.0, long)
        found = np.where(meets & (step <= horizon), np.maximum(np.ceil(step), 1.0), found)
        at = at + long + 1.0
        base = low_level + low_rest[chance.integers(0, len(low_rest), paths)] + tilt * at
    return found

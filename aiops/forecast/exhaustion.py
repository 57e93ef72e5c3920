"""When does a level reach its limit, if it goes on as it did? A robust trend with an interval, and honest about not knowing.

Theil-Sen: the median of the slopes between all pairs of samples bears up to 29 % of them being wrong (Theil 1950; Sen, JASA 63, 1968). The
interval of the slope is Sen's, from the variance of Kendall's S, widened for neighbours that hang together (Hamed and Rao, J. Hydrology 204, 1998,
in the first-order form). Neighbours: none yet; capacity forecasts will use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats

MAX_SAMPLES = 400
"""Pairs grow with the square: longer series are thinned evenly, ends kept."""
MINIMUM_SAMPLES = 8
_NORMAL = {0.8: 1.2816, 0.9: 1.6449, 0.95: 1.96, 0.99: 2.5758}


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """A trend and when it crosses `limit`. Slopes in the value's unit a second, with their interval; `level` is the fitted value at the last sample.

    `seconds` after the last sample until the crossing, None if the trend never reaches it; `earliest` and `latest` from the slope's
    interval, None where that bound never reaches it. All three are 0.0 if the level is beyond the limit already. `coverage` is what the interval aims at.
    """

    limit: float
    slope: float
    slope_low: float
    slope_high: float
    level: float
    seconds: float | None
    earliest: float | None
    latest: float | None
    coverage: float
    samples: int

    @property
    def certain(self) -> bool:
        """Whether the whole interval leads to the limit."""
        return self.latest is not None


def exhaustion(times: Floats, values: Floats, limit: float, *, rising: bool = True, coverage: float = 0.9) -> Exhaustion | None:
    """Fit `values` at `times` (Unix seconds, rising) and look for `limit`, from below if `rising` (a disk that fills), else from above.

    None if there are fewer than eight finite samples, or they span no time: then nothing can be said. Raises ValueError if `coverage` is not
    one of 0.8, 0.9, 0.95, 0.99 or `limit` is not finite.
    """
    if coverage not in _NORMAL:
        raise ValueError(f"coverage {coverage} is not one of {', '.join(map(str, _NORMAL))}")
    if not np.isfinite(limit):
        raise ValueError(f"limit {limit} is not finite")
    finite = np.isfinite(times) & np.isfinite(values)
    times, values = times[finite], values[finite]
    if len(times) < MINIMUM_SAMPLES or times[-1] <= times[0]:
        return None
    keep = np.unique(np.linspace(0, len(times) - 1, min(len(times), MAX_SAMPLES)).round().astype(np.int64))
    since, level = times[keep] - times[-1], values[keep]
    # A falling level that exhausts is a rising one in a mirror.
    sign = 1.0 if rising else -1.0
    with np.errstate(over="ignore", invalid="ignore"):
        low, slope, high = _slopes(since, sign * level, _NORMAL[coverage])
        now = float(np.median(sign * level - slope * since))
    if not np.isfinite([low, slope, high, now]).all():
        return None
    room = sign * limit - now
    bounds = sorted((sign * low, sign * high))
    return Exhaustion(
        limit=limit,
        slope=sign * slope,
        slope_low=bounds[0],
        slope_high=bounds[1],
        level=sign * now,
        seconds=_reach(room, slope),
        earliest=_reach(room, high),
        latest=_reach(room, low),
        coverage=coverage,
        samples=len(keep),
    )


def _slopes(since: Floats, level: Floats, quantile: float) -> tuple[float, float, float]:
    """Lower bound, median and upper bound of the pairwise slopes."""
    first, second = np.triu_indices(len(since), k=1)
    span = since[second] - since[first]
    apart = span > 0.0
    slopes = np.sort((level[second] - level[first])[apart] / span[apart])
    median = float(np.median(slopes))
    size = len(since)
    variance = size * (size - 1) * (2 * size + 5) / 18.0
    residual = level - median * since
    correlation = _correlation(residual - np.median(residual))
    variance *= (1.0 + correlation) / (1.0 - correlation)
    reach = quantile * np.sqrt(variance)
    low = int(np.floor((len(slopes) - reach) / 2.0))
    high = int(np.ceil((len(slopes) + reach) / 2.0))
    return float(slopes[max(low, 0)]), median, float(slopes[min(high, len(slopes) - 1)])


def _correlation(residual: Floats) -> float:
    power = float(residual @ residual)
    if not 0.0 < power < np.inf:
        return 0.0
    return float(np.clip(residual[1:] @ residual[:-1] / power, 0.0, 0.95))


def _reach(room: float, slope: float) -> float | None:
    """Seconds until `room` is used up at `slope`; None if never."""
    if room <= 0.0:
        return 0.0
    if slope <= 0.0:
        return None
    seconds = room / slope
    return float(seconds) if np.isfinite(seconds) else None

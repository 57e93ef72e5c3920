"""Where a level was going before anyone acted: a robust line through the last stretch, or nothing where no direction is clear.

The slope is Theil's and Sen's median of the slopes of all pairs; it counts only if Sen's confidence interval (Sen, 1968: the ranks follow from
Kendall's variance) leaves out zero. Neighbours: `verification` compares what came after with this.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 2.576
"""Standard normal quantile of the two-sided 99 % interval: a wrong direction would make a good fix look needless."""
LEAST_POINTS = 6
REACH = 2.0
"""How far a line is drawn on, as a multiple of the stretch that it was seen on; beyond that it is taken to stay where it came to."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A level of `level` at `at` (Unix seconds) moving by `slope` a second, believed until `until`. `noise`: median distance from the line."""

    at: float
    level: float
    slope: float
    until: float
    noise: float

    def expected(self, now: float) -> float:
        """The level at `now`, had nobody acted."""
        return self.level + self.slope * (min(now, self.until) - self.at)


def trend(times: Sequence[float], levels: Sequence[float | None], worst: str = "max") -> Trend | None:
    """The direction since the level last turned: from its worst value on if that came last, else from its best. None if none is clear.

    `worst` is `max` if high levels are bad. Gaps (None, NaN, infinite) are left out.
    """
    points = [(t, v) for t, v in zip(times, levels, strict=True) if v is not None and math.isfinite(v)]
    if len(points) < LEAST_POINTS:
        return None
    bad = [v if worst == "max" else -v for _, v in points]
    last = len(bad) - 1
    peak = last - bad[::-1].index(max(bad))
    low = last - bad[::-1].index(min(bad))
    # Where the best came last it has been getting better since the worst, and the other way round. The extreme itself says nothing of the direction after it.
    stretch = points[min(peak, low) + 1 :]
    if len(stretch) < LEAST_POINTS:
        return None
    slope = theil_sen(stretch)
    if slope is None or (slope < 0) != ((peak < low) == (worst == "max")):
        return None
    middle = stretch[0][0]
    level = statistics.median(v - slope * (t - middle) for t, v in stretch)
    noise = statistics.median(abs(v - level - slope * (t - middle)) for t, v in stretch)
    end = stretch[-1][0]
    return Trend(middle, level, slope, end + REACH * (end - middle), noise)


def theil_sen(points: Sequence[tuple[float, float]]) -> float | None:
    """The median slope of all pairs, or None if its confidence interval holds zero. Points are (time, level) in order of time."""
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1 :] if b[0] > a[0])
    if not slopes:
        return None
    n = len(points)
    width = CONFIDENCE * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, math.floor((len(slopes) - width) / 2))
    high = min(len(slopes) - 1, math.ceil((len(slopes) + width) / 2))
    return statistics.median(slopes) if slopes[low] > 0 or slopes[high] < 0 else None

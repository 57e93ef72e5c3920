"""Which period a series repeats itself with, from its autocorrelation.

Neighbours: `fleet` asks it where no season is given; `combination` decides by trying whether a season helps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from aiops.domain.series import Floats

WEEK = 7
"""Short seasons in a long one: a week of days."""
LEAST = 0.3
"""Autocorrelation that a season has at least."""


def season_of(values: Floats) -> int | None:
    """Steps after which finite, evenly spaced `values` come again, None if they do not; three seasons must be there.

    The shortest lag whose autocorrelation is a peak, nearly as high as the highest, after a straight line is taken away.
    """
    length = len(values)
    if length < 8:
        return None
    at = np.arange(length)
    rest = values - np.polyval(np.polyfit(at, values, 1), at)
    power = float(rest @ rest)
    if not 0.0 < power < np.inf or power <= 1e-18 * float(values @ values):
        return None
    turned = np.fft.rfft(rest, 2 * length)
    correlation = np.fft.irfft(turned * turned.conj())[: length // 3 + 2] / power
    # Fewer pairs at longer lags: without this a longer period always looks weaker.
    correlation *= length / (length - np.arange(len(correlation)))
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:])) + 1
    peaks = peaks[(peaks > 1) & (correlation[peaks] > max(LEAST, 3.0 / np.sqrt(length)))]
    if not len(peaks):
        return None
    first = int(peaks[correlation[peaks] >= 0.8 * correlation[peaks].max()][0])
    # Noise moves one peak by a step or two, not all its multiples alike.
    near = range(max(2, first - first // 10), min(first + first // 10, len(correlation) - 1) + 1)
    return max(near, key=lambda period: (float(correlation[period :: period].mean()), -abs(period - first)))


def seasons_of(fleet: Sequence[Floats]) -> list[tuple[int, ...]]:
    """For each series its season and a week of them; what most series agree on holds for all that are long enough and for those that show none."""
    own = [season_of(values) for values in fleet]
    counted = Counter(p for p in own if p is not None)
    common, votes = counted.most_common(1)[0] if counted else (None, 0)
    shared = common if votes * 2 > len(fleet) else None
    return [(p, WEEK * p) if (p := shared or mine) else () for mine in own]

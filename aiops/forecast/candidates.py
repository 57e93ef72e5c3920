"""Simple forecasts of one series from many origins at once: what `combination` weighs against each other.

Each is a few index operations on the past: the last season, the mean of the last seasons moved to the present level, the week's shape, a correction that
fades, a damped trend (Gardner and McKenzie, Management Science 31, 1985). None has a parameter that is fitted, so trying them on the past is honest and cheap.
Neighbours: `combination` is the only caller; `seasons` finds the periods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats

DAMPING = 0.9
"""Of a trend, each short season (each step where there is none)."""
FADING = 0.8
"""Of the last error, each step."""
MOST_SHORT, MOST_LONG = 7, 3
"""Cycles that are averaged."""

Mean = Callable[[np.ndarray, np.ndarray], Floats]
Cycle = Callable[[int, int], Floats]


@dataclass(frozen=True, slots=True)
class Shape:
    """Periods in steps, and how many cycles of each are averaged. `short` 1 with `cycles` values means: no season. `long` 0: only one season."""

    short: int
    cycles: int
    long: int = 0
    long_cycles: int = 0

    @property
    def reach(self) -> int:
        """Values that must lie before an origin."""
        return max(self.short * (self.cycles + 1), self.long * (self.long_cycles + 1) if self.long else 0, 2)


def shape_for(length: int, seasons: tuple[int, ...], spare: int) -> Shape:
    """The richest shape that leaves `spare` values for origins to be tried on, as far as `length` values allow it; at worst none but the last values."""
    room = max(length - spare, length // 2)
    periods = [p for p in sorted(set(seasons)) if p > 1]
    short = next((p for p in periods if length > 2 * p), 1)
    cycles = int(np.clip(room // short - 1, 1, MOST_SHORT))
    long = next((p for p in periods if p > short and room >= 2 * p), 0)
    return Shape(short, cycles, long, int(np.clip(room // long - 1, 1, MOST_LONG)) if long else 0)


def candidates(values: Floats, origins: np.ndarray, horizon: int, shape: Shape) -> Floats:
    """Forecasts of shape (candidates, origins, horizon). `values` are finite; each origin counts the values known there, at least `shape.reach`.

    Each additive and multiplicative; of a series that is not positive throughout the second half repeats the first.
    """
    added = _added(values, origins, horizon, shape)
    if values.min() <= 0.0:
        return np.concatenate([added, added])
    logs = np.log(values)
    # A trend in logarithms grows without bound: twenty times what was ever seen is enough.
    return np.concatenate([added, np.exp(np.minimum(_added(logs, origins, horizon, shape), logs.max() + 3.0))])


def _added(values: Floats, origins: np.ndarray, horizon: int, shape: Shape) -> Floats:
    ahead = np.arange(1, horizon + 1)
    at = origins[:, None] + ahead[None] - 1
    total = np.concatenate([[0.0], np.cumsum(values)])

    def mean(first: np.ndarray, end: np.ndarray) -> Floats:
        return np.asarray((total[end] - total[first]) / (end - first))[:, None]

    def cycle(period: int, number: int) -> Floats:
        """The same phase in the last cycle before the origin (0), or in one before that."""
        return np.asarray(values[at - period * (-(-ahead // period))[None] - period * number])

    p, n = shape.short, shape.cycles
    level = mean(origins - p, origins)
    last = cycle(p, 0)
    usual = sum(cycle(p, j) for j in range(n)) / n - mean(origins - n * p, origins) + level
    fade = np.asarray(FADING ** ahead, dtype=np.float64)
    trend = (level - mean(origins - (n + 1) * p, origins - n * p)) / n
    grown = np.cumsum(DAMPING ** (np.arange(1, -(-horizon // p) + 1)))[(ahead - 1) // p][None]
    found = [
        last, usual, sum(cycle(p, j) for j in range(min(n, 3))) / min(n, 3), usual + trend * grown,
        usual + (values[origins - 1][:, None] - usual[:, (p - 1) % horizon :][:, :1]) * fade if horizon >= p else usual,
    ]  # fmt: skip
    if shape.long:
        found += _long(origins, mean, cycle, shape, level, fade)
    return np.stack(found)


def _long(origins: np.ndarray, mean: Mean, cycle: Cycle, shape: Shape, level: Floats, fade: Floats) -> list[Floats]:
    """With the shape of the long season, moved to the level of the last short season, of the last long one, of both, and of the last values."""
    p, q, n = shape.short, shape.long, shape.long_cycles
    then = [origins - q * j for j in range(1, n + 1)]
    last = cycle(q, 0)
    usual = sum(cycle(q, j) for j in range(n)) / n
    before = sum(mean(o - p, o) for o in then) / n
    near = usual - before + level
    wide = usual - sum(mean(o, o + q) for o in then) / n + mean(origins - q, origins)
    few = max(1, p // 8)
    off = mean(origins - few, origins) - sum(mean(o - few, o) for o in then) / n - (level - before)
    return [last, last - mean(then[0] - p, then[0]) + level, near, wide, (near + wide) / 2, near + off * fade]

"""Where latency and success are heading, whether a release made them worse, and what availability came to against its promise.

Neighbours: `exhaustion` fits trends, `knee` the load-latency curve; `app.performance` brings the series. No detection: this is for reports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from aiops.domain.series import Floats

DAY = 86400.0
MEDIANS = 400
"""Points that a trend is fitted to, at most: medians of equal stretches, so that no burst between them is lost or counts for all."""
STANDARD = 1.6449
"""Of 90 %."""


@dataclass(frozen=True, slots=True)
class Trend:
    """`level` at the end and `slope` a day with an interval of 90 %, in the series' unit; `breaks`: days until `objective` is crossed, 0 if it is, None
    unless it is heading there.

    `heading`: better, worse or steady (the interval of the slope holds zero, or the change over the time looked at is below a twentieth of the level).
    """

    level: float
    slope: float
    slope_low: float
    slope_high: float
    breaks: float | None
    heading: str


def trend(times: Floats, values: Floats, objective: float | None = None, *, rising_is_worse: bool = True) -> Trend | None:
    """Theil and Sen's line through medians of a day (or of the points, where there are few days). None with fewer than four of them."""
    keep = np.isfinite(times) & np.isfinite(values)
    t, v = _medians(times[keep], values[keep])
    if len(t) < 4 or t[-1] <= t[0]:
        return None
    first, second = np.triu_indices(len(t), k=1)
    slopes = np.sort((v[second] - v[first]) / (t[second] - t[first]) * DAY)
    n = len(t)
    reach = STANDARD * math.sqrt(n * (n - 1) * (2 * n + 5) / 18.0)
    low, high = (float(slopes[int(np.clip(np.rint((len(slopes) + s * reach) / 2), 0, len(slopes) - 1))]) for s in (-1, 1))
    slope = float(np.median(slopes))
    level = float(np.median(v + slope * (t[-1] - t) / DAY))
    change = abs(slope) * (t[-1] - t[0]) / DAY
    sure = low > 0.0 or high < 0.0
    heading = "steady" if not sure or change < 0.05 * abs(level) else "worse" if (slope > 0) == rising_is_worse else "better"
    if not rising_is_worse and sure:
        # A share near 1 hardly moves against itself: what fails is what changes.
        heading = "steady" if change < 0.05 * max(1.0 - level, 1e-4) else heading if heading != "steady" else "worse" if slope < 0 else "better"
    breaks = _days(level, slope, objective, rising=rising_is_worse)
    return Trend(level, slope, low, high, breaks if heading == "worse" or breaks == 0.0 else None, heading)


def _medians(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """By day where there are four days or more, so that the time of day is no trend."""
    if not len(times):
        return times, values
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    days = np.floor(times / DAY)
    parts = [times[:0].astype(np.int64)]
    if len(np.unique(days)) >= 5:
        parts = np.split(np.arange(len(times)), np.flatnonzero(np.diff(days)) + 1)[:MEDIANS]
    else:
        parts = np.array_split(np.arange(len(times)), min(len(times), MEDIANS))
    return np.array([np.median(times[p]) for p in parts]), np.array([np.median(values[p]) for p in parts])


def _days(level: float, slope: float, objective: float | None, *, rising: bool) -> float | None:
    if objective is None:
        return None
    room = objective - level if rising else level - objective
    if room <= 0.0:
        return 0.0
    speed = slope if rising else -slope
    return room / speed if speed > 0.0 else None


class Verdict(StrEnum):
    """Of a release."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Regression:
    """`ratio`: median after / before at like hours, with an interval of 95 %; `p`: how likely such a difference is by chance."""

    verdict: Verdict
    before: float
    after: float
    ratio: float
    ratio_low: float
    ratio_high: float
    p: float
    samples: tuple[int, int]


LEAST_SAMPLES = 12
RELEVANT = 0.05
"""Share that must have changed: what is smaller is no matter of a release."""
CHANCE = 0.01


def regression(times: Floats, latency: Floats, released: float, *, window: float = DAY, seed: int = 1) -> Regression:
    """Latency in the `window` after a release against the same hours of the days before it (up to seven), else the window before.

    Samples hang together, so chance is judged by shuffling blocks of half an hour (block permutation of the difference of medians of logarithms).
    """
    keep = np.isfinite(times) & np.isfinite(latency) & (latency > 0.0)
    t, y = times[keep], np.log(latency[keep])
    after = (t >= released) & (t < released + window)
    end = float(t[after].max()) - released if after.any() else 0.0
    before = np.zeros(len(t), dtype=bool)
    for day in range(1, 8):
        before |= (t >= released - day * DAY) & (t <= released - day * DAY + end) & (t < released)
    if before.sum() < LEAST_SAMPLES:
        before = (t >= released - max(window, DAY)) & (t < released)
    if min(before.sum(), after.sum()) < LEAST_SAMPLES:
        return Regression(Verdict.UNKNOWN, math.nan, math.nan, math.nan, math.nan, math.nan, 1.0, (int(before.sum()), int(after.sum())))
    old, new = _blocks(t[before], y[before]), _blocks(t[after], y[after])
    chance = np.random.default_rng(seed)
    shift = float(np.median(y[after]) - np.median(y[before]))
    p = _by_chance(old, new, shift, chance)
    resampled = [np.median(_again(new, chance)) - np.median(_again(old, chance)) for _ in range(400)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    ratio = math.exp(shift)
    verdict = Verdict.SAME if p > CHANCE or abs(ratio - 1.0) < RELEVANT else Verdict.WORSE if ratio > 1.0 else Verdict.BETTER
    return Regression(
        verdict, math.exp(float(np.median(y[before]))), math.exp(float(np.median(y[after]))), ratio, math.exp(float(low)), math.exp(float(high)), p,
        (int(before.sum()), int(after.sum())),
    )  # fmt: skip


def _blocks(times: Floats, values: Floats, length: float = 1800.0) -> list[Floats]:
    order = np.argsort(times, kind="stable")
    place = np.floor(times[order] / length)
    return [values[order][p] for p in np.split(np.arange(len(order)), np.flatnonzero(np.diff(place)) + 1)]


def _again(blocks: Sequence[Floats], chance: np.random.Generator) -> Floats:
    return np.concatenate([blocks[i] for i in chance.integers(0, len(blocks), len(blocks))])


def _by_chance(old: Sequence[Floats], new: Sequence[Floats], shift: float, chance: np.random.Generator, trials: int = 999) -> float:
    every = [*old, *new]
    beyond = 0
    for _ in range(trials):
        order = chance.permutation(len(every))
        one, other = (np.concatenate([every[i] for i in part]) for part in (order[: len(new)], order[len(new) :]))
        beyond += abs(float(np.median(one) - np.median(other))) >= abs(shift)
    return (beyond + 1) / (trials + 1)


@dataclass(frozen=True, slots=True)
class Availability:
    """Of a stretch of `seconds`: `lost` of them count as down; `budget` may be, by the promised share. `met`: whether the promise holds so far."""

    promised: float
    seconds: float
    lost: float
    budget: float
    share: float
    met: bool
    outages: int

    @property
    def left(self) -> float:
        """Seconds of the budget that are left; below zero when it is overdrawn."""
        return self.budget - self.lost


def availability(outages: Sequence[tuple[float, float]], start: float, end: float, promised: float, *, whole: float | None = None) -> Availability:
    """From times when it was down (begin, end; overlapping ones count once), cut to [start, end]. The budget is for `whole` seconds, the month, if given.

    Raises ValueError if `end` is not after `start` or the promise is not in (0, 1).
    """
    if not start < end or not 0.0 < promised < 1.0:
        raise ValueError("the end must lie after the start, and the promise between 0 and 1")
    cut = sorted((max(a, start), min(b, end)) for a, b in outages if min(b, end) > max(a, start))
    merged: list[tuple[float, float]] = []
    for a, b in cut:
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], b))
        else:
            merged.append((a, b))
    lost = math.fsum(b - a for a, b in merged)
    seconds = end - start
    budget = (1.0 - promised) * (whole if whole is not None else seconds)
    return Availability(promised, seconds, lost, budget, 1.0 - lost / seconds, lost <= budget, len(merged))


def outages_of(times: Floats, success: Floats, least: float, step: float) -> tuple[tuple[float, float], ...]:
    """Steps whose success rate was below `least`, as times of outage. What is not known is no outage."""
    down = np.isfinite(success) & (success < least)
    return tuple((float(t) - step, float(t)) for t in times[down])

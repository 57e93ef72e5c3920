"""How much more load until latency breaks its objective: a queue's curve fitted to load and latency as they were seen.

latency = a (1 + v / c · u^k / (1 - u)) with u = load / capacity and k = sqrt(2 (c + 1)) - 1 for c servers: Sakasegawa's approximation of waiting times (Ann. Inst.
Statist. Math. 29, 1977) with Kingman's variability v, 1 for M/M/c. Capacity, c and v are searched on a grid, a is least squares.
The interval is a bootstrap over bins of load. Neighbours: `app.performance` asks it for each service.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats

BINS = 40
"""Of equal numbers of samples, over load; the median of each is fitted, so that single slow samples count for nothing."""
LEAST = 8
SERVERS = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
EXPONENTS = np.sqrt(2.0 * (SERVERS + 1.0)) - 1.0
VARIABILITY = np.array([0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0])
"""(ca^2 + cs^2) / 2 of Kingman's formula: how bursty arrivals and work are; 1 is M/M/c. Quantiles of latency look like more of it."""
TIED = 0.03
"""By how much a variability other than 1 must fit better, for each squared logarithm of it: without that, many servers and a far capacity pass for few and a near one."""
CAPACITIES = 160
FURTHEST = 20.0
"""Times the highest load that was seen: a capacity beyond is not known."""
TRIALS = 60
BEND = 1.15
"""Latency at the highest loads against that at the lowest third: below it the curve has not bent yet, and where it will is not known."""
KNEE = 2.0
"""Times the latency of an idle service: where waiting is as long as the work itself."""


@dataclass(frozen=True, slots=True)
class Knee:
    """Loads in the unit they came in, latencies likewise. `capacity`: where latency grows without bound, with an interval of 80 %.

    `knee`: load at which latency is twice that of an idle service. `breaks`: load at which the objective is broken, None without one or if it is broken
    when idle; `room`: how much of today's highest load may come on top until then (0.3: 30 %). `bent`: whether latency has risen enough with load for
    capacity to be known; if not, the figures are what the curve would say, and are a guess.
    """

    capacity: float
    capacity_low: float
    capacity_high: float
    idle: float
    knee: float
    highest: float
    breaks: float | None
    breaks_low: float | None
    room: float | None
    bent: bool
    exponent: float
    weight: float

    def latency(self, load: Floats) -> Floats:
        """The fitted curve; infinite from the capacity on."""
        return _curve(load, self.capacity, self.exponent, self.idle, self.weight)


def without_drift(times: Floats, load: Floats, latency: Floats, *, day: float = 86400.0) -> Floats:
    """Latency as if each day's quiet third had been as fast as all days' are: what a release or age made slower is no matter of load.

    Days without a latency at a known load keep theirs.
    """
    known = np.isfinite(times) & np.isfinite(load) & np.isfinite(latency)
    days = np.floor(times / day)
    quiet: dict[float, float] = {}
    for name in np.unique(days[known]):
        here = known & (days == name)
        quiet[float(name)] = float(np.median(latency[here & (load <= np.quantile(load[here], 1 / 3))]))
    usual = float(np.median(list(quiet.values()))) if quiet else 1.0
    factor = np.array([usual / q if (q := quiet.get(float(name), usual)) > 0.0 else 1.0 for name in days])
    return np.asarray(latency * factor)


def knee_of(load: Floats, latency: Floats, objective: float | None = None, *, seed: int = 1) -> Knee | None:
    """From samples of load (requests a second) and latency, in any order. None if fewer than eight different loads with a latency are known."""
    keep = np.isfinite(load) & np.isfinite(latency) & (load > 0.0) & (latency >= 0.0)
    x, y = _bins(load[keep], latency[keep])
    if len(x) < LEAST:
        return None
    capacity, exponent, idle, weight = _fit(x, y)
    chance = np.random.default_rng(seed)
    found, breaking = [], []
    for _ in range(TRIALS):
        take = np.sort(chance.integers(0, len(x), len(x)))
        c, k, a, b = _fit(x[take], y[take], coarse=True)
        found.append(c)
        if objective is not None:
            breaking.append(_reach(objective, c, k, a, b) or 0.0)
    low, high = np.quantile(found, [0.1, 0.9])
    highest = float(x[-1])
    breaks = _reach(objective, capacity, exponent, idle, weight) if objective is not None else None
    few = max(3, len(y) // 12)
    bent = bool(np.median(y[-few:]) >= BEND * np.median(y[: len(y) // 3])) and capacity < FURTHEST * highest * 0.99
    return Knee(
        capacity, float(min(low, capacity)), float(max(high, capacity)), idle, _reach(KNEE * idle, capacity, exponent, idle, weight) or capacity, highest,
        breaks, float(min(np.quantile(breaking, 0.1), breaks)) if breaks is not None else None, breaks / highest - 1.0 if breaks is not None else None,
        bent, exponent, weight,
    )  # fmt: skip


def _bins(load: Floats, latency: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(load, kind="stable")
    count = min(BINS, len(order))
    if not count:
        return np.empty(0), np.empty(0)
    parts = np.array_split(order, count)
    x = np.array([np.median(load[p]) for p in parts])
    y = np.array([np.median(latency[p]) for p in parts])
    keep = np.concatenate([[True], np.diff(x) > 0.0])
    return x[keep], y[keep]


def _fit(x: Floats, y: Floats, *, coarse: bool = False) -> tuple[float, float, float, float]:
    """Capacity, exponent, a, b of the least squared relative error, over a grid of capacities, servers and variabilities; a is linear."""
    capacities = x[-1] * (1.0 + np.geomspace(0.005, FURTHEST - 1.0, CAPACITIES // 4 if coarse else CAPACITIES))
    weight = 1.0 / np.maximum(y, 1e-12 + 0.01 * np.median(y))
    target = y * weight
    u = x[None, None, :] / capacities[None, :, None]
    waiting = u ** EXPONENTS[:, None, None] / ((1.0 - u) * SERVERS[:, None, None])
    shape = (1.0 + VARIABILITY[:, None, None, None] * waiting[None]) * weight
    a = shape @ target / np.einsum("vkcx,vkcx->vkc", shape, shape)
    error = np.square(shape * a[..., None] - target).mean(axis=-1) * (1.0 + TIED * np.log(VARIABILITY)[:, None, None] ** 2)
    v, k, c = np.unravel_index(int(np.argmin(error)), error.shape)
    idle = float(a[v, k, c])
    return float(capacities[c]), float(EXPONENTS[k]), idle, float(idle * VARIABILITY[v] / SERVERS[k])


def _curve(load: Floats, capacity: float, exponent: float, idle: float, weight: float) -> Floats:
    u = np.minimum(load / capacity, 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(u < 1.0, idle + weight * u**exponent / (1.0 - u), np.inf))


def _reach(latency: float, capacity: float, exponent: float, idle: float, weight: float) -> float | None:
    """The load at which the curve comes to `latency`; None if it is above it when idle."""
    if latency <= idle:
        return None
    low, high = 0.0, capacity
    for _ in range(60):
        middle = (low + high) / 2
        value = float(_curve(np.array([middle]), capacity, exponent, idle, weight)[0])
        low, high = (middle, high) if value < latency else (low, middle)
    return low

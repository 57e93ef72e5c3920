"""When does a level meet its limit, if it goes on as it did? A distribution: paths are simulated, and the step at which each meets the limit is counted.

Wild samples and level shifts are taken out first, saw-teeth go on as teeth. Otherwise the season is taken out, and of several windows the slope is taken that would have
foretold the series' own past best; what it missed there, by distance, gives the errors of the paths: of the level, of a random walk, of the slope (as errors of rolling
origins give intervals in Tashman, Int. J. Forecasting 16, 2000). Residuals are drawn in blocks (Künsch, Ann. Statist. 17, 1989). Causal, seeded, milliseconds.
Neighbours: `regimes`, `teeth`, `seasons`; `pipeline.capacity` and `app.capacity_files` ask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats
from aiops.forecast.regimes import levelled, refined, teeth_of, without_spikes
from aiops.forecast.seasons import season_of
from aiops.forecast.teeth import by_level, crossings

MINIMUM_SAMPLES = 12
PATHS = 300
WINDOWS = (1.0, 0.5, 0.25, 0.125)
"""Shares of the past that slopes are tried on; and none: no trend."""
REACH = 48
"""Samples to each side of a level shift by which its height is measured."""
HALVED = 0.25
"""Share of the past after which what was missed counts half."""
ALIKE = 1.05
"""What foretold the past so much worse than the best is as good."""
PACE = 0.05
"""No pace is known better than to this share."""
WIDER = 0.7
"""Errors of the paths against those of the past: chosen so that P10 to P90 holds four of five."""
BENT = 0.3
"""Share of the squared error of a straight line that a bent one may leave, for the pace to have changed."""
LONGEST = 1e6
"""Steps ahead, at most."""


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """`crossings`: for each simulated path the seconds after the last sample until the limit is met, rising, inf where it is not within `horizon` (seconds).

    `level` is the last value, `limit` the last limit. `model` names what went on; `since` is the index of the sample with which the present regime began (0: the first).
    """

    level: float
    limit: float
    horizon: float
    crossings: Floats
    model: str
    since: int

    def within(self, seconds: float) -> float:
        """Probability that the limit is met within so many seconds; of more than the horizon only what is known of it."""
        return float(np.searchsorted(self.crossings, seconds, side="right")) / len(self.crossings)

    def quantile(self, share: float) -> float | None:
        """Seconds within which `share` (0..1) of the paths meet the limit; None if that is beyond the horizon."""
        found = float(self.crossings[min(int(np.ceil(share * len(self.crossings))), len(self.crossings)) - 1])
        return found if np.isfinite(found) else None


def exhaustion(
    values: Floats, limit: Floats | float, *, step: float, horizon: float, rising: bool = True, season: int | None = None, seed: int = 0, paths: int = PATHS,
) -> Exhaustion:  # fmt: skip
    """Of evenly spaced, finite `values` each `step` seconds, and a `limit` as a number or with one value a sample: when is it met within `horizon` seconds?

    Met means reached or passed, from below if `rising` (a disk that fills), else from above. A limit that moved by steps stays where it is, one that moves all the time goes on as in
    its last half. `season` in steps; without it it is looked for. Raises ValueError if there are fewer than twelve values, or anything is not finite or not positive that must be.
    """
    if len(values) < MINIMUM_SAMPLES:
        raise ValueError(f"{len(values)} values; at least {MINIMUM_SAMPLES} are needed to say when a limit is met")
    limits = np.broadcast_to(np.asarray(limit, dtype=np.float64), values.shape)
    if not (np.isfinite(values).all() and np.isfinite(limits).all()):
        raise ValueError("values and limits must be finite")
    if not 0.0 < step < np.inf or not step <= horizon < np.inf or horizon / step > LONGEST:
        raise ValueError(f"a horizon of {horizon:g} s in steps of {step:g} s; it must be at least one step and at most {LONGEST:g}")
    ahead = int(horizon / step)
    scale = max(float(np.abs(values).max()), float(np.abs(limits).max()), 1e-300)
    sign = 1.0 if rising else -1.0
    y, bound = sign * values / scale, sign * limits / scale
    chance = np.random.default_rng(seed)
    future = limits_ahead(bound, ahead)
    if y[-1] >= bound[-1]:
        found, model, since = np.zeros(paths), "beyond the limit", 0
    elif np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max())):
        found, model, since = _first(np.full((1, ahead), y[-1]), future, paths), "constant", 0
    else:
        found, model, since = _simulated(y, future, season, round(86400.0 / step), paths, chance)
    return Exhaustion(float(values[-1]), float(limits[-1]), ahead * step, np.sort(found) * step, model, since)


def limits_ahead(limits: Floats, ahead: int) -> Floats:
    """The next `ahead` limits: the last one, or where more than a tenth of the steps change it, the line of the last half."""
    moves = np.diff(limits) != 0.0
    if moves.mean() <= 0.1:
        return np.full(ahead, limits[-1])
    last = limits[len(limits) // 2 :]
    slope = float(np.polyfit(np.arange(len(last)), last, 1)[0])
    return np.asarray(limits[-1] + slope * np.arange(1, ahead + 1))


def _simulated(y: Floats, future: Floats, season: int | None, day: int, paths: int, chance: np.random.Generator) -> tuple[Floats, str, int]:
    teeth = teeth_of(y)
    if teeth is not None:
        model = f"teeth, falling {'at a level' if by_level(teeth) else 'after a time'}"
        return crossings(y, teeth, future, paths, chance), model, int(teeth.since)
    y = without_spikes(y)
    period = season or period_of(y, day)
    flat = levelled(y, period)
    period = season or period_of(flat.values, day)
    since = flat.changes[-1] if flat.changes else 0
    shape = _profile(flat.values, period) if period else np.zeros(1)
    n, ahead = len(y), len(future)
    seasonal = shape[np.arange(n) % len(shape)]
    level = refined(y - seasonal, flat.changes, max(period or 0, REACH)) if flat.changes else flat.values - seasonal
    bend = bend_of(level)
    since = max(since, bend)
    trend = fit(level[bend:], since - bend, ahead)
    steps = np.arange(1, ahead + 1)
    walks = trend.level + (trend.slope + trend.tilt * chance.standard_normal(paths))[:, None] * steps
    walks += trend.off * chance.standard_normal(paths)[:, None]
    if trend.walk > 0.0:
        walks += trend.walk * np.cumsum(chance.standard_normal((paths, ahead)), axis=1)
    walks += _blocks(trend.rest, paths, ahead, len(shape) if period else 12, chance)
    walks += shape[(n - 1 + steps) % len(shape)]
    words = [f"trend of {trend.window} samples" if trend.window else "no trend"]
    words += [f"season of {len(shape)}"] if period else []
    words += ["since the pace changed"] if bend else []
    words += [f"{len(flat.changes)} level shift{'s' if len(flat.changes) > 1 else ''} taken out"] if flat.changes else []
    return _first(walks, future, paths), ", ".join(words), since


def period_of(values: Floats, day: int) -> int | None:
    """Samples after which values come again; what is nearly some days is a day (whose week is looked at too)."""
    found = season_of(values)
    if found is None or day < 4 or len(values) < 3 * day:
        return found
    days = round(found / day)
    return day if days and abs(found - days * day) <= 0.1 * found else found


def _first(walks: Floats, future: Floats, paths: int) -> Floats:
    meets = walks >= future
    first = np.where(meets.any(axis=1), meets.argmax(axis=1) + 1.0, np.inf)
    return np.asarray(np.resize(first, paths), dtype=np.float64)


def _profile(values: Floats, period: int) -> Floats:
    """The usual departure from the mean of one period around, by phase; where three weeks of periods are there, plus that of the period of the week."""
    n = len(values)
    if n < 2 * period:
        return np.zeros(1)
    day = _phases(values, period, np.arange(n) % period, period)
    if n < 21 * period:
        return day
    week = _phases(values - np.resize(day, n), 7 * period, np.arange(n) // period % 7, 7)
    return np.tile(day, 7) + np.repeat(week, period)


def _phases(values: Floats, around: int, phase: np.ndarray, phases: int) -> Floats:
    kernel = np.convolve(values, np.full(around, 1.0 / around), mode="valid")
    inner = slice(around // 2, around // 2 + len(kernel))
    off, at = values[inner] - kernel, phase[inner]
    total = np.bincount(at, weights=off, minlength=phases) / np.maximum(np.bincount(at, minlength=phases), 1)
    return np.asarray(total - total.mean())


def _blocks(rest: Floats, paths: int, ahead: int, length: int, chance: np.random.Generator) -> Floats:
    """Residuals in blocks of neighbours."""
    length = int(np.clip(length, 1, max(1, len(rest) // 4)))
    count = -(-ahead // length)
    first = chance.integers(0, max(1, len(rest) - length + 1), (paths, count))
    return np.asarray(rest[(first[:, :, None] + np.arange(length)).reshape(paths, -1)[:, :ahead]])


def bend_of(x: Floats) -> int:
    """The index at which a line that bends there fits so much better than a straight one that the pace has changed for good; 0 if there is none."""
    n = len(x)
    every = max(1, n // 180)
    at, values = np.arange(0, n, every, dtype=np.float64) / n, x[::every]
    columns = np.stack([np.ones(len(at)), at], axis=1)

    def missed(more: Floats | None) -> float:
        a = columns if more is None else np.column_stack([columns, more])
        rest = values - a @ np.linalg.lstsq(a, values, rcond=None)[0]
        return float(rest @ rest)

    where = np.unique(np.linspace(n // 8, n - max(n // 10, MINIMUM_SAMPLES), 24).astype(int))
    found = {int(c): missed(np.maximum(at - c / n, 0.0)) for c in where if c > 0}
    if not found:
        return 0
    best = min(found, key=lambda c: found[c])
    return best if found[best] < BENT * missed(None) else 0


@dataclass(frozen=True, slots=True)
class Trend:
    """`level` at the last sample, `slope` a step, and the errors of the paths: `off` of the level, `walk` of each step, `tilt` of the slope; `rest` are residuals."""

    level: float
    slope: float
    off: float
    walk: float
    tilt: float
    rest: Floats
    window: int


def fit(x: Floats, since: int, ahead: int) -> Trend:
    """The windows for slope and level that foretold `x` best at rolling origins, and what they missed there."""
    n = len(x)
    least = max(MINIMUM_SAMPLES // 2, n // 16)
    windows = sorted({max(least, int(n * share)) for share in WINDOWS} | ({n - since} if since and n - since >= least else set()))
    far = np.unique(np.clip(np.geomspace(2, max(3, min(ahead, n // 2)), 6).astype(int), 1, n - 2))
    origins = np.arange(1, n + 1)
    # The end of a line through the last samples: short where the level wanders, long where only noise does.
    near = sorted({int(np.clip(n // 20, 4, 24)), max(n // 8, 6), n // 2})
    ends = {length: _ends(x, origins, length) for length in near}
    slopes = {window: _slopes(x, origins, window) for window in windows} | {0: np.zeros(n)}
    tried = {(w, m): _missed(x, ends[m], slopes[w], far) for w in slopes for m in near}
    worth = {key: float(np.sqrt(missed).mean()) for key, missed in tried.items()}
    # Of those that are hardly worse than the best the longest: what differs less is chance. A trend has to earn its place.
    best = min(v for (w, _), v in worth.items() if w)
    window, end = max(key for key, v in worth.items() if key[0] and v <= ALIKE * best)
    flat = min(near, key=lambda m: worth[0, m])
    if worth[0, flat] <= ALIKE * best:
        window, end = 0, flat
    missed = tried[window, end]
    rest = x - ends[near[0]]
    off, walk, tilt = _parts(far.astype(float), np.maximum(missed - float(rest.var()), 0.0))
    slope = float(slopes[window][-1])
    tilt = WIDER * float(np.sqrt(tilt + (PACE * slope) ** 2))
    return Trend(float(ends[end][-1]), slope, WIDER * float(np.sqrt(off)), WIDER * float(np.sqrt(walk)), tilt, rest, window)


def _sums(x: Floats) -> tuple[Floats, Floats]:
    at = np.arange(len(x), dtype=np.float64)
    return np.concatenate([[0.0], np.cumsum(x)]), np.concatenate([[0.0], np.cumsum(x * at)])


def _slopes(x: Floats, origins: np.ndarray, window: int) -> Floats:
    """Least squares over the `window` samples before each origin; fewer where there are fewer, 0 of less than three."""
    plain, timed = _sums(x)
    first = np.maximum(origins - window, 0)
    m = (origins - first).astype(np.float64)
    middle = (first + origins - 1) / 2.0
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (timed[origins] - timed[first] - middle * (plain[origins] - plain[first])) / (m * (m * m - 1.0) / 12.0)
    return np.where(m >= 3.0, slope, 0.0)


def _ends(x: Floats, origins: np.ndarray, window: int) -> Floats:
    plain, _ = _sums(x)
    first = np.maximum(origins - window, 0)
    m = (origins - first).astype(np.float64)
    return np.asarray((plain[origins] - plain[first]) / m + _slopes(x, origins, window) * (m - 1.0) / 2.0)


def _missed(x: Floats, level: Floats, slope: Floats, far: np.ndarray) -> Floats:
    """Mean square of what `level` and `slope` (each at all origins) missed, for each distance; what is longer ago counts for less."""
    n = len(x)
    out = np.empty(len(far))
    for i, k in enumerate(far.tolist()):
        first = min(max(MINIMUM_SAMPLES // 2, n // 8), n - k)
        off = x[first + k - 1 :] - level[first - 1 : n - k] - slope[first - 1 : n - k] * k
        recent = 0.5 ** (np.arange(len(off))[::-1] / (HALVED * n))
        out[i] = float((off * off) @ recent / recent.sum())
    return out


def _parts(far: Floats, missed: Floats) -> tuple[float, float, float]:
    """Nonnegative a, b, c with a + b · k + c · k² nearest to `missed` in relative terms."""
    weight = 1.0 / (missed + 1e-3 * missed.max() + 1e-300)
    columns = np.stack([np.ones_like(far), far, far * far], axis=1)
    best, found = np.inf, (0.0, 0.0, 0.0)
    for used in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        a = columns[:, used] * weight[:, None]
        solution, *_ = np.linalg.lstsq(a, missed * weight, rcond=None)
        if (solution < 0.0).any():
            continue
        error = float(((a @ solution - missed * weight) ** 2).sum())
        if error < best - 1e-12:
            best, whole = error, np.zeros(3)
            whole[list(used)] = solution
            found = (float(whole[0]), float(whole[1]), float(whole[2]))
    return found

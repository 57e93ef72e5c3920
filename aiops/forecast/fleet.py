"""Many series forecast, each with the model that suits it, none spoiled by another.

Neighbours: `combination` for each series by itself, `both_scales` for all together; `app.forecast_files` brings them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from aiops.domain.series import Floats
from aiops.forecast.both_scales import GlobalModel, train_both
from aiops.forecast.candidates import Shape
from aiops.forecast.combination import Combined, combine, origins_of
from aiops.forecast.intervals import half_width
from aiops.forecast.many import each
from aiops.forecast.seasons import WEEK, seasons_of

LARGEST = 1e100
"""Values beyond are scaled before they are added up."""
FLEET = 20
"""Series of one shape, at least, for a model of their own."""
TRIED = 3
"""Origins at least for that."""
SECONDS = 1e-3
"""What a series by itself takes, about."""
BATCH = 64
"""Series by themselves that a process takes at once."""
COMBINATION, BOOSTING = "combination", "boosting"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Each array (horizon). `model` names what made it."""

    mean: Floats
    low: Floats
    high: Floats
    model: str


def forecast(
    fleet: Sequence[Floats], horizon: int, season: int | None = None, *, coverage: float = 0.9, threads: int = 1, together: bool = True,
) -> list[Forecast]:  # fmt: skip
    """Forecast the `horizon` steps after each series (finite values, evenly spaced, at least 3).

    `season` in steps; without it each series' own is looked for. Series of one shape with history enough get a model together, where it did better than each
    by itself over the last horizon, unless `together` is false. A series that was never negative is not forecast below zero. Raises ValueError if a series is too short or not finite.
    """
    for values in fleet:
        if len(values) < 3 or not np.isfinite(values).all():
            raise ValueError("a series needs at least 3 values, all finite")
    scales = [max(1.0, float(np.abs(v).max()) / LARGEST) for v in fleet]
    scaled = [v / s for v, s in zip(fleet, scales, strict=True)]
    seasons = [(season, WEEK * season)] * len(fleet) if season else seasons_of(scaled)
    work = [(v, horizon, p) for v, p in zip(scaled, seasons, strict=True)]
    # Those without the others are spread by `forecast_each`, if at all.
    alone = each(combine, work, seconds=SECONDS, jobs=threads) if together else [combine(*one) for one in work]
    widths = [half_width(one.errors, horizon, coverage) for one in alone]
    means, models = [one.mean for one in alone], [COMBINATION] * len(fleet)
    for shape, members in _groups(scaled, alone, horizon).items() if together else ():
        found = _together([scaled[i] for i in members], shape, horizon, coverage, threads)
        if found is None:
            continue
        forecasts, factor = found
        for i, mean in zip(members, forecasts, strict=True):
            means[i], models[i], widths[i] = mean, BOOSTING, widths[i] * factor
    return [_bounded(*one) for one in zip(scaled, means, widths, scales, models, strict=True)]


def forecast_each(fleet: Sequence[Floats], horizon: int, season: int | None = None, *, coverage: float = 0.9, jobs: int | None = None) -> list[Forecast]:
    """As `forecast`, but each series by itself, spread as `many.each` does; seasons are agreed on within batches of `BATCH`."""
    batches = [(fleet[i : i + BATCH], horizon, season, coverage) for i in range(0, len(fleet), BATCH)]
    work = BATCH * (SECONDS + 2e-7 * max((len(v) for v in fleet), default=0))
    return list(chain.from_iterable(each(_batch, batches, seconds=work, jobs=jobs)))


def _batch(fleet: Sequence[Floats], horizon: int, season: int | None, coverage: float) -> list[Forecast]:
    return forecast(fleet, horizon, season, coverage=coverage, together=False)


def _groups(fleet: Sequence[Floats], alone: Sequence[Combined], horizon: int) -> dict[Shape, list[int]]:
    """Series that can share a model, by what all of them have in common."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, (values, one) in enumerate(zip(fleet, alone, strict=True)):
        # A model needs a season, and an origin held out besides those that it learns from; of a constant series there is nothing to learn.
        if one.shape.short > 1 and one.errors.shape[1] == horizon and len(one.origins) > TRIED and values.min() < values.max():
            found[one.shape.short, one.shape.long].append(i)
    groups: dict[Shape, list[int]] = {}
    for (short, long), members in found.items():
        if len(members) >= FLEET:
            shapes = [alone[i].shape for i in members]
            groups[Shape(short, min(s.cycles for s in shapes), long, min(s.long_cycles for s in shapes))] = members
    return groups


def _together(fleet: Sequence[Floats], shape: Shape, horizon: int, coverage: float, threads: int) -> tuple[list[Floats], float] | None:
    """The forecasts of one model and by how much to widen the combination's intervals for it; None if it did no better over the last horizon, held out."""
    trial = train_both([values[:-horizon] for values in fleet], horizon, shape, FLEET, threads)
    if trial is None:
        return None
    ours, theirs, missed = [], [], []
    for values in fleet:
        past, truth = values[:-horizon], values[-horizon:]
        scale = _spread(past, shape)
        mean, base = _ask(trial, past, shape, horizon)
        ours.append(np.abs(truth - mean).mean() / scale)
        theirs.append(np.abs(truth - base).mean() / scale)
        width = half_width(combine(past, horizon, _seasons(shape)).errors, horizon, coverage)
        missed.append(np.abs(truth - mean) / np.maximum(width, 1e-9 * scale))
    if float(np.mean(ours)) >= float(np.mean(theirs)):
        return None
    whole = train_both(fleet, horizon, shape, FLEET, threads)
    if whole is None:
        return None
    factor = float(np.quantile(np.concatenate(missed), coverage))
    return [_ask(whole, values, shape, horizon)[0] for values in fleet], float(np.clip(factor, 0.5, 2.0))


def _seasons(shape: Shape) -> tuple[int, ...]:
    return (shape.short, shape.long) if shape.long else (shape.short,)


def _spread(values: Floats, shape: Shape) -> float:
    return max(float(np.abs(values[shape.short :] - values[: -shape.short]).mean()), 1e-9 * float(np.abs(values).max()), 1e-300)


def _ask(model: GlobalModel, values: Floats, shape: Shape, horizon: int) -> tuple[Floats, Floats]:
    """At the end of `values`; the origins before it give the weights of the simple forecasts."""
    before = origins_of(len(values), shape.reach, horizon, shape.short)
    return model.forecast(values, np.append(before, len(values)), horizon, shape)


def _bounded(values: Floats, mean: Floats, width: Floats, scale: float, model: str) -> Forecast:
    """Back in the series' own unit, within the numbers there are and not below zero where it never was."""
    least = 0.0 if values.min() >= 0.0 else -np.inf
    largest = np.finfo(np.float64).max
    mean = np.maximum(mean, least)
    with np.errstate(over="ignore"):
        middle, low, high = (np.clip(np.maximum(each, least) * scale, -largest, largest) for each in (mean, mean - width, mean + width))
    return Forecast(middle, low, high, model)

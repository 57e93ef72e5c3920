"""A CSV of series forecast into another. Neighbours: `adapters.long_table` reads and writes, `forecast.fleet` forecasts."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aiops.adapters.long_table import Predicted, read_long, write_forecast
from aiops.domain.errors import DefinitionError, Problem
from aiops.forecast.fleet import forecast, forecast_each
from aiops.forecast.grid import Grid, grid_of


@dataclass(frozen=True, slots=True)
class Forecasts:
    """What was done. `models`: how many series each model forecast; `filled` and `dropped`: points made up, samples left out, over all series."""

    series: int
    models: dict[str, int]
    filled: int
    dropped: int
    unusable: tuple[Problem, ...]


def forecast_file(source: Path, target: Path, horizon: int, season: int | None = None, *, together: bool = True) -> Forecasts:
    """Forecast every series of `source` for `horizon` steps of its own; without `together` each by itself.

    A series that cannot be used is named and left out. Raises DefinitionError if none can, OSError.
    """
    table = read_long(source)
    grids: dict[str, Grid] = {}
    unusable = list(table.wrong)
    for name, rows in table.series.items():
        try:
            grid = grid_of(table.times[rows], table.values[rows])
            table.style.write(grid.after(horizon)[-1])  # a time that cannot be written is known before the work
            grids[name] = grid
        except ValueError as error:
            unusable.append(Problem(str(source), int(rows[0]) + 2, name, str(error)))
    if not grids:
        raise DefinitionError(tuple(unusable))
    values = [g.values for g in grids.values()]
    found = forecast(values, horizon, season, threads=os.cpu_count() or 1) if together else forecast_each(values, horizon, season)
    predicted = [
        Predicted(name, [table.style.write(t) for t in grid.after(horizon)], each.mean, each.low, each.high)
        for (name, grid), each in zip(grids.items(), found, strict=True)
    ]
    write_forecast(target, predicted)
    filled, dropped = (int(np.sum([getattr(g, key) for g in grids.values()])) for key in ("filled", "dropped"))
    return Forecasts(len(grids), dict(Counter(each.model for each in found)), filled, dropped, tuple(unusable))

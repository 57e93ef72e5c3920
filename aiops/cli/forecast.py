"""`aiops forecast`. Neighbours: `app.forecast_files`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiops.cli.common import FAILED, err, exit_codes, out, safe


def forecast(
    source: Annotated[Path, typer.Option("--input", help="CSV: `unique_id,ds,y`, `ds` an integer step or a time (ISO 8601, taken for UTC)")],
    target: Annotated[Path, typer.Option("--output", help="CSV to write: `unique_id,ds,mean,lo-90,hi-90`")],
    horizon: Annotated[int, typer.Option(min=1, max=100_000, help="steps ahead, each as long as the series' usual step")],
    season: Annotated[int | None, typer.Option(min=2, max=100_000, help="steps after which the series come again; found when not given")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="each series by itself: for fleets of many thousands, spread over all cores by joblib")] = False,
) -> None:
    """Forecast series, each with an interval that is to hold the truth in 90 of 100 cases.

    Each series gets a weighted combination of simple forecasts; twenty or more with a common season and history enough share a model of
    gradient-boosted trees, where that did better over the last horizon.
    """
    from aiops.app.forecast_files import forecast_file

    with exit_codes(), err.status("forecasting"):
        done = forecast_file(source, target, horizon, season, together=not alone)
    models = ", ".join(f"{count} by {model}" for model, count in sorted(done.models.items()))
    out.print(safe(f"{done.series} series forecast into {target}: {models}; {done.filled} missing points filled, {done.dropped} samples at a point already taken left out"))
    for problem in done.unusable:
        err.print(safe(problem))
    if done.unusable:
        raise typer.Exit(FAILED)

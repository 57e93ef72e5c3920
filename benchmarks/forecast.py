"""`aiops forecast`'s models beside the seasonal naive forecast and Prometheus' `predict_linear`, in one run: errors, intervals, CPU, peak memory.

    python -m benchmarks.forecast [--data DIR] [--large 10000]

`--data DIR` has `m4_hourly_train.csv.gz` and `m4_hourly_test.csv.gz` (`unique_id,ds,y`); without it a made-up fleet is forecast, which says nothing about
accuracy on real series. sMAPE is the mean of 200 · |y - f| / (|y| + |f|); MASE and MSIS (90 %) are scaled by the in-sample error of the daily naive forecast
(Makridakis, Spiliotis, Assimakopoulos, Int. J. Forecasting 36, 2020). `--peers PYTHON`: an interpreter that has statsforecast and prophet, asked in the same run. `--large N` forecasts N series of 30 days at 5 minutes for a day, each by itself.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiops.adapters.long_table import read_long
from aiops.forecast.fleet import Forecast, forecast, forecast_each
from benchmarks.decode import resident
from benchmarks.forecast_peers import EVERY, PEERS, ask

Floats = NDArray[np.float64]
DAY, HORIZON = 24, 48
PER_DAY = 288


@dataclass(frozen=True, slots=True)
class Case:
    """A series, what came after it, and its scale."""

    past: Floats
    truth: Floats
    scale: float


def cases(folder: Path | None) -> list[Case]:
    """Of the two files, else 60 made-up series."""
    if folder is None:
        chance, at = np.random.default_rng(1), np.arange(30 * DAY)
        made = [
            20.0 + 5.0 * np.sin(2 * np.pi * at / DAY) - 6.0 * (at % 168 > 119) + np.cumsum(chance.normal(0.0, 0.2, len(at))) + chance.normal(0.0, 1.0, len(at))
            for _ in range(60)
        ]
        return [_case(each[:-HORIZON], each[-HORIZON:]) for each in made]
    train, test = (read_long(folder / f"m4_hourly_{part}.csv.gz") for part in ("train", "test"))
    return [_case(train.values[rows], test.values[test.series[name]]) for name, rows in train.series.items()]


def _case(past: Floats, truth: Floats) -> Case:
    return Case(past, truth, float(np.abs(past[DAY:] - past[:-DAY]).mean()))


def naive(past: Floats) -> Forecast:
    """The last day again; intervals from what that missed, growing with the days."""
    mean = np.tile(past[-DAY:], HORIZON // DAY)
    width = 1.6449 * float(np.sqrt(((past[DAY:] - past[:-DAY]) ** 2).mean())) * np.sqrt(np.arange(HORIZON) // DAY + 1)
    return Forecast(mean, mean - width, mean + width, "naive")


def predict_linear(past: Floats) -> Forecast:
    """Prometheus' formula over the last 24 hours: least squares, from the last sample on; the interval is that of the fit's residuals."""
    at, last = np.arange(-DAY + 1, 1), past[-DAY:]
    slope, level = np.polyfit(at, last, 1)
    mean = level + slope * np.arange(1, HORIZON + 1)
    width = 1.6449 * float((last - level - slope * at).std())
    return Forecast(mean, mean - width, mean + width, "linear")


def line(name: str, todo: Sequence[Case], make: Callable[[list[Floats]], list[Forecast]]) -> None:
    """Forecast, measure, print one row."""
    began = time.process_time()
    found = make([case.past for case in todo])
    cpu = time.process_time() - began
    models = ", ".join(sorted({f.model for f in found}))
    row(f"{name} ({models})", todo, (np.array([f.mean for f in found]), np.array([f.low for f in found]), np.array([f.high for f in found])), cpu)


def row(name: str, todo: Sequence[Case], found: tuple[Floats, Floats, Floats], cpu: float) -> None:
    """What they are worth; each (series, horizon), `cpu` in seconds for all."""
    truth, scale = np.array([c.truth for c in todo]), np.array([c.scale for c in todo])[:, None]
    mean, low, high = found
    smape = (200.0 * np.abs(truth - mean) / (np.abs(truth) + np.abs(mean) + 1e-12)).mean()
    mase = (np.abs(truth - mean) / scale).mean()
    inside = 100.0 * ((truth >= low) & (truth <= high)).mean()
    msis = ((high - low + 20.0 * np.clip(low - truth, 0.0, None) + 20.0 * np.clip(truth - high, 0.0, None)) / scale).mean()
    print(f"| {name} | {smape:.2f} | {mase:.3f} | {inside:.1f} | {msis:.2f} | {cpu * 1000.0 / len(todo):.2f} |", flush=True)


def large(count: int) -> None:
    """Time and peak of many long series, a batch of a thousand at a time."""
    chance, at = np.random.default_rng(2), np.arange(30 * PER_DAY)
    shape = np.sin(2 * np.pi * at / PER_DAY) - 0.8 * (at % (7 * PER_DAY) > 5 * PER_DAY)
    wall = 0.0
    for begin in range(0, count, 1000):
        batch = [10.0 + 3.0 * chance.uniform() * shape + chance.normal(0.0, 0.5, len(at)) for _ in range(min(1000, count - begin))]
        started = time.perf_counter()
        forecast_each(batch, PER_DAY, PER_DAY)
        wall += time.perf_counter() - started
    print(f"\n{count} series of 30 days at 5 minutes, 24 hours ahead, each by itself (combination) over all cores by joblib: {wall:.1f} s, peak {resident('VmHWM'):.0f} MiB without the workers")


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path)
    options.add_argument("--large", type=int, default=10_000)
    options.add_argument("--peers", help="a Python interpreter that has statsforecast and prophet")
    given = options.parse_args()
    if given.peers and not shutil.which(given.peers):
        options.error(f"--peers: {given.peers} is no program")
    todo = cases(given.data)
    print(f"{len(todo)} series, {HORIZON} hours ahead\n\n| model | sMAPE | MASE | in the 90 % interval | MSIS | CPU ms a series |\n| --- | --- | --- | --- | --- | --- |")
    line("predict_linear over 24 h", todo, lambda past: [predict_linear(each) for each in past])
    line("seasonal naive", todo, lambda past: [naive(each) for each in past])
    line("each series by itself", todo, lambda past: forecast(past, HORIZON, DAY, together=False))
    line("the fleet together", todo, lambda past: forecast(past, HORIZON, DAY))
    for name in PEERS:
        python = sys.executable if name.startswith("LightGBM") else given.peers
        every = EVERY.get(name, 1)
        some = todo[::every]
        if python and (answer := ask(python, name, [case.past for case in some], HORIZON)):
            row(f"{name}, one series in {every}" if every > 1 else name, some, *answer)
    large(given.large)


if __name__ == "__main__":
    main()

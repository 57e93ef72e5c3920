"""Peers of `benchmarks.forecast`, each in a process of its own, by an interpreter that has it: statsforecast and Prophet are not part of this project's lock.

    PYTHON benchmarks/forecast_peers.py NAME IN OUT

IN: npz of `values`, all series one after the other, `lengths`, and `horizon`, hourly; OUT: npz of `mean`, `low`, `high` (series, horizon; 90 %) and `cpu`, seconds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

DAY, WEEK = 24, 168
ROWS = 300_000
Found = tuple[Any, Any, Any]


def lightgbm_lags(fleet: list[Any], horizon: int) -> Found:
    """One model of a week's lags in units of their mean, direct in the step ahead; intervals by what it missed in the last horizon, held out (split conformal)."""

    def shown(values: Any, origins: Any) -> tuple[Any, Any]:
        unit = np.array([np.abs(values[o - WEEK : o]).mean() + 1e-9 for o in origins])
        lags = np.stack([values[o - WEEK : o] for o in origins]) / unit[:, None]
        ahead = np.tile(np.arange(1, horizon + 1), len(origins))
        rows = np.column_stack([np.repeat(lags, horizon, axis=0), ahead, np.repeat(origins, horizon) + ahead - 1])
        rows[:, -1] %= WEEK
        # The value of the same hour on the last day before the origin: what a tree cannot look up by itself.
        rows = np.column_stack([rows, rows[np.arange(len(rows)), WEEK - DAY + (ahead - 1) % DAY]])
        return rows.astype(np.float32), unit

    def learned(past: list[Any]) -> Any:
        import lightgbm

        rows, targets, chance = [], [], np.random.default_rng(1)
        for values in past:
            origins = chance.choice(np.arange(WEEK, len(values) - horizon + 1), max(1, min(len(values) - horizon - WEEK, ROWS // len(past) // horizon)))
            features, unit = shown(values, origins)
            rows.append(features)
            targets.append((values[origins[:, None] + np.arange(horizon)] / unit[:, None]).ravel())
        settings = {"objective": "l1", "learning_rate": 0.05, "num_leaves": 63, "feature_fraction": 0.5, "verbosity": -1, "num_threads": 1}
        return lightgbm.train(settings, lightgbm.Dataset(np.concatenate(rows), np.concatenate(targets)), 500)

    def asked(model: Any, past: list[Any]) -> Any:
        found = []
        for values in past:
            rows, unit = shown(values, np.array([len(values)]))
            found.append(model.predict(rows, num_threads=1) * unit[0])
        return np.array(found)

    trial = asked(learned([v[:-horizon] for v in fleet]), [v[:-horizon] for v in fleet])
    width = np.quantile(np.abs(np.stack([v[-horizon:] for v in fleet]) - trial), 0.9, axis=1)[:, None]
    mean = asked(learned(fleet), fleet)
    return mean, mean - width, mean + width


def _statsforecast(model: Any, fleet: list[Any], horizon: int) -> Found:
    found = [model.forecast(y=v.astype(np.float64), h=horizon, level=[90]) for v in fleet]
    mean, low, high = (np.array([f[key] for f in found]) for key in ("mean", "lo-90", "hi-90"))
    return mean, low, high


def mstl(fleet: list[Any], horizon: int) -> Found:
    """statsforecast's MSTL of a day and a week."""
    from statsforecast.models import MSTL  # type: ignore[import-not-found]

    return _statsforecast(MSTL([DAY, WEEK]), fleet, horizon)


def autoets(fleet: list[Any], horizon: int) -> Found:
    """statsforecast's AutoETS of a day."""
    from statsforecast.models import AutoETS

    return _statsforecast(AutoETS(season_length=DAY), fleet, horizon)


def prophet(fleet: list[Any], horizon: int) -> Found:
    """Prophet as it comes, with 90 % intervals."""
    import logging

    import pandas as pd
    from prophet import Prophet  # type: ignore[import-not-found]

    logging.getLogger("cmdstanpy").disabled = True
    found = []
    for values in fleet:
        model = Prophet(interval_width=0.9)
        model.fit(pd.DataFrame({"ds": pd.date_range("2026-01-01", periods=len(values), freq="h"), "y": values}))
        ahead = model.predict(model.make_future_dataframe(horizon, freq="h", include_history=False))
        found.append(ahead[["yhat", "yhat_lower", "yhat_upper"]].to_numpy().T)
    mean, low, high = np.array(found).transpose(1, 0, 2)
    return mean, low, high


PEERS: dict[str, Callable[[list[Any], int], Found]] = {
    "LightGBM on lags": lightgbm_lags, "statsforecast MSTL": mstl, "statsforecast AutoETS": autoets, "Prophet": prophet,
}  # fmt: skip

EVERY = {"statsforecast AutoETS": 10}
"""Of a peer that takes many seconds for each series only every so manieth is asked; its row says so."""


def ask(python: str, name: str, fleet: Sequence[Any], horizon: int) -> tuple[Found, float] | None:
    """The forecasts and seconds of CPU; None, and said, if that interpreter does not have the peer."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, values=np.concatenate(fleet), lengths=[len(v) for v in fleet], horizon=horizon)
        run = subprocess.run([python, str(Path(__file__).resolve()), name, str(given), str(made)], capture_output=True, text=True, check=False)
        if run.returncode:
            print(f"{name}: {run.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        out = np.load(made)
        return (out["mean"], out["low"], out["high"]), float(out["cpu"])


def main(name: str, given: str, made: str) -> None:
    """See the module. What is compiled or imported is done on two series beforehand and not counted."""
    data = np.load(given)
    fleet, horizon = np.split(data["values"], np.cumsum(data["lengths"])[:-1]), int(data["horizon"])
    PEERS[name](fleet[:2], horizon)
    began = time.process_time()
    mean, low, high = PEERS[name](fleet, horizon)
    np.savez(made, mean=mean, low=low, high=high, cpu=time.process_time() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])

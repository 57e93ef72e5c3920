"""One model for a whole fleet: gradient-boosted trees on lags, which learn what the combination of simple forecasts usually misses.

Direct in the step ahead, L1 loss, each series in units of its own seasonal difference; scaled and relative errors count alike (Ke et al., LightGBM, NIPS 2017;
global models: Montero-Manso and Hyndman, Int. J. Forecasting 37, 2021). Causal: the features of an origin know nothing after it, the weights among the
simple forecasts included. Neighbours: `candidates` and `combination` make features and base; `both_scales` trains on values and on their logarithms; `fleet` decides whether that is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiops.domain.series import Floats
from aiops.forecast.candidates import Shape, candidates
from aiops.forecast.combination import MEMORY, errors_of, weights_of

ROWS, ROWS_EACH = 300_000, 3_000
"""To train on at most: in all, and of one series, whose origins soon repeat each other."""
PARAMETERS = {
    "objective": "l1", "num_leaves": 63, "min_data_in_leaf": 100, "feature_fraction": 0.3,
    "bagging_fraction": 0.7, "bagging_freq": 1, "verbosity": -1, "deterministic": True, "force_row_wise": True, "seed": 1,
}  # fmt: skip
STEPS, LOG_STEPS = (0.05, 400), (0.1, 200)
"""Learning rate and rounds; logarithms have smoother errors and need fewer."""
CYCLES = 28
"""Short seasons of origins that are learned from, at most."""


@dataclass(frozen=True, slots=True)
class Rows:
    """At `origins`: features (origins, horizon, features), the combination's forecast `base` (origins, horizon), and the `scale` of each origin."""

    features: Floats
    base: Floats
    scale: Floats


def rows_of(values: Floats, origins: np.ndarray, horizon: int, shape: Shape) -> Rows:
    """Of one series. `origins` rise, each has at least `shape.reach` values before it; those within `horizon` of the end have no truth yet."""
    p, q = shape.short, shape.long or shape.short
    found = candidates(values, origins, horizon, shape)
    mean, scale = _scales(values, origins, shape)
    base = np.einsum("ck,ckh->kh", _weights(values, found, origins, p), found)
    ahead = np.arange(1, horizon + 1)
    at = origins[:, None] + ahead[None] - 1

    def unit(each: Floats) -> Floats:
        return np.asarray((each - mean[:, None]) / scale[:, None])

    def wide(each: Floats) -> Floats:
        return np.broadcast_to(each[:, None], at.shape)

    columns = [unit(base), *(unit(each) for each in found)]
    day = p * (-(-ahead // p))[None]
    columns += [unit(values[at - day - p * j]) for j in range(shape.cycles)]
    week = q * (-(-ahead // q))[None]
    # Around the same phase of the long season, but nothing that lies after the origin.
    columns += [unit(values[np.minimum(at - week + o, origins[:, None] - 1)]) for o in (-2, -1, 1, 2)]
    total = np.concatenate([[0.0], np.cumsum(values)])
    columns += [wide((values[origins - b] - mean) / scale) for b in (1, 2, min(3, shape.reach))]
    columns += [wide(((total[origins] - total[origins - b]) / b - mean) / scale) for b in (max(1, p // 8), max(1, p // 4), max(1, p // 2), p)]
    columns += [wide((values[origins - 1] - values[origins - 1 - b]) / scale) for b in (p, q)]
    columns.append(wide(np.log(np.abs(mean) / scale + 1e-9)))
    columns += [np.broadcast_to(ahead.astype(float), at.shape), (at % p).astype(float), (at % q).astype(float)]
    return Rows(np.stack(columns, axis=-1).astype(np.float32), base, scale)


def _scales(values: Floats, origins: np.ndarray, shape: Shape) -> tuple[Floats, Floats]:
    """At each origin the mean of the last long season, and the usual difference to a short season before."""
    p, q = shape.short, shape.long or shape.short
    total = np.concatenate([[0.0], np.cumsum(values)])
    moved = np.concatenate([[0.0], np.cumsum(np.abs(values[p:] - values[:-p]))])
    mean = (total[origins] - total[origins - q]) / q
    end = origins - p
    first = np.maximum(end - 3 * q, 0)
    scale = (moved[end] - moved[first]) / (end - first)
    largest = np.maximum.accumulate(np.abs(values))[origins - 1]
    return mean, scale + 1e-3 * np.abs(mean) + 1e-12 * largest + 1e-300


def _weights(values: Floats, found: Floats, origins: np.ndarray, step: int) -> Floats:
    """Of each candidate at each origin (candidates, origins), from the origins whose horizon had passed by then; equal where there is none."""
    horizon = found.shape[2]
    known = origins + horizon <= len(values)
    truth = values[np.minimum(origins[:, None] + np.arange(horizon), len(values) - 1)]
    errors = errors_of(found, truth)
    weights = np.full((len(found), len(origins)), 1.0 / len(found))
    for k, origin in enumerate(origins):
        past = known & (origins + horizon <= origin)
        if past.any():
            recent = MEMORY ** ((origin - horizon - origins[past]) / step)
            weights[:, k] = weights_of(*(each[:, past] @ recent / recent.sum() for each in errors))
    return weights


@dataclass(frozen=True, slots=True)
class Boosted:
    """A trained model."""

    model: Any

    def forecast(self, values: Floats, origins: np.ndarray, horizon: int, shape: Shape) -> tuple[Floats, Floats]:
        """At the last of `origins` (those before it are only for the weights): the model's forecast and the combination's, each (horizon)."""
        rows = rows_of(values, origins, horizon, shape)
        correction = self.model.predict(rows.features[-1], num_threads=1)
        return rows.base[-1] + correction * rows.scale[-1], rows.base[-1]


def origins_for(end: int, horizon: int, shape: Shape, budget: int) -> np.ndarray:
    """Origins whose horizon ends by `end`, the last of them exactly, about `budget` rows of them; not always at the same phase."""
    wanted = max(2, budget // horizon)
    span = min(end - horizon - shape.reach, CYCLES * shape.short)
    # Origins next to each other say much the same; those a whole season apart leave hours of the day out.
    step = max(1, shape.short // 8, span // wanted)
    step -= step % shape.short == 0 and step > 1
    return np.arange(end - horizon, max(end - horizon - span, shape.reach) - 1, -step)[:wanted][::-1]


def train(fleet: Sequence[Floats], horizon: int, shape: Shape, threads: int = 1, *, logarithms: bool = False) -> Boosted | None:
    """Learn from each series up to its end. None if LightGBM cannot be loaded (it needs libgomp), or no series is long enough.

    If the values are `logarithms`, an error is a relative one as it is, and counts as such.
    """
    try:
        import lightgbm  # deferred: only forecasts of fleets need it
    except (ImportError, OSError):
        return None
    budget = max(horizon // 4, min(ROWS_EACH, ROWS // len(fleet)))
    features, targets, scaled, relative = [], [], [], []
    chance = np.random.default_rng(1)
    for values in fleet:
        origins = origins_for(len(values), horizon, shape, budget)
        if not len(origins):
            continue
        rows = rows_of(values, origins, horizon, shape)
        truth = values[origins[:, None] + np.arange(horizon)]
        take = np.sort(chance.permutation(truth.size)[:budget])
        features.append(rows.features.reshape(-1, rows.features.shape[-1])[take])
        targets.append(((truth - rows.base) / rows.scale[:, None]).ravel()[take])
        scaled.append(np.broadcast_to((rows.scale / rows.scale[-1])[:, None], truth.shape).ravel()[take])
        relative.append(_relative(values, truth, rows.scale, logarithms=logarithms).ravel()[take])
    if not features:
        return None
    share = np.concatenate(relative)
    weight = np.concatenate(scaled) + share / max(float(share.mean()), 1e-300)
    data = lightgbm.Dataset(np.concatenate(features), np.concatenate(targets), weight=weight)
    rate, rounds = LOG_STEPS if logarithms else STEPS
    return Boosted(lightgbm.train({**PARAMETERS, "learning_rate": rate, "num_threads": threads}, data, rounds))


def _relative(values: Floats, truth: Floats, scale: Floats, *, logarithms: bool) -> Floats:
    """What an error of one unit is worth as a relative error (origins, horizon)."""
    if logarithms:
        return np.broadcast_to(scale[:, None], truth.shape)
    usual = max(float(np.abs(values).mean()), 1e-300)
    worth = scale[:, None] / np.maximum(np.abs(truth), 0.1 * usual)
    return np.asarray(worth / max(float(worth.mean()), 1e-300))

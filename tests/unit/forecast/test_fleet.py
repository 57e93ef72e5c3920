"""A model for many series: used where it is better, never spoiled by one of them."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.forecast.both_scales import GlobalModel, positive, train_both
from aiops.forecast.candidates import Shape
from aiops.forecast.fleet import BOOSTING, COMBINATION, forecast

DAY = 24


def fleet(count: int, seed: int = 3) -> list[np.ndarray]:
    """What simple forecasts do not see and a common model does: after a quiet day comes a loud one, in every series."""
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        days = np.empty(40)
        days[0] = chance.normal()
        for d in range(1, 40):
            days[d] = -0.95 * days[d - 1] + chance.normal() * 0.3
        at = np.arange(40 * DAY)
        found.append(chance.uniform(1.0, 50.0) * (20.0 + 3.0 * np.sin(2 * np.pi * at / DAY) + 4.0 * days[at // DAY] + chance.normal(0.0, 0.3, len(at))))
    return found


def test_a_fleet_shares_a_model_where_that_is_better() -> None:
    series = fleet(24)
    past, truth = [s[:-DAY] for s in series], [s[-DAY:] for s in series]
    together, alone = forecast(past, DAY, DAY), [forecast([p], DAY, DAY)[0] for p in past]
    assert {f.model for f in together} == {BOOSTING}
    assert {f.model for f in alone} == {COMBINATION}

    def missed(found: list[np.ndarray]) -> float:
        return float(np.mean([np.abs(t - f).mean() / t.mean() for t, f in zip(truth, found, strict=True)]))

    assert missed([f.mean for f in together]) < 0.8 * missed([f.mean for f in alone])
    inside = [(t >= f.low) & (t <= f.high) for t, f in zip(truth, together, strict=True)]
    assert 0.75 <= float(np.mean(inside)) <= 0.99


def test_odd_series_do_not_spoil_the_others() -> None:
    series = [s[: 20 * DAY] for s in fleet(20)]
    odd = [np.full(20 * DAY, 5.0), np.arange(3.0), 1e300 * np.random.default_rng(1).normal(size=20 * DAY)]
    with_odd = forecast([*series, *odd], DAY, DAY)
    assert all(np.isfinite([f.mean, f.low, f.high]).all() for f in with_odd)
    assert with_odd[20].mean == pytest.approx(5.0)


def test_too_short_or_not_finite_is_refused() -> None:
    for bad in (np.array([1.0, 2.0]), np.array([1.0, np.nan, 2.0])):
        with pytest.raises(ValueError, match="at least 3 values"):
            forecast([bad], 3)


def test_a_season_that_multiplies_is_met_in_relative_terms() -> None:
    chance, at = np.random.default_rng(5), np.arange(12 * DAY)

    def grown(growth: float) -> np.ndarray:
        level = np.exp(growth * at / DAY + np.cumsum(chance.normal(0.0, 0.01, len(at))))
        return np.asarray(10.0 * level * np.exp(1.5 * np.sin(2 * np.pi * at / DAY)) * np.exp(chance.normal(0.0, 0.05, len(at))))

    series = [grown(0.02) for _ in range(20)]
    shape = Shape(DAY, 3, 0, 0)
    past, truth = [s[:-DAY] for s in series], [s[-DAY:] for s in series]
    both = train_both(past, DAY, shape, 20)
    assert both is not None
    assert both.logarithms is not None
    plain = GlobalModel(both.values, None)

    def missed(model: GlobalModel) -> float:
        found = [model.forecast(p, np.array([len(p) - 48, len(p) - 24, len(p)]), DAY, shape)[0] for p in past]
        return float(np.mean([2.0 * np.abs(t - f) / (np.abs(t) + np.abs(f)) for t, f in zip(truth, found, strict=True)]))

    assert missed(both) < missed(plain)


def test_what_is_nearly_nothing_has_no_logarithm() -> None:
    assert not positive(np.zeros(9))
    assert not positive(np.full(9, 5e-324))
    assert not positive(np.array([1.0, -1.0]))
    assert positive(np.array([0.0, 1.0]))

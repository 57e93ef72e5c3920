"""One series by itself: seasons, trends, short and odd pasts, intervals."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.forecast.boosting import rows_of
from aiops.forecast.candidates import Shape, candidates
from aiops.forecast.combination import combine
from aiops.forecast.fleet import forecast
from aiops.forecast.intervals import half_width
from aiops.forecast.seasons import season_of, seasons_of

DAY, WEEK = 24, 168


def weekly(cycles: int = 4, noise: float = 0.0, seed: int = 1) -> np.ndarray:
    at = np.arange(cycles * WEEK)
    shape = 100.0 + 30.0 * np.sin(2 * np.pi * at / DAY) - 25.0 * (at % WEEK >= 5 * DAY)
    return np.asarray(shape + np.random.default_rng(seed).normal(0.0, 1.0, len(at)) * noise)


def test_a_pure_season_goes_on() -> None:
    series = weekly(5)
    found = combine(series[:-48], 48, (DAY, WEEK))
    assert np.abs(found.mean - series[-48:]).max() < 0.01
    assert half_width(found.errors, 48).max() < 0.01


@pytest.mark.parametrize("length", [3, 4, 5, 8, 30, 47, 48, 49, 60, 100, 200, 336, 400, 700])
@pytest.mark.parametrize("horizon", [1, 7, 48, 400])
def test_any_length_is_answered(length: int, horizon: int) -> None:
    series = weekly(5, noise=1.0)[:length]
    (found,) = forecast([series], horizon, DAY)
    assert len(found.mean) == horizon
    assert np.isfinite([found.mean, found.low, found.high]).all()
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()


def test_no_candidate_sees_what_comes_after_its_origin() -> None:
    series, shape, origins = weekly(5, noise=1.0), Shape(DAY, 7, WEEK, 2), np.array([550, 600, 700])
    changed = series.copy()
    changed[700:] = 1e6
    assert np.array_equal(candidates(series, origins, 48, shape), candidates(changed, origins, 48, shape))
    # The features of the last origin use errors of the origins before it, which ended by then.
    assert np.array_equal(rows_of(series, origins, 48, shape).features, rows_of(changed, origins, 48, shape).features)


def test_a_multiplicative_season_is_met() -> None:
    at = np.arange(35 * DAY)
    series = np.exp(0.002 * at + 2.0 * np.sin(2 * np.pi * at / DAY))
    found = combine(series[:-DAY], DAY, (DAY,))
    assert (np.abs(found.mean / series[-DAY:] - 1.0)).mean() < 0.1


def test_intervals_hold_what_they_promise_on_noise() -> None:
    series = [weekly(5, noise=3.0, seed=s) for s in range(30)]
    found = [combine(each[:-48], 48, (DAY, WEEK)) for each in series]
    inside = [np.abs(each[-48:] - f.mean) <= half_width(f.errors, 48) for each, f in zip(series, found, strict=True)]
    # Four origins are few to judge by, and the width is on the safe side.
    assert 0.87 <= float(np.mean(inside)) <= 0.99


def test_constant_series_stay() -> None:
    for value in (0.0, -7.5, 1e308, 5e-324):
        (found,) = forecast([np.full(100, value)], 10)
        for each in (found.mean, found.low, found.high):
            assert each == pytest.approx(value)


def test_never_negative_stays_so_and_the_largest_numbers_do_not_overflow() -> None:
    falling = np.maximum(200.0 - np.arange(195.0), 0.0)
    huge = 1e308 * np.sin(np.arange(200.0))
    first, second = forecast([falling, huge], 60)
    assert first.low.min() >= 0.0
    assert np.isfinite([second.mean, second.low, second.high]).all()


@pytest.mark.parametrize("period", [12, 24, 60])
def test_the_season_is_found(period: int) -> None:
    at = np.arange(10 * period)
    noise = np.random.default_rng(2).normal(0.0, 0.3, len(at))
    assert season_of(np.sin(2 * np.pi * at / period) + 0.01 * at + noise) == period


def test_noise_and_constants_have_no_season() -> None:
    found = [season_of(np.random.default_rng(s).normal(size=500)) for s in range(20)]
    assert found.count(None) >= 19
    assert season_of(np.full(100, 3.0)) is None
    assert season_of(np.arange(100.0)) is None


def test_what_most_agree_on_holds_for_all() -> None:
    fleet = [weekly(4, noise=1.0, seed=s) for s in range(5)] + [np.random.default_rng(9).normal(size=600)]
    assert seasons_of(fleet) == [(DAY, WEEK)] * 6

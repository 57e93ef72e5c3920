"""Time until a limit is reached."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.forecast.exhaustion import MAX_SAMPLES, Exhaustion, exhaustion

T0 = 1_700_000_000.0


def line(count: int = 60, slope: float = 0.5, start: float = 100.0, noise: float = 0.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    times = T0 + 15.0 * np.arange(count)
    return times, start + slope * (times - T0) + np.random.default_rng(seed).normal(0.0, 1.0, count) * noise


def found(times: np.ndarray, values: np.ndarray, limit: float, **options: bool | float) -> Exhaustion:
    answer = exhaustion(times, values, limit, **options)  # type: ignore[arg-type]
    assert answer is not None
    return answer


def test_a_straight_line_is_continued() -> None:
    times, values = line()
    answer = found(times, values, values[-1] + 50.0)
    assert answer.slope == pytest.approx(0.5)
    assert answer.seconds == pytest.approx(100.0)
    assert answer.earliest == pytest.approx(100.0)
    assert answer.latest == pytest.approx(100.0)
    assert answer.certain


def test_a_falling_level_is_the_same_in_a_mirror() -> None:
    times, values = line(slope=-0.5, start=1000.0)
    answer = found(times, values, values[-1] - 50.0, rising=False)
    assert answer.slope == pytest.approx(-0.5)
    assert answer.seconds == pytest.approx(100.0)
    assert answer.slope_low <= answer.slope <= answer.slope_high


def test_a_level_that_goes_away_from_the_limit_never_reaches_it() -> None:
    times, values = line(slope=-0.5)
    answer = found(times, values, 1e6)
    assert (answer.seconds, answer.earliest, answer.latest, answer.certain) == (None, None, None, False)


def test_without_a_trend_it_does_not_claim_one() -> None:
    times = T0 + 15.0 * np.arange(200)
    uncertain = [found(times, np.random.default_rng(seed).normal(50.0, 5.0, 200), 100.0) for seed in range(40)]
    assert sum(a.certain for a in uncertain) <= 4


def test_beyond_the_limit_already_is_now() -> None:
    times, values = line()
    assert found(times, values, 50.0).seconds == 0.0


def test_a_quarter_of_wild_samples_is_borne() -> None:
    times, values = line(count=100, noise=0.1)
    wild = values.copy()
    wild[::4] = 1e6
    assert found(times, wild, 1e4).slope == pytest.approx(0.5, rel=0.2)


def test_the_interval_covers_what_it_says() -> None:
    covered = 0
    for seed in range(200):
        times, values = line(count=60, slope=0.01, noise=2.0, seed=seed)
        answer = found(times, values, 1e6)
        covered += answer.slope_low <= 0.01 <= answer.slope_high
    assert covered >= 0.85 * 200


def test_missing_values_are_skipped_and_long_series_thinned() -> None:
    times, values = line(count=5000)
    values[10:500] = np.nan
    values[600] = np.inf
    answer = found(times, values, values[-1] + 50.0)
    assert answer.samples <= MAX_SAMPLES
    assert answer.seconds == pytest.approx(100.0)


def test_too_little_says_nothing() -> None:
    assert exhaustion(*line(count=7), 1e3) is None
    assert exhaustion(np.full(20, T0), np.arange(20.0), 1e3) is None
    assert exhaustion(line()[0], np.full(60, np.nan), 1e3) is None
    assert exhaustion(line()[0], np.where(np.arange(60) >= 30, 1.7e308, -1.7e308), 1e3) is None


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="coverage"):
        exhaustion(*line(), 1e3, coverage=0.5)
    with pytest.raises(ValueError, match="limit"):
        exhaustion(*line(), float("nan"))

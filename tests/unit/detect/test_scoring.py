"""Recorded tables scored in one causal pass: single series rest after an alarm, several columns are judged as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.detect.rest import Rest
from aiops.detect.scoring import Profile, score_series, score_table

T0 = 1_700_000_000.0


def series(seed: int, size: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    times = T0 + 300.0 * np.arange(size)
    wave = 20.0 * np.sin(times / 86400.0 * 2 * np.pi)
    return times, 100.0 + wave + np.random.default_rng(seed).normal(0.0, 2.0, size)


@pytest.mark.parametrize("profile", list(Profile))
def test_a_fault_scores_highest_and_the_episode_is_one_alarm(profile: Profile) -> None:
    times, values = series(1)
    values[1500:1520] += 150.0
    scores = score_series([times], [values], profile=profile)[0]
    assert scores.shape == values.shape
    assert ((scores >= 0.0) & (scores <= 1.0)).all()
    assert int(scores[300:].argmax()) + 300 in range(1500, 1504)
    assert (scores[1504:1560] < scores[1500:1504].max()).all()
    assert np.count_nonzero(scores[1500:1560] > 0.5) <= 4


@pytest.mark.parametrize("profile", list(Profile))
def test_scores_depend_on_nothing_later_and_on_no_other_series(profile: Profile) -> None:
    (t1, a), (t2, b) = series(1, 1100), series(2, 400)
    together = score_series([t1, t2], [a, b], profile=profile)
    np.testing.assert_array_equal(together[0], score_series([t1], [a], profile=profile)[0])
    np.testing.assert_array_equal(together[1], score_series([t2], [b], profile=profile)[0])
    altered = a.copy()
    altered[1000:] = -1e9
    np.testing.assert_array_equal(score_series([t1], [altered], profile=profile)[0][:1000], together[0][:1000])
    table = np.stack([a, a[::-1]], axis=1)
    later = table.copy()
    later[1000:] = 1e300
    np.testing.assert_array_equal(score_table(later, profile=profile)[:1000], score_table(table, profile=profile)[:1000])


def test_a_seasonal_series_is_quiet_once_its_season_is_known() -> None:
    times, values = series(3, 4000)
    assert (score_series([times], [values])[0][2500:] < 0.5).all()


@pytest.mark.parametrize("profile", list(Profile))
def test_an_event_in_one_column_of_many_is_seen(profile: Profile) -> None:
    values = np.random.default_rng(4).normal(0.5, 0.05, (3000, 38))
    values[2500:2510, 7] = 5.0
    scores = score_table(values, profile=profile)
    assert int(scores.argmax()) in range(2500, 2510)
    assert scores[:2500][100:].max() < scores[2503]


def test_the_forest_sees_what_is_unusual_only_in_company() -> None:
    load = np.random.default_rng(6).choice([0.2, 0.8], 3000)
    values = np.stack([load, load, load], axis=1) + np.random.default_rng(7).normal(0.0, 0.01, (3000, 3))
    values[2500:2510] = [0.8, 0.2, 0.2]
    plain, joined = (score_table(values, profile=p) for p in (Profile.FLEET, Profile.FOCUS))
    assert (joined[100:] > joined[2500:2510].max() - 1e-12).sum() == 1
    assert plain[100:2500].max() > plain[2500:2510].max()


def test_a_share_that_moves_by_a_thousandth_is_not_loud() -> None:
    values = np.zeros((400, 3))
    values[300, 0] = 0.001
    shares, counts = score_table(values), score_table(values + 7.0)
    assert shares[300] < 0.1 < counts[300]


def test_odd_tables_have_finite_scores() -> None:
    values = np.random.default_rng(5).normal(size=(300, 4))
    values[:, 1] = np.nan
    values[50:60, 2] = [np.inf, -np.inf, 1e300, -1e300, 5e-324, np.nan, 0.0, 1e308, -1e308, 1.0]
    values[:, 3] = 7.0
    for scores in (score_table(values), score_table(values, profile=Profile.FOCUS), score_table(values[:, :1]), *score_series([T0 + np.arange(300.0)] * 4, list(values.T))):
        assert np.isfinite(scores).all()
        assert ((scores >= 0.0) & (scores <= 1.0)).all()
    assert score_series([np.empty(0)], [np.empty(0)])[0].shape == (0,)
    assert score_series([], []) == []


def test_rest_lets_pass_what_exceeds_the_recent_past() -> None:
    rest, row = Rest(), np.array([0], dtype=np.int64)
    seen = [float(rest.rested(row, np.array([v]))[0]) for v in (1.0, 0.5, 2.0, 2.0)]
    assert seen == [1.0, 0.0, 2.0, 0.0]
    after = [float(rest.rested(row, np.array([0.1]))[0]) for _ in range(75)]
    assert after == [0.0] * 75
    # Greater than the last 60, not than the last 300.
    assert float(rest.rested(row, np.array([1.5]))[0]) == 0.75
    assert float(rest.rested(row, np.array([3.0]))[0]) == 3.0
    assert float(rest.rested(row, np.array([np.nan]))[0]) == 0.0

"""Divergences against scipy, their law without drift, and the detector."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from aiops.detect import divergence as dv
from aiops.detect.drift import Drift

ROW = np.array([0], dtype=np.int64)
EVERY = 15.0


def shares(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(10), 5)


def test_they_agree_with_scipy() -> None:
    p, q = shares(1), shares(2)
    np.testing.assert_allclose(dv.divergence("kl", p, q), stats.entropy(q, p, axis=1))
    np.testing.assert_allclose(dv.divergence("js", p, q), jensenshannon(p, q, base=2.0, axis=1) ** 2)
    np.testing.assert_allclose(dv.divergence("psi", p, q), stats.entropy(q, p, axis=1) + stats.entropy(p, q, axis=1))


def test_equal_shares_do_not_differ() -> None:
    for method in dv.METHODS:
        np.testing.assert_array_equal(dv.divergence(method, shares(1), shares(1)), 0.0)


def test_bins_hold_equal_shares_of_the_reference() -> None:
    reference = np.random.default_rng(3).normal(size=(2, 1000))
    found = dv.bin_shares(reference, dv.quantile_edges(reference, 10))
    np.testing.assert_allclose(found, 0.1, atol=1e-12)


def test_missing_values_are_skipped_and_infinite_ones_lie_outside() -> None:
    reference = np.array([[1.0, 2.0, 3.0, 4.0, np.nan, np.nan]])
    edges = dv.quantile_edges(reference, 2)
    assert edges[0, 0] == 2.0
    np.testing.assert_allclose(dv.bin_shares(np.array([[np.inf, np.inf, -np.inf, np.nan]]), edges), [[1.5 / 4, 2.5 / 4]])


def test_a_constant_reference_sees_a_change_to_either_side() -> None:
    constant = np.full(200, 5.0)
    chance = dv.chance_level("psi", 10, np.array([200.0]), np.array([50.0]))[0]
    assert dv.compare("psi", constant, np.full(50, 5.0)) < chance
    for other in (4.0, 6.0):
        assert dv.compare("psi", constant, np.full(50, other)) > chance


def test_one_huge_value_does_not_hide_a_shift() -> None:
    generator = np.random.default_rng(3)
    reference, current = generator.normal(size=1000), generator.normal(1.0, 1.0, 1000)
    plain = dv.compare("psi", reference, current)
    assert dv.compare("psi", np.append(reference, 1e4), current) == pytest.approx(plain, rel=0.05)


def test_nothing_to_compare_is_nan_and_unknown_methods_are_named() -> None:
    assert math.isnan(dv.compare("psi", np.empty(0), np.ones(5)))
    assert math.isnan(dv.compare("psi", np.ones(5), np.full(5, np.nan)))
    with pytest.raises(ValueError, match="allowed: psi, kl, js"):
        dv.compare("ks", np.ones(5), np.ones(5))


@pytest.mark.parametrize("method", dv.METHODS)
@pytest.mark.parametrize("size", [40, 200])
def test_chance_rarely_reaches_the_chance_level(method: str, size: int) -> None:
    generator = np.random.default_rng(11)
    reference, current = generator.normal(size=(4000, 500)), generator.normal(size=(4000, size))
    edges = dv.quantile_edges(reference, 10)
    found = dv.divergence(method, dv.bin_shares(reference, edges), dv.bin_shares(current, edges))
    level = dv.chance_level(method, 10, np.full(1, 500.0), np.full(1, float(size)))
    # One in a thousand is meant; the law is asymptotic, so three are let pass.
    assert np.mean(found > level) <= 0.003


def test_autocorrelated_samples_are_worth_fewer() -> None:
    generator = np.random.default_rng(5)
    steps = generator.normal(size=(20, 2000))
    series = np.zeros((20, 2000))
    for i in range(1, 2000):
        series[:, i] = 0.9 * series[:, i - 1] + steps[:, i]
    assert dv.autocorrelation(series).mean() == pytest.approx(0.9, abs=0.02)
    assert dv.autocorrelation(steps).mean() == pytest.approx(0.01, abs=0.03)
    np.testing.assert_allclose(dv.effective(np.array([1900]), np.array([0.9])), [100.0])
    assert list(dv.autocorrelation(np.full((1, 10), 3.0))) == [0.0]


def alarms(values: np.ndarray, **parameters: object) -> tuple[list[int], list[int]]:
    """Polls at which it warned, and at which it called it critical."""
    detector = Drift(reference=3600.0, window=900.0, **parameters)  # type: ignore[arg-type]
    seen = [detector.score_and_learn(ROW, np.array([EVERY * i]), np.array([v])) for i, v in enumerate(values)]
    return [i for i, s in enumerate(seen) if s.breach[0]], [i for i, s in enumerate(seen) if s.critical[0]]


@pytest.mark.parametrize("method", dv.METHODS)
def test_a_lasting_shift_is_found_and_is_usual_at_last(method: str) -> None:
    generator = np.random.default_rng(1)
    values = np.concatenate([generator.normal(0.0, 1.0, 500), generator.normal(3.0, 1.0, 600)])
    levels = {"psi": (0.1, 0.25), "kl": (0.05, 0.125), "js": (0.02, 0.05)}[method]
    warned, critical = alarms(values, method=method, warning=levels[0], critical=levels[1])
    assert warned
    assert 500 < warned[0] < 560
    assert critical
    assert warned[-1] < 500 + (3600 + 900) / EVERY


def test_a_wider_spread_at_the_same_mean_is_found() -> None:
    generator = np.random.default_rng(1)
    assert alarms(np.concatenate([generator.normal(0.0, 1.0, 500), generator.normal(0.0, 4.0, 100)]))[0]


def test_no_drift_no_alarm_also_when_samples_hang_together() -> None:
    generator = np.random.default_rng(8)
    independent = generator.normal(size=4000)
    chained = np.zeros(4000)
    for i in range(1, 4000):
        chained[i] = 0.9 * chained[i - 1] + generator.normal()
    assert alarms(independent)[0] == []
    assert len(alarms(chained)[0]) < 0.01 * 4000


def test_it_is_silent_until_it_has_a_reference() -> None:
    values = np.concatenate([np.zeros(60), np.full(60, 9.0)])
    assert alarms(values)[0] == []


@pytest.mark.parametrize("parameters", [{"method": "ks"}, {"warning": 0.5, "critical": 0.1}, {"window": 9000.0}, {"bins": 1}])
def test_parameters_that_contradict_each_other_are_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="drift"):
        Drift(**parameters)  # type: ignore[arg-type]

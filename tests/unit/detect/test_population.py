"""Batches against a reference: what is counted, what chance explains, and what is made of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal, stats

from aiops.detect.feature_drift import Drifted, Levels, judge, overall
from aiops.detect.no_drift_law import Law, holm, p_values, statistic
from aiops.detect.population import MISSING, NEW, OTHER, CategoricalReference, Measured, NumericReference


def autocorrelated(generator: np.random.Generator, size: int, correlation: float) -> np.ndarray:
    noise = generator.normal(size=size + 500) * np.sqrt(1 - correlation**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -correlation], noise)[500:])


def verdict(measured: Measured) -> Drifted:
    return judge({"x": measured}, Levels())["x"].verdict


def test_the_statistic_is_pearsons() -> None:
    first, second = np.array([40, 30, 30]), np.array([5, 10, 12])
    expected = stats.chi2_contingency(np.stack([first, second]), correction=False)
    value, freedom = statistic(np.stack([first, first]), np.stack([second, first]))
    assert value == pytest.approx([expected.statistic, 0.0])
    assert freedom.tolist() == [2, 2]
    assert statistic(np.array([[3, 0, 1]]), np.array([[1, 0, 1]]))[1] == [1]


@pytest.mark.parametrize(("correlation", "reference", "batch"), [(0.0, 1000, 60), (0.0, 5000, 200), (0.9, 1000, 200), (0.9, 5000, 500), (0.98, 5000, 500)])
def test_chance_alone_is_called_drift_seldom(correlation: float, reference: int, batch: int) -> None:
    generator = np.random.default_rng(5)
    found = []
    for _ in range(200):
        values = autocorrelated(generator, reference + batch, correlation)
        found.append(NumericReference(values[:reference]).measure(values[reference:]))
    # 0.1 % is asked for; of 200 trials six are let pass, since the law of so short a reference is itself an estimate.
    assert sum(verdict(m) is not Drifted.NONE for m in found) <= 6
    assert np.mean([m.p < 0.05 for m in found]) < 0.15


def test_of_many_features_without_drift_none_is_named() -> None:
    generator = np.random.default_rng(2)
    features = {str(i): NumericReference(generator.normal(size=2000)).measure(generator.normal(size=60)) for i in range(200)}
    assert sum(m.psi > 0.1 for m in features.values()) > 100
    assert overall([j.verdict for j in judge(features, Levels()).values()]) is Drifted.NONE


def test_a_shift_of_half_a_deviation_is_seen_in_two_hundred_rows() -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        assert verdict(NumericReference(generator.normal(size=5000)).measure(generator.normal(0.5, 1.0, 200))) is not Drifted.NONE


def test_a_small_shift_is_seen_sooner_by_ranks_than_by_bins() -> None:
    generator = np.random.default_rng(10)
    by_ranks = by_bins = 0
    for _ in range(100):
        reference, batch = generator.normal(size=720), generator.normal(0.5, 1.0, 120)
        plain = NumericReference(reference)
        by_ranks += plain.measure(batch).p < 1e-4
        by_bins += stats.chi2.sf(*statistic(plain.counts[None, :], plain.count(batch)[None, :]))[0] < 1e-4
    assert by_ranks > by_bins + 10


def test_ranks_of_independent_rows_are_wilcoxons() -> None:
    generator = np.random.default_rng(11)
    before, now = generator.integers(0, 10, 2000), generator.integers(0, 10, 400) + (generator.random(400) < 0.1)
    counts = [np.bincount(places, minlength=11) for places in (before, now)]
    # The chi-square part is out of the way: as if learned from windows that vary wildly.
    found = p_values(counts[0][None, :], counts[1][None, :], [Law(1e6, 10.0, 4, 1.0, ordered=11)])[0] / 2.0
    assert np.log(found) == pytest.approx(np.log(stats.mannwhitneyu(before, now, method="asymptotic").pvalue), rel=0.15)


def test_memory_makes_a_shift_count_for_less() -> None:
    values = autocorrelated(np.random.default_rng(12), 5200, 0.9)
    shuffled = np.random.default_rng(13).permutation(values[:5000])
    batch = values[5000:] + 0.7
    chained, independent = NumericReference(values[:5000]), NumericReference(shuffled)
    assert 10.0 < chained._law.inflation < 30.0
    assert independent._law.inflation < 1.5
    assert chained.measure(batch).p > 1e3 * independent.measure(batch).p


def test_a_whole_deviation_is_critical_and_a_hair_in_many_rows_does_not_matter() -> None:
    generator = np.random.default_rng(4)
    reference = NumericReference(generator.normal(size=100_000))
    assert verdict(reference.measure(generator.normal(1.0, 1.0, 10_000))) is Drifted.CRITICAL
    hair = reference.measure(generator.normal(0.1, 1.0, 10_000))
    assert hair.p < 1e-6
    assert judge({"x": hair}, Levels())["x"] == type(judge({"x": hair}, Levels())["x"])(Drifted.NONE, "TooSmallToMatter")


def test_too_few_rows_are_no_verdict() -> None:
    generator = np.random.default_rng(6)
    few, little = NumericReference(generator.normal(size=1000)).measure(np.full(49, 9.0)), NumericReference(generator.normal(size=99)).measure(np.full(500, 9.0))
    assert verdict(few) is verdict(little) is Drifted.TOO_FEW
    assert overall([Drifted.TOO_FEW, Drifted.TOO_FEW]) is Drifted.TOO_FEW
    assert overall([Drifted.TOO_FEW, Drifted.NONE]) is Drifted.NONE


def test_bins_are_the_references_and_one_wild_value_moves_none() -> None:
    generator = np.random.default_rng(7)
    values = generator.normal(size=2000)
    plain, wild = NumericReference(values), NumericReference(np.append(values, 1e300))
    batch = generator.normal(1.0, 1.0, 500)
    assert wild.measure(batch).psi == pytest.approx(plain.measure(batch).psi, rel=0.02)
    assert plain.measure(np.append(batch, 1e300)).psi == pytest.approx(plain.measure(batch).psi, rel=0.02)
    assert sum(plain.measure(batch).reference) == 2000


def test_what_is_missing_has_a_bin_and_infinity_lies_outside() -> None:
    values = np.random.default_rng(8).normal(size=1000)
    reference = NumericReference(values)
    some = reference.measure(np.concatenate([values[:500], np.full(500, np.nan)]))
    assert some.bins[-1] == MISSING
    assert some.current[-1] == 500
    assert verdict(some) is Drifted.CRITICAL
    assert MISSING not in reference.measure(values).bins
    counts = reference.count(np.array([np.inf, -np.inf, np.nan, 5e-324, 1e308]))
    assert (counts[0], counts[-2], counts[-1], counts.sum()) == (1, 2, 1, 5)


def test_ties_and_constants() -> None:
    constant = NumericReference(np.full(500, 3.0))
    assert constant.measure(np.full(100, 3.0)).p == 1.0
    for other in (2.0, 4.0):
        assert verdict(constant.measure(np.full(100, other))) is Drifted.CRITICAL
    mostly = NumericReference(np.array([0.0] * 900 + [1.0] * 100 * 1)[np.random.default_rng(1).permutation(1000)])
    assert verdict(mostly.measure(np.array([0.0] * 450 + [1.0] * 50))) is Drifted.NONE
    assert verdict(mostly.measure(np.array([0.0] * 250 + [1.0] * 250))) is Drifted.CRITICAL
    with pytest.raises(ValueError, match="not one number"):
        NumericReference(np.full(5, np.nan))


def test_categories_new_rare_and_missing() -> None:
    generator = np.random.default_rng(9)
    names = [str(n) for n in generator.choice(["de", "fr", "us"], p=[0.5, 0.3, 0.2], size=2000)]
    reference = CategoricalReference(names)
    assert verdict(reference.measure(names[:500])) is Drifted.NONE
    new = reference.measure([*names[:250], *["jp"] * 250])
    assert new.current[new.bins.index(NEW)] == 250
    assert verdict(new) is Drifted.CRITICAL
    assert verdict(reference.measure([*names[:300], *[None] * 200])) is Drifted.CRITICAL
    many = CategoricalReference([f"n{i % 80}" for i in range(8000)])
    assert len(many.counts) == 53
    assert many.measure([f"n{i % 80}" for i in range(800)]).bins[50] == OTHER
    assert verdict(many.measure([f"n{i % 80}" for i in range(800)])) is Drifted.NONE


def test_holm_corrects_for_the_number_of_looks() -> None:
    assert list(holm(np.array([0.004, 0.02, np.nan, 0.012]), 0.05)) == [True, True, False, True]
    assert list(holm(np.array([0.02, 0.03]), 0.05)) == [True, True]
    assert list(holm(np.array([0.03, 0.04]), 0.05)) == [False, False]
    assert list(holm(np.empty(0), 0.05)) == []

"""Divergences against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from aiops.detect import divergence as dv


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
    assert dv.compare("psi", constant, np.full(50, 5.0)) < 0.1
    for other in (4.0, 6.0):
        assert dv.compare("psi", constant, np.full(50, other)) > 0.25


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

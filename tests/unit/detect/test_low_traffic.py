"""Few events: chance is told from fault by exact tails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom, poisson

from aiops.detect.low_traffic import CHANCE, KNOWN_FROM, unlikely_count, unlikely_share


@pytest.mark.parametrize(("value", "expected"), [(3.0, 1.0), (6.0, 1.0), (9.0, 1.0), (0.0, 5.0), (0.0, 9.0), (40.0, 20.0), (50.0, 20.0)])
def test_counts_have_a_poisson_tail(value: float, expected: float) -> None:
    tail = poisson.sf(value - 1, expected) if value > expected else poisson.cdf(value, expected)
    assert unlikely_count(np.array([value]), np.array([expected])).tolist() == [tail < CHANCE]


@pytest.mark.parametrize(("hits", "total", "share"), [(2, 3, 0.3), (2, 3, 0.01), (4, 30, 0.02), (8, 30, 0.02), (20, 30, 0.02), (0, 20, 0.2), (0, 50, 0.2)])
def test_shares_have_a_beta_binomial_tail(hits: int, total: int, share: float) -> None:
    law = betabinom(total, share * KNOWN_FROM, (1 - share) * KNOWN_FROM)
    tail = law.sf(hits - 1) if hits / total > share else law.cdf(hits)
    assert unlikely_share(np.array([hits / total]), np.array([share]), np.array([float(total)])).tolist() == [tail < CHANCE]


def test_a_single_event_where_there_never_was_one_proves_nothing() -> None:
    assert unlikely_count(np.array([1.0, 2.0, 3.0]), np.zeros(3)).tolist() == [False, False, True]
    assert unlikely_share(np.array([0.1, 0.3]), np.zeros(2), np.array([10.0, 10.0])).tolist() == [False, True]


def test_many_events_and_unknown_expectations_pass() -> None:
    assert unlikely_count(np.array([1e5, 5.0, 1e300]), np.array([1e5, np.nan, 2.0])).all()
    assert unlikely_share(np.array([0.1, 0.5]), np.array([0.1, np.nan]), np.array([1e6, 3.0])).all()

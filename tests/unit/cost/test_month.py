"""Month to date, forecast to its end, budgets."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.cost.month import Burn, budget_state, month_named, month_of, outlook
from aiops.domain.errors import CommandError

NOVEMBER = month_named("2026-11")


def hourly(hours: int, seed: int = 0, level: float = 30.0) -> np.ndarray:
    """A day's and a week's shape with noise and a slow drift."""
    chance = np.random.default_rng(seed)
    at = np.arange(hours)
    drift = np.cumsum(chance.normal(0, 0.02, hours))
    return np.maximum(level * (1 + 0.2 * np.sin(2 * np.pi * at / 24)) * (1 - 0.15 * ((at // 24) % 7 >= 5)) + drift + chance.normal(0, 1, hours), 0)


def all_seen(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values), dtype=bool)


def test_months():
    assert NOVEMBER.days == 30
    assert month_of(NOVEMBER.end).name == "2026-12"
    with pytest.raises(CommandError, match="2026-11"):
        month_named("11/2026")


def test_a_flat_month_is_known_at_once():
    values = np.full(10 * 24, 2.0)
    seen = outlook(NOVEMBER.start, 3600.0, values, all_seen(values), NOVEMBER)
    assert seen.spent == pytest.approx(480.0)
    assert seen.daily == pytest.approx(np.full(10, 48.0))
    assert [seen.mean, seen.low, seen.high] == pytest.approx([1440.0, 1440.0, 1440.0])
    assert seen.ahead[-1] == pytest.approx(NOVEMBER.end)


def test_the_interval_holds_the_truth_about_nine_times_in_ten():
    held = []
    for seed in range(30):
        whole = hourly(30 * 24 + 60 * 24, seed)
        start = NOVEMBER.start - 60 * 86400
        past = whole[: (60 + 12) * 24]
        seen = outlook(start, 3600.0, past, all_seen(past), NOVEMBER)
        truth = whole[60 * 24 :].sum()
        assert seen.low is not None
        assert seen.high is not None
        assert seen.low <= seen.mean <= seen.high
        assert abs(seen.mean - truth) < 0.05 * truth
        held.append(seen.low <= truth <= seen.high)
    assert np.mean(held) >= 0.9


def test_gaps_are_filled_and_told():
    values = hourly(20 * 24, 3)
    seen = all_seen(values)
    seen[100:124] = False
    broken = np.where(seen, values, 0.0)
    found = outlook(NOVEMBER.start, 3600.0, broken, seen, NOVEMBER)
    assert found.observed == pytest.approx(1 - 24 / 480)
    assert found.spent == pytest.approx(values.sum(), rel=0.03)


def test_too_little_past_gives_the_pace_and_no_interval():
    values = np.full(3 * 24, 3.0)
    seen = outlook(NOVEMBER.start, 3600.0, values, all_seen(values), NOVEMBER)
    assert seen.mean == pytest.approx(3.0 * 720)
    assert (seen.low, seen.high) == (None, None)


def test_a_month_that_is_over_has_no_forecast_and_one_without_data_is_refused():
    values = hourly(40 * 24, 1)
    seen = outlook(NOVEMBER.start, 3600.0, values, all_seen(values), NOVEMBER)
    assert seen.spent == seen.mean == seen.low == seen.high == pytest.approx(values[: 30 * 24].sum())
    with pytest.raises(CommandError, match="nothing is known"):
        outlook(NOVEMBER.start, 3600.0, values, all_seen(values), month_named("2027-03"))


@pytest.mark.parametrize(
    ("monthly", "burn"),
    [(1e6, Burn.FINE), (23_400.0, Burn.POSSIBLE), (23_000.0, Burn.LIKELY), (20_000.0, Burn.CERTAIN), (5_000.0, Burn.OVER)],
)
def test_budgets(monthly, burn):
    values = hourly(72 * 24, 5, level=33.0)
    seen = outlook(NOVEMBER.start - 60 * 86400, 3600.0, values, all_seen(values), NOVEMBER)
    state = budget_state("all", monthly, seen)
    assert state.burn is burn, (seen.low, seen.mean, seen.high)
    assert (state.used_up is None) == (burn in (Burn.FINE, Burn.POSSIBLE))


def test_a_sudden_rise_burns_fast_before_the_forecast_is_over():
    values = np.concatenate([np.full(9 * 24, 10.0), np.full(24, 80.0)])
    seen = outlook(NOVEMBER.start, 3600.0, values, all_seen(values), NOVEMBER)
    state = budget_state("all", 25_000.0, seen)
    assert state.burn_day == pytest.approx(24 * 80 / (25_000 / 30))
    assert state.burn in (Burn.FAST, Burn.LIKELY, Burn.CERTAIN)


def test_more_spent_is_never_a_better_state():
    order = list(Burn)
    values = hourly(10 * 24, 2)
    states = [budget_state("all", 25_000.0, outlook(NOVEMBER.start, 3600.0, values * f, all_seen(values), NOVEMBER)) for f in (0.5, 1.0, 1.5, 2.0, 5.0)]
    ranks = [order.index(s.burn) for s in states]
    assert ranks == sorted(ranks)

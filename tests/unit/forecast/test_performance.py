"""Knee, trends, releases, availability, on made-up data whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.forecast.knee import knee_of, without_drift
from aiops.forecast.performance import DAY, Verdict, availability, outages_of, regression, trend


def mmc(load: np.ndarray, servers: int, rate: float) -> np.ndarray:
    """Mean time in an M/M/c system (Erlang's C)."""
    found = []
    for arrivals in load:
        offered = arrivals / rate
        u = offered / servers
        last = offered**servers / math.factorial(servers) / (1 - u)
        wait = last / (sum(offered**k / math.factorial(k) for k in range(servers)) + last)
        found.append(1 / rate + wait / (servers * rate - arrivals))
    return np.array(found)


@pytest.mark.parametrize(("servers", "reached"), [(1, 0.8), (2, 0.85), (4, 0.85), (8, 0.9), (16, 0.96)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_capacity_of_a_queue_is_found_within_a_tenth(servers, reached, seed):
    rate, chance = 10.0, np.random.default_rng(seed)
    capacity = servers * rate
    load = chance.uniform(0.05, reached, 600) * capacity
    seen = mmc(load, servers, rate) * chance.lognormal(0, 0.1, len(load))
    found = knee_of(load, seen, objective=0.5)
    assert found is not None
    assert found.bent
    assert abs(found.capacity / capacity - 1) < 0.10, found
    assert found.capacity_low <= found.capacity <= found.capacity_high
    truth = next(x for x in np.linspace(0.3, 0.9999, 5000) * capacity if mmc(np.array([x]), servers, rate)[0] > 0.5)
    assert found.breaks is not None
    assert abs(found.breaks / truth - 1) < 0.10
    assert found.room == pytest.approx(found.breaks / found.highest - 1)


def test_a_curve_that_has_not_bent_yet_says_so():
    chance = np.random.default_rng(3)
    load = chance.uniform(1, 20, 400)
    found = knee_of(load, 0.1 * chance.lognormal(0, 0.05, 400))
    assert found is not None
    assert not found.bent


def test_a_service_that_becomes_slower_by_itself_has_no_knee_by_that():
    t, chance = np.arange(0, 20 * DAY, 900.0), np.random.default_rng(4)
    load = 50 * (1 + 0.4 * np.sin(2 * np.pi * t / DAY)) * (1 + 0.3 * t / t[-1])
    slower = 0.2 * (1 + t / t[-1]) * chance.lognormal(0, 0.05, len(t))
    raw = knee_of(load, slower)
    assert raw is not None
    assert raw.bent  # the busiest hours are the latest
    found = knee_of(load, without_drift(t, load, slower))
    assert found is not None
    assert not found.bent


def test_taking_the_drift_away_leaves_the_knee():
    t, chance = np.arange(0, 20 * DAY, 900.0), np.random.default_rng(4)
    load = 55 * (1 + 0.5 * np.sin(2 * np.pi * t / DAY)) * chance.lognormal(0, 0.03, len(t))
    seen = mmc(np.minimum(load, 97), 1, 100.0) * (1 + t / t[-1]) * chance.lognormal(0, 0.05, len(t))
    found = knee_of(load, without_drift(t, load, seen))
    assert found is not None
    assert found.bent
    assert abs(found.capacity / 100 - 1) < 0.1


def test_many_servers_hide_their_bend_and_that_is_told():
    chance = np.random.default_rng(1)
    load = chance.uniform(0.05, 0.8, 600) * 160
    found = knee_of(load, mmc(load, 16, 10.0) * chance.lognormal(0, 0.1, 600))
    assert found is not None
    assert not found.bent


def test_the_objective_may_be_broken_when_idle_and_little_is_nothing():
    load = np.linspace(1, 90, 200)
    found = knee_of(load, mmc(load, 1, 100.0), objective=0.001)
    assert found is not None
    assert (found.breaks, found.room) == (None, None)
    assert knee_of(load[:5], load[:5]) is None
    assert knee_of(np.full(50, 3.0), np.ones(50)) is None
    assert knee_of(np.full(50, np.nan), np.ones(50)) is None


def hours(days: int) -> np.ndarray:
    return np.arange(days * 24) * 3600.0


def test_trends_and_when_they_break_the_objective():
    t, chance = hours(21), np.random.default_rng(1)
    daily = 0.05 * np.sin(2 * np.pi * t / DAY)
    rising = trend(t, 0.3 + 0.01 * t / DAY + daily + chance.normal(0, 0.01, len(t)), 0.7)
    assert rising is not None
    assert rising.heading == "worse"
    assert rising.slope == pytest.approx(0.01, rel=0.1)
    assert rising.breaks == pytest.approx((0.7 - rising.level) / rising.slope)
    steady = trend(t, 0.3 + daily + chance.normal(0, 0.02, len(t)))
    assert steady is not None
    assert steady.heading == "steady"
    falling = trend(t, 0.9995 - 0.0001 * t / DAY, 0.995, rising_is_worse=False)
    assert falling is not None
    assert falling.heading == "worse"
    assert trend(t[:3], t[:3]) is None


@pytest.mark.parametrize(("times", "verdict"), [(1.0, Verdict.SAME), (1.3, Verdict.WORSE), (0.7, Verdict.BETTER), (1.02, Verdict.SAME)])
def test_a_release(times, verdict):
    t = np.arange(0, 8 * DAY, 300.0)
    chance = np.random.default_rng(5)
    usual = 0.2 * (1 + 0.3 * np.sin(2 * np.pi * t / DAY)) * chance.lognormal(0, 0.1, len(t))
    released = 7.3 * DAY
    found = regression(t, np.where(t >= released, usual * times, usual), released)
    assert found.verdict is verdict, found
    assert found.ratio == pytest.approx(times, rel=0.05)
    assert found.ratio_low <= found.ratio <= found.ratio_high


def test_a_release_just_made_is_not_judged():
    t = np.arange(0, DAY, 300.0)
    assert regression(t, np.ones(len(t)), DAY - 600).verdict is Verdict.UNKNOWN


def test_no_release_is_rarely_one():
    t = np.arange(0, 8 * DAY, 600.0)
    worse = 0
    for seed in range(6):
        chance = np.random.default_rng(seed)
        noise = np.zeros(len(t))
        for i in range(1, len(t)):
            noise[i] = 0.8 * noise[i - 1] + chance.normal(0, 0.05)
        worse += regression(t, 0.2 * np.exp(noise), 7.2 * DAY).verdict in (Verdict.WORSE, Verdict.BETTER)
    assert worse <= 1


def test_availability_counts_overlaps_once_and_within_the_month_only():
    month = 30 * DAY
    found = availability([(-100.0, 60.0), (50.0, 120.0), (500.0, 600.0), (month + 1, month + 5)], 0.0, month, 0.999)
    assert (found.lost, found.outages) == (220.0, 2)
    assert found.budget == pytest.approx(month * 0.001)
    assert found.met
    assert found.left == pytest.approx(2592.0 - 220.0)
    half = availability([(0.0, 2000.0)], 0.0, month / 2, 0.999, whole=month)
    assert half.budget == pytest.approx(2592.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 150), st.floats(0, 60))), st.floats(0.5, 0.9999))
def test_more_outages_are_never_better(spans, promised):
    outages = [(a, a + length) for a, length in spans]
    before, after = (availability(o, 0.0, 100.0, promised) for o in (outages[:-1], outages))
    assert 0.0 <= before.lost <= after.lost + 1e-9 <= 100.0 + 2e-9
    assert after.share <= before.share + 1e-12


def test_outages_of_a_success_rate():
    found = outages_of(np.array([60.0, 120.0, 180.0, 240.0]), np.array([1.0, 0.4, np.nan, 0.95]), 0.95, 60.0)
    assert found == ((60.0, 120.0),)

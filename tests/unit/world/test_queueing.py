"""The queue against closed forms and tabled values, and against a simulation request by request."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from tests.testbed.world.queueing import BOUNDS, erlang_c, shares, steady


def test_one_server_waits_with_the_probability_that_it_is_busy() -> None:
    for rho in (0.1, 0.5, 0.9):
        assert erlang_c(1, rho) == pytest.approx(rho)


def test_tabled_values() -> None:
    # Two servers at one Erlang: 1/3 exactly; ten at eight: 0.4092 (tables of the Erlang C formula).
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(10, 8.0) == pytest.approx(0.4092, abs=5e-5)


def test_one_server_takes_exponential_time() -> None:
    queue = steady(5.0, 1, 10.0)
    spread, late = shares(queue, 0.0, 2.0)
    within = np.cumsum(spread)[:-1]
    assert within == pytest.approx([1 - math.exp(-5.0 * bound) for bound in BOUNDS], abs=1e-9)
    assert late == pytest.approx(math.exp(-10.0), rel=1e-6)
    assert queue.wait == pytest.approx(0.5 / 5.0)
    assert queue.length == pytest.approx(5.0 * queue.wait), "Little's law"


def test_backlog_moves_the_whole_distribution() -> None:
    queue = steady(5.0, 4, 10.0)
    spread, _ = shares(queue, 1.0, 30.0)
    assert spread[: BOUNDS.index(1.0) + 1].sum() == 0.0
    assert spread.sum() == pytest.approx(1.0)


def test_distribution_agrees_with_requests_one_by_one() -> None:
    """First come, first served by four servers, 200,000 requests."""
    random = np.random.default_rng(1)
    servers, rate, service = 4, 30.0, 10.0
    arrivals = np.cumsum(random.exponential(1 / rate, 200_000))
    services = random.exponential(1 / service, len(arrivals))
    free = [0.0] * servers
    times = np.empty(len(arrivals))
    for index, (arrival, need) in enumerate(zip(arrivals, services, strict=True)):
        begin = max(arrival, heapq.heappop(free))
        heapq.heappush(free, begin + need)
        times[index] = begin + need - arrival
    seen = [(times <= bound).mean() for bound in BOUNDS]
    spread, _ = shares(steady(rate, servers, service), 0.0, 30.0)
    assert np.cumsum(spread)[:-1] == pytest.approx(seen, abs=0.01)

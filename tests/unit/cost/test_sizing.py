"""How much is enough: never below what was used, and more use never gives less."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aiops.cost.packing import pack, tiers_for
from aiops.cost.sizing import SizingPolicy, nodes_for, replica_bounds, reserve, right_size, within
from aiops.domain.prices import NodeType, Purchase

USED = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 500))
FAST = settings(max_examples=80, deadline=None)


@FAST
@given(USED, USED, st.floats(0, 64))
def test_requests_are_never_below_what_was_used_nor_below_what_ran_out_of_memory(cpu, memory, killed):
    size = right_size(cpu, memory, killed_at=killed)
    assert size is not None
    assert size.memory_limit >= size.memory_request >= max(memory.max(), killed)
    assert size.cpu_request >= np.percentile(cpu, 95, method="lower")


@FAST
@given(USED, st.floats(1.0, 3.0), st.floats(0, 10))
def test_more_use_never_gives_less(used, times, plus):
    less, more = (right_size(each, each) for each in (used, used * times + plus))
    assert less is not None
    assert more is not None
    assert more.cpu_request >= less.cpu_request
    assert more.memory_request >= less.memory_request
    before, after = (replica_bounds(each, 2.0) for each in (used, used * times + plus))
    assert before is not None
    assert after is not None
    assert after.minimum >= before.minimum
    assert after.maximum >= before.maximum


@FAST
@given(st.floats(0, 1e6), st.floats(0.1, 1e3), st.floats(0.1, 1.0), st.floats(0.1, 1.0))
def test_nodes_hold_the_demand_at_the_target_and_no_node_more(demand, node, one, other):
    low, high = sorted((one, other))
    count = nodes_for(demand, node, low)
    assert demand <= count * node * low * (1 + 1e-6) + 1e-6
    assert count == 1 or demand > (count - 1) * node * low * (1 - 1e-6)
    assert count >= nodes_for(demand, node, high)


def test_bounds_hold_the_peak():
    demand = np.array([2.0] * 90 + [13.0] * 10)
    found = replica_bounds(demand, 1.0)
    assert found is not None
    assert (found.minimum, found.maximum) == (4, 30)
    assert replica_bounds(np.array([np.nan]), 1.0) is None
    assert within(6.7, 10.0)
    assert not within(5.9, 10.0)


def test_nothing_known_is_no_size_and_nonsense_is_refused():
    assert right_size(np.array([np.nan]), np.array([1.0])) is None
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            nodes_for(bad, 4.0)


PODS = hnp.arrays(np.float64, st.tuples(st.integers(0, 40), st.just(3)), elements=st.floats(0, 4))


@FAST
@given(PODS, st.floats(0.5, 1.0))
def test_packed_nodes_hold_all_pods(pods, fill):
    capacity = (4.0, 4.0, 4.0)
    found = pack(pods, capacity, fill)
    assert found.unfit == 0
    assert found.least <= found.nodes <= len(pods)
    assert max(found.shares) <= 1.0 + 1e-9
    total = pods.sum(axis=0).max(initial=0.0)
    assert found.nodes * 4.0 >= total - 1e-6
    # On one resource first-fit decreasing needs at most 11/9 of the least possible and one.
    flat = np.zeros_like(pods)
    flat[:, 0] = pods[:, 0]
    one = pack(flat, capacity)
    assert one.nodes <= np.ceil(11 / 9 * max(one.least, int((flat[:, 0] > 2.0).sum()))) + 1


def test_a_known_packing_and_a_pod_that_fits_nowhere():
    pods = np.array([[3.0, 1, 0], [1, 1, 0], [2, 2, 0], [2, 2, 0], [9, 1, 0]])
    found = pack(pods, (4.0, 16.0, 0.0))
    assert (found.nodes, found.unfit) == (2, 1)
    assert pack(np.array([[1.0, 1.0, 1.0]]), (4.0, 16.0, 0.0)).unfit == 1  # no GPU there


def test_the_cheapest_tier_that_holds_them_all():
    small = NodeType("small", 2.0, 8.0, 0.0, {Purchase.ON_DEMAND: 0.1})
    large = NodeType("large", 8.0, 32.0, 0.0, {Purchase.ON_DEMAND: 0.3})
    pods = np.tile([1.0, 2.0, 0.0], (16, 1))
    assert [(f.tier, f.packed.nodes) for f in tiers_for(pods, [(small, 0.1), (large, 0.3)])] == [("large", 2), ("small", 8)]
    assert [f.tier for f in tiers_for(np.array([[4.0, 1.0, 0.0]]), [(small, 0.1), (large, 0.3)])] == ["large"]


def test_reserving_pays_for_nodes_that_run_long_enough():
    counts = np.array([4.0] * 60 + [10.0] * 40)
    assert reserve(counts, 0.63) == 4
    assert reserve(counts, 0.3) == 10
    assert reserve(counts, 1.0) == 0


def test_killed_at_a_limit_raises_it():
    size = right_size(np.array([0.1]), np.array([0.5]), SizingPolicy(), killed_at=1.0)
    assert size is not None
    assert size.memory_request == 1.25

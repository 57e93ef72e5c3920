"""Recommendations: what is found, what is left alone, and which runbook would do it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiops.app.check import load
from aiops.cost.advice import Advice, Kind, Risk, ranked
from aiops.cost.fleet_advice import NodePlan, fleet_advice
from aiops.cost.usage import Consumer, Pool, Resource, Usage
from aiops.cost.workload_advice import Replicas, Volume, volume_advice, workload_advice
from aiops.domain.prices import NodeType, PriceList, Purchase
from aiops.settings import Settings
from tests.unit.cost.shapes import prices

HOURS = 24 * 7


def one(cpu: float, memory: float, used_cpu: np.ndarray, used_memory: np.ndarray, *, pools: tuple[Pool, ...] = (), nodes: float = 0) -> Usage:
    flat = np.ones((1, HOURS))
    return Usage(
        0.0, 3600.0, (Consumer("shop", "Deployment/web"),), {Resource.CPU: flat * cpu, Resource.MEMORY: flat * memory},
        {Resource.CPU: used_cpu[None], Resource.MEMORY: used_memory[None]}, pools, np.full((len(pools), HOURS), nodes),
    )  # fmt: skip


def kinds(found: list[Advice]) -> list[Kind]:
    return [a.kind for a in found]


PODS = {("shop", "Deployment/web"): Replicas(np.full(HOURS, 4.0), {Resource.CPU: np.full(HOURS, 0.5), Resource.MEMORY: np.full(HOURS, 1.0)})}


def test_an_oversized_workload_gets_what_its_hottest_pod_needs():
    (found,) = workload_advice(one(8.0, 16.0, np.full(HOURS, 1.0), np.full(HOURS, 2.0)), prices(), PODS)
    assert found.kind is Kind.RIGHT_SIZE
    assert found.parameters == {"cpuRequest": "575m", "memoryRequest": "1229Mi", "memoryLimit": "1229Mi"}
    assert found.saving == pytest.approx(4 * ((2.0 - 0.575) * 0.03 + (4.0 - 1229 / 1024) * 0.004) * 730)
    assert found.risk is Risk.MEDIUM


def test_a_mean_over_several_pods_is_no_reason_to_take_anything_away():
    several = {("shop", "Deployment/web"): Replicas(np.full(HOURS, 4.0))}
    assert workload_advice(one(8.0, 16.0, np.full(HOURS, 1.0), np.full(HOURS, 2.0)), prices(), several) == []


def test_what_fits_or_is_too_young_is_left_alone():
    snug = {("shop", "Deployment/web"): Replicas(np.full(HOURS, 4.0), {Resource.CPU: np.full(HOURS, 1.7), Resource.MEMORY: np.full(HOURS, 3.3)})}
    assert workload_advice(one(8.0, 16.0, np.full(HOURS, 6.0), np.full(HOURS, 13.0)), prices(), snug) == []
    young = np.where(np.arange(HOURS) < HOURS - 24, np.nan, 0.0)
    assert workload_advice(one(8.0, 16.0, young, young), prices(), PODS) == []


def test_out_of_memory_raises_it_whatever_the_use_says():
    killed = {("shop", "Deployment/web"): replace(PODS["shop", "Deployment/web"], killed_at=4.0)}
    (found,) = workload_advice(one(2.5, 16.0, np.full(HOURS, 2.0), np.full(HOURS, 4.0)), prices(), killed)
    assert found.kind is Kind.RAISE_MEMORY
    assert found.parameters["memoryLimit"] == "5120Mi"
    assert found.saving < 0


def test_idle_is_told_and_not_sized():
    (found,) = workload_advice(one(8.0, 16.0, np.full(HOURS, 0.01), np.full(HOURS, 1.0)), prices(), PODS)
    assert (found.kind, found.runbook, found.parameters) == (Kind.IDLE, "scale-to", {"replicas": "0"})
    assert found.saving == pytest.approx((8 * 0.03 + 16 * 0.004) * 730)


def test_autoscaler_bounds_follow_its_history():
    demand = np.where(np.arange(HOURS) % 24 < 12, 1.0, 6.0)
    driven = {("shop", "Deployment/web"): replace(PODS["shop", "Deployment/web"], counts=np.full(HOURS, 8.0), autoscaled=True)}
    found = [a for a in workload_advice(one(8.0, 16.0, demand, np.full(HOURS, 9.0)), prices(), driven) if a.kind is Kind.REPLICAS]
    assert [a.then for a in found] == ["minimum 2, maximum 14"]


def test_volumes():
    held = [Volume("data", "old", 100.0, "fast", unmounted=20 * 86400.0), Volume("data", "used", 100.0)]
    (found,) = volume_advice(held, prices())
    assert found.saving == pytest.approx(14.6)
    assert found.risk is Risk.HIGH
    assert found.runbook == ""


BIG = (Pool("", "big"),)


@pytest.mark.parametrize(("used", "nodes", "then"), [(10.4, 4, None), (4.0, 10, "2 nodes"), (13.0, 4, "5 nodes")])
def test_node_counts(used, nodes, then):
    found = fleet_advice(one(8.0, 16.0, np.full(HOURS, used), np.full(HOURS, 4.0), pools=BIG, nodes=nodes), prices())
    assert [a.then for a in found if a.kind is Kind.NODES] == ([then] if then else [])


def test_requests_count_as_much_as_use():
    found = fleet_advice(one(12.0, 16.0, np.full(HOURS, 3.0), np.full(HOURS, 4.0), pools=BIG, nodes=10), prices())
    assert [a.then for a in found if a.kind is Kind.NODES] == ["3 nodes, as many as requests need"]


def test_one_odd_hour_does_not_buy_nodes_but_fits():
    used = np.full(HOURS, 10.4)
    used[5] = 39.0
    found = fleet_advice(one(8.0, 16.0, used, np.full(HOURS, 4.0), pools=BIG, nodes=14), prices())
    assert [a.then for a in found if a.kind is Kind.NODES] == ["10 nodes"]


def with_tiers() -> PriceList:
    told = prices()
    cloud = told.cloud()
    large = NodeType("large", 16.0, 64.0, 0.0, {Purchase.ON_DEMAND: 0.6})
    return replace(told, clouds={"house": replace(cloud, node_types={**cloud.node_types, "large": large})})


def test_consolidation_tiers_reserving_and_spot():
    pods = np.tile([1.0, 2.0, 0.0], (24, 1))
    plan = NodePlan(pods, np.arange(24) < 12)
    found = fleet_advice(one(24.0, 48.0, np.full(HOURS, 26.0), np.full(HOURS, 20.0), pools=BIG, nodes=10), with_tiers(), plan)
    by_kind = {a.kind: a for a in found}
    assert by_kind[Kind.CONSOLIDATE].then.startswith("8 nodes")
    assert by_kind[Kind.CONSOLIDATE].saving == pytest.approx(2 * 0.2 * 730)
    assert by_kind[Kind.TIER].then == "2 x large"
    assert by_kind[Kind.SPOT].then == "25% of the pods on 2 spot nodes"
    assert by_kind[Kind.RESERVE].then == "reserve 10"
    assert by_kind[Kind.RESERVE].saving == pytest.approx(10 * 0.2 * 0.25 * 730)


def test_every_runbook_that_is_named_is_shipped_and_takes_the_parameters():
    books = {r.name: r for r in load(Settings(rules=("rules",), runbooks=(str(Path("runbooks").resolve()),))).runbooks}
    for name, parameters in (("right-size", {"cpuRequest", "memoryRequest", "memoryLimit"}), ("scale-to", {"replicas"}), ("consolidate-node", set())):
        assert parameters <= set(books[name].parameters), name


def test_what_protects_stands_first():
    safe = Advice(Kind.RAISE_MEMORY, "b", "", "", -5.0, "", Risk.LOW, "")
    rich = Advice(Kind.IDLE, "a", "", "", 100.0, "", Risk.LOW, "")
    assert ranked([rich, safe]) == (safe, rich)

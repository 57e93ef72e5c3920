"""Recommendations for nodes: how many, of which type, paid for how. Neighbours: `packing`, `sizing`; `app.spending` brings pods and pools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.cost.advice import Advice, Kind, Risk
from aiops.cost.allocation import pool_hour
from aiops.cost.packing import pack, tiers_for
from aiops.cost.sizing import TARGET, TOLERANCE, nodes_for, reserve, within
from aiops.cost.usage import Pool, Resource, Usage
from aiops.domain.prices import HOURS_A_MONTH, PriceList, Purchase
from aiops.domain.series import Floats

FILL = 0.9
"""Of a node's capacity that requests may take when pods are packed anew: room for daemons and for a pod that comes."""
SPOT_SHARE = 0.5
"""Of a workload's pods that may run on spot nodes, where it says that it bears being interrupted: the others hold the service when spot is reclaimed."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """`pods` (n, 3): requests for CPU, memory, GPU of each pod that is to be placed; `tolerant` (n): whether it bears being interrupted."""

    pods: Floats
    tolerant: np.ndarray


def fleet_advice(usage: Usage, prices: PriceList, plan: NodePlan | None = None, target: float = TARGET, tolerance: float = TOLERANCE) -> list[Advice]:
    """Over all nodes of each cloud."""
    found: list[Advice] = []
    for i, pool in enumerate(usage.pools):
        counts = usage.nodes[i]
        if np.isfinite(counts).any():
            found += _reserved(pool, counts, prices)
    if len(usage.pools) == 1 and np.isfinite(usage.nodes).any():
        found += _count(usage, prices, target, tolerance)
        if plan is not None and len(plan.pods):
            found += _packed(usage, prices, plan)
    return found


def capacity_of(pool: Pool, prices: PriceList) -> tuple[float, float, float]:
    """Of one node: the price list's where it has the type."""
    node = prices.cloud(pool.cloud).node_types.get(pool.node_type)
    return (node.cpu, node.memory, node.gpu) if node else (pool.cpu, pool.memory, pool.gpu)


def _many(count: int, what: str = "node") -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _name(pool: Pool) -> str:
    return f"{pool.node_type or 'nodes'} ({pool.purchase.value})"


def _now(counts: Floats) -> int:
    return round(float(counts[np.isfinite(counts)][-1]))


def _count(usage: Usage, prices: PriceList, target: float, tolerance: float) -> list[Advice]:
    """By what is used at the peak; never fewer than what is requested needs."""
    pool, present = usage.pools[0], _now(usage.nodes[0])
    size = capacity_of(pool, prices)
    by_use, by_request, used = 1, 1, 0.0
    for resource, node in zip((Resource.CPU, Resource.MEMORY, Resource.GPU), size, strict=True):
        if node <= 0.0:
            continue
        each_step, asked = (np.nansum(v, axis=0) if (v := each.get(resource)) is not None and v.size else np.zeros(1) for each in (usage.used, usage.requested))
        # The target holds at P99 of the steps, since one odd hour does not buy nodes for the month; but that hour fits too.
        peak, most = float(np.percentile(each_step, 99)), float(each_step.max())
        by_use = max(by_use, nodes_for(peak, node, target), nodes_for(most, node, 1.0))
        by_request = max(by_request, nodes_for(float(asked.max()), node, 1.0))
        used = max(used, peak / (node * present) if present else 0.0)
    wanted = max(by_use, by_request)
    if wanted == present or within(used, 1.0, target, tolerance):
        return []
    saving = (present - wanted) * pool_hour(pool, prices.cloud(pool.cloud)) * HOURS_A_MONTH
    fewer = wanted < present
    effect = f"the busiest resource goes from {used:.0%} to {used * present / wanted:.0%} at the peak (target {target:.0%})"
    return [Advice(
        Kind.NODES, _name(pool), _many(present), _many(wanted) + (", as many as requests need" if by_request > by_use else ""), saving, effect,
        Risk.MEDIUM if fewer else Risk.LOW, "pods must move; a zone may lose its spare node" if fewer else "costs more",
    )]  # fmt: skip


def _packed(usage: Usage, prices: PriceList, plan: NodePlan) -> list[Advice]:
    pool, present = usage.pools[0], _now(usage.nodes[0])
    cloud, size = prices.cloud(pool.cloud), capacity_of(pool, prices)
    found: list[Advice] = []
    hour = pool_hour(pool, cloud)
    now = pack(plan.pods, size, FILL)
    if not now.unfit and 0 < now.nodes < present:
        found.append(Advice(
            Kind.CONSOLIDATE, _name(pool), _many(present), f"{_many(now.nodes)} for all {len(plan.pods)} pods (first-fit decreasing, {FILL:.0%} full at most)",
            (present - now.nodes) * hour * HOURS_A_MONTH, f"{_many(present - now.nodes)} can be drained", Risk.MEDIUM,
            "affinity, spreading over zones and PodDisruptionBudgets may need more; one node at a time", "consolidate-node",
        ))  # fmt: skip
    tiers = [(node, price) for name, node in cloud.node_types.items() if (price := cloud.node_hour(name, pool.purchase)) is not None]
    fits = tiers_for(plan.pods, tiers, FILL)
    base = min(present, now.nodes) if not now.unfit and now.nodes else present
    if fits and fits[0].tier != pool.node_type and fits[0].hour < base * hour * 0.95:
        best = fits[0]
        found.append(Advice(
            Kind.TIER, _name(pool), f"{base} x {pool.node_type or 'the present type'}", f"{best.packed.nodes} x {best.tier}", (base * hour - best.hour) * HOURS_A_MONTH,
            f"the same pods; CPU {best.packed.shares[0]:.0%}, memory {best.packed.shares[1]:.0%} asked for", Risk.MEDIUM,
            "all pods move; fewer and larger nodes lose more pods at once" if best.packed.nodes < base else "all pods move",
        ))  # fmt: skip
    return found + _spot(pool, prices, plan, size)


def _spot(pool: Pool, prices: PriceList, plan: NodePlan, size: tuple[float, float, float]) -> list[Advice]:
    cloud = prices.cloud(pool.cloud)
    spot = cloud.node_hour(pool.node_type, Purchase.SPOT)
    hour = pool_hour(pool, cloud)
    if pool.purchase is Purchase.SPOT or spot is None or spot >= hour or not plan.tolerant.any():
        return []
    movable = plan.pods[plan.tolerant]
    movable = movable[: max(1, int(len(movable) * SPOT_SHARE))] if len(movable) > 1 else movable[:0]
    nodes = pack(movable, size, FILL).nodes if len(movable) else 0
    if not nodes:
        return []
    share = len(movable) / len(plan.pods)
    return [Advice(
        Kind.SPOT, _name(pool), "all on demand", f"{share:.0%} of the pods on {_many(nodes, 'spot node')}", nodes * (hour - spot) * HOURS_A_MONTH,
        f"{len(movable)} pods whose workloads bear interruption, at most {SPOT_SHARE:.0%} of them", Risk.MEDIUM, "spot nodes are taken away at short notice, many at once",
    )]  # fmt: skip


def _reserved(pool: Pool, counts: Floats, prices: PriceList) -> list[Advice]:
    cloud = prices.cloud(pool.cloud)
    if pool.purchase is not Purchase.ON_DEMAND or pool.node_type not in cloud.node_types:
        return []
    full, less = cloud.node_hour(pool.node_type, Purchase.ON_DEMAND), cloud.node_hour(pool.node_type, Purchase.RESERVED)
    if full is None or less is None or not 0.0 < less < full:
        return []
    count = reserve(counts, less / full)
    known = counts[np.isfinite(counts)]
    # What reserved nodes save while they run, less what they cost while they do not.
    saving = float(np.minimum(known, count).mean() * full - count * less) * HOURS_A_MONTH
    if not count or saving <= 0.0:
        return []
    return [Advice(
        Kind.RESERVE, _name(pool), f"all {_now(counts)} on demand", f"reserve {count}", saving, f"{count} run more than {less / full:.0%} of the time, where reserving pays",
        Risk.MEDIUM, "bound for the term: consolidate and right-size first",
    )]  # fmt: skip

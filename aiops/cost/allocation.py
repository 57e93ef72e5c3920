"""From use and prices to who pays what, as the OpenCost specification has it (opencost.io/docs/specification):

total = workload costs + idle + overhead; a workload is charged for the greater of its request and its use; idle is what the nodes cost beyond that.
Unit prices of a node are the list's, scaled so that its CPU, memory and GPU add up to the node's price. Neighbours: `month` sums over time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aiops.cost.usage import COMPUTE, HOUR, Consumer, Pool, Resource, Usage
from aiops.domain.prices import CloudPrices, PriceList, Sharing
from aiops.domain.series import Floats

IDLE, OVERHEAD = "(idle)", "(overhead)"
NONE = "(none)"
"""Of consumers without the label that is asked for."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Money for each step. `parts` (consumers, steps) by resource; `idle` and `overhead` (steps). `used` is what the used part of compute alone would cost.

    `seen` tells the steps that anything is known of: the others cost nothing here, and `month` fills them.
    """

    start: float
    step: float
    consumers: tuple[Consumer, ...]
    parts: Mapping[Resource, Floats]
    used: Floats
    idle: Floats
    overhead: Floats
    seen: np.ndarray
    nodes_known: bool

    @property
    def total(self) -> Floats:
        """Of each step."""
        return np.asarray(sum(p.sum(axis=0) for p in self.parts.values()) + self.idle + self.overhead)


@dataclass(frozen=True, slots=True)
class Row:
    """One payer. `own` by resource; `idle` and `shared` are its part of what is shared out; `efficiency` the used part of the compute it is charged for."""

    name: str
    own: Mapping[Resource, float]
    idle: float = 0.0
    shared: float = 0.0
    efficiency: float | None = None

    @property
    def total(self) -> float:
        """All together."""
        return sum(self.own.values()) + self.idle + self.shared


def costs_of(usage: Usage, prices: PriceList) -> Costs:
    """What each step cost. Egress is charged as it is used, storage as it is requested, compute by the greater of both."""
    hours, seen = usage.step / HOUR, usage.seen()
    units = {resource: _rates(usage, prices, resource) for resource in Resource}
    parts = {}
    for resource in Resource:
        spent = usage.held(resource) * units[resource][:, None]
        parts[resource] = spent if resource is Resource.EGRESS else spent * hours
    nothing = np.zeros((len(usage.consumers), usage.steps))
    used = np.asarray(sum(np.nan_to_num(usage.used.get(r, nothing)) * units[r][:, None] * hours for r in COMPUTE))
    capacity = _nodes(usage, prices) * hours
    compute = np.asarray(sum(parts[r].sum(axis=0) for r in COMPUTE))
    clouds = {c.cloud for c in usage.consumers} | {p.cloud for p in usage.pools}
    fee = sum({prices.cloud(c).name: prices.cloud(c).overhead for c in clouds}.values())
    return Costs(
        usage.start, usage.step, usage.consumers, parts, used, np.maximum(capacity - compute, 0.0), np.where(seen, fee * hours, 0.0), seen, bool(usage.nodes.size),
    )  # fmt: skip


def _rates(usage: Usage, prices: PriceList, resource: Resource) -> Floats:
    """Of one unit for an hour (egress: of one GiB), for each consumer."""

    def rate(c: Consumer) -> float:
        cloud = prices.cloud(c.cloud)
        if resource is Resource.STORAGE:
            return cloud.storage_hour(c.storage_class)
        if resource is Resource.EGRESS:
            return cloud.egress
        unit = {Resource.CPU: cloud.cpu, Resource.MEMORY: cloud.memory, Resource.GPU: cloud.gpu}[resource]
        return unit * _factor(c, cloud, averages)

    averages = _averages(usage, prices)

    return np.array([rate(c) for c in usage.consumers], dtype=np.float64)


def unit_factor(consumer: Consumer, usage: Usage, prices: PriceList) -> float:
    """What a unit of compute costs this consumer against the list's price."""
    return _factor(consumer, prices.cloud(consumer.cloud), _averages(usage, prices))


def _factor(consumer: Consumer, cloud: CloudPrices, averages: Mapping[str, float]) -> float:
    known = consumer.node_type or cloud.name not in averages
    return cloud.factor(consumer.node_type, consumer.purchase) if known else averages[cloud.name]


def _averages(usage: Usage, prices: PriceList) -> dict[str, float]:
    """For each cloud what its nodes cost against their capacity at unit prices: for consumers of whom nobody knows on which node they ran."""
    paid: dict[str, float] = {}
    listed: dict[str, float] = {}
    for pool, counts in zip(usage.pools, usage.nodes, strict=False):
        cloud = prices.cloud(pool.cloud)
        node = cloud.node_types.get(pool.node_type)
        count = float(np.nansum(counts))
        paid[cloud.name] = paid.get(cloud.name, 0.0) + count * pool_hour(pool, cloud)
        listed[cloud.name] = listed.get(cloud.name, 0.0) + count * (cloud.listed(node.cpu, node.memory, node.gpu) if node else cloud.listed(pool.cpu, pool.memory, pool.gpu))
    return {name: paid[name] / listed[name] for name in paid if listed[name] > 0.0}


def pool_hour(pool: Pool, cloud: CloudPrices) -> float:
    """What one node of a pool costs an hour."""
    known = cloud.node_hour(pool.node_type, pool.purchase)
    return known if known is not None else cloud.listed(pool.cpu, pool.memory, pool.gpu) * cloud.factor("", pool.purchase)


def _nodes(usage: Usage, prices: PriceList) -> Floats:
    """What all nodes cost an hour, at each step."""
    if not usage.nodes.size:
        return np.zeros(usage.steps)
    hour = np.array([pool_hour(p, prices.cloud(p.cloud)) for p in usage.pools])
    return np.asarray(hour @ np.nan_to_num(usage.nodes))


def namespace(consumer: Consumer) -> str:
    """To group by."""
    return consumer.namespace


def workload(consumer: Consumer) -> str:
    """To group by."""
    return f"{consumer.namespace}/{consumer.workload or NONE}"


def labelled(name: str) -> Callable[[Consumer], str]:
    """To group by the value of a label."""
    return lambda consumer: consumer.label(name) or NONE


def rows_of(costs: Costs, prices: PriceList, key: Callable[[Consumer], str] = namespace, *, since: float = -np.inf) -> tuple[Row, ...]:
    """Who paid what from `since` on, the dearest first; what is shared separately stands in rows of its own.

    The rows add up to all costs since then. Where there is no tenant to share with, it stands separately.
    """
    from_step = int(np.clip(np.ceil((since - costs.start) / costs.step), 0, len(costs.idle))) if np.isfinite(since) else 0
    own: dict[str, dict[Resource, float]] = {}
    used: dict[str, float] = {}
    shared: dict[str, dict[Resource, float]] = {}
    for i, consumer in enumerate(costs.consumers):
        common = prices.sharing is not Sharing.SEPARATE and consumer.namespace in prices.shared
        name = key(consumer)
        place = (shared if common else own).setdefault(name, dict.fromkeys(Resource, 0.0))
        for resource in Resource:
            place[resource] += float(costs.parts[resource][i, from_step:].sum())
        used[name] = used.get(name, 0.0) + float(costs.used[i, from_step:].sum())
    idle, overhead = float(costs.idle[from_step:].sum()), float(costs.overhead[from_step:].sum())
    if not own:
        own, shared = shared, {}
    common_cost = sum(sum(each.values()) for each in shared.values())
    idle_of = _shares(own, prices.idle)
    common_of = _shares(own, prices.sharing)
    to_share = common_cost + (overhead if common_of else 0.0)
    rows = [
        Row(name, parts, idle * idle_of.get(name, 0.0), to_share * common_of.get(name, 0.0), _efficiency(parts, used[name])) for name, parts in own.items()
    ]
    nobody = dict.fromkeys(Resource, 0.0)
    if idle and not idle_of:
        rows.append(Row(IDLE, nobody, idle=idle))
    if overhead and not common_of:
        rows.append(Row(OVERHEAD, nobody, shared=overhead))
    return tuple(sorted(rows, key=lambda r: (-r.total, r.name)))


def _shares(own: Mapping[str, Mapping[Resource, float]], how: Sharing) -> dict[str, float]:
    """That add up to 1, or none if nothing is shared."""
    if how is Sharing.SEPARATE or not own:
        return {}
    total = sum(sum(parts.values()) for parts in own.values())
    if how is Sharing.EVEN or total <= 0.0:
        return dict.fromkeys(own, 1.0 / len(own))
    return {name: sum(parts.values()) / total for name, parts in own.items()}


def _efficiency(parts: Mapping[Resource, float], used: float) -> float | None:
    compute = sum(parts[r] for r in COMPUTE)
    return min(1.0, used / compute) if compute > 0.0 else None

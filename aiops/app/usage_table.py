"""Series of use, from wherever they come, on one grid: what `cost` reads.

Neighbours: `usage_files` and `usage_live` bring named series with labels; `spending` asks for the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from aiops.cost.fleet_advice import NodePlan
from aiops.cost.usage import Consumer, Pool, Resource, Usage
from aiops.cost.workload_advice import Replicas, Volume
from aiops.domain.errors import CommandError
from aiops.domain.prices import Purchase
from aiops.domain.series import Floats

RESOURCES: Mapping[str, tuple[str, Resource | None]] = {
    "cpu_request": ("requested", Resource.CPU), "cpu_used": ("used", Resource.CPU), "cpu_hottest": ("hottest", Resource.CPU),
    "memory_request": ("requested", Resource.MEMORY), "memory_used": ("used", Resource.MEMORY), "memory_hottest": ("hottest", Resource.MEMORY),
    "gpu_request": ("requested", Resource.GPU), "gpu_used": ("used", Resource.GPU), "storage": ("requested", Resource.STORAGE), "egress": ("used", Resource.EGRESS),
    "pods": ("pods", None), "killed_at": ("killed", None), "autoscaled": ("autoscaled", None), "nodes": ("nodes", None), "unmounted": ("unmounted", None),
}  # fmt: skip
"""What a series may be: CPU in cores, memory and storage in GiB, egress in GiB a step, the rest are counts; killed_at in GiB, unmounted in GiB while no pod has it."""
OWN = ("namespace", "workload", "cloud", "node_type", "purchase", "storage_class")
"""Columns with a meaning of their own; every other is a label."""
INTERRUPTIBLE = "interruptible"
"""Label of workloads that bear being interrupted, with the value true."""
MOST_STEPS = 400 * 24


@dataclass(frozen=True, slots=True)
class Series:
    """One series: what it is (a name of `RESOURCES`), whose (labels), and samples (Unix seconds)."""

    resource: str
    labels: Mapping[str, str]
    times: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that questions about cost are answered from."""

    usage: Usage
    replicas: dict[tuple[str, str], Replicas]
    volumes: tuple[Volume, ...]
    plan: NodePlan

    def asked_by_pod(self, workload: tuple[str, str]) -> tuple[float, float]:
        """Cores and GiB that a pod of (namespace, kind/name) requested when it last had any; 0 where it is not known."""
        known = self.replicas.get(workload)
        rows = [i for i, c in enumerate(self.usage.consumers) if (c.namespace, c.workload) == workload]
        steps = np.flatnonzero(known.counts > 0) if known is not None else np.empty(0, dtype=np.int64)
        if known is None or not rows or not len(steps):
            return 0.0, 0.0
        at, count = int(steps[-1]), float(known.counts[steps[-1]])
        cpu, memory = (float(np.nansum(v[rows, at])) / count if (v := self.usage.requested.get(r)) is not None else 0.0 for r in (Resource.CPU, Resource.MEMORY))
        return cpu, memory


@dataclass
class _Kept:
    rows: dict[tuple[str, Consumer], Floats] = field(default_factory=dict)
    nodes: dict[Pool, Floats] = field(default_factory=dict)


def table_of(series: Iterable[Series], step: float, *, capacity: tuple[float, float] = (0.0, 0.0), notes: tuple[str, ...] = ()) -> Table:
    """All on a grid of `step` seconds: samples of one step are averaged, egress is summed. `capacity`: of a node whose type says nothing (cores, GiB).

    Raises CommandError if there is nothing, or the times span more than `MOST_STEPS`.
    """
    given = [s for s in series if np.isfinite(s.values).any()]
    if not given:
        raise CommandError("nothing is known of any use: no series has a sample")
    start = np.floor(min(float(s.times.min()) for s in given) / step) * step
    steps = int((max(float(s.times.max()) for s in given) - start) // step) + 1
    if steps > MOST_STEPS:
        raise CommandError(f"the times span {steps} steps of {step:g} s, at most {MOST_STEPS} are taken: leave out what is older")
    kept = _Kept()
    for one in given:
        values = _gridded(one, start, step, steps)
        if one.resource == "nodes":
            pool = Pool(one.labels.get("cloud", ""), one.labels.get("node_type", ""), _purchase(one.labels), *capacity)
            kept.nodes[pool] = _added(kept.nodes.get(pool), values)
        else:
            key = (one.resource, _consumer(one.labels))
            kept.rows[key] = _added(kept.rows.get(key), values)
    return _table(kept, start, step, steps, notes)


def _gridded(one: Series, start: float, step: float, steps: int) -> Floats:
    keep = np.isfinite(one.values)
    place = ((one.times[keep] - start) // step).astype(np.int64)
    total, count = np.bincount(place, one.values[keep], steps), np.bincount(place, minlength=steps)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(count > 0, total if one.resource == "egress" else total / count, np.nan))


def _added(before: Floats | None, values: Floats) -> Floats:
    if before is None:
        return values
    return np.asarray(np.where(np.isfinite(before) | np.isfinite(values), np.nan_to_num(before) + np.nan_to_num(values), np.nan))


def _purchase(labels: Mapping[str, str]) -> Purchase:
    text = labels.get("purchase", "").lower().replace("_", "-")
    return Purchase(text) if text in set(Purchase) else Purchase.ON_DEMAND


def _consumer(labels: Mapping[str, str]) -> Consumer:
    rest = tuple(sorted((name, value) for name, value in labels.items() if name not in OWN and value))
    return Consumer(
        labels.get("namespace", ""), labels.get("workload", ""), rest, labels.get("cloud", ""), labels.get("node_type", ""), _purchase(labels), labels.get("storage_class", ""),
    )


def _table(kept: _Kept, start: float, step: float, steps: int, notes: tuple[str, ...]) -> Table:
    paying = {"requested", "used"}
    consumers = tuple(dict.fromkeys(c for (name, c) in kept.rows if RESOURCES[name][0] in paying))
    arrays: dict[str, dict[Resource, Floats]] = {"requested": {}, "used": {}}
    for i, consumer in enumerate(consumers):
        for name, (kind, resource) in RESOURCES.items():
            values = kept.rows.get((name, consumer))
            if kind in paying and resource is not None and values is not None:
                arrays[kind].setdefault(resource, np.full((len(consumers), steps), np.nan))[i] = values
    pools = tuple(kept.nodes)
    nodes = np.stack([kept.nodes[p] for p in pools]) if pools else np.empty((0, 0))
    told = notes if pools else (*notes, "how many nodes there were is not known: idle capacity is not in the cost")
    usage = Usage(start, step, consumers, arrays["requested"], arrays["used"], pools, nodes, told)
    replicas = _replicas(kept, steps)
    return Table(usage, replicas, _volumes(kept, step), _plan(usage, replicas))


def _replicas(kept: _Kept, steps: int) -> dict[tuple[str, str], Replicas]:
    by_workload: dict[tuple[str, str], dict[str, Floats]] = {}
    for (name, c), values in kept.rows.items():
        if RESOURCES[name][0] in ("pods", "killed", "autoscaled", "hottest"):
            mine = by_workload.setdefault((c.namespace, c.workload), {})
            # What a workload had under two label sets is one workload's: its pods add up, its hottest pod is the hotter one.
            before = mine.get(name)
            mine[name] = values if before is None else _added(before, values) if name == "pods" else np.fmax(before, values)
    found = {}
    for key, mine in by_workload.items():
        if "pods" in mine:
            hottest = {resource: mine[name] for name, (kind, resource) in RESOURCES.items() if kind == "hottest" and resource is not None and name in mine}
            killed = float(np.nanmax(mine.get("killed_at", np.zeros(steps)), initial=0.0))
            found[key] = Replicas(mine["pods"], hottest, killed, bool(np.nanmax(mine.get("autoscaled", np.zeros(steps)), initial=0.0) > 0))
    return found


def _volumes(kept: _Kept, step: float) -> tuple[Volume, ...]:
    """Claims that nobody has mounted, with how long that lasts by now."""
    found = []
    for (name, c), values in kept.rows.items():
        if name == "unmounted" and np.isfinite(values[-1]):
            gaps = np.flatnonzero(~np.isfinite(values))
            alone = len(values) - (int(gaps[-1]) + 1 if len(gaps) else 0)
            found.append(Volume(c.namespace, c.workload.rpartition("/")[2], float(values[-1]), c.storage_class, c.cloud, alone * step))
    return tuple(found)


def _plan(usage: Usage, replicas: Mapping[tuple[str, str], Replicas]) -> NodePlan:
    """Each workload's pods as they stand at the last step, all of one workload alike."""
    pods: list[list[float]] = []
    tolerant: list[bool] = []
    for (namespace, name), known in replicas.items():
        rows = [i for i, c in enumerate(usage.consumers) if (c.namespace, c.workload) == (namespace, name)]
        finite = known.counts[np.isfinite(known.counts)]
        count = round(float(finite[-1])) if len(finite) else 0
        asked = [float(np.nansum(usage.requested[r][rows, -1])) if r in usage.requested else 0.0 for r in (Resource.CPU, Resource.MEMORY, Resource.GPU)]
        if count > 0 and any(asked):
            pods += [[a / count for a in asked]] * count
            tolerant += [any(usage.consumers[i].label(INTERRUPTIBLE) == "true" for i in rows)] * count
    return NodePlan(np.array(pods, dtype=np.float64).reshape(-1, 3), np.array(tolerant, dtype=bool))

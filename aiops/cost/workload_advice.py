"""Recommendations for workloads and volumes. Neighbours: `sizing` computes, `app.spending` brings the use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aiops.cost.advice import Advice, Kind, Risk
from aiops.cost.sizing import TARGET, SizingPolicy, replica_bounds, right_size
from aiops.cost.usage import HOUR, Consumer, Resource, Usage
from aiops.domain.prices import HOURS_A_MONTH, PriceList
from aiops.domain.series import Floats

IDLE_SHARE = 0.01
"""Of what it requests: a workload whose busiest hours stay below it does nothing."""
DEFAULT = SizingPolicy()
WORTH = 0.1
"""Share of the request that a change must give back before it is recommended: less is not worth a roll-out."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many pods a workload had (steps), and what its hottest pod used of CPU and memory (cores, GiB), at the steps of the use.

    `killed_at` GiB: the highest limit at which one ran out of memory, 0 if none did.
    """

    counts: Floats
    hottest: Mapping[Resource, Floats] = field(default_factory=dict)
    killed_at: float = 0.0
    autoscaled: bool = False


@dataclass(frozen=True, slots=True)
class Volume:
    """A claim: who holds it, how large (GiB), and for how many seconds no pod has mounted it."""

    namespace: str
    name: str
    size: float
    storage_class: str = ""
    cloud: str = ""
    unmounted: float = 0.0


def workload_advice(
    usage: Usage, prices: PriceList, replicas: dict[tuple[str, str], Replicas] | None = None, policy: SizingPolicy = DEFAULT, target: float = TARGET,
) -> list[Advice]:
    """For each workload: idle, wrongly sized, replica bounds. A workload with fewer than `least_hours` of known use is left alone."""
    found: list[Advice] = []
    for (namespace, name), rows in _workloads(usage).items():
        known = (replicas or {}).get((namespace, name))
        cpu, memory = (_sum(usage.used.get(r), rows, usage.steps) for r in (Resource.CPU, Resource.MEMORY))
        if np.isfinite(cpu).sum() * usage.step / HOUR < policy.least_hours:
            continue
        asked = {r: _sum(usage.requested.get(r), rows, usage.steps) for r in (Resource.CPU, Resource.MEMORY, Resource.GPU)}
        cost = _Rates(prices, usage.consumers[rows[0]])
        idle = _idle(f"{namespace}/{name}", cpu, asked, cost)
        if idle is not None:
            found.append(idle)
        elif known is not None:
            found += _sized(f"{namespace}/{name}", _hottest(cpu, memory, known), asked, known, cost, policy)
            found += _bounded(f"{namespace}/{name}", cpu, asked, known, target)
    return found


@dataclass(frozen=True, slots=True)
class _Rates:
    prices: PriceList
    consumer: Consumer

    def month(self, cpu: float, memory: float, gpu: float = 0.0) -> float:
        cloud = self.prices.cloud(self.consumer.cloud)
        return cloud.listed(cpu, memory, gpu) * cloud.factor(self.consumer.node_type, self.consumer.purchase) * HOURS_A_MONTH


def _workloads(usage: Usage) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = {}
    for i, c in enumerate(usage.consumers):
        if c.workload and "/" in c.workload:
            found.setdefault((c.namespace, c.workload), []).append(i)
    return found


def _sum(values: Floats | None, rows: Sequence[int], steps: int) -> Floats:
    """Over the workload's rows; NaN where none is known."""
    if values is None:
        return np.full(steps, np.nan)
    part = values[list(rows)]
    return np.where(np.isfinite(part).any(axis=0), np.nansum(part, axis=0), np.nan)


def _last(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else 0.0


def _idle(subject: str, cpu: Floats, asked: dict[Resource, Floats], cost: _Rates) -> Advice | None:
    cores, size, cards = (_last(asked[r]) for r in (Resource.CPU, Resource.MEMORY, Resource.GPU))
    busiest = float(np.nanmax(cpu))
    if cores <= 0.0 or busiest > IDLE_SHARE * cores:
        return None
    return Advice(
        Kind.IDLE, subject, f"requests {cores:g} cores, its busiest hour used {busiest:.3g}", "scale to zero", cost.month(cores, size, cards),
        "its requests are free for others, or for one node less", Risk.MEDIUM,
        "it may be there for a rare day: ask its owner; guards.minimumReplicas must allow it", "scale-to", {"replicas": "0"},
    )  # fmt: skip


def _hottest(cpu: Floats, memory: Floats, known: Replicas) -> tuple[Floats, Floats] | None:
    """Use of the pod that used most; of a workload with one pod all of it. None where only a mean over several is known: that hides the pod that needs more."""
    single = bool(np.nanmax(known.counts, initial=0.0) <= 1.0)
    found = [known.hottest.get(r, whole if single else None) for r, whole in ((Resource.CPU, cpu), (Resource.MEMORY, memory))]
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _sized(
    subject: str, hottest: tuple[Floats, Floats] | None, asked: dict[Resource, Floats], known: Replicas, cost: _Rates, policy: SizingPolicy,
) -> list[Advice]:  # fmt: skip
    size = right_size(*hottest, policy, killed_at=known.killed_at) if hottest is not None else None
    pods = _last(known.counts)
    if size is None or pods < 1:
        return []
    cores, gib = (_last(asked[r]) / pods for r in (Resource.CPU, Resource.MEMORY))
    if known.killed_at and gib < size.memory_request:
        return [Advice(
            Kind.RAISE_MEMORY, subject, f"{gib:.3g} GiB a pod, ran out of memory at {known.killed_at:.3g} GiB", f"{size.memory_request:.4g} GiB a pod",
            -cost.month(0.0, size.memory_request - gib) * pods, "it is not killed at the same load again", Risk.LOW,
            "a roll-out; if it leaks, more memory only delays", "right-size", _parameters(None, size.memory_request),
        )]  # fmt: skip
    less_cpu, less_memory = cores > 0 and size.cpu_request < cores * (1 - WORTH), gib > 0 and size.memory_request < gib * (1 - WORTH)
    more_cpu = cores > 0 and size.cpu_request > cores * (1 + WORTH)
    if not (less_cpu or less_memory or more_cpu):
        return []
    new_cpu = size.cpu_request if less_cpu or more_cpu else cores
    new_memory = size.memory_request if less_memory else gib
    saving = cost.month(cores - new_cpu, gib - new_memory) * pods
    return [Advice(
        Kind.RIGHT_SIZE, subject, f"{cores:.3g} cores, {gib:.3g} GiB a pod x {pods:.0f}", f"{new_cpu:.3g} cores, {new_memory:.3g} GiB a pod", saving,
        f"P{policy.cpu_percentile:g} of CPU and the peak of memory with headroom still fit; {(cores - new_cpu) * pods:.3g} cores, {(gib - new_memory) * pods:.3g} GiB free",
        Risk.MEDIUM if less_memory else Risk.LOW,
        "a peak that was not in the time looked at; memory cannot be throttled" if less_memory else "a roll-out; CPU above the request is still there when nodes are not full",
        "right-size", _parameters(new_cpu if less_cpu or more_cpu else None, new_memory if less_memory else None),
    )]  # fmt: skip


def _parameters(cpu: float | None, memory: float | None) -> dict[str, str]:
    given = {"cpuRequest": f"{round(cpu * 1000)}m"} if cpu is not None else {}
    if memory is not None:
        given |= {"memoryRequest": f"{round(memory * 1024)}Mi", "memoryLimit": f"{round(memory * 1024)}Mi"}
    return given


def _bounded(subject: str, cpu: Floats, asked: dict[Resource, Floats], known: Replicas, target: float) -> list[Advice]:
    """For what an autoscaler drives, where its history shows another floor or ceiling than it has."""
    pods = _last(known.counts)
    pod = _last(asked[Resource.CPU]) / pods if pods >= 1 else 0.0
    if not known.autoscaled or pod <= 0.0:
        return []
    bounds = replica_bounds(cpu, pod, target)
    low, high = float(np.nanmin(known.counts)), float(np.nanmax(known.counts))
    if bounds is None or (bounds.minimum >= low and bounds.maximum >= high):
        return [] if bounds is None or bounds.minimum == low else [_bounds(subject, low, high, bounds.minimum, max(bounds.maximum, int(high)), target)]
    return [_bounds(subject, low, high, bounds.minimum, max(bounds.maximum, int(high)), target)]


def _bounds(subject: str, low: float, high: float, minimum: int, maximum: int, target: float) -> Advice:
    return Advice(
        Kind.REPLICAS, subject, f"ran {low:.0f} to {high:.0f} pods", f"minimum {minimum}, maximum {maximum}", 0.0,
        f"{target:.0%} used in a quiet hour, half as much again as the peak fits", Risk.LOW, "a floor that is too low costs the time to scale out",
    )  # fmt: skip


def volume_advice(volumes: Sequence[Volume], prices: PriceList, *, after: float = 14 * 86400.0) -> list[Advice]:
    """Claims that no pod has mounted for `after` seconds."""
    return [
        Advice(
            Kind.VOLUME, f"{v.namespace}/PersistentVolumeClaim/{v.name}", f"{v.size:g} GiB, not mounted for {v.unmounted / 86400:.0f} days", "keep a snapshot and delete it",
            v.size * prices.cloud(v.cloud).storage_hour(v.storage_class) * HOURS_A_MONTH, "nothing pays for it any more", Risk.HIGH,
            "data are gone for good: a snapshot first, and its owner's word",
        )
        for v in volumes
        if v.unmounted >= after
    ]  # fmt: skip

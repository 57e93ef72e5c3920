"""What plans take away: serving pods by workload, pods that are evicted, nodes out of service. Worked out on a picture of the cluster.

Counted is what serves: a pod that is down already is not taken away once more. A workload loses by a change what its own strategy allows.
Sources: Deployment and StatefulSet update strategies as the Kubernetes API reference states them (maxUnavailable rounds down, maxSurge up).
Neighbours: `traits` says how an action disrupts, `disruption` and `workload` compare with limits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.target import JsonObject, TargetRef
from aiops.remediate.guards.contract import GuardInput, UnknownFactError
from aiops.remediate.guards.traits import TRAITS, Disrupts, disruptive, late_count, scaled, takes, traits
from aiops.remediate.objects import wanted_replicas
from aiops.remediate.picture import COUNTED, Picture


@dataclass(frozen=True, slots=True)
class Harm:
    """`pods`: serving pods taken away at once, by workload. `evicted`: the pods that go by eviction, serving or not. `nodes`: names."""

    pods: Mapping[TargetRef, int]
    evicted: tuple[JsonObject, ...] = ()
    nodes: frozenset[str] = frozenset()

    def of(self, namespace: str = "") -> int:
        """Pods of one namespace (empty: all)."""
        return sum(count for ref, count in self.pods.items() if namespace in ("", ref.namespace))

    @property
    def namespaces(self) -> frozenset[str]:
        """Where pods are taken away."""
        return frozenset(ref.namespace for ref, count in self.pods.items() if count)


def harms(given: GuardInput) -> dict[str, Harm]:
    """What the plan takes away, by context of its targets. Raises UnknownFactError if one of them, or its cluster, is not known."""
    if not disruptive(given.plan):
        return {}
    contexts = dict.fromkeys(given.plan.target_of(s).context for s in given.plan.steps if takes(s))
    found = {}
    for context in contexts:
        objects = {t: o for t in given.plan.targets if t.context == context and (o := given.objects_of(t).target) is not None}
        found[context] = harm(given.plan, given.picture(context), objects)
    return found


def harm(plan: Plan, picture: Picture, objects: Mapping[TargetRef, JsonObject] | None = None) -> Harm:
    """What a plan takes away in one cluster; `objects` are its targets where they are better known than in the picture."""
    pods: Counter[TargetRef] = Counter()
    evicted: dict[TargetRef, JsonObject] = {}
    nodes: set[str] = set()
    totals: dict[TargetRef, int] = {}
    for step in plan.steps:
        target = plan.target_of(step)
        if target.context != picture.context or not takes(step):
            continue
        if target.kind == "Node" and traits(step.action).withdraws:
            nodes.add(target.name)
        if traits(step.action).disrupts is Disrupts.NONE:
            continue
        if target.kind in ("Node", "Pod"):
            evicted |= {picture.ref({"kind": "Pod", **pod}): pod for pod in _pods(target, picture)}
            continue
        if target.kind not in COUNTED and step.action in TRAITS:
            continue  # a ConfigMap, a Service: no pod goes
        obj = (objects or {}).get(target) or picture.workloads.get(target)
        if obj is None:
            raise UnknownFactError(f"{target} is not in the view")
        totals[target] = max(wanted_replicas(obj), 1)
        pods[target] = min(pods[target] + taken(step, obj), totals[target])
    for pod in evicted.values():
        if picture.serves(pod):
            of = picture.workload(pod)
            pods[of] = min(pods[of] + 1, totals.get(of, pods[of] + 1))
    return Harm({ref: count for ref, count in pods.items() if count}, tuple(evicted.values()), frozenset(nodes))


def _pods(target: TargetRef, picture: Picture) -> tuple[JsonObject, ...]:
    if target.kind == "Node":
        return picture.hosted(target.name)
    found = picture.by_name.get((target.namespace, target.name))
    if found is None:
        raise UnknownFactError(f"{target} is not in the view")
    return (found,)


def taken(step: PlannedStep, target: JsonObject) -> int:
    """Pods of a workload that one step takes away at once."""
    total, kind = wanted_replicas(target), traits(step.action).disrupts
    if kind is Disrupts.NONE:
        return 0
    if kind is Disrupts.CHANGE:
        return 0 if late_count(step) else max(0, total - scaled(total, step.arguments))
    return max(total, 1) if kind is Disrupts.ALL else unavailable(target, total)


def unavailable(target: JsonObject, total: int) -> int:
    """Pods that a roll-out of the target may take away at once."""
    spec = target.get("spec") or {}
    if target.get("kind") == "Deployment":
        strategy = spec.get("strategy") or {}
        if strategy.get("type") == "Recreate":
            return total
        limits = strategy.get("rollingUpdate") or {}
        gone = share_of(limits.get("maxUnavailable", "25%"), total, up=False)
        extra = share_of(limits.get("maxSurge", "25%"), total, up=True)
        return min(total, gone if gone or extra else 1)
    strategy = spec.get("updateStrategy") or {}
    if target.get("kind") in ("StatefulSet", "DaemonSet"):
        if strategy.get("type") == "OnDelete":
            return 0
        limits = strategy.get("rollingUpdate") or {}
        surge = share_of(limits.get("maxSurge", 0), total, up=True)
        gone = share_of(limits.get("maxUnavailable", 0 if surge else 1), total, up=True)
        return min(total, gone if gone or surge else 1)
    return max(total, 1)


def share_of(value: Any, total: int, *, up: bool) -> int:
    """`3` or `25%` of the total. Raises ValueError for anything else."""
    text = str(value)
    if text.endswith("%"):
        exact = int(text[:-1]) * total / 100
        return math.ceil(exact) if up else math.floor(exact)
    return int(text)

"""Guards about the workloads themselves: bounds of the replica count, how much is taken away at once, roll-outs under way, other owners.

Each step is judged on its own target. Neighbours: `harm` (what is taken away), `ownership`, `rollouts`.
"""

from __future__ import annotations

from aiops.domain.target import TargetRef
from aiops.remediate.guards.contract import Answer, GuardInput, GuardLimits, UnknownFactError, allow, amount_of, refuse
from aiops.remediate.guards.harm import harms
from aiops.remediate.guards.traits import (
    CONFIG,
    PAUSED,
    REPLICAS,
    RESTART,
    TEMPLATE,
    acted_on,
    deferred,
    disruptive,
    late_count,
    scaled,
    traits,
    writes,
)
from aiops.remediate.objects import wanted_replicas
from aiops.remediate.ownership import config_owner, owner_of_writes
from aiops.remediate.picture import node_in_service
from aiops.remediate.releases import running_release
from aiops.remediate.rollouts import rolling, stuck

_PATCHED = frozenset({REPLICAS, RESTART, TEMPLATE, PAUSED})
"""Fields of workloads: who else writes them, and whether a roll-out moves them, matters."""


def replicas(given: GuardInput, limits: GuardLimits) -> Answer:
    """No step may leave the count outside the bounds, unless it brings it nearer to them."""
    low = limits.minimum_replicas if given.guards.minimum_replicas is None else given.guards.minimum_replicas
    high = limits.maximum_replicas if given.guards.maximum_replicas is None else given.guards.maximum_replicas
    for step in given.plan.steps:
        if REPLICAS not in traits(step.action).writes or late_count(step):
            continue
        present = wanted_replicas(given.present(given.plan.target_of(step)))
        count = scaled(present, step.arguments)
        if count < low and count < present:
            return refuse("BelowMinimum", f"{present} → {count} replicas, at least {low} are to stay")
        if count > high and count > present:
            return refuse("AboveMaximum", f"{present} → {count} replicas, at most {high} are allowed")
    return allow(deferred(given.plan))


def blast_radius(given: GuardInput, limits: GuardLimits) -> Answer:
    """Pods that the plan takes away at once, as a number and as a share of each workload; nodes out of service, those that are so already included."""
    most = limits.maximum_pods if given.guards.maximum_pods is None else given.guards.maximum_pods
    share = limits.maximum_share if given.guards.maximum_share is None else given.guards.maximum_share
    if not disruptive(given.plan):
        return allow("no pod is taken away")
    told = []
    found = harms(given)
    pods = sum(taken.of() for taken in found.values())
    if pods > most:
        return refuse("TooManyPods", f"{pods} pods, at most {most} are allowed")
    for context, taken in found.items():
        picture = given.picture(context)
        for ref, count in taken.pods.items():
            load = picture.loads.get(ref)
            if load is None:
                raise UnknownFactError(f"how many pods {ref} has is not known")
            words = f"{count} of {load.wanted} pods" + ("" if ref == given.plan.target else f" of {ref}")
            if load.wanted and count / load.wanted > share:
                return refuse("TooLargeShare", f"{words}, at most {share:.0%} are allowed")
            told.append(words)
        if taken.nodes:
            out = {name for name, node in picture.nodes.items() if not node_in_service(node)} | taken.nodes
            allowed = max(1, amount_of(limits.maximum_nodes, len(picture.nodes)))
            if len(out) > allowed:
                return refuse("TooManyNodes", f"{len(out)} of {len(picture.nodes)} nodes would be out of service, at most {allowed} are allowed")
    later = deferred(given.plan)
    return allow("; ".join((*told, later) if later else told) or "no pod that serves is taken away")


def rollout(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001 (a guard's signature)
    """Nothing is moved while a roll-out is under way, save a rollback of one that is stuck: that is what it is for."""
    told = []
    for target, patched in _patched(given):
        fields = patched - {PAUSED}  # a roll-out under way is what is paused
        if not fields:
            continue
        obj, objects = given.present(target), given.objects_of(target)
        if fields & {RESTART, TEMPLATE} and (obj.get("spec") or {}).get("paused"):
            return refuse("RolloutPaused", f"{target} is paused: a changed template would not roll out")
        if not rolling(obj):
            continue
        hindrance = stuck(objects, running_release(objects, given.now).name)
        if not (hindrance and fields == {TEMPLATE}):
            return refuse("RolloutUnderWay", f"a roll-out of {target} is under way")
        told.append(f"the roll-out is stuck: {hindrance}")
    return allow("; ".join(told))


def ownership(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001
    """No fight with another writer of the same field."""
    for target, _fields in _patched(given):
        given.present(target)
        objects = given.objects_of(target)
        owner = owner_of_writes(objects, [s for s in given.plan.steps if given.plan.target_of(s) == target])
        if owner is not None:
            return refuse(owner.reason, owner.detail)
    for target in acted_on(given.plan):
        if target.kind == "ConfigMap" and CONFIG in writes(given.plan, target) and (owner := config_owner(given.present(target))) is not None:
            return refuse(owner.reason, owner.detail)
    return allow()


def _patched(given: GuardInput) -> list[tuple[TargetRef, frozenset[str]]]:
    """Targets of which fields are set, and which."""
    found = [(target, writes(given.plan, target) & _PATCHED) for target in acted_on(given.plan)]
    return [(target, fields) for target, fields in found if fields]

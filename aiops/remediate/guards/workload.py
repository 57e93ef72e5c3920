"""Guards about the workload itself: bounds of its replica count, share of pods taken away, roll-outs under way, other owners.

Sources: Deployment and StatefulSet update strategies as the Kubernetes API reference states them (maxUnavailable rounds down, maxSurge up).
"""

from __future__ import annotations

import math
from typing import Any

from aiops.domain.plan import PlannedStep
from aiops.domain.target import JsonObject
from aiops.remediate.guards.contract import Answer, GuardInput, GuardLimits, UnknownFactError, allow, refuse
from aiops.remediate.guards.traits import PAUSED, REPLICAS, RESTART, TEMPLATE, Disrupts, scaled, traits, writes
from aiops.remediate.objects import wanted_replicas
from aiops.remediate.ownership import controller_owner, replicas_owner, template_owner
from aiops.remediate.releases import running_release
from aiops.remediate.rollouts import rolling, stuck


def replicas(given: GuardInput, limits: GuardLimits) -> Answer:
    """No step may leave the count outside the bounds, unless it brings it nearer to them."""
    low = limits.minimum_replicas if given.guards.minimum_replicas is None else given.guards.minimum_replicas
    high = limits.maximum_replicas if given.guards.maximum_replicas is None else given.guards.maximum_replicas
    for step in given.plan.steps:
        if REPLICAS not in traits(step.action).writes:
            continue
        present = wanted_replicas(_target(given))
        count = scaled(present, step.arguments)
        if count < low and count < present:
            return refuse("BelowMinimum", f"{present} → {count} replicas, at least {low} are to stay")
        if count > high and count > present:
            return refuse("AboveMaximum", f"{present} → {count} replicas, at most {high} are allowed")
    return allow()


def blast_radius(given: GuardInput, limits: GuardLimits) -> Answer:
    """Pods that the plan takes away at once, as a number and as a share of the workload."""
    most = limits.maximum_pods if given.guards.maximum_pods is None else given.guards.maximum_pods
    share = limits.maximum_share if given.guards.maximum_share is None else given.guards.maximum_share
    if all(traits(s.action).disrupts is Disrupts.NONE for s in given.plan.steps):
        return allow("no pod is taken away")
    target = _target(given)
    total = wanted_replicas(target)
    pods = min(sum(_taken(step, target, total) for step in given.plan.steps), max(total, 1))
    words = f"{pods} of {total} pods"
    if pods > most:
        return refuse("TooManyPods", f"{words}, at most {most} are allowed")
    if total and pods / total > share:
        return refuse("TooLargeShare", f"{words}, at most {share:.0%} are allowed")
    return allow(words)


def rollout(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001 (a guard's signature)
    """Nothing is moved while a roll-out is under way, save a rollback of one that is stuck: that is what it is for."""
    fields = writes(given.plan) - {PAUSED}  # a roll-out under way is what is paused
    if not fields:
        return allow()
    target = _target(given)
    if fields & {RESTART, TEMPLATE} and (target.get("spec") or {}).get("paused"):
        return refuse("RolloutPaused", "the Deployment is paused: a changed template would not roll out")
    if not rolling(target):
        return allow()
    hindrance = stuck(given.objects, running_release(given.objects, given.now).name)
    if hindrance and fields == {TEMPLATE}:
        return allow(f"the roll-out is stuck: {hindrance}")
    return refuse("RolloutUnderWay", "a roll-out of the target is under way")


def ownership(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001
    """No fight with another writer of the same field."""
    fields = writes(given.plan)
    if not fields:
        return allow()
    _target(given)
    owner = replicas_owner(given.objects) if REPLICAS in fields else None
    owner = owner or (template_owner(given.objects) if TEMPLATE in fields else None) or controller_owner(given.objects)
    return allow() if owner is None else refuse(owner.reason, owner.detail)


def _target(given: GuardInput) -> JsonObject:
    if given.objects.target is None:
        raise UnknownFactError(f"{given.plan.target} is not in the view")
    return given.objects.target


def _taken(step: PlannedStep, target: JsonObject, total: int) -> int:
    kind = traits(step.action).disrupts
    if kind is Disrupts.NONE:
        return 0
    if kind is Disrupts.CHANGE:
        return max(0, total - scaled(total, step.arguments))
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

"""Guards about times in which nothing is done: change freezes, maintenance windows, storms. Neighbours: `freezes`, `storm`, the settings."""

from __future__ import annotations

from aiops.domain.target import TargetRef
from aiops.remediate.freezes import Freeze, moment_words
from aiops.remediate.guards.contract import Answer, GuardInput, GuardLimits, UnknownFactError, allow, refuse
from aiops.remediate.guards.standing import spaces
from aiops.remediate.guards.traits import acted_on, acts
from aiops.remediate.objects import labels


def freeze(given: GuardInput, limits: GuardLimits) -> Answer:
    """Nothing is done to a target while a freeze that covers it is in force, save by the runbooks that it lets go on."""
    if not acts(given.plan):
        return allow("nothing but telling")
    for one in limits.freezes:
        if one.allows(given.plan.runbook):
            continue
        until = one.until(given.now)
        if until is None:
            continue
        hit = next((t for t in acted_on(given.plan) if _covers(given, one, t)), None)
        if hit is not None:
            return refuse("Frozen", f"freeze {one.name} covers {hit} until {moment_words(until)}")
    return allow()


def storm(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001 (a guard's signature)
    """While too much breaks at once people are told and nothing is done."""
    if not acts(given.plan):
        return allow("nothing but telling")
    if given.storm is None or given.incidents is None:
        raise UnknownFactError("whether too much breaks at once is not known")
    return allow() if given.storm.since is None else refuse("Storm", given.storm.words)


def _covers(given: GuardInput, one: Freeze, target: TargetRef) -> bool:
    """What is not known of the target counts as covered."""
    if one.namespaces and (found := spaces(given, target)) and not any(map(one.covers_namespace, found)):
        return False
    obj = given.objects_of(target).target
    return obj is None or one.covers_labels(labels(obj))

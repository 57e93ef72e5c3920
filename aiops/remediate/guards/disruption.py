"""Guards about how much is taken away at once, in the target and around it; everybody's disruption counts, as the API's objects show it.

A plan's own targets count with what the plan takes of them, all else with what is missing there now: who repairs what is down is not held up by
its being down, and who takes from what is whole is. More that is missing elsewhere never loosens any of these.
Neighbours: `harm` (what the plan takes), `picture` (what is missing). Sources: PodDisruptionBudget and the Eviction API (policy/v1).
"""

from __future__ import annotations

from collections.abc import Mapping

from aiops.domain.execution import ExecutionState
from aiops.domain.target import JsonObject, TargetRef
from aiops.remediate.guards.contract import Amount, Answer, GuardInput, GuardLimits, UnknownFactError, allow, amount_of, counted, refuse
from aiops.remediate.guards.harm import Harm, harm, harms
from aiops.remediate.guards.traits import disruptive
from aiops.remediate.objects import condition, meta
from aiops.remediate.picture import Picture, node_in_service

_AT_WORK = (ExecutionState.RUNNING, ExecutionState.VERIFYING, ExecutionState.UNDOING)


def namespace_share(given: GuardInput, limits: GuardLimits) -> Answer:
    """The plan's own share of the pods of each namespace; one pod is always allowed."""
    for context, taken in harms(given).items():
        for namespace in sorted(taken.namespaces):
            if answer := _share(taken.of(namespace), given.picture(context).wanted(namespace), limits.maximum_namespace_share, f"of namespace {namespace}"):
                return answer
    return allow()


def cluster_share(given: GuardInput, limits: GuardLimits) -> Answer:
    """The plan's own share of all pods of the cluster; one pod is always allowed."""
    for context, taken in harms(given).items():
        if not taken.pods:
            continue
        if answer := _share(taken.of(), given.picture(context).wanted(), limits.maximum_cluster_share, "of the cluster"):
            return answer
    return allow()


def _share(pods: int, total: int, share: float, where: str) -> Answer | None:
    most = max(1, amount_of(f"{share * 100:.6f}%", total))
    return None if pods <= most else refuse("TooLargeShare", f"{pods} of {total} pods {where}, at most {most} ({share:.0%}) are allowed")


def budget(given: GuardInput, limits: GuardLimits) -> Answer:
    """What is missing in namespace and cluster, whoever took it, with what the plan takes."""
    told = []
    for context, taken in harms(given).items():
        if not taken.pods:
            continue
        picture = given.picture(context)
        missing = _missing(given, picture, taken)
        for namespace in sorted(taken.namespaces):
            others = sum(count for ref, count in missing.items() if ref.namespace == namespace)
            if answer := _spent(others, taken.of(namespace), picture.wanted(namespace), limits.disruption_budget_namespace, f"in namespace {namespace}"):
                return answer
        others = sum(missing.values())
        if answer := _spent(others, taken.of(), picture.wanted(), limits.disruption_budget, "in the cluster"):
            return answer
        told.append(f"{others} pods are missing elsewhere, {taken.of()} would be taken")
    return allow("; ".join(told))


def _missing(given: GuardInput, picture: Picture, own: Harm) -> Mapping[TargetRef, int]:
    """Pods that are missing or about to be, by workload, without the plan's own targets."""
    mine = {*own.pods, *(t for t in given.plan.targets if t.context == picture.context), *(picture.workload(p) for p in own.evicted)}
    gone = {picture.ref({"kind": "Pod", **p}) for p in own.evicted}
    found = {ref: load.disrupted for ref, load in picture.loads.items() if ref not in mine and ref not in gone}
    # What we sent and the API does not show yet counts as if it did.
    for run in counted(given, given.active, "active executions"):
        if run.state in _AT_WORK and disruptive(run.plan):
            try:
                planned = harm(run.plan, picture)
            except (UnknownFactError, ValueError):
                continue  # its target is gone: there is nothing left to take
            found |= {ref: max(found.get(ref, 0), count) for ref, count in planned.pods.items() if ref not in mine}
    return found


def _spent(others: int, own: int, total: int, most: Amount, where: str) -> Answer | None:
    allowed = amount_of(most, total)
    if str(most).endswith("%"):
        allowed = max(1, allowed)
    if others + own <= allowed:
        return None
    return refuse("DisruptionBudgetSpent", f"{others} of {total} pods {where} are missing already and {own} would be taken, at most {allowed} ({most}) are allowed")


def healthy(given: GuardInput, limits: GuardLimits) -> Answer:
    """So many pods of each workload that is touched, and so many nodes, stay in service; evictions have the consent of the disruption budgets."""
    for context, taken in harms(given).items():
        picture = given.picture(context)
        for ref, count in taken.pods.items():
            load = picture.loads.get(ref)
            if load is None:
                raise UnknownFactError(f"how many pods {ref} has is not known")
            evicted = sum(picture.serves(p) and picture.workload(p) == ref for p in taken.evicted)
            # A roll-out or a smaller count leaves what its strategy says, an eviction takes from what serves now.
            left = min(load.wanted, load.serving) - count if evicted else load.wanted - count
            needed = min(amount_of(limits.minimum_healthy, load.wanted), load.wanted)
            if left < needed:
                return refuse("TooFewHealthy", f"{max(left, 0)} of {load.wanted} pods of {ref} would be left, at least {needed} ({limits.minimum_healthy}) are to serve")
        if answer := _nodes(picture, taken, limits) or _consent(picture, taken):
            return answer
    return allow()


def _nodes(picture: Picture, taken: Harm, limits: GuardLimits) -> Answer | None:
    if not taken.nodes:
        return None
    left = sum(name not in taken.nodes and node_in_service(node) for name, node in picture.nodes.items())
    needed = amount_of(limits.minimum_healthy_nodes, len(picture.nodes))
    if left >= max(1, needed):
        return None
    return refuse("TooFewNodes", f"{left} of {len(picture.nodes)} nodes would be left in service, at least {max(1, needed)} are needed")


def _consent(picture: Picture, taken: Harm) -> Answer | None:
    """Each budget that covers an evicted pod lets at least one go now: a drain waits for the rest, one that can take none would hang."""
    for pod in taken.evicted:
        name = f"{meta(pod).get('namespace')}/{meta(pod).get('name')}"
        budgets = picture.budgets_of(pod)
        if len(budgets) > 1:
            return refuse("SeveralBudgets", f"more than one PodDisruptionBudget covers pod {name}: the Eviction API refuses it")
        if budgets and (why := _forbids(budgets[0], pod)):
            return refuse("BudgetForbids", f"PodDisruptionBudget {meta(budgets[0]).get('name')} does not let pod {name} go: {why}")
    return None


def _forbids(found: JsonObject, pod: JsonObject) -> str:
    status = found.get("status") or {}
    if "disruptionsAllowed" not in status or int(status.get("observedGeneration") or 0) < int(meta(found).get("generation") or 0):
        return "what it allows is not known yet"
    allowed, now, wanted = (int(status.get(key) or 0) for key in ("disruptionsAllowed", "currentHealthy", "desiredHealthy"))
    ready = condition(pod, "Ready")
    if (ready is None or ready.get("status") != "True") and ((found.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow" or now >= wanted):
        return ""
    return "" if allowed >= 1 else f"{now} pods are healthy, {wanted} must be"

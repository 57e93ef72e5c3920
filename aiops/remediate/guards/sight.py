"""No action on what cannot be seen: dark, stale or half telemetry, and a cluster view that is not whole."""

from __future__ import annotations

from aiops.domain.signal import SignalKind
from aiops.remediate.guards.contract import Answer, GuardInput, GuardLimits, UnknownFactError, allow, refuse
from aiops.remediate.guards.traits import REPLICAS, acted_on, acts, disruptive, writes
from aiops.remediate.picture import KINDS_LOOKED_AT


def telemetry(given: GuardInput, limits: GuardLimits) -> Answer:
    """Every source that the runbook names or that verification reads answers, whole and fresh; no claim that the target itself went dark."""
    if not acts(given.plan):
        return allow("nothing but telling")
    needed = sorted({*given.needs_sight, *([given.plan.verify.source] if given.plan.verify is not None else [])})
    for name in needed:
        source = given.sights.get(name)
        if source is None:
            raise UnknownFactError(f"how well {name} is seen is not known")
        if source.state != "ok" and not _passed_over(given, str(source.state)):
            return refuse(f"Source{str(source.state).capitalize()}", f"{name} is {source.state}: {source.detail}".rstrip(": "))
        if given.again and not disruptive(given.plan):
            continue
        if source.answered_at is None or given.now - source.answered_at > limits.source_stale_after:
            return refuse("SourceStale", f"{name} has not answered for more than {limits.source_stale_after:g} s")
    if given.incidents is None:
        raise UnknownFactError("active incidents are not known")
    for incident in (given.incident, *given.incidents):
        # Most of a thousand incidents have no such claim at all.
        sights = [s for s in incident.signals.values() if s.kind is SignalKind.SIGHT]
        blind = next((s for s in incident.firing if s in sights), None) if sights else None
        if blind is not None and not given.plan_targets.isdisjoint((incident.target, blind.target)):
            return refuse("TargetDark", f"{blind.rule}: {blind.summary}")
    return allow(", ".join(needed))


def _passed_over(given: GuardInput, state: str) -> bool:
    """A run that is under way is not ended by one poll that failed; and what takes nothing away, only by a source that is dark."""
    if not given.again:
        return False
    return state in ("failing", "unknown") or (state != "dark" and not disruptive(given.plan))


def cluster_view(given: GuardInput, limits: GuardLimits) -> Answer:
    """The picture that was planned on is synced, fresh and whole for the kinds that were looked at; of each cluster that the plan acts on."""
    if not acts(given.plan):
        return allow("nothing but telling")
    for context in dict.fromkeys(target.context for target in (given.plan.target, *acted_on(given.plan))):
        cluster = given.cluster if context == given.plan.target.context else given.clusters.get(context)
        if cluster is None:
            raise UnknownFactError(f"how well cluster {context} is seen is not known")
        if not cluster.synced:
            return refuse("ClusterNotSynced", f"not every kind of cluster {context} was listed yet")
        age = given.now - cluster.seen_at
        if age > limits.cluster_stale_after:
            return refuse("ClusterStale", f"the last contact with cluster {context} was {age:.0f} s ago")
        for kind in sorted(_looked_at(given, context)):
            if kind in cluster.errors:
                return refuse("ClusterPartial", f"{kind}: {cluster.errors[kind]}")
    return allow()


def _looked_at(given: GuardInput, context: str) -> frozenset[str]:
    """Kinds that guards judge by; what takes pods away is counted over the whole cluster."""
    targets = [t for t in given.plan.targets if t.context == context]
    kinds = {"ReplicaSet", "Pod", *(t.kind for t in targets), *(["Namespace"] if any(t.namespace for t in targets) else [])}
    if any(REPLICAS in writes(given.plan, target) for target in targets):
        kinds.add("HorizontalPodAutoscaler")
    return frozenset(kinds.union(KINDS_LOOKED_AT) if disruptive(given.plan) else kinds)

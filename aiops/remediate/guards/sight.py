"""No action on what cannot be seen: dark, stale or half telemetry, and a cluster view that is not whole."""

from __future__ import annotations

from aiops.domain.signal import SignalKind
from aiops.remediate.guards.contract import Answer, GuardInput, GuardLimits, UnknownFactError, allow, refuse
from aiops.remediate.guards.traits import REPLICAS, acts, writes


def telemetry(given: GuardInput, limits: GuardLimits) -> Answer:
    """Every source that the runbook names or that verification reads answers, whole and fresh; no claim that the target itself went dark."""
    if not acts(given.plan):
        return allow("nothing but telling")
    needed = sorted({*given.needs_sight, *([given.plan.verify.source] if given.plan.verify is not None else [])})
    for name in needed:
        source = given.sights.get(name)
        if source is None:
            raise UnknownFactError(f"how well {name} is seen is not known")
        if source.state != "ok":
            return refuse(f"Source{str(source.state).capitalize()}", f"{name} is {source.state}: {source.detail}".rstrip(": "))
        if source.answered_at is None or given.now - source.answered_at > limits.source_stale_after:
            return refuse("SourceStale", f"{name} has not answered for more than {limits.source_stale_after:g} s")
    if given.incidents is None:
        raise UnknownFactError("active incidents are not known")
    for incident in (given.incident, *given.incidents):
        blind = next((s for s in incident.firing if s.kind is SignalKind.SIGHT), None)
        if blind is not None and given.plan.target in (incident.target, blind.target):
            return refuse("TargetDark", f"{blind.rule}: {blind.summary}")
    return allow(", ".join(needed))


def cluster_view(given: GuardInput, limits: GuardLimits) -> Answer:
    """The picture that was planned on is synced, fresh and whole for the kinds that were looked at."""
    if not acts(given.plan):
        return allow("nothing but telling")
    cluster = given.cluster
    if cluster is None:
        raise UnknownFactError("how well the cluster is seen is not known")
    if not cluster.synced:
        return refuse("ClusterNotSynced", "not every kind was listed yet")
    age = given.now - cluster.seen_at
    if age > limits.cluster_stale_after:
        return refuse("ClusterStale", f"the last contact was {age:.0f} s ago")
    looked_at = [given.plan.target.kind, "ReplicaSet", "Pod", *(["Namespace"] if given.plan.target.namespace else [])]
    looked_at += ["HorizontalPodAutoscaler"] if REPLICAS in writes(given.plan) else []
    for kind in looked_at:
        if kind in cluster.errors:
            return refuse("ClusterPartial", f"{kind}: {cluster.errors[kind]}")
    return allow()

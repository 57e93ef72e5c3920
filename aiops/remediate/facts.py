"""The facts that a runbook's `match`, conditions and templates speak of: flat, dotted, plain JSON values.

Neighbours: `definitions.cel` lists the same names with their types; `matching` evaluates on them, plans keep them as evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiops.domain.errors import trimmed
from aiops.domain.incident import Incident
from aiops.domain.signal import SignalKind
from aiops.domain.target import JsonObject, TargetRef
from aiops.remediate.crashes import config_changes, crashes, probe_changed
from aiops.remediate.objects import ClusterObjects, condition, labels, wanted_replicas
from aiops.remediate.ownership import replicas_owner
from aiops.remediate.releases import UNKNOWN_AGE, running_release
from aiops.remediate.rollouts import rolling, settled
from aiops.remediate.storm import began

_MOST_SUMMARIES = 10


def target_facts(target: TargetRef, objects: ClusterObjects, incident: Incident, now: float, tried: Sequence[str] = ()) -> dict[str, Any]:
    """All facts, whatever is missing: counts are 0, the age is large, `target.exists` says why. `now` in Unix seconds.

    `incident.ageSeconds`: since it was opened; `incident.openSeconds`: for the last time, if it was reopened.
    `target.revisionAgeSeconds`: since the running release is the current one; a restart starts no new release (see `releases`).
    `target.settledSeconds`: since the last roll-out was complete, a restart's too.
    `tried`: a line for each run that was made for the incident and did not help.
    """
    obj = objects.target
    release = running_release(objects, now)
    owner = replicas_owner(objects)
    causes, lines = crashes(objects, now)
    status: JsonObject = (obj or {}).get("status") or {}
    daemons = target.kind == "DaemonSet"
    return {
        "incident.severity": incident.severity.value,
        "incident.labels": {str(k): str(v) for k, v in incident.labels.items()},
        "incident.rules": sorted({s.rule for s in incident.firing}),
        "incident.symptoms": list(incident.symptoms),
        "incident.ageSeconds": max(0.0, now - incident.opened_at),
        "incident.openSeconds": max(0.0, now - began(incident)),
        "incident.signals": len(incident.firing),
        "incident.tried": list(tried),
        "incident.summaries": _summaries(incident),
        "incident.forecast": bool(incident.firing) and all(s.kind is SignalKind.FORECAST for s in incident.firing),
        "target.kind": target.kind,
        "target.namespace": target.namespace,
        "target.name": target.name,
        "target.labels": {str(k): str(v) for k, v in labels(obj or {}).items()},
        "target.replicas": _wanted(target, obj),
        "target.readyReplicas": _pod_ready(obj) if target.kind == "Pod" else int(status.get("numberReady" if daemons else "readyReplicas") or 0),
        "target.availableReplicas": _pod_ready(obj) if target.kind == "Pod" else int(status.get("numberAvailable" if daemons else "availableReplicas") or 0),
        "target.revision": release.revision,
        "target.previousRevision": release.previous,
        "target.revisionAgeSeconds": release.age,
        "target.rolling": obj is not None and rolling(obj),
        "target.settledSeconds": settled(obj, now) if obj is not None else UNKNOWN_AGE,
        "target.ownedBy": owner.name if owner is not None else "",
        "target.crashes": lines,
        "target.crashCauses": causes,
        "target.configChanges": config_changes(objects, now),
        "target.probeChanged": probe_changed(objects, release),
        "target.exists": obj is not None,
        "cluster.unreadyNodes": sum(not _ready(node) for node in objects.nodes),
    }


def _summaries(incident: Incident) -> list[str]:
    return list(dict.fromkeys(trimmed(s.summary, 200) for s in incident.firing if s.summary))[:_MOST_SUMMARIES]


def _wanted(target: TargetRef, obj: JsonObject | None) -> int:
    if obj is None or target.kind == "Node":
        return 0
    return wanted_replicas(obj)


def _pod_ready(obj: JsonObject | None) -> int:
    return int(obj is not None and _ready(obj))


def _ready(obj: JsonObject) -> bool:
    found = condition(obj, "Ready")
    return found is not None and found.get("status") == "True"

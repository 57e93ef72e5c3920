"""Whether a roll-out is under way, and whether it is stuck. Pure; objects as the API has them.

Scaling is no roll-out, and neither are pods that crash after one has finished. Neighbours: `facts`, the guard `rollout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.target import JsonObject
from aiops.remediate.objects import ClusterObjects, condition, labels, meta, seconds, wanted_replicas
from aiops.remediate.releases import HASH_LABEL, UNKNOWN_AGE

_UNDER_WAY = frozenset({"ReplicaSetUpdated", "NewReplicaSetCreated", "FoundNewReplicaSet"})
_BROKEN = frozenset(
    {"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)

_RESTARTS = 2


def rolling(obj: JsonObject) -> bool:
    """True from the moment a template changed until all pods are of the new one (or the roll-out was given up: that is `stuck`)."""
    status: Mapping[str, Any] = obj.get("status") or {}
    kind = obj.get("kind")
    if int(status.get("observedGeneration") or 0) < int(meta(obj).get("generation") or 0):
        return True
    strategy = (obj.get("spec") or {}).get("updateStrategy") or {}
    if kind == "StatefulSet":
        if strategy.get("type") == "OnDelete" or status.get("updateRevision") == status.get("currentRevision"):
            return False
        partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
        return int(status.get("updatedReplicas") or 0) < wanted_replicas(obj) - partition
    if kind == "DaemonSet":
        return strategy.get("type") != "OnDelete" and int(status.get("updatedNumberScheduled") or 0) < wanted_replicas(obj)
    if kind != "Deployment":
        return False
    progressing = condition(obj, "Progressing")
    under_way = progressing is not None and progressing.get("reason") in _UNDER_WAY
    return under_way or int(status.get("replicas") or 0) > int(status.get("updatedReplicas") or 0)


def settled(obj: JsonObject, now: float) -> float:
    """Seconds since the last roll-out was complete; 0 while one is under way, `UNKNOWN_AGE` where the object does not say it."""
    if rolling(obj):
        return 0.0
    progressing = condition(obj, "Progressing")
    done = progressing is not None and progressing.get("reason") == "NewReplicaSetAvailable"
    at = seconds(progressing.get("lastUpdateTime")) if progressing is not None and done else None
    return UNKNOWN_AGE if at is None else max(0.0, now - at)


def stuck(objects: ClusterObjects, running: str) -> str:
    """Why the roll-out to the revision object named `running` will not finish by itself; empty if it may."""
    if objects.target is None:
        return ""
    progressing = condition(objects.target, "Progressing")
    if progressing is not None and progressing.get("reason") == "ProgressDeadlineExceeded":
        return "ProgressDeadlineExceeded"
    new = next((r for r in objects.revisions if running and meta(r).get("name") == running), None)
    mark = labels(new).get(HASH_LABEL) if new is not None and objects.target.get("kind") == "Deployment" else None
    for pod in objects.pods:
        mine = labels(pod).get(HASH_LABEL) == mark if mark else labels(pod).get("controller-revision-hash") == running
        reason = _broken(pod) if mine else ""
        if reason:
            return f"{reason} in pod {meta(pod).get('name')}"
    return ""


def _broken(pod: JsonObject) -> str:
    """A crash loop is waiting only part of the time: a container that is not ready and was restarted more than once is in one too."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        reason = ((container.get("state") or {}).get("waiting") or {}).get("reason")
        if reason in _BROKEN:
            return str(reason)
        restarts = int(container.get("restartCount") or 0)
        if not container.get("ready") and restarts >= _RESTARTS:
            return f"{restarts} restarts"
    return ""

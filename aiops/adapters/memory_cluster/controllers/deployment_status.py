"""What a Deployment's status says: counts, Available and Progressing. Pure. Neighbour: `deployment`."""

from __future__ import annotations

from aiops.adapters.memory_cluster.objects import condition, seconds_of, share, with_condition
from aiops.domain.target import JsonObject


def is_complete(deployment: JsonObject, status: JsonObject) -> bool:
    """All wanted pods are of the new template and available, and no other is left."""
    wanted = deployment["spec"]["replicas"]
    counts = [status.get(k, 0) for k in ("replicas", "updatedReplicas", "availableReplicas")]
    return counts == [wanted] * 3 and status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]


def status_of(
    deployment: JsonObject, new: JsonObject | None, sets: list[JsonObject], now: float, at: str
) -> tuple[JsonObject, float | None]:
    """The status, and when to look again for the progress deadline (None: no deadline runs)."""
    spec = deployment["spec"]
    wanted = spec["replicas"]
    total, ready, available = (sum(s.get("status", {}).get(k, 0) for s in sets) for k in ("replicas", "readyReplicas", "availableReplicas"))
    updated = new.get("status", {}).get("replicas", 0) if new else 0
    counts = {
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(total, wanted) - available),
    }
    status: JsonObject = {k: v for k, v in counts.items() if v}
    status["observedGeneration"] = deployment["metadata"]["generation"]
    limits = (spec["strategy"].get("rollingUpdate") or {}) if spec["strategy"]["type"] == "RollingUpdate" else {"maxUnavailable": wanted}
    unavailable = share(limits.get("maxUnavailable", "25%"), wanted, up=False)
    if not unavailable and not share(limits.get("maxSurge", 1), wanted, up=True):
        unavailable = 1
    is_available = available >= wanted - unavailable
    conditions = (deployment.get("status") or {}).get("conditions") or []
    reason = "MinimumReplicasAvailable" if is_available else "MinimumReplicasUnavailable"
    text = f"Deployment {'has' if is_available else 'does not have'} minimum availability."
    new_condition = {"type": "Available", "status": str(is_available), "reason": reason, "message": text}
    conditions = _set(conditions, new_condition, at)
    progressing, again = _progress(deployment, status, new, now)
    if progressing:
        conditions = _set(conditions, progressing, at)
        # A count that moved renews the deadline, though the condition reads the same.
        if progressing["reason"] == "ReplicaSetUpdated" and _moved(deployment, status):
            conditions = [{**c, "lastUpdateTime": at} if c["type"] == "Progressing" else c for c in conditions]
    status["conditions"] = conditions
    return status, again


def _set(conditions: list[JsonObject], new: JsonObject, at: str) -> list[JsonObject]:
    """With the condition; its `lastUpdateTime` moves when status or reason do."""
    old = next((c for c in conditions if c["type"] == new["type"]), None)
    if old is not None and (old["status"], old["reason"]) == (new["status"], new["reason"]):
        return conditions
    return with_condition(conditions, {**new, "lastUpdateTime": at}, at)


def _moved(deployment: JsonObject, status: JsonObject) -> bool:
    old = deployment.get("status") or {}
    return any(status.get(k, 0) != old.get(k, 0) for k in ("updatedReplicas", "readyReplicas", "availableReplicas", "replicas"))


def _progress(deployment: JsonObject, status: JsonObject, new: JsonObject | None, now: float) -> tuple[JsonObject | None, float | None]:
    name = new["metadata"]["name"] if new else deployment["metadata"]["name"]
    old = condition(deployment, "Progressing")
    if deployment["spec"].get("paused"):
        return {"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused", "message": "Deployment is paused"}, None
    if is_complete(deployment, status):
        text = f'ReplicaSet "{name}" has successfully progressed.'
        return {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": text}, None
    # Pods that fail after a finished roll-out start no deadline: nothing is being rolled out.
    finished = old is not None and old.get("reason") == "NewReplicaSetAvailable"
    if finished and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return None, None
    deadline = deployment["spec"].get("progressDeadlineSeconds", 600)
    moved = old is None or finished or old.get("reason") == "DeploymentPaused" or _moved(deployment, status)
    since = now if moved or old is None else seconds_of(old.get("lastUpdateTime"))
    timed_out = old is not None and old.get("reason") == "ProgressDeadlineExceeded"
    if not moved and (timed_out or since + deadline <= now):
        text = f'ReplicaSet "{name}" has timed out progressing.'
        return {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": text}, None
    text = f'ReplicaSet "{name}" is progressing.'
    return {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": text}, since + deadline

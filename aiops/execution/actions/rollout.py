"""When a workload's roll-out is complete, as `kubectl rollout status` understands it (kubectl's polymorphichelpers/rollout_status).

Pure: objects in, answer out. Neighbours: `restart`, `rollback`.
"""

from __future__ import annotations

from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.target import JsonObject
from aiops.execution.actions.contract import Checked, Done, Failed, Waiting
from aiops.execution.actions.stamped import POLL, digest


def template_digest(template: JsonObject) -> str:
    """Digest of a pod template; the empty creationTimestamp that some servers write into it does not count."""
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if k != "creationTimestamp"}
    return digest({**template, "metadata": metadata})


def template_state(obj: JsonObject) -> dict[str, Any]:
    """What an effect on the template relies on: the whole template, as a digest."""
    return {"template": template_digest(obj["spec"]["template"])}


def unable(obj: JsonObject) -> Result | None:
    """Why a change of the template would not roll out, or None."""
    spec = obj["spec"]
    if obj.get("kind") == "Deployment" and spec.get("paused"):
        return Result(Outcome.FAILED, "RolloutPaused", "the Deployment is paused: a changed template would not roll out")
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return Result(Outcome.FAILED, "OnDeleteStrategy", "the update strategy is OnDelete: a changed template would not roll out")
    return None


def progress(obj: JsonObject, wanted_template: str) -> Checked:
    """Complete, under way, or failed. Another template than ours means that somebody else has taken over."""
    if template_digest(obj["spec"]["template"]) != wanted_template:
        return Failed(Result(Outcome.FAILED, "Superseded", "the template was changed by somebody else during the roll-out"))
    status = obj.get("status") or {}
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return Waiting(POLL, "the controller has not seen the change yet")
    kind = obj.get("kind")
    if kind == "StatefulSet":
        return _stateful_set(obj["spec"], status)
    if kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return _counted(wanted, wanted, status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0))
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Failed(Result(Outcome.FAILED, "ProgressDeadlineExceeded", str(condition.get("message", ""))))
    wanted = obj["spec"].get("replicas", 1)
    return _counted(wanted, status.get("replicas", 0), status.get("updatedReplicas", 0), status.get("availableReplicas", 0))


def _counted(wanted: int, total: int, updated: int, available: int) -> Checked:
    if updated < wanted:
        return Waiting(POLL, f"{updated} of {wanted} pods are of the new template")
    if total > updated:
        return Waiting(POLL, f"{total - updated} old pods are still there")
    if available < updated:
        return Waiting(POLL, f"{available} of {updated} new pods are available")
    return Done(detail=f"{updated} of {wanted} pods are new and available")


def _stateful_set(spec: JsonObject, status: JsonObject) -> Checked:
    wanted = spec.get("replicas", 1)
    partition = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0) or 0
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if ready < wanted:
        return Waiting(POLL, f"{ready} of {wanted} pods are ready")
    if partition:
        if updated < wanted - partition:
            return Waiting(POLL, f"{updated} of {wanted - partition} pods are of the new template")
    elif status.get("updateRevision") != status.get("currentRevision"):
        return Waiting(POLL, f"{updated} of {wanted} pods are of the new template")
    return Done(detail=f"{updated} pods are new and ready")

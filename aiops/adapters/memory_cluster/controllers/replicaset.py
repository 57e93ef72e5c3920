"""ReplicaSets: keep the wanted number of pods. Neighbours: `deployment` makes and scales them, `kubelet` brings the pods up.

Which pods go first follows the order of the real controller (not assigned, pending, not ready, deletion cost, ready for the shortest time):
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-down-a-replicaset
"""

from __future__ import annotations

from aiops.adapters.memory_cluster.objects import (
    annotations_of,
    condition,
    controller_of,
    digest,
    is_active,
    is_available,
    is_true,
    labels_of,
    owner_reference,
    seconds_of,
)
from aiops.adapters.patching import clone
from aiops.domain.target import JsonObject

from .manager import Context


class ReplicaSets:
    """The controller."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made = 0

    def reconcile(self, replica_set: JsonObject) -> None:
        """Create what is missing or delete what is too much, then write the status."""
        if "deletionTimestamp" in replica_set["metadata"]:
            return
        pods = self._pods(replica_set)
        missing = replica_set["spec"]["replicas"] - len(pods)
        for _ in range(missing):
            self._create_pod(replica_set)
        if missing < 0:
            for pod in sorted(pods, key=_keep_order)[:-missing]:
                self._context.delete(pod)
        if missing:
            pods = self._pods(replica_set)
        self._write_status(replica_set, pods)

    def _pods(self, replica_set: JsonObject) -> list[JsonObject]:
        uid = replica_set["metadata"]["uid"]
        return [p for p in self._context.state.children(uid, "Pod") if (controller_of(p) or {}).get("uid") == uid and is_active(p)]

    def _create_pod(self, replica_set: JsonObject) -> None:
        self._made += 1
        meta, template = replica_set["metadata"], replica_set["spec"]["template"]
        suffix = digest(f"{meta['uid']}/{self._made}", 5)
        pod_meta = {k: clone(v) for k, v in (template.get("metadata") or {}).items() if k in ("labels", "annotations")}
        pod_meta |= {
            "name": f"{meta['name']}-{suffix}",
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "ownerReferences": [owner_reference(replica_set)],
        }
        self._context.create({"apiVersion": "v1", "kind": "Pod", "metadata": pod_meta, "spec": clone(template["spec"])})

    def _write_status(self, replica_set: JsonObject, pods: list[JsonObject]) -> None:
        spec, now = replica_set["spec"], self._context.now()
        min_ready = spec.get("minReadySeconds", 0)
        ready = [p for p in pods if is_true(p, "Ready")]
        available = [p for p in ready if is_available(p, min_ready, now)]
        if len(available) < len(ready):
            soonest = min(seconds_of((condition(p, "Ready") or {})["lastTransitionTime"]) for p in ready if p not in available)
            self._context.again(soonest + min_ready, replica_set)
        wanted = (spec["template"].get("metadata") or {}).get("labels") or {}
        labeled = sum(1 for p in pods if wanted.items() <= labels_of(p).items())
        status: JsonObject = {"replicas": len(pods), "observedGeneration": replica_set["metadata"]["generation"]}
        counts = {"fullyLabeledReplicas": labeled, "readyReplicas": len(ready), "availableReplicas": len(available)}
        status |= {k: v for k, v in counts.items() if v}
        self._context.put_status(replica_set, status)


def _keep_order(pod: JsonObject) -> tuple[bool, int, bool, int, float, int, float]:
    """Smallest goes first."""
    status = pod.get("status") or {}
    ready = condition(pod, "Ready") or {}
    since = seconds_of(ready.get("lastTransitionTime")) if ready.get("status") == "True" else 0.0
    restarts = max((c.get("restartCount", 0) for c in status.get("containerStatuses") or ()), default=0)
    cost = annotations_of(pod).get("controller.kubernetes.io/pod-deletion-cost", "0")
    return (
        bool(pod["spec"].get("nodeName")),
        {"Pending": 0, "Unknown": 1}.get(status.get("phase", "Pending"), 2),
        bool(since),
        int(cost) if cost.removeprefix("-").isdecimal() else 0,
        -since,
        -restarts,
        -float(pod["metadata"]["resourceVersion"]),
    )

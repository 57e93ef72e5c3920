"""StatefulSets: numbered pods, in order unless `Parallel`; updates from the highest number down; one ControllerRevision a template.

Simple on purpose: no volumes, no partitions beyond `rollingUpdate.partition`. Neighbour: `manager`.
"""

from __future__ import annotations

from aiops.adapters.memory_cluster.objects import controller_of, digest, is_true, labels_of, owner_reference
from aiops.adapters.patching import clone, same
from aiops.domain.target import JsonObject

from .manager import Context

REVISION_LABEL = "controller-revision-hash"


class StatefulSets:
    """The controller."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def reconcile(self, stateful_set: JsonObject) -> None:
        """One step: make or delete the next pod, then write the status."""
        if "deletionTimestamp" in stateful_set["metadata"]:
            return
        current, update = self._revisions(stateful_set)
        pods = self._pods(stateful_set)
        self._step(stateful_set, pods, update["metadata"]["name"])
        self._write_status(stateful_set, self._pods(stateful_set), current["metadata"]["name"], update["metadata"]["name"])

    def _pods(self, stateful_set: JsonObject) -> dict[int, JsonObject]:
        """Its pods by number, those that are leaving too: a number is free only once its pod is gone."""
        uid = stateful_set["metadata"]["uid"]
        found = [p for p in self._context.state.children(uid, "Pod") if (controller_of(p) or {}).get("uid") == uid]
        return {int(p["metadata"]["name"].rpartition("-")[2]): p for p in found}

    def _revisions(self, stateful_set: JsonObject) -> tuple[JsonObject, JsonObject]:
        """The revision that pods had, and the one they shall have; the latter is made if its template is new."""
        meta, template = stateful_set["metadata"], stateful_set["spec"]["template"]
        data = {"spec": {"template": {**clone(template), "$patch": "replace"}}}
        known = self._context.state.children(meta["uid"], "ControllerRevision")
        newest = max((r["revision"] for r in known), default=0)
        update = next((r for r in known if same(r["data"], data)), None)
        if update is None:
            made: JsonObject = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": data, "revision": newest + 1}
            made["metadata"] = {
                "name": f"{meta['name']}-{digest(data)}",
                "namespace": meta["namespace"],
                "labels": dict((template.get("metadata") or {}).get("labels") or {}),
                "ownerReferences": [owner_reference(stateful_set)],
            }
            update = self._context.create(made)
        elif update["revision"] < newest:
            update = self._context.state.put({**update, "metadata": dict(update["metadata"]), "revision": newest + 1})
        name = (stateful_set.get("status") or {}).get("currentRevision")
        return next((r for r in known if r["metadata"]["name"] == name), update), update

    def _step(self, stateful_set: JsonObject, pods: dict[int, JsonObject], revision: str) -> None:
        ordered = stateful_set["spec"].get("podManagementPolicy") != "Parallel"
        if not self._fill(stateful_set, pods, revision, ordered=ordered) and not self._shrink(stateful_set, pods, ordered=ordered):
            self._update(stateful_set, pods, revision)

    def _fill(self, stateful_set: JsonObject, pods: dict[int, JsonObject], revision: str, *, ordered: bool) -> bool:
        """Make what is missing; True if the order has to wait for a pod."""
        for number in range(stateful_set["spec"]["replicas"]):
            pod = pods.get(number)
            if pod is None:
                self._make(stateful_set, number, revision)
                if ordered:
                    return True
            elif ordered and not _works(pod):
                # A broken pod of an older revision is replaced; else the order waits for it.
                if labels_of(pod).get(REVISION_LABEL) != revision and "deletionTimestamp" not in pod["metadata"]:
                    self._context.delete(pod)
                return True
        return False

    def _shrink(self, stateful_set: JsonObject, pods: dict[int, JsonObject], *, ordered: bool) -> bool:
        """Delete what is too much, the highest number first; True if the order has to wait for it."""
        for number in sorted((n for n in pods if n >= stateful_set["spec"]["replicas"]), reverse=True):
            if "deletionTimestamp" not in pods[number]["metadata"]:
                self._context.delete(pods[number])
            if ordered:
                return True
        return False

    def _update(self, stateful_set: JsonObject, pods: dict[int, JsonObject], revision: str) -> None:
        """Replace one pod of an older revision at a time, the highest number first."""
        spec = stateful_set["spec"]
        strategy = spec.get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete" or len(pods) < spec["replicas"]:
            return
        for number in range(spec["replicas"] - 1, (strategy.get("rollingUpdate") or {}).get("partition", 0) - 1, -1):
            pod = pods[number]
            if labels_of(pod).get(REVISION_LABEL) != revision and "deletionTimestamp" not in pod["metadata"]:
                self._context.delete(pod)
                return
            if not _works(pod):
                return

    def _make(self, stateful_set: JsonObject, number: int, revision: str) -> None:
        meta, template = stateful_set["metadata"], stateful_set["spec"]["template"]
        name = f"{meta['name']}-{number}"
        pod_meta = {k: clone(v) for k, v in (template.get("metadata") or {}).items() if k in ("labels", "annotations")}
        marks = {REVISION_LABEL: revision, "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(number)}
        pod_meta["labels"] = {**(pod_meta.get("labels") or {}), **marks}
        pod_meta |= {"name": name, "namespace": meta["namespace"], "ownerReferences": [owner_reference(stateful_set)]}
        self._context.create({"apiVersion": "v1", "kind": "Pod", "metadata": pod_meta, "spec": clone(template["spec"])})

    def _write_status(self, stateful_set: JsonObject, pods: dict[int, JsonObject], current: str, update: str) -> None:
        living = [p for p in pods.values() if "deletionTimestamp" not in p["metadata"]]
        ready = sum(1 for p in living if is_true(p, "Ready"))
        updated = sum(1 for p in living if labels_of(p).get(REVISION_LABEL) == update)
        if updated == len(living) == stateful_set["spec"]["replicas"] == ready:
            current = update
        status: JsonObject = {
            "replicas": len(living),
            "availableReplicas": ready,
            "currentRevision": current,
            "updateRevision": update,
            "observedGeneration": stateful_set["metadata"]["generation"],
            "collisionCount": 0,
        }
        counts = {"readyReplicas": ready, "updatedReplicas": updated}
        counts["currentReplicas"] = sum(1 for p in living if labels_of(p).get(REVISION_LABEL) == current)
        status |= {k: v for k, v in counts.items() if v}
        self._context.put_status(stateful_set, status)


def _works(pod: JsonObject) -> bool:
    return is_true(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]

"""Deployments: ReplicaSets with revisions, roll-outs within maxSurge and maxUnavailable, roll-backs, pauses, history.

Follows the real controller's arithmetic, as documented at https://kubernetes.io/docs/concepts/workloads/controllers/deployment/.
Neighbours: `deployment_status` counts and judges progress, `replicaset` makes the pods.
"""

from __future__ import annotations

from aiops.adapters.memory_cluster.objects import annotations_of, controller_of, digest, owner_reference, share
from aiops.adapters.patching import clone, same
from aiops.domain.target import JsonObject

from .deployment_status import is_complete, status_of
from .manager import Context

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
HASH = "pod-template-hash"
# Annotations of the Deployment that do not travel to its ReplicaSets.
_NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MOST})


class Deployments:
    """The controller."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def reconcile(self, deployment: JsonObject) -> None:
        """One step of whatever the Deployment needs: each change brings it back for the next."""
        if "deletionTimestamp" in deployment["metadata"]:
            return
        spec = deployment["spec"]
        paused = bool(spec.get("paused"))
        resized = self._resized(deployment)
        recreated = spec["strategy"]["type"] == "Recreate"
        make = not (paused or resized or (recreated and self._leaving(deployment)))
        new = self._new(deployment, make=make)
        sets = self._sets(deployment)
        old = [s for s in sets if new is None or s["metadata"]["uid"] != new["metadata"]["uid"]]
        deployment = self._mark_revision(deployment, new)
        if paused or resized:
            self._resize(deployment, new, old)
        elif recreated:
            self._recreate(deployment, new, old)
        elif new is not None:
            self._roll(deployment, new, old)
        sets = self._sets(deployment)
        if new is not None:
            new = next((s for s in sets if s["metadata"]["uid"] == new["metadata"]["uid"]), None)
        status, again = status_of(deployment, new, sets, self._context.now(), self._context.state.now())
        self._context.put_status(deployment, status)
        if again is not None:
            self._context.again(again, deployment)
        if is_complete(deployment, status):
            self._forget_history(deployment, [s for s in sets if new is None or s["metadata"]["uid"] != new["metadata"]["uid"]])

    def _sets(self, deployment: JsonObject) -> list[JsonObject]:
        """Its ReplicaSets, oldest first."""
        uid = deployment["metadata"]["uid"]
        return [s for s in self._context.state.children(uid, "ReplicaSet") if (controller_of(s) or {}).get("uid") == uid]

    def _resized(self, deployment: JsonObject) -> bool:
        wanted = str(deployment["spec"]["replicas"])
        return any(s["spec"]["replicas"] > 0 and annotations_of(s).get(DESIRED, wanted) != wanted for s in self._sets(deployment))

    # --- revisions

    def _new(self, deployment: JsonObject, *, make: bool) -> JsonObject | None:
        """The ReplicaSet of the present template, with the highest revision; made if it is not there and `make`."""
        template, sets = deployment["spec"]["template"], self._sets(deployment)
        found = next((s for s in sets if same(_without_hash(s["spec"]["template"]), template)), None)
        uid = found["metadata"]["uid"] if found else ""
        newest = max((_revision(s) for s in sets if s["metadata"]["uid"] != uid), default=0)
        carried = {k: v for k, v in annotations_of(deployment).items() if k not in _NOT_COPIED}
        if found is not None:
            if _revision(found) < newest + 1:
                carried[REVISION] = str(newest + 1)
                past = [r for r in (annotations_of(found).get(HISTORY, ""), str(_revision(found))) if r and r != "0"]
                if past:
                    carried[HISTORY] = ",".join(past)
            return self._context.put_annotations(found, carried)
        return self._make(deployment, sets, carried | {REVISION: str(newest + 1)}) if make else None

    def _make(self, deployment: JsonObject, sets: list[JsonObject], annotations: dict[str, str]) -> JsonObject:
        meta, spec = deployment["metadata"], deployment["spec"]
        mark = digest(spec["template"])
        template = clone(spec["template"])
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = mark
        selector = clone(spec["selector"])
        selector.setdefault("matchLabels", {})[HASH] = mark
        surge, _ = _limits(deployment)
        annotations |= {DESIRED: str(spec["replicas"]), MOST: str(spec["replicas"] + surge)}
        made: JsonObject = {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
        made["metadata"] = {
            "name": f"{meta['name']}-{mark}",
            "namespace": meta["namespace"],
            "labels": dict(template["metadata"]["labels"]),
            "annotations": annotations,
            "ownerReferences": [owner_reference(deployment)],
        }
        made["spec"] = {"replicas": _new_count(deployment, sets, 0), "selector": selector, "template": template}
        if spec.get("minReadySeconds"):
            made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        return self._context.create(made)

    def _mark_revision(self, deployment: JsonObject, new: JsonObject | None) -> JsonObject:
        if new is None:
            return deployment
        return self._context.put_annotations(deployment, {REVISION: annotations_of(new)[REVISION]})

    def _forget_history(self, deployment: JsonObject, old: list[JsonObject]) -> None:
        idle = [s for s in old if not s["spec"]["replicas"] and not s.get("status", {}).get("replicas")]
        surplus = len(idle) - deployment["spec"].get("revisionHistoryLimit", 10)
        for replica_set in sorted(idle, key=_revision)[: max(0, surplus)]:
            self._context.delete(replica_set)

    # --- counts

    def _scale(self, deployment: JsonObject, replica_set: JsonObject, replicas: int) -> JsonObject:
        """Set a ReplicaSet's count, and the annotations that tell a change of size from a roll-out."""
        surge, _ = _limits(deployment)
        wanted = deployment["spec"]["replicas"]
        replica_set = self._context.put_annotations(replica_set, {DESIRED: str(wanted), MOST: str(wanted + surge)})
        return self._context.put_spec(replica_set, replicas=replicas) if replica_set["spec"]["replicas"] != replicas else replica_set

    def _resize(self, deployment: JsonObject, new: JsonObject | None, old: list[JsonObject]) -> None:
        """The wanted count changed (or the roll-out is paused): spread it over the sets in proportion, without rolling on."""
        wanted = deployment["spec"]["replicas"]
        sets = [*old, *([new] if new else [])]
        active = [s for s in sets if s["spec"]["replicas"] > 0]
        if len(active) <= 1:
            if sets:
                self._scale(deployment, active[0] if active else (new or max(sets, key=_revision)), wanted)
            return
        surge, _ = _limits(deployment)
        total = sum(s["spec"]["replicas"] for s in active)
        difference = (wanted + surge if wanted else 0) - total
        # Bigger sets first when growing and shrinking; the newest takes what rounding leaves.
        active.sort(key=lambda s: (s["spec"]["replicas"], _revision(s)), reverse=True)
        counts = [max(0, s["spec"]["replicas"] + int(difference * s["spec"]["replicas"] / total)) for s in active]
        counts[0] = max(0, counts[0] + total + difference - sum(counts))
        for replica_set, count in zip(active, counts, strict=True):
            self._scale(deployment, replica_set, count)

    def _leaving(self, deployment: JsonObject) -> bool:
        """True while pods of another template than the present one are there."""
        others = [s for s in self._sets(deployment) if not same(_without_hash(s["spec"]["template"]), deployment["spec"]["template"])]
        return any(s["spec"]["replicas"] or self._context.state.children(s["metadata"]["uid"], "Pod") for s in others)

    def _recreate(self, deployment: JsonObject, new: JsonObject | None, old: list[JsonObject]) -> None:
        if self._leaving(deployment):
            for replica_set in old:
                self._scale(deployment, replica_set, 0)
        elif new is not None:
            self._scale(deployment, new, deployment["spec"]["replicas"])

    def _roll(self, deployment: JsonObject, new: JsonObject, old: list[JsonObject]) -> None:
        wanted = deployment["spec"]["replicas"]
        count = new["spec"]["replicas"]
        goal = wanted if count > wanted else _new_count(deployment, [*old, new], count)
        if goal != count:
            self._scale(deployment, new, goal)
            return
        total_old = sum(s["spec"]["replicas"] for s in old)
        if not total_old:
            return
        _, unavailable = _limits(deployment)
        least = wanted - unavailable
        lacking = count - _available(new)
        most_down = total_old + count - least - lacking
        if most_down <= 0:
            return
        # First those that do not work anyway, then as many working ones as the minimum allows.
        left = most_down
        kept: list[tuple[JsonObject, int]] = []
        for replica_set in old:
            size = replica_set["spec"]["replicas"]
            broken = min(left, size - min(size, _available(replica_set)))
            left -= broken
            kept.append((replica_set, size - broken))
        spare = sum(map(_available, [*old, new])) - least
        for replica_set, size in kept:
            down = min(size, max(0, spare))
            spare -= down
            self._scale(deployment, replica_set, size - down)


def _revision(replica_set: JsonObject) -> int:
    text = annotations_of(replica_set).get(REVISION, "0")
    return int(text) if text.isdecimal() else 0


def _available(replica_set: JsonObject) -> int:
    found: int = (replica_set.get("status") or {}).get("availableReplicas", 0)
    return found


def _without_hash(template: JsonObject) -> JsonObject:
    meta = template.get("metadata") or {}
    return {**template, "metadata": {**meta, "labels": {k: v for k, v in (meta.get("labels") or {}).items() if k != HASH}}}


def _limits(deployment: JsonObject) -> tuple[int, int]:
    """Surge (rounded up) and unavailable (rounded down) as counts; never both zero."""
    spec = deployment["spec"]
    if spec["strategy"]["type"] == "Recreate":
        return 0, int(spec["replicas"])
    limits = spec["strategy"].get("rollingUpdate") or {}
    surge = share(limits.get("maxSurge", "25%"), spec["replicas"], up=True)
    unavailable = share(limits.get("maxUnavailable", "25%"), spec["replicas"], up=False)
    return surge, unavailable if surge or unavailable else 1


def _new_count(deployment: JsonObject, sets: list[JsonObject], present: int) -> int:
    """How many pods the new set may have now."""
    wanted: int = deployment["spec"]["replicas"]
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        return wanted
    surge, _ = _limits(deployment)
    room = wanted + surge - sum(s["spec"]["replicas"] for s in sets)
    return present if room <= 0 else present + max(0, min(room, wanted - present))

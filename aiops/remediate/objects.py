"""What of a cluster bears on one target: its object and those around it, as plain JSON, taken from the cached view in one go.

Neighbours: `facts`, `ownership` and the guards read it; `pipeline.decide` calls `gather` with the methods of its `ClusterView`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiops.domain.target import JsonObject, TargetRef

Find = Callable[[TargetRef], JsonObject | None]
Objects = Callable[[str, str], Sequence[JsonObject]]
"""Kind and namespace in (empty: all), objects out."""

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True, slots=True)
class ClusterObjects:
    """The target (None: not there) and what hangs on it: only objects that belong to it, save `nodes`, which are all."""

    target: JsonObject | None
    namespace: JsonObject | None = None
    revisions: tuple[JsonObject, ...] = ()
    """ReplicaSets of a Deployment, ControllerRevisions of a StatefulSet or DaemonSet."""
    pods: tuple[JsonObject, ...] = ()
    autoscalers: tuple[JsonObject, ...] = ()
    rollouts: tuple[JsonObject, ...] = ()
    """ReplicaSets that an Argo Rollout made from the target's template: it refers to the Deployment as its `workloadRef`."""
    nodes: tuple[JsonObject, ...] = ()
    configs: tuple[JsonObject, ...] = ()
    """ConfigMaps that the target's pods read, without what they hold."""


def gather(target: TargetRef, find: Find, objects: Objects) -> ClusterObjects:
    """Everything about the target in one value. `find` and `objects` are those of a `ClusterView`."""
    found = find(target)
    # Items of a list come without their kind.
    obj = {"kind": target.kind, **found} if found is not None else None
    namespace = find(TargetRef("Namespace", "", target.namespace, target.context)) if target.namespace else None
    nodes = tuple(objects("Node", ""))
    if obj is None or target.kind not in WORKLOADS:
        return ClusterObjects(obj, namespace, nodes=nodes)
    kept = objects("ReplicaSet" if target.kind == "Deployment" else "ControllerRevision", target.namespace)
    revisions = _owned(obj, kept)
    parents = revisions if target.kind == "Deployment" else (obj,)
    uids = {uid for parent in parents if (uid := meta(parent).get("uid")) is not None}
    pods = [p for p in objects("Pod", target.namespace) if any(o.get("controller") and o.get("uid") in uids for o in meta(p).get("ownerReferences") or ())]
    scalers = [a for a in objects("HorizontalPodAutoscaler", target.namespace) if scales(a, target)]
    names = config_names((obj.get("spec") or {}).get("template") or {})
    configs = tuple(c for name in names if (c := find(TargetRef("ConfigMap", target.namespace, name, target.context))) is not None)
    return ClusterObjects(obj, namespace, revisions, tuple(pods), tuple(scalers), _rolled(obj, kept), nodes, configs)


def config_names(template: JsonObject) -> tuple[str, ...]:
    """The ConfigMaps that a pod template reads: as environment, as values of it, as volumes."""
    spec = template.get("spec") or {}
    return tuple(dict.fromkeys(str(name) for reference in _references(spec) if (name := (reference or {}).get("name"))))


def controls(owner: JsonObject, obj: JsonObject) -> bool:
    """True if `owner` is the controller of `obj`, by uid."""
    uid = meta(owner).get("uid")
    return any(o.get("controller") and o.get("uid") == uid for o in meta(obj).get("ownerReferences") or ())


def meta(obj: JsonObject) -> Mapping[str, Any]:
    """`metadata`, empty if the object has none."""
    return obj.get("metadata") or {}


def marks(obj: JsonObject) -> Mapping[str, Any]:
    """Its annotations."""
    return meta(obj).get("annotations") or {}


def labels(obj: JsonObject) -> Mapping[str, Any]:
    """Its labels."""
    return meta(obj).get("labels") or {}


def condition(obj: JsonObject, kind: str) -> Mapping[str, Any] | None:
    """One of `status.conditions` by its type."""
    found: Mapping[str, Any]
    for found in (obj.get("status") or {}).get("conditions") or ():
        if found.get("type") == kind:
            return found
    return None


def seconds(text: Any) -> float | None:
    """RFC 3339 as Kubernetes writes it, as Unix seconds; None for anything else."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def wanted_replicas(obj: JsonObject) -> int:
    """How many pods the workload is to have."""
    if obj.get("kind") == "DaemonSet":
        return int((obj.get("status") or {}).get("desiredNumberScheduled") or 0)
    replicas = (obj.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _owned(owner: JsonObject, objects: Sequence[JsonObject]) -> tuple[JsonObject, ...]:
    return tuple(o for o in objects if controls(owner, o))


def _rolled(target: JsonObject, replica_sets: Sequence[JsonObject]) -> tuple[JsonObject, ...]:
    """Those of an Argo Rollout whose pods bear the target's own labels."""
    wanted = ((target.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    if not wanted or target.get("kind") != "Deployment":
        return ()
    of_rollouts = (r for r in replica_sets if any(o.get("kind") == "Rollout" and o.get("controller") for o in meta(r).get("ownerReferences") or ()))
    return tuple(r for r in of_rollouts if wanted.items() <= labels(((r.get("spec") or {}).get("template")) or {}).items())


def scales(autoscaler: JsonObject, target: TargetRef) -> bool:
    """Whether a HorizontalPodAutoscaler is for this target."""
    reference = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    group = str(reference.get("apiVersion") or "apps/v1").rpartition("/")[0]
    return (reference.get("kind"), reference.get("name"), group) == (target.kind, target.name, "apps")


def _references(spec: JsonObject) -> Iterator[Mapping[str, Any] | None]:
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        yield from (source.get("configMapRef") for source in container.get("envFrom") or ())
        yield from ((variable.get("valueFrom") or {}).get("configMapKeyRef") for variable in container.get("env") or ())
    for volume in spec.get("volumes") or ():
        yield volume.get("configMap")
        yield from (source.get("configMap") for source in (volume.get("projected") or {}).get("sources") or ())

"""Who owns whom and what runs where, read from plain Kubernetes objects. Neighbours: targets of signals climb here; `inhibition` asks for relations.

`find` is any look-up of cached objects (`ClusterView.find` fits). An owner that is not in the cache ends the climb at the last name known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiops.domain.target import KINDS, JsonObject, TargetRef

Find = Callable[[TargetRef], JsonObject | None]
MAX_CLIMB = 8
"""Owners form chains of two or three; a longer one is a loop made by hand."""


def controller(obj: JsonObject, context: str = "default") -> TargetRef | None:
    """The object that controls this one, by its ownerReferences; None if there is none or its kind is not known here."""
    meta = obj.get("metadata") or {}
    for owner in meta.get("ownerReferences") or ():
        kind = KINDS.get(str(owner.get("kind", "")))
        if not owner.get("controller") or kind is None or not owner.get("name"):
            continue
        # The group must fit too: another API may call its kind Deployment. Versions differ over time and do not matter.
        group, _, version = str(owner.get("apiVersion", "")).rpartition("/")
        if version and group == kind.group:
            return TargetRef(kind.name, str(meta.get("namespace", "")) if kind.namespaced else "", str(owner["name"]), context)
    return None


def owner_of(ref: TargetRef, find: Find) -> TargetRef:
    """The topmost known owner of an object: pod → ReplicaSet → Deployment. The object itself if nobody owns it or it is not known."""
    for _ in range(MAX_CLIMB):
        obj = find(ref)
        above = None if obj is None else controller(obj, ref.context)
        if above is None:
            return ref
        ref = above
    return ref


def node_of(pod: JsonObject) -> str:
    """Name of the node a pod was put on; empty while it is not scheduled."""
    return str((pod.get("spec") or {}).get("nodeName") or "")


@dataclass(frozen=True, slots=True)
class Placement:
    """Which workloads and pods stand on which nodes. `nodes_of` by target (workload or pod): names of nodes."""

    context: str = "default"
    nodes_of: Mapping[TargetRef, frozenset[str]] = field(default_factory=dict)

    def below(self, upper: TargetRef, lower: TargetRef) -> bool:
        """True if `lower` depends on `upper` being there: it has a pod on that node, or lives in that namespace."""
        if upper.context != lower.context:
            return False
        if upper.kind == "Node":
            return upper.name in self.nodes_of.get(lower, frozenset())
        return upper.kind == "Namespace" and upper.name == lower.namespace


def placement(pods: Iterable[JsonObject], find: Find, context: str = "default") -> Placement:
    """Read the placement of pods; a workload stands on every node that one of its pods stands on."""
    nodes: dict[TargetRef, set[str]] = {}
    for pod in pods:
        meta, node = pod.get("metadata") or {}, node_of(pod)
        if not node or not meta.get("name"):
            continue
        ref = TargetRef("Pod", str(meta.get("namespace", "")), str(meta["name"]), context)
        above = controller(pod, context)
        for one in {ref, ref if above is None else owner_of(above, find)}:
            nodes.setdefault(one, set()).add(node)
    return Placement(context, {ref: frozenset(names) for ref, names in nodes.items()})

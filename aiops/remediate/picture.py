"""One cluster at one moment, indexed and counted for the guards: who owns which pod, what serves, what is being disrupted by whomever.

Pure: `take` reads the cached view once, so that many plans of one moment share it. Disruption is read from the API's objects alone: a pod that is
wanted and does not serve counts, whoever took it away. Neighbours: `guards.harm` adds what a plan would take, `guards.disruption` compares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aiops.domain.target import JsonObject, TargetRef
from aiops.remediate.objects import Objects, condition, labels, marks, meta, wanted_replicas
from aiops.remediate.selectors import matches

COUNTED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
BATCH = ("Job", "CronJob")
KINDS_LOOKED_AT = ("Pod", "Node", "Namespace", "PodDisruptionBudget", *COUNTED)
"""What a picture is taken of; a kind that cannot be read makes it worthless for counting."""

_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class Load:
    """Pods of one workload (a pod without a controller stands for itself): how many are wanted, serve, and are on their way out."""

    wanted: int
    serving: int = 0
    leaving: int = 0

    @property
    def disrupted(self) -> int:
        """Wanted and not serving, or leaving, whichever is more: an evicted pod and the one that takes its place are one disruption."""
        return max(0, self.wanted - self.serving, self.leaving)


@dataclass(frozen=True)
class Picture:
    """Everything is read-only. Maps of objects are by uid where nothing else is said."""

    context: str
    pods: tuple[JsonObject, ...]
    nodes: Mapping[str, JsonObject]
    """By name."""
    namespaces: Mapping[str, JsonObject]
    """By name."""
    owners: Mapping[str, JsonObject]
    """Controllers: workloads and ReplicaSets, each with its kind."""
    budgets: Mapping[str, tuple[JsonObject, ...]]
    """PodDisruptionBudgets by namespace."""
    batch: Mapping[str, JsonObject] = field(default_factory=dict)
    """Jobs and CronJobs: they control, and are not counted."""

    def owner(self, obj: JsonObject) -> JsonObject | None:
        """The controller of an object, if the picture has it."""
        uid = controller(obj).get("uid")
        return (self.owners.get(str(uid)) or self.batch.get(str(uid))) if uid else None

    def chain(self, obj: JsonObject) -> tuple[JsonObject, ...]:
        """The object and its controllers, from below."""
        found = [obj]
        while (above := self.owner(found[-1])) is not None and len(found) < 5:
            found.append(above)
        return tuple(found)

    def workload(self, pod: JsonObject) -> TargetRef:
        """What counts the pod: the topmost controller that the picture has, else the controller by name, else the pod itself."""
        top, above = self.chain(pod)[-1], controller(pod)
        if top is not pod and above.get("kind") != "Job":
            return self.ref(top)
        if above:
            return TargetRef(str(above.get("kind", "")), _space(pod), str(above.get("name", "")), self.context)
        return TargetRef("Pod", _space(pod), str(meta(pod).get("name", "")), self.context)

    def ref(self, obj: JsonObject) -> TargetRef:
        """The reference of a controller."""
        return TargetRef(str(obj.get("kind", "")), _space(obj), str(meta(obj).get("name", "")), self.context)

    @cached_property
    def workloads(self) -> Mapping[TargetRef, JsonObject]:
        """Topmost controllers by reference."""
        return {self.ref(obj): obj for obj in self.owners.values() if self.owner(obj) is None}

    @cached_property
    def by_node(self) -> Mapping[str, tuple[JsonObject, ...]]:
        """Pods by the node they are on."""
        found: dict[str, list[JsonObject]] = defaultdict(list)
        for pod in self.pods:
            if node := (pod.get("spec") or {}).get("nodeName"):
                found[str(node)].append(pod)
        return {node: tuple(pods) for node, pods in found.items()}

    @cached_property
    def _ready_nodes(self) -> frozenset[str]:
        return frozenset(name for name, node in self.nodes.items() if node_ready(node))

    @cached_property
    def by_name(self) -> Mapping[tuple[str, str], JsonObject]:
        """Pods by namespace and name."""
        return {(_space(pod), str(meta(pod).get("name", ""))): pod for pod in self.pods}

    @cached_property
    def _tops(self) -> Mapping[str, TargetRef]:
        """Of each controller, by uid, what counts its pods."""
        return {uid: self.ref(self.chain(obj)[-1]) for uid, obj in self.owners.items()}

    @cached_property
    def loads(self) -> Mapping[TargetRef, Load]:
        """By workload, those of batch jobs left out: their pods are meant to end."""
        serving: dict[TargetRef, int] = defaultdict(int)
        leaving: dict[TargetRef, int] = defaultdict(int)
        bare: dict[TargetRef, int] = defaultdict(int)
        for pod in self.pods:
            above = controller(pod)
            if finished(pod) or above.get("kind") == "Job":
                continue
            of = self._tops.get(str(above.get("uid", ""))) or self.workload(pod)
            bare[of] += 1
            serving[of] += self.serves(pod)
            leaving[of] += bool(meta(pod).get("deletionTimestamp"))
        wanted = {ref: wanted_replicas(obj) for ref, obj in self.workloads.items()}
        # What belongs to a controller that is not watched is wanted as often as it is there.
        wanted |= {ref: count for ref, count in bare.items() if ref not in wanted}
        return {ref: Load(count, serving.get(ref, 0), leaving.get(ref, 0)) for ref, count in wanted.items()}

    def serves(self, pod: JsonObject) -> bool:
        """Ready, not leaving, on a node that is ready (or not known)."""
        ready = condition(pod, "Ready")
        if meta(pod).get("deletionTimestamp") or ready is None or ready.get("status") != "True":
            return False
        node = str((pod.get("spec") or {}).get("nodeName", ""))
        return node in self._ready_nodes or node not in self.nodes

    def hosted(self, node: str) -> tuple[JsonObject, ...]:
        """The pods on a node that a drain moves: not those of DaemonSets, not static ones, not what has ended."""
        pods = self.by_node.get(node, ())
        return tuple(p for p in pods if not finished(p) and _MIRROR not in marks(p) and controller(p).get("kind") != "DaemonSet")

    def budgets_of(self, pod: JsonObject) -> tuple[JsonObject, ...]:
        """The disruption budgets that cover a pod. Raises ValueError if a selector cannot be read."""
        found = self.budgets.get(_space(pod), ())
        return tuple(b for b in found if matches((b.get("spec") or {}).get("selector"), labels(pod)))

    def disrupted(self, namespace: str = "") -> int:
        """Pods of one namespace (empty: all) that are wanted and do not serve, or are leaving."""
        return sum(load.disrupted for ref, load in self.loads.items() if namespace in ("", ref.namespace))

    def wanted(self, namespace: str = "") -> int:
        """Pods of one namespace (empty: all) that are wanted."""
        return sum(load.wanted for ref, load in self.loads.items() if namespace in ("", ref.namespace))


def take(context: str, objects: Objects) -> Picture:
    """A picture of what `objects` (kind, namespace; empty: all) has now."""
    # Items of a list come without their kind.
    owners, batch = (
        {str(meta(o).get("uid", "")): o if "kind" in o else {"kind": kind, **o} for kind in kinds for o in objects(kind, "")} for kinds in (COUNTED, BATCH)
    )
    budgets: dict[str, list[JsonObject]] = defaultdict(list)
    for budget in objects("PodDisruptionBudget", ""):
        budgets[_space(budget)].append(budget)
    return Picture(
        context, tuple(objects("Pod", "")), _named(objects("Node", "")), _named(objects("Namespace", "")), owners,
        {space: tuple(found) for space, found in budgets.items()}, batch,
    )


def node_ready(node: JsonObject) -> bool:
    """Its kubelet says so; unknown is no."""
    found = condition(node, "Ready")
    return found is not None and found.get("status") == "True"


def node_in_service(node: JsonObject) -> bool:
    """Ready, open to new pods, not being removed."""
    return node_ready(node) and not (node.get("spec") or {}).get("unschedulable") and not meta(node).get("deletionTimestamp")


def finished(pod: JsonObject) -> bool:
    """Succeeded or failed: it will not run again."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def controller(obj: JsonObject) -> Mapping[str, Any]:
    """The ownerReference that controls it, empty if none does."""
    for reference in meta(obj).get("ownerReferences") or ():
        if reference.get("controller"):
            found: Mapping[str, Any] = reference
            return found
    return {}


def _space(obj: JsonObject) -> str:
    return str(meta(obj).get("namespace", ""))


def _named(objects: Iterable[JsonObject]) -> dict[str, JsonObject]:
    return {str(meta(o).get("name", "")): o for o in objects}

"""What the simulation needs of Deployments, pods and nodes, read from plain Kubernetes objects. Pure.

Neighbours: `virtual` and `live` build it from what they watch; `simulation`, `cluster_metrics` and `facts` read it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

Key = tuple[str, str]
"""Namespace and name."""
STATE = "testbed.aiops/state"
"""The annotation by which fake kubelets make a pod misbehave."""
CLEANS = "testbed.aiops/cleans"
"""The label on pods of a Job that clean the volume of a service."""
_REVISION = "deployment.kubernetes.io/revision"
_UNITS = {"m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "": 1.0}


@dataclass(frozen=True, slots=True)
class Container:
    """Name, limits (resource → amount in its base unit), and how it does."""

    name: str
    limits: tuple[tuple[str, float], ...]
    restarts: int
    running: bool
    waiting: str
    last_terminated: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod. `workload` is the Deployment that it belongs to, empty if none; `created` Unix seconds."""

    namespace: str
    name: str
    uid: str
    workload: str
    node: str
    image: str
    created: float
    ready: bool
    terminating: bool
    phase: str
    state: str
    containers: tuple[Container, ...]
    marks: frozenset[str] = frozenset()
    """What it is configured with: `NAME=value` for each variable, `configMap/NAME` for each ConfigMap it takes variables from."""
    scheduler: str = ""
    """The scheduler that places it, empty for the default one."""
    claims: tuple[str, ...] = ()
    """PersistentVolumeClaims that it mounts."""
    labels: frozenset[tuple[str, str]] = frozenset()
    serving: bool = True
    """Whether traffic is directed to it while it is ready; see `ClusterState.pods_of`."""

    @property
    def restarts(self) -> int:
        """Of the first container, the one that is simulated."""
        return self.containers[0].restarts if self.containers else 0

    @property
    def memory_limit(self) -> float:
        """Bytes, of the first container; without a limit infinite."""
        return dict(self.containers[0].limits).get("memory", math.inf) if self.containers else math.inf

    @property
    def running(self) -> bool:
        """Whether the simulated container runs, ready or not."""
        return self.phase == "Running" and bool(self.containers) and self.containers[0].running


@dataclass(frozen=True, slots=True)
class Deployment:
    """A Deployment. `template` is its pod template, for comparing; `complete` as `kubectl rollout status` has it."""

    namespace: str
    name: str
    replicas: int
    ready: int
    available: int
    updated: int
    revision: int
    complete: bool
    image: str
    template: Mapping[str, Any]
    marks: frozenset[str] = frozenset()
    unavailable: int = 0
    """Of all its pods, those of the release before and those that are more than wanted too."""


@dataclass(frozen=True, slots=True)
class Cleanup:
    """A Job that cleaned the volume of a service, as its label `CLEANS` says, and when it was complete (Unix seconds)."""

    service: Key
    uid: str
    at: float


@dataclass(frozen=True, slots=True)
class Node:
    """A node and its conditions (type → status)."""

    name: str
    conditions: tuple[tuple[str, str], ...]
    zone: str = ""

    @property
    def ready(self) -> bool:
        """Whether it says Ready."""
        return ("Ready", "True") in self.conditions


@dataclass(frozen=True, slots=True, eq=False)
class ClusterState:
    """One moment of the cluster. The same object is handed in again while nothing changed: readers then keep what they worked out."""

    deployments: Mapping[Key, Deployment]
    pods: Mapping[Key, tuple[Pod, ...]]
    """By Deployment, in order of creation and name."""
    nodes: tuple[Node, ...]
    cleanups: tuple[Cleanup, ...] = ()
    selectors: Mapping[Key, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """Of the Service objects."""

    def pods_of(self, service: Key, places: Iterable[Key]) -> tuple[Pod, ...]:
        """The pods of these Deployments; those that the Service object of the name does not select get no traffic. Without selector none does."""
        selector = self.selectors.get(service, frozenset())
        pods = (pod for place in places for pod in self.pods.get(place, ()))
        return tuple(replace(pod, serving=bool(selector) and selector <= pod.labels) for pod in pods)

    def endpoints(self, service: Key) -> tuple[Pod, ...]:
        """Ready pods that traffic goes to: those that the Service object selects, without one those of the Deployment."""
        selector = self.selectors.get(service)
        if selector is None:
            return tuple(pod for pod in self.pods.get(service, ()) if pod.ready)
        near = (pod for (namespace, _), pods in self.pods.items() if namespace == service[0] for pod in pods)
        return tuple(pod for pod in near if pod.ready and selector and selector <= pod.labels)


def read_state(
    deployments: Iterable[Any], pods: Iterable[Any], nodes: Iterable[Any], jobs: Iterable[Any] = (), services: Iterable[Any] = ()
) -> ClusterState:
    """From objects as the API has them."""
    by_workload: dict[Key, list[Pod]] = {}
    for obj in pods:
        pod = read_pod(obj)
        if pod.workload:
            by_workload.setdefault((pod.namespace, pod.workload), []).append(pod)
    read = (_deployment(obj) for obj in deployments)
    return ClusterState(
        {(each.namespace, each.name): each for each in read},
        {key: tuple(sorted(found, key=lambda pod: (pod.created, pod.name))) for key, found in by_workload.items()},
        tuple(sorted((_node(obj) for obj in nodes), key=lambda node: node.name)),
        tuple(found for obj in jobs if (found := _cleanup(obj)) is not None),
        {(obj["metadata"]["namespace"], obj["metadata"]["name"]): frozenset(((obj.get("spec") or {}).get("selector") or {}).items()) for obj in services},
    )


def _cleanup(obj: Any) -> Cleanup | None:
    meta, status = obj["metadata"], obj.get("status") or {}
    template = ((obj.get("spec") or {}).get("template") or {}).get("metadata") or {}
    service = (template.get("labels") or {}).get(CLEANS, "")
    done = any(c["type"] == "Complete" and c["status"] == "True" for c in status.get("conditions") or ())
    return Cleanup((meta["namespace"], service), meta["uid"], seconds(status.get("completionTime"))) if service and done else None


def read_pod(obj: Any) -> Pod:
    """One pod."""
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    containers = spec.get("containers") or []
    statuses = {c["name"]: c for c in status.get("containerStatuses") or ()}
    return Pod(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta["uid"],
        workload=_workload(meta),
        node=spec.get("nodeName", ""),
        image=containers[0].get("image", "") if containers else "",
        created=seconds(meta.get("creationTimestamp")),
        ready=conditions.get("Ready") == "True" and "deletionTimestamp" not in meta,
        terminating="deletionTimestamp" in meta,
        phase=status.get("phase", "Pending"),
        state=(meta.get("annotations") or {}).get(STATE, ""),
        containers=tuple(_container(spec_of, statuses.get(spec_of["name"]) or {}) for spec_of in containers),
        marks=marks_of(containers[0]) if containers else frozenset(),
        scheduler=_scheduler(spec),
        claims=tuple(v["persistentVolumeClaim"]["claimName"] for v in spec.get("volumes") or () if "persistentVolumeClaim" in v),
        labels=frozenset((meta.get("labels") or {}).items()),
    )


def marks_of(container: Mapping[str, Any]) -> frozenset[str]:
    """See `Pod.marks`."""
    found = {f"{each['name']}={each['value']}" for each in container.get("env") or () if "value" in each}
    found |= {f"configMap/{each['configMapRef']['name']}" for each in container.get("envFrom") or () if "configMapRef" in each}
    return frozenset(found)


def _scheduler(spec: Mapping[str, Any]) -> str:
    name = str(spec.get("schedulerName", ""))
    return "" if name == "default-scheduler" else name


def _workload(meta: Mapping[str, Any]) -> str:
    """The Deployment behind the ReplicaSet that owns the pod: its name without the template's hash."""
    mark = (meta.get("labels") or {}).get("pod-template-hash", "")
    for owner in meta.get("ownerReferences") or ():
        if owner["kind"] == "ReplicaSet" and mark and owner["name"].endswith(f"-{mark}"):
            return str(owner["name"][: -len(mark) - 1])
    return ""


def _container(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Container:
    state = status.get("state") or {}
    limits = (spec.get("resources") or {}).get("limits") or {}
    return Container(
        name=spec["name"],
        limits=tuple(sorted((resource, amount(text)) for resource, text in limits.items())),
        restarts=int(status.get("restartCount", 0)),
        running="running" in state and state["running"] is not None,
        waiting=str((state.get("waiting") or {}).get("reason", "")),
        last_terminated=str(((status.get("lastState") or {}).get("terminated") or {}).get("reason", "")),
    )


def _deployment(obj: Any) -> Deployment:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    wanted = int(spec.get("replicas", 1))
    counts = [int(status.get(key, 0)) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    containers = spec["template"]["spec"].get("containers") or []
    revision = (meta.get("annotations") or {}).get(_REVISION, "0")
    return Deployment(
        namespace=meta["namespace"],
        name=meta["name"],
        replicas=wanted,
        ready=int(status.get("readyReplicas", 0)),
        available=counts[2],
        updated=counts[1],
        revision=int(revision) if revision.isdecimal() else 0,
        complete=status.get("observedGeneration", 0) >= meta.get("generation", 1) and counts == [wanted] * 3,
        image=containers[0].get("image", "") if containers else "",
        template=spec["template"],
        marks=marks_of(containers[0]) if containers else frozenset(),
        unavailable=max(0, counts[0] - counts[2]),
    )


def _node(obj: Any) -> Node:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    zone = (obj["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone", "")
    return Node(obj["metadata"]["name"], tuple((c["type"], c["status"]) for c in conditions), zone)


def seconds(text: str | None) -> float:
    """Unix seconds of a time as the API writes it; 0 for nothing."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def amount(text: Any) -> float:
    """A Kubernetes quantity as a number."""
    text = str(text)
    digits = text.rstrip("mkMGTKi")
    return float(digits) * _UNITS.get(text[len(digits) :], 1.0)

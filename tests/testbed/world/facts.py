"""Answers of the cluster to the conditions of faults. Pure. Neighbours: `conditions` asks, `simulation` hands in what it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tests.testbed.world.cluster_state import ClusterState, Key
from tests.testbed.world.conditions import Facts


class Measured(Protocol):
    """What the world measures of a service, by itself: no telemetry that could be dark."""

    def stale(self, key: Key) -> float:
        """Stale keys in its caches."""
        ...

    def failing(self, key: Key) -> float:
        """Share of the requests of the last seconds that failed."""
        ...

    def latency(self, key: Key) -> float:
        """Mean seconds of the requests of the last seconds."""
        ...

    def queue(self, key: Key) -> float:
        """Requests or messages that wait."""
        ...

    def disk_used(self, key: Key) -> float:
        """Used share of its volume."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """What a fault's condition is judged against. `begun` is when the fault began, `images` and `marks` what its releases and configurations run with,
    `templates` the pod templates when it had begun (its own change made); `chosen`, `nodes` and `replicas` as in `active.Active`."""

    cluster: ClusterState
    now: float
    begun: float
    images: frozenset[str]
    marks: frozenset[str]
    templates: Mapping[Key, Mapping[str, Any]]
    chosen: frozenset[str]
    nodes: frozenset[str]
    replicas: int
    world: Measured


def facts_of(own: Key, moment: Moment) -> Facts:
    """A function for `Condition.holds`: the fault's own service has no name in it, others are looked for in its namespace first."""

    def ask(service: str, fact: str) -> float:
        return _FACTS[fact](moment, _place(own, service, moment.cluster))

    return ask


def _place(own: Key, service: str, cluster: ClusterState) -> Key:
    if not service:
        return own
    near = (own[0], service)
    return near if near in cluster.deployments else next((key for key in cluster.deployments if key[1] == service), near)


def _count(name: str) -> Callable[[Moment, Key], float]:
    def ask(moment: Moment, key: Key) -> float:
        deployment = moment.cluster.deployments.get(key)
        return float(getattr(deployment, name)) if deployment else 0.0

    return ask


def _living(moment: Moment, key: Key) -> list[Any]:
    return [pod for pod in moment.cluster.pods.get(key, ()) if not pod.terminating]


def _rolled_out(moment: Moment, key: Key) -> bool:
    deployment = moment.cluster.deployments.get(key)
    return deployment is not None and deployment.complete


def _fresh(moment: Moment, key: Key) -> bool:
    """Every pod began after the fault did, none of the old ones is still ending, and they are as many and ready as wanted."""
    deployment, pods = moment.cluster.deployments.get(key), moment.cluster.pods.get(key, ())
    # The API writes whole seconds, so a pod of the second in which the fault began counts as an old one.
    return deployment is not None and bool(pods) and deployment.complete and all(pod.created > int(moment.begun) for pod in pods)


def _changed(moment: Moment, key: Key) -> bool:
    deployment, before = moment.cluster.deployments.get(key), moment.templates.get(key)
    return deployment is not None and before is not None and deployment.template != before and deployment.complete


def _age(moment: Moment, key: Key) -> float:
    return moment.now - min((pod.created for pod in _living(moment, key)), default=moment.now)


def _released(moment: Moment, key: Key) -> float:
    return sum(pod.image in moment.images or not moment.marks.isdisjoint(pod.marks) for pod in moment.cluster.pods.get(key, ()))


def _growth(moment: Moment, key: Key) -> float:
    deployment = moment.cluster.deployments.get(key)
    return deployment.ready / max(1, moment.replicas) if deployment else 0.0


def _memory_limit(moment: Moment, key: Key) -> float:
    """The smallest of all living pods."""
    return min((pod.memory_limit for pod in _living(moment, key)), default=0.0)


_FACTS: dict[str, Callable[[Moment, Key], float]] = {
    "replicas": _count("replicas"),
    "readyReplicas": _count("ready"),
    "availableReplicas": _count("available"),
    "updatedReplicas": _count("updated"),
    "revision": _count("revision"),
    "pods": lambda moment, key: len(_living(moment, key)),
    "restarts": lambda moment, key: sum(pod.restarts for pod in _living(moment, key)),
    "oldestPodAge": _age,
    "exists": lambda moment, key: key in moment.cluster.deployments,
    "rolledOut": _rolled_out,
    "rolling": lambda moment, key: not _rolled_out(moment, key),
    "revisionChanged": _changed,
    "podsStartedAfterFault": _fresh,
    "releasePods": _released,
    "staleKeys": lambda moment, key: moment.world.stale(key),
    "growth": _growth,
    "stuckPods": lambda moment, key: sum(pod.uid in moment.chosen for pod in moment.cluster.pods.get(key, ())),
    "memoryLimit": _memory_limit,
    "podsOnSickNodes": lambda moment, key: sum(pod.node in moment.nodes for pod in _living(moment, key)),
    "podsOfScheduler": lambda moment, key: sum(bool(pod.scheduler) for pod in moment.cluster.pods.get(key, ())),
    "cleanups": lambda moment, key: sum(done.service == key and done.at >= moment.begun for done in moment.cluster.cleanups),
    "endpoints": lambda moment, key: len(moment.cluster.endpoints(key)),
    "endpointsOnSickNodes": lambda moment, key: sum(pod.node in moment.nodes for pod in moment.cluster.endpoints(key)),
    "failing": lambda moment, key: moment.world.failing(key),
    "latency": lambda moment, key: moment.world.latency(key),
    "queue": lambda moment, key: moment.world.queue(key),
    "diskUsed": lambda moment, key: moment.world.disk_used(key),
    "nodesNotReady": lambda moment, _: sum(not node.ready for node in moment.cluster.nodes),
}

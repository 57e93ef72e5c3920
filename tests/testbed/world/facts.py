"""Answers of the cluster to the conditions of faults. Pure. Neighbours: `conditions` asks, `simulation` hands in what it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.testbed.world.cluster_state import ClusterState, Key
from tests.testbed.world.conditions import Facts


@dataclass(frozen=True, slots=True)
class Moment:
    """What a fault's condition is judged against. `begun` is when the fault began, `images` what its release runs, `template` the pod template
    when it had begun (its own change made), `stale` counts stale keys of a service."""

    cluster: ClusterState
    now: float
    begun: float
    images: frozenset[str]
    templates: Mapping[Key, Mapping[str, Any]]
    stale: Callable[[Key], int]


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
    "releasePods": lambda moment, key: sum(pod.image in moment.images for pod in moment.cluster.pods.get(key, ())),
    "staleKeys": lambda moment, key: moment.stale(key),
    "nodesNotReady": lambda moment, _: sum(not node.ready for node in moment.cluster.nodes),
}

"""Faults that are on, and what they do to each service at a time. Pure. Neighbours: `faults` are the files, `simulation` switches and asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.testbed.world.cluster_state import ClusterState, Key, Pod
from tests.testbed.world.effects import Effect
from tests.testbed.world.facts import Measured, Moment
from tests.testbed.world.faults import Fault

HELD = 120.0
"""Seconds that the objective must hold after the cure."""


@dataclass(slots=True)
class Active:
    """A fault that was switched on at `begun`. `cured` and `ended` are times or None; `quiet` when its effects stopped.

    `chosen` are the uids of single pods and `nodes` the names of nodes that the fault took for itself when it began, `replicas` what was wanted then.
    `good_since`: since when the objective holds without a break; `recovered`: from when on it held for `HELD` seconds after the cure.
    """

    fault: Fault
    begun: float
    ends: float | None
    cured: float | None = None
    ended: float | None = None
    templates: dict[Key, Any] = field(default_factory=dict)
    ticks: int = 0
    settled: bool = False
    """Whether what it writes itself (an image, keys) is seen to be written and `templates` are taken; it is not judged before."""
    chosen: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    sick: set[str] = field(default_factory=set)
    """The nodes it took and the pods that stood on them at any time, as `writes.is_allowed` wants them."""
    replicas: int = 0
    good_since: float | None = None
    recovered: float | None = None
    done: set[int] = field(default_factory=set)
    """Places of the effects whose deeds are done."""
    reverts: int = 0
    changed_at: float | None = None
    """Since when what a person will put back is changed."""

    @property
    def quiet(self) -> bool:
        """Whether it changes nothing any more."""
        return self.ended is not None or (self.cured is not None and self.fault.ends_when_cured)

    def choose(self, cluster: ClusterState) -> None:
        """Take single pods and nodes, as they are when it begins."""
        pods = [pod for pod in cluster.pods.get(self.fault.key, ()) if pod.ready]
        deployment = cluster.deployments.get(self.fault.key)
        self.replicas = deployment.replicas if deployment else 0
        for effect in self.fault.effects:
            if effect.pods == "one" and pods and not self.chosen:
                self.chosen = frozenset({pods[0].uid})
            if effect.what == "node" and not self.nodes:
                self.nodes = _nodes(effect, pods, cluster)

    def settle(self, cluster: ClusterState) -> None:
        """Take what stands now as what is to be cured, once the fault's own writes show."""
        self.ticks += 1
        if self.ticks == 1:
            self.choose(cluster)
        deployment = cluster.deployments.get(self.fault.key)
        images, marks = self.images(), self.marks()
        written = (not images or (deployment is not None and deployment.image in images)) and (
            not marks or (deployment is not None and marks <= deployment.marks)
        )
        if self.ticks > 2 and written:
            self.settled = True
            self.templates = {key: each.template for key, each in cluster.deployments.items()}

    def note(self, cluster: ClusterState) -> None:
        """Remember what stands on its nodes."""
        if self.nodes:
            self.sick |= {f"nodes /{name}" for name in self.nodes}
            self.sick |= {f"pods {pod.namespace}/{pod.name}" for pods in cluster.pods.values() for pod in pods if pod.node in self.nodes}

    def images(self) -> frozenset[str]:
        """What its releases run."""
        return frozenset(effect.image for effect in self.fault.effects if effect.what == "release")

    def marks(self) -> frozenset[str]:
        """What the pods of its configurations carry."""
        return frozenset(effect.mark for effect in self.fault.effects if effect.what == "configuration")

    def moment(self, cluster: ClusterState, now: float, world: Measured) -> Moment:
        """What its condition is judged against."""
        return Moment(
            cluster, now, self.begun, self.images(), self.marks(), self.templates, self.chosen, self.nodes, self.replicas, world
        )

    def reverted(self, effect: Effect, cluster: ClusterState, now: float) -> list[Any]:
        """What a person puts back `delay` seconds after somebody changed it, as (field, value); never more than `times`."""
        deployment = cluster.deployments.get(self.fault.key)
        if deployment is None or not self.settled or self.reverts >= effect.times:
            return []
        before: Any = self.replicas if effect.lever == "replicas" else self.templates.get(self.fault.key)
        present: Any = deployment.replicas if effect.lever == "replicas" else deployment.template
        if present == before:
            self.changed_at = None
            return []
        self.changed_at = self.changed_at if self.changed_at is not None else now
        if now - self.changed_at < effect.delay:
            return []
        self.changed_at, self.reverts = None, self.reverts + 1
        return [(effect.lever, before)]

    def judge_objective(self, holds: bool, now: float) -> None:
        """Whether the objective holds at `now`."""
        self.good_since = (self.good_since if self.good_since is not None else now) if holds else None
        if self.cured is not None and self.recovered is None and self.good_since is not None:
            since = max(self.good_since, self.cured)
            if now - since >= HELD:
                self.recovered = since


def _nodes(effect: Effect, pods: Sequence[Pod], cluster: ClusterState) -> frozenset[str]:
    """Those of a zone, or the ones that carry most of the pods."""
    carried = Counter(pod.node for pod in pods)
    ranked = sorted(carried, key=lambda name: (-carried[name], name))
    if effect.zone:
        zones = {node.name: node.zone for node in cluster.nodes}
        zone = zones.get(ranked[0], "") if effect.zone == "any" and ranked else effect.zone
        return frozenset(name for name, place in zones.items() if place == zone)
    return frozenset(ranked[: effect.nodes])


@dataclass(frozen=True, slots=True)
class PodEffect:
    """An effect on pods: those that fit every one of `before` (created up to then), `uids`, `image`, `mark`, `scheduler` and `nodes` that is given,
    and no older than `settles` seconds if that is not 0."""

    before: float | None = None
    uids: frozenset[str] | None = None
    image: str = ""
    mark: str = ""
    scheduler: str = ""
    nodes: frozenset[str] | None = None
    settles: float = 0.0
    service_time: float = 1.0
    errors: float = 0.0
    leak: float = 0.0
    memory: float = 1.0

    def hits(self, pod: Pod, now: float) -> bool:
        """Whether it is about this pod."""
        return (
            (self.before is None or pod.created <= self.before)
            and (self.uids is None or pod.uid in self.uids)
            and (not self.image or pod.image == self.image)
            and (not self.mark or self.mark in pod.marks)
            and (not self.scheduler or pod.scheduler == self.scheduler)
            and (self.nodes is None or pod.node in self.nodes)
            and (not self.settles or now - pod.created <= self.settles)
        )


@dataclass(slots=True)
class Influence:
    """All that faults do to one service at a time."""

    load: float = 1.0
    pods: list[PodEffect] = field(default_factory=list)
    dependencies: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Dependency → (mode, share of calls or factor of latency)."""
    disk: float = 0.0
    cleanable: float = 0.0
    """Bytes a second onto the volume, and the share of it that a cleaning takes away."""


@dataclass(slots=True)
class Darkness:
    """What of the telemetry is not answered."""

    services: set[Key] = field(default_factory=set)
    cluster: bool = False
    logs: bool = False
    everything: bool = False


def influences(active: Iterable[Active], now: float) -> tuple[dict[Key, Influence], Darkness]:
    """By service, and what is dark; the key ("", "") is about the pods of every service. Several faults on one service add up."""
    found: dict[Key, Influence] = {}
    dark = Darkness()
    for each in active:
        for effect in each.fault.effects:
            elapsed = now - each.begun - effect.after
            # What an image or a value does it does for ever: who rolls back a rollback has the bad release again.
            if elapsed >= 0 and (not each.quiet or effect.what in ("release", "configuration")):
                key = ("", "") if effect.what == "node" else each.fault.key
                _apply(effect, effect.curve.at(elapsed), each, found.setdefault(key, Influence()), dark)
    return found, dark


STUCK = 1000.0
"""Factor of the service time of a pod that takes requests and gives no answer: all workers hang, what comes waits, then is refused."""


def _apply(effect: Effect, value: float, each: Active, influence: Influence, dark: Darkness) -> None:
    if effect.what == "load":
        influence.load *= value
    elif effect.what == "dependency":
        influence.dependencies[effect.dependency] = (effect.mode, value)
    elif effect.what == "disk":
        influence.disk, influence.cleanable = influence.disk + value, effect.cleanable
    elif effect.what == "telemetry" and value >= 0.5:
        if effect.dark == "service":
            dark.services.add(each.fault.key)
        dark.cluster |= effect.dark in ("cluster", "all")
        dark.logs |= effect.dark in ("logs", "all")
        dark.everything |= effect.dark == "all"
    else:
        pods = _pod_effect(effect, value, each)
        influence.pods += [] if pods is None else [pods]


def _pod_effect(effect: Effect, value: float, each: Active) -> PodEffect | None:
    # The API writes whole seconds of creation: who was made in the second of the beginning was there before.
    before = float(int(each.begun)) if effect.pods == "startedBefore" else None
    uids = each.chosen if effect.pods == "one" else None
    if effect.what == "service-time":
        return PodEffect(before, uids, service_time=value)
    if effect.what == "errors":
        return PodEffect(before, uids, errors=value)
    if effect.what == "memory-leak":
        return PodEffect(before, uids, leak=value)
    if effect.what == "memory":
        return PodEffect(before, uids, memory=value)
    if effect.what == "stuck" and value >= 0.5:
        return PodEffect(before, uids, service_time=STUCK)
    if effect.what == "release":
        return PodEffect(image=effect.image, settles=effect.settles, errors=effect.errors, service_time=effect.service_time)
    if effect.what == "configuration":
        return PodEffect(mark=effect.mark, errors=effect.errors, service_time=effect.service_time)
    if effect.what == "placement":
        return PodEffect(scheduler=effect.scheduler, service_time=value)
    if effect.what == "node" and effect.mode == "slow":
        return PodEffect(nodes=each.nodes, service_time=value)
    if effect.what == "node" and effect.mode == "unreachable" and value >= 0.5:
        return PodEffect(nodes=each.nodes, service_time=STUCK)
    return None

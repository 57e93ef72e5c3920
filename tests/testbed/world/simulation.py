"""The world as a pure simulation: cluster state and cache contents in, telemetry and deeds out, second by second, the same for a seed.

Neighbours: `service_model` is one service, `active` the faults that are on; `live` and `virtual` hand in what they see and do the deeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.testbed.world.active import Active, Darkness, Influence, influences
from tests.testbed.world.cluster_metrics import ClusterExporter
from tests.testbed.world.cluster_state import ClusterState, Key, Pod
from tests.testbed.world.facts import facts_of
from tests.testbed.world.faults import Fault
from tests.testbed.world.service_metrics import Labels, ServiceExporter
from tests.testbed.world.service_model import CacheContent, ServiceModel, Tick
from tests.testbed.world.services import CacheUse, Service
from tests.testbed.world.speech import LogLine, Speaker

SERVICES_JOB, CLUSTER_JOB = "services", "cluster"
CacheKey = tuple[str, str, str]
"""Namespace, service, cache."""
_REFILL = 0.2
"""Share of misses that put an entry back each time; the others find that another request did."""


@dataclass(frozen=True, slots=True)
class TargetFrame:
    """What one scrape target answers: `labels` are the target's own. `up` False: it does not answer."""

    job: str
    instance: str
    labels: Labels
    up: bool
    series: tuple[Labels, ...]
    values: np.ndarray


@dataclass(frozen=True, slots=True)
class SetImage:
    """Deed: the Deployment's (only) container gets this image, with (or without) the annotation that makes its pods crash."""

    namespace: str
    name: str
    image: str
    crashes: bool
    only_if: frozenset[str] = frozenset()
    """If not empty: only when the image is one of these now."""


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """Deed: the kernel ends the container of this pod; it starts again after a back-off."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class Recover:
    """Deed: take back what `OutOfMemory` did, once the container waits."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class Fill:
    """Deed: put these keys into the cache."""

    cache: CacheUse
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Deed: take these keys out of the cache."""

    cache: CacheUse
    keys: tuple[str, ...]


Deed = SetImage | OutOfMemory | Recover | Fill | Drop


@dataclass(frozen=True, slots=True)
class Frame:
    """One tick's outcome."""

    targets: tuple[TargetFrame, ...]
    logs: tuple[LogLine, ...]
    deeds: tuple[Deed, ...]


class Simulation:
    """All services and faults. Not for several threads."""

    def __init__(self, services: Sequence[Service], faults: Sequence[Fault] = (), seed: int = 0) -> None:
        self.services = {service.key: service for service in services}
        self.faults = {fault.name: fault for fault in faults}
        self.models = {service.key: ServiceModel(service, seed) for service in services}
        self.history: list[Active] = []
        """Every fault that was switched on, oldest first."""
        self._speakers = {key: Speaker(model, seed) for key, model in self.models.items()}
        self._exporters = {key: ServiceExporter(model, _target(SERVICES_JOB, _instance(key))) for key, model in self.models.items()}
        self._cluster = ClusterExporter(self.models, _target(CLUSTER_JOB, CLUSTER_JOB))
        self._demand: dict[Key, float] = {}
        self._deeds: list[Deed] = []
        self._killed: dict[str, Pod] = {}
        self._contents: dict[CacheKey, CacheContent] = {}

    # --- faults

    def switch_on(self, name: str, now: float) -> Active:
        """Begin a fault; one that is on stays as it is. KeyError for an unknown name."""
        fault = self.faults[name]
        running = self.active(name)
        if running is not None:
            return running
        active = Active(fault, now, None if fault.lasts is None else now + fault.lasts)
        self.history.append(active)
        for effect in fault.effects:
            if effect.what == "release":
                self._deeds.append(SetImage(*fault.key, effect.image, effect.crashes))
            elif effect.what == "stale-cache":
                self._deeds.append(self._stale(fault, effect.cache, effect.curve.end))
        return active

    def _stale(self, fault: Fault, name: str, share: float) -> Fill:
        cache = next(cache for cache in self.services[fault.key].caches if cache.name == name)
        return Fill(cache, tuple(cache.stale_keys(round(share * cache.entries))))

    def switch_off(self, name: str, now: float) -> None:
        """End a fault and put right what it wrote itself. Nothing if it is not on."""
        active = self.active(name)
        if active is None:
            return
        active.ended = now
        fault, service = active.fault, self.services[active.fault.key]
        for effect in fault.effects:
            if effect.what == "release":
                self._deeds.append(SetImage(*fault.key, service.image, crashes=False, only_if=active.images()))
            elif effect.what == "stale-cache":
                cache = next(cache for cache in service.caches if cache.name == effect.cache)
                self._deeds.append(Drop(cache, tuple(cache.stale_keys(cache.entries))))

    def active(self, name: str) -> Active | None:
        """The fault as it is on, or None."""
        return next((each for each in self.history if each.fault.name == name and each.ended is None), None)

    # --- time

    def tick(self, cluster: ClusterState, caches: Mapping[CacheKey, CacheContent], now: float, dt: float) -> Frame:
        """What happens in the `dt` seconds up to `now`, with the cluster and the caches as they are."""
        self._contents = dict(caches)
        self._judge(cluster, now)
        found, dark = influences(self.history, now)
        logs: list[LogLine] = []
        demand: dict[Key, float] = {}
        answers = {key: model.answer for key, model in self.models.items()}
        for key, model in self.models.items():
            model.see(cluster.pods.get(key, ()))
            uses = model.service.caches
            contents = {cache.name: caches[*key, cache.name] for cache in uses if (*key, cache.name) in caches} if uses else {}
            asked = self._demand.get(key, 0.0)
            tick = model.step(now, dt, asked, found.get(key) or Influence(), answers, contents)
            self._follow(model.service, tick, contents, demand)
            if not dark.logs:
                logs += self._speakers[key].lines(tick, now, dt)
        self._demand = demand
        self._heal(cluster)
        deeds, self._deeds = tuple(self._deeds), []
        return Frame(self._targets(cluster, dark), tuple(logs), deeds)

    def _judge(self, cluster: ClusterState, now: float) -> None:
        """Which faults end, and which are cured now."""
        for active in self.history:
            if active.ended is None and active.ends is not None and now >= active.ends:
                self.switch_off(active.fault.name, now)
            if active.ended is not None:
                continue
            key = active.fault.key
            if not active.settled:
                active.settle(cluster)
            elif active.cured is None and active.fault.cures.holds(facts_of(key, active.moment(cluster, now, self._stale_keys))):
                active.cured = now

    def _stale_keys(self, key: Key) -> int:
        return sum(content.stale for (namespace, service, _), content in self._contents.items() if (namespace, service) == key)

    def _follow(self, service: Service, tick: Tick, contents: Mapping[str, CacheContent], demand: dict[Key, float]) -> None:
        """What a service's tick means for others: calls, kills, entries put back into the cache."""
        for dependency in service.dependencies:
            if dependency.service is not None:
                demand[dependency.service] = demand.get(dependency.service, 0.0) + tick.asked.get(dependency.name, 0.0)
        for pod in tick.over_limit:
            if pod.uid not in self._killed:
                self._killed[pod.uid] = pod
                self._deeds.append(OutOfMemory(pod))
        for cache in service.caches:
            content = contents.get(cache.name)
            lacking = cache.entries - content.fresh if content else 0
            count = min(lacking, round(_REFILL * tick.misses.get(cache.name, 0)))
            if content is not None and count > 0:
                keys = cache.fresh_keys()
                # Which of the keys are gone is not known: those after the ones that are there come first, writing one again does no harm.
                self._deeds.append(Fill(cache, tuple(keys[(content.fresh + index) % cache.entries] for index in range(count))))

    def _heal(self, cluster: ClusterState) -> None:
        """Killed containers that wait for their next start may recover; those of pods that are gone are forgotten."""
        if not self._killed:
            return
        there = {pod.uid: pod for pods in cluster.pods.values() for pod in pods}
        for uid, killed in list(self._killed.items()):
            pod = there.get(uid)
            if pod is None:
                del self._killed[uid]
            elif pod.state and pod.containers[0].waiting:
                self._deeds.append(Recover(pod))
            elif pod.restarts > killed.restarts and not pod.state:
                del self._killed[uid]

    def _targets(self, cluster: ClusterState, dark: Darkness) -> tuple[TargetFrame, ...]:
        frames = []
        for key, exporter in self._exporters.items():
            series, values = exporter.read()
            place = {"namespace": key[0], "workload": key[1]}
            up = not dark.everything and key not in dark.services
            frames.append(TargetFrame(SERVICES_JOB, _instance(key), place, up, series, values))
        series, values = self._cluster.read(cluster)
        frames.append(TargetFrame(CLUSTER_JOB, CLUSTER_JOB, {}, not dark.everything and not dark.cluster, series, values))
        return tuple(frames)


def _instance(key: Key) -> str:
    return f"{key[0]}/{key[1]}"


def _target(job: str, instance: str) -> Labels:
    return {"job": job, "instance": instance}

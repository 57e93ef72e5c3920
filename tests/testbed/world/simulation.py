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
from tests.testbed.world.deeds import Deed, Fill, OutOfMemory, Recover, Revert, beginning, ending
from tests.testbed.world.facts import facts_of
from tests.testbed.world.faults import Fault
from tests.testbed.world.service_metrics import Labels, ServiceExporter
from tests.testbed.world.service_model import CacheContent, ServiceModel, Tick
from tests.testbed.world.services import Service
from tests.testbed.world.speech import LogLine, Speaker

SERVICES_JOB, CLUSTER_JOB, PROBES_JOB = "services", "cluster", "probes"
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
        self.probed = [model for model in self.models.values() if model.service.zones]
        """Those that a prober asks, zone by zone."""
        self._probes = tuple(
            {"__name__": "probe_success", **_target(PROBES_JOB, PROBES_JOB), "namespace": m.service.namespace, "service": m.service.name, "zone": zone}
            for m in self.probed for zone in m.probes
        )  # fmt: skip
        self._zoned: dict[Key, tuple[ClusterState, tuple[Pod, ...]]] = {}
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
        return active

    def switch_off(self, name: str, now: float) -> None:
        """End a fault and put right what it wrote itself. Nothing if it is not on."""
        active = self.active(name)
        if active is None:
            return
        active.ended = now
        for place in sorted(active.done):
            self._deeds += ending(active.fault.effects[place], active, self.services[active.fault.key])

    def active(self, name: str) -> Active | None:
        """The fault as it is on, or None."""
        return next((each for each in self.history if each.fault.name == name and each.ended is None), None)

    # --- time

    def tick(self, cluster: ClusterState, caches: Mapping[CacheKey, CacheContent], now: float, dt: float) -> Frame:
        """What happens in the `dt` seconds up to `now`, with the cluster and the caches as they are."""
        self._contents = dict(caches)
        self._judge(cluster, now)
        found, dark = influences(self.history, now)
        everywhere = found.pop(("", ""), Influence()).pods
        for cleanup in cluster.cleanups:
            if cleanup.service in self.models:
                self.models[cleanup.service].clean(cleanup.uid)
        logs: list[LogLine] = []
        demand: dict[Key, float] = {}
        answers = {key: model.answer for key, model in self.models.items()}
        for key, model in self.models.items():
            model.see(self._pods_of(model.service, cluster))
            uses = model.service.caches
            contents = {cache.name: caches[*key, cache.name] for cache in uses if (*key, cache.name) in caches} if uses else {}
            asked = self._demand.get(key, 0.0)
            influence = found.get(key) or Influence()
            influence.pods += everywhere
            tick = model.step(now, dt, asked, influence, answers, contents)
            self._follow(model.service, tick, contents, demand)
            if not dark.logs:
                logs += self._speakers[key].lines(tick, now, dt)
        self._demand = demand
        self._heal(cluster)
        deeds, self._deeds = tuple(self._deeds), []
        return Frame(self._targets(cluster, dark), tuple(logs), deeds)

    def _pods_of(self, service: Service, cluster: ClusterState) -> tuple[Pod, ...]:
        """The very same tuple while the cluster is the same."""
        if not service.zones:
            return cluster.pods.get(service.key, ())
        known = self._zoned.get(service.key)
        if known is None or known[0] is not cluster:
            known = self._zoned[service.key] = (cluster, cluster.pods_of(service.key, service.places))
        return known[1]

    def _judge(self, cluster: ClusterState, now: float) -> None:
        """What faults begin to do, which end, and which are cured now."""
        for active in self.history:
            if active.ended is None and active.ends is not None and now >= active.ends:
                self.switch_off(active.fault.name, now)
            if active.ended is not None:
                continue
            if not active.settled:
                active.settle(cluster)
            active.note(cluster)
            self._begin(active, cluster, now)
            facts = facts_of(active.fault.key, active.moment(cluster, now, self))
            if active.settled and active.cured is None and active.fault.cures.holds(facts):
                active.cured = now
            active.judge_objective(active.fault.objective.holds(facts), now)

    def _begin(self, active: Active, cluster: ClusterState, now: float) -> None:
        """The deeds of effects whose time has come, and what a person does about what others did."""
        for place, effect in enumerate(active.fault.effects):
            if now < active.begun + effect.after:
                continue
            if place not in active.done:
                active.done.add(place)
                self._deeds += beginning(effect, active, self.services[active.fault.key])
            if effect.what == "person":
                self._deeds += [Revert(*active.fault.key, field, value) for field, value in active.reverted(effect, cluster, now)]

    # --- what is measured, see `facts.Measured`

    def stale(self, key: Key) -> float:
        """Stale keys in its caches."""
        return sum(content.stale for (namespace, service, _), content in self._contents.items() if (namespace, service) == key)

    def failing(self, key: Key) -> float:
        """Share of failing requests."""
        return self.models[key].failing if key in self.models else 0.0

    def latency(self, key: Key) -> float:
        """Mean seconds of a request."""
        return self.models[key].latency if key in self.models else 0.0

    def queue(self, key: Key) -> float:
        """Requests or messages that wait."""
        return self.models[key].queue if key in self.models else 0.0

    def disk_used(self, key: Key) -> float:
        """Used share of its volume."""
        return self.models[key].disk_used if key in self.models else 0.0

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
        if self.probed:
            asked = np.array([value for model in self.probed for value in model.probes.values()])
            frames.append(TargetFrame(PROBES_JOB, PROBES_JOB, {}, not dark.everything, self._probes, asked))
        return tuple(frames)


def _instance(key: Key) -> str:
    return f"{key[0]}/{key[1]}"


def _target(job: str, instance: str) -> Labels:
    return {"job": job, "instance": instance}

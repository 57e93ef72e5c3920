"""The world in virtual time: an in-memory cluster, samples, logs and caches, driven by events of one clock.

Neighbours: `simulation` computes, `live` is the same on real servers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aiops.adapters.memory_cache import MemoryCache
from aiops.adapters.memory_cluster import MemoryCluster
from aiops.adapters.memory_logs import MemoryLogs
from aiops.adapters.memory_prometheus import MemoryPrometheus, MemorySeriesStore
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.domain.target import KINDS, TargetRef
from tests.testbed.world import manifests
from tests.testbed.world.cache_watch import CacheWatch
from tests.testbed.world.cluster_state import ClusterState, read_state
from tests.testbed.world.deeds import Deed, Drop, Fill, OutOfMemory, Recover, Revert, SetConfiguration, SetImage, SetNode
from tests.testbed.world.episodes import Episode, episodes
from tests.testbed.world.faults import Fault
from tests.testbed.world.services import Service
from tests.testbed.world.simulation import Frame, Simulation, TargetFrame
from tests.testbed.world.writes import PERSON, WORLD, Write, changed_fields


class VirtualWorld:
    """Services on a `MemoryCluster`. Nothing happens before `start()`; then `time.run_until(...)` drives it, a step each virtual second.

    What is not handed in is made: `cluster`, `store` (samples), `logs`, and a `MemoryCache` for each cache name of the services. `metrics` is a
    metric source over the samples. With `script` the faults begin at their own `starts`, otherwise by `switch_on`.
    """

    def __init__(
        self,
        time: VirtualTime,
        services: Sequence[Service],
        faults: Sequence[Fault] = (),
        *,
        seed: int = 0,
        cluster: MemoryCluster | None = None,
        store: MemorySeriesStore | None = None,
        logs: MemoryLogs | None = None,
        caches: Mapping[str, MemoryCache] | None = None,
        step: float = 1.0,
        script: bool = False,
    ) -> None:
        self.time = time
        self.cluster = cluster or MemoryCluster(time)
        self.store = store or MemorySeriesStore()
        self.metrics = MemoryPrometheus("prometheus", self.store)
        self.logs = logs or MemoryLogs("logs")
        self.simulation = Simulation(services, faults, seed)
        uses = {cache.name: cache for service in services for cache in service.caches}
        self.caches = dict(caches or {}) or {name: MemoryCache(name) for name in uses}
        self._step, self._script = step, script
        self._view, self._writer = self.cluster.view(), self.cluster.writer(WORLD, "world")
        self._person = self.cluster.writer(PERSON, "kubectl-edit")
        self._seen = -1
        self._state = ClusterState({}, {}, ())
        self._cached = CacheWatch(services, {name: _MemoryKeys(cache) for name, cache in self.caches.items()})
        self._ups: dict[tuple[str, str], Mapping[str, str]] = {}

    # --- for tests and demos

    def start(self) -> None:
        """Put the services on the cluster, fill the caches, and begin."""
        for service in self.simulation.services.values():
            self.cluster.apply({"kind": "Namespace", "metadata": {"name": service.namespace}})
            for obj in (*manifests.belongings(service), *manifests.deployments(service)):
                self.cluster.apply(obj)
            autoscaler = manifests.autoscaler(service)
            if autoscaler is not None:
                self.cluster.apply(autoscaler)
        self._cached.warm()
        if self._script:
            for fault in self.simulation.faults.values():
                self.time.at(self.time.now() + fault.starts, f"fault {fault.name}", self._switch(fault.name))
        self.time.every("world", self._step, self.second, first_after=self._step)

    def _switch(self, name: str) -> Callable[[], None]:
        return lambda: self.switch_on(name)

    def switch_on(self, name: str) -> None:
        """Begin a fault now. KeyError for an unknown name."""
        self.simulation.switch_on(name, self.time.now())

    def switch_off(self, name: str) -> None:
        """End a fault now."""
        self.simulation.switch_off(name, self.time.now())

    def episodes(self) -> tuple[Episode, ...]:
        """What became of each fault so far."""
        return episodes(self.simulation.history, self.writes(), self.time.now())

    def episode(self, name: str) -> Episode:
        """The last episode of a fault. KeyError if it never was on."""
        found = [each for each in self.episodes() if each.fault == name]
        if not found:
            raise KeyError(name)
        return found[-1]

    def writes(self) -> tuple[Write, ...]:
        """Every write so far, of the cluster's log and of the caches, in order of time."""
        logged = [
            Write(
                at=each.time,
                user=each.user,
                verb=each.verb,
                resource=KINDS[each.ref.kind].plural,
                subresource=each.subresource,
                namespace=each.ref.namespace,
                name=each.ref.name,
                fields=changed_fields(each.body, each.subresource) if each.verb in ("patch", "update") else (),
                code=each.code,
                dry_run=each.dry_run,
            )
            for each in self.cluster.write_log
        ]
        return tuple(sorted([*logged, *self._cached.flushes], key=lambda write: write.at))

    # --- each second

    def second(self) -> Frame:
        """One step: look, compute, tell, act."""
        now = self.time.now()
        self.cluster.step()
        frame = self.simulation.tick(self._look(), self._cached.contents(now), now, self._step)
        for target in frame.targets:
            self._scrape(target, now)
        for line in frame.logs:
            place = {"kubernetes.namespace": line.namespace, "kubernetes.pod": line.pod, "kubernetes.labels.app": line.app}
            self.logs.add(line.at, line.message, {"level": line.level, **place}, index=f"logs-{line.namespace}")
        for deed in frame.deeds:
            self._do(deed)
        return frame

    def _look(self) -> ClusterState:
        version = self.cluster.state.version
        if version != self._seen:
            self._seen = version
            # The objects whole: the view that the daemon has leaves out what Jobs are made of.
            self._state = read_state(*(self.cluster.state.all(kind) for kind in ("Deployment", "Pod", "Node", "Job", "Service")))
        return self._state

    def _scrape(self, target: TargetFrame, now: float) -> None:
        place = (target.job, target.instance)
        up = self._ups.setdefault(place, {"__name__": "up", "job": target.job, "instance": target.instance, **target.labels})
        self.store.append(up, now, float(target.up))
        if target.up:
            self.store.scrape(f"{target.job} {target.instance}", target.series, now, target.values)
        else:
            self.store.scrape(f"{target.job} {target.instance}", (), now, np.empty(0))

    def _do(self, deed: Deed) -> None:
        if isinstance(deed, SetImage | SetConfiguration | Revert):
            self._change(deed)
        elif isinstance(deed, SetNode):
            self.cluster.set_node_ready(deed.name, ready=deed.ready)
        elif isinstance(deed, OutOfMemory | Recover):
            ref = TargetRef("Pod", deed.pod.namespace, deed.pod.name)
            if self._view.find(ref) is not None:
                self._writer.patch(ref, manifests.OUT_OF_MEMORY if isinstance(deed, OutOfMemory) else manifests.RECOVER)
        elif isinstance(deed, Fill):
            self._cached.fill(deed.cache, deed.keys)
        elif isinstance(deed, Drop):
            self._cached.drop(deed.cache, deed.keys)


    def _change(self, deed: SetImage | SetConfiguration | Revert) -> None:
        ref = TargetRef("Deployment", deed.namespace, deed.name)
        before = self._view.find(ref)
        patch = None if before is None else manifests.change(before, deed)
        if patch is None:
            return
        if isinstance(deed, SetConfiguration) and deed.data:
            self.cluster.apply(manifests.config_map(deed.namespace, deed.config_map, deed.data))
        person = isinstance(deed, Revert) or (isinstance(deed, SetImage) and deed.person)
        (self._person if person else self._writer).patch(ref, patch)


class _MemoryKeys:
    """`cache_watch.KeyStore` over a cache in memory."""

    def __init__(self, cache: MemoryCache) -> None:
        self._cache = cache

    def count(self, keys: Sequence[str]) -> int:
        return len(set(keys).intersection(self._cache.keys))

    def add(self, keys: Sequence[str]) -> None:
        self._cache.add(*keys)

    def remove(self, keys: Sequence[str]) -> None:
        for key in set(keys).intersection(self._cache.keys):
            self._cache.flush("".join(f"\\{letter}" if letter in "*?[]^-\\" else letter for letter in key))

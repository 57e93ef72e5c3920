"""The world on real servers: it watches a Kubernetes API, is scraped by Prometheus, writes logs into Elasticsearch and keys into Redis.

Neighbours: `simulation` computes each second what `kube`, `exporter`, `elastic` and `redis_keys` see and tell; `virtual` is the same in virtual time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.testbed import audit
from tests.testbed.errors import TestbedError
from tests.testbed.process import PATIENCE_S, eventually
from tests.testbed.prometheus import Target
from tests.testbed.world import kube, manifests
from tests.testbed.world.cache_watch import CacheWatch
from tests.testbed.world.deeds import Deed, Drop, Fill, OutOfMemory, Recover, Revert, SetConfiguration, SetImage, SetNode
from tests.testbed.world.elastic import LogWriter
from tests.testbed.world.episodes import Episode, episodes
from tests.testbed.world.exporter import Exporter
from tests.testbed.world.faults import Fault
from tests.testbed.world.redis_keys import RedisKeys
from tests.testbed.world.services import Service
from tests.testbed.world.simulation import CLUSTER_JOB, PROBES_JOB, SERVICES_JOB, Frame, Simulation
from tests.testbed.world.writes import Write, changed_fields

log = logging.getLogger("world")
STEP_S = 1.0
_OLD_S = 5.0
"""A frame older than this is not told: a world that stands still is dark, not well."""


class LiveWorld:
    """`start()` puts the services on the cluster and returns once all replicas are ready; then a step each second until `stop()`.

    `api` should be the account `world`. Without `elasticsearch_url` or `redis_url` there are no logs or caches; without `audit_log` episodes know
    no writes. `ignore`: users whose writes are nobody's act (the test itself).
    """

    def __init__(
        self,
        services: Sequence[Service],
        faults: Sequence[Fault],
        *,
        api: kube.Api,
        audit_log: Path | None = None,
        elasticsearch_url: str | None = None,
        redis_url: str | None = None,
        seed: int = 0,
        script: bool = False,
        ignore: frozenset[str] = frozenset({"admin"}),
    ) -> None:
        self.api = api
        self._simulation = Simulation(services, faults, seed)
        self._watched = kube.Watched(api)
        self._exporter = Exporter(self)
        self._logs = LogWriter(elasticsearch_url) if elasticsearch_url else None
        names = {cache.name for service in services for cache in service.caches}
        self._redis = RedisKeys(redis_url) if redis_url and names else None
        self._caches = CacheWatch(services, dict.fromkeys(names, self._redis) if self._redis else {})
        self._audit = _AuditTail(audit_log)
        self._ignore, self._script = ignore, script
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._frame: tuple[float, Frame] | None = None
        self._undone: list[Deed] = []
        self._began = 0.0
        self._thread = threading.Thread(target=self._run, name="world", daemon=True)

    # --- life

    @property
    def url(self) -> str:
        """The address of the exporter and the switches."""
        return self._exporter.url

    def targets(self) -> list[Target]:
        """What Prometheus is to scrape."""
        found = [Target(CLUSTER_JOB, f"{self.url}/metrics/cluster", {"instance": CLUSTER_JOB})]
        for namespace, name in self._simulation.services:
            labels = {"instance": f"{namespace}/{name}", "namespace": namespace, "workload": name}
            found.append(Target(SERVICES_JOB, f"{self.url}/metrics/{namespace}/{name}", labels))
        if self._simulation.probed:
            found.append(Target(PROBES_JOB, f"{self.url}/metrics/{PROBES_JOB}", {"instance": PROBES_JOB}))
        return found

    def start(self, *, deadline_s: float = PATIENCE_S) -> None:
        """Raises TestbedError when the cluster refuses the services, or they are not ready in time."""
        self._began = _now()
        self._watched.start()
        self._exporter.start()
        if self._logs is not None:
            self._logs.start()
        self._apply()
        self._caches.warm()
        wanted = [place for service in self._simulation.services.values() for place in service.places]
        eventually(
            lambda: self._watched.synced and all(self._ready(key) for key in wanted), deadline_s=deadline_s, what="all services ready"
        )
        self._thread.start()
        eventually(lambda: self.latest() is not None, what="the first step of the world")

    def stop(self) -> None:
        """End; what is on the cluster stays."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._exporter.stop()
        self._watched.stop()
        if self._logs is not None:
            self._logs.stop()
        if self._redis is not None:
            self._redis.close()

    def _ready(self, key: tuple[str, str]) -> bool:
        deployment = self._watched.state().deployments.get(key)
        return deployment is not None and deployment.complete

    def _apply(self) -> None:
        for namespace in dict.fromkeys(namespace for namespace, _ in self._simulation.services):
            self.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
            account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
            eventually(lambda path=account: self.api.call("GET", path)[0] == 200, what=account)  # type: ignore[misc]
        for service in self._simulation.services.values():
            place = f"namespaces/{service.namespace}"
            for obj in manifests.belongings(service):
                if obj["kind"] == "PersistentVolumeClaim":
                    self.api.create("/api/v1/persistentvolumes", manifests.disk(obj))
                self.api.create(f"{kube.PLACES[obj['kind']]}/{place}/{kube.PLURALS[obj['kind']]}", obj)
            for obj in manifests.deployments(service):
                made = self.api.create(f"/apis/apps/v1/{place}/deployments", obj)
                if not made:
                    log.info("%s/%s is there already and stays as it is", service.namespace, obj["metadata"]["name"])
            autoscaler = manifests.autoscaler(service)
            if autoscaler is not None:
                self.api.create(f"/apis/autoscaling/v2/{place}/horizontalpodautoscalers", autoscaler)

    # --- faults

    def switch(self, name: str, *, on: bool) -> None:
        """Begin or end a fault now. KeyError for an unknown name."""
        with self._lock:
            if name not in self._simulation.faults:
                raise KeyError(name)
            act = self._simulation.switch_on if on else self._simulation.switch_off
            act(name, _now())

    def switch_on(self, name: str) -> None:
        """Begin a fault now. KeyError for an unknown name."""
        self.switch(name, on=True)

    def switch_off(self, name: str) -> None:
        """End a fault now."""
        self.switch(name, on=False)

    def episodes(self) -> tuple[Episode, ...]:
        """What became of each fault so far."""
        with self._lock:
            return episodes(self._simulation.history, self.writes(), _now(), ignore=self._ignore)

    def episode(self, name: str) -> Episode:
        """The last episode of a fault. KeyError if it never was on."""
        found = [each for each in self.episodes() if each.fault == name]
        if not found:
            raise KeyError(name)
        return found[-1]

    def writes(self) -> tuple[Write, ...]:
        """Every write since the start, of the audit log and of the caches, in order of time."""
        with self._lock:
            found = [write for write in self._audit.read() if write.at >= self._began]
            return tuple(sorted([*found, *self._caches.flushes], key=lambda write: write.at))

    def faults_as_json(self) -> list[dict[str, Any]]:
        """For people: what there is, and since when it is on."""
        with self._lock:
            found = []
            for name, fault in self._simulation.faults.items():
                active = self._simulation.active(name)
                service = f"{fault.namespace}/{fault.service}"
                row = {"name": name, "service": service, "act": fault.act, "on": active is not None, "description": fault.description.strip()}
                found.append(row | ({"since": active.begun, "cured": active.cured} if active else {}))
            return found

    def episodes_as_json(self) -> list[dict[str, Any]]:
        """For people and programs."""
        return [episode.as_json() for episode in self.episodes()]

    # --- each second

    def latest(self) -> Frame | None:
        """The newest frame, or None if the world stands still."""
        frame = self._frame
        return None if frame is None or time.monotonic() - frame[0] > _OLD_S else frame[1]

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            try:
                self._second()
            except (OSError, TestbedError) as error:
                log.warning("a step of the world failed: %s", error)
            due = max(due + STEP_S, time.monotonic())
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _second(self) -> None:
        with self._lock:
            now = _now()
            self._follow_script(now)
            frame = self._simulation.tick(self._watched.state(), self._caches.contents(now), now, STEP_S)
            self._frame = (time.monotonic(), frame)
        if self._logs is not None:
            self._logs.send(frame.logs)
        deeds, self._undone = [*self._undone, *frame.deeds], []
        for deed in deeds:
            try:
                self._do(deed)
            except OSError as error:
                log.warning("not done, next time again: %s: %s", type(deed).__name__, error)
                self._undone.append(deed)

    def _follow_script(self, now: float) -> None:
        if self._script:
            begun = {active.fault.name for active in self._simulation.history}
            for name, fault in self._simulation.faults.items():
                if name not in begun and now >= self._began + fault.starts:
                    self._simulation.switch_on(name, now)

    def _do(self, deed: Deed) -> None:
        if isinstance(deed, SetImage | SetConfiguration | Revert):
            self._change(deed)
        elif isinstance(deed, SetNode):
            self._patch(f"/api/v1/nodes/{deed.name}", kube.node_ready(ready=deed.ready), kube.MERGE)
        elif isinstance(deed, OutOfMemory | Recover):
            body: Mapping[str, Any] = manifests.OUT_OF_MEMORY if isinstance(deed, OutOfMemory) else manifests.RECOVER
            self._patch(f"/api/v1/namespaces/{deed.pod.namespace}/pods/{deed.pod.name}", body, kube.MERGE)
        elif isinstance(deed, Fill):
            self._caches.fill(deed.cache, deed.keys)
        elif isinstance(deed, Drop):
            self._caches.drop(deed.cache, deed.keys)

    def _change(self, deed: SetImage | SetConfiguration | Revert) -> None:
        path = f"/apis/apps/v1/namespaces/{deed.namespace}/deployments/{deed.name}"
        status, before = self.api.call("GET", path)
        patch = manifests.change(before, deed) if status == 200 else None
        if patch is None:
            return
        if isinstance(deed, SetConfiguration) and deed.data:
            made = manifests.config_map(deed.namespace, deed.config_map, deed.data)
            self.api.create(f"/api/v1/namespaces/{deed.namespace}/configmaps", made)
        person = isinstance(deed, Revert) or (isinstance(deed, SetImage) and deed.person)
        self._patch(f"{path}?fieldManager=kubectl-edit" if person else path, patch, kube.JSON)

    def _patch(self, path: str, body: Any, kind: str) -> None:
        status, answer = self.api.call("PATCH", path, body, content_type=kind)
        # What is gone, or was changed meanwhile, is looked at anew by the simulation.
        if status >= 500:
            raise OSError(f"PATCH {path} answered {status}")
        if status >= 400:
            log.warning("PATCH %s answered %s: %s", path, status, (answer or {}).get("message"))


class _AuditTail:
    """The writes of a growing audit log, each read once."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._offset = path, 0
        self._writes: list[Write] = []

    def read(self) -> list[Write]:
        if self._path is not None:
            found, self._offset = audit.read_from(self._path, self._offset)
            self._writes += [_write(each) for each in found]
        return self._writes


def _write(found: audit.Write) -> Write:
    verb = "evict" if found.subresource == "eviction" else found.verb
    return Write(
        at=datetime.fromisoformat(found.received).timestamp() if found.received else 0.0,
        user=found.user,
        verb=verb,
        resource=found.resource,
        subresource=found.subresource,
        namespace=found.namespace,
        name=found.name,
        fields=changed_fields(found.request_body, found.subresource) if verb in ("patch", "update") else (),
        code=found.response_code,
        dry_run=found.dry_run,
    )


def _now() -> float:
    # The world is one of the two sides that tests compare: it reads the machine's clock as the servers do.
    return time.time_ns() / 1e9

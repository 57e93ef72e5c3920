"""A small plant of services as arithmetic: what it exports is what the shipped rules may rely on; what is wrong with it is set by hand.

Queueing: M/M/c by Sakasegawa's approximation of the wait (Sakasegawa, Ann. Inst. Statist. Math. 29, 1977), and a fluid queue beyond saturation.
Counts are Poisson with a fixed seed. Neighbours: `test_packs` runs rules over it in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aiops.adapters.memory_prometheus import MemoryPrometheus, MemorySeriesStore

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, float("inf"))
LIMIT = 512 * 2**20
PODS = ("6d4f9c7b8-x2vlq", "6d4f9c7b8-mm7kd", "6d4f9c7b8-9zzpw", "6d4f9c7b8-b8cdt", "6d4f9c7b8-qq4rs", "6d4f9c7b8-w5n2h")


@dataclass
class PlantService:
    """One service; a test turns its knobs while time goes on."""

    name: str
    namespace: str = "prod"
    rate: float = 40.0
    service_time: float = 0.05
    workers: int = 2
    replicas: int = 3
    errors: float = 0.001
    dependency: str = ""
    dependency_errors: float = 0.0
    cache: str = ""
    stale: float = 0.0
    memory: float = 150 * 2**20
    leak: float = 0.0
    restarts: int = 0
    oom: bool = False
    dark: bool = False
    queue: float = 0.0
    counters: dict[tuple[str, ...], float] = field(default_factory=dict)

    @property
    def capacity(self) -> float:
        """Requests/s at most."""
        return self.workers * self.replicas / self.service_time


class Plant:
    """Services, a clock, and a Prometheus that scrapes them each `interval` seconds."""

    def __init__(self, services: list[PlantService], *, interval: float, start: float = 1_800_000_000.0, seed: int = 7) -> None:
        self.services, self.interval, self.now = services, interval, start
        self.prometheus = MemoryPrometheus("prometheus", MemorySeriesStore())
        self.disk = 0.4
        self.job_up = True
        self._random = np.random.default_rng(seed)

    def step(self) -> None:
        """One interval goes by, then a scrape."""
        self.now += self.interval
        labels: list[dict[str, str]] = []
        values: list[float] = []

        def put(name: str, value: float, **more: str) -> None:
            labels.append({"__name__": name, **more})
            values.append(value)

        for service in self.services:
            self._live(service)
            self._export(service, put)
        put("up", float(self.job_up), job="services", instance="a:80")
        put("node_filesystem_size_bytes", 1e11, node="node-1", mountpoint="/", fstype="ext4")
        put("node_filesystem_avail_bytes", 1e11 * (1 - self.disk), node="node-1", mountpoint="/", fstype="ext4")
        for condition in ("MemoryPressure", "DiskPressure", "PIDPressure"):
            put("kube_node_status_condition", 0.0, node="node-1", condition=condition, status="true")
        self.prometheus.store.scrape("plant", labels, self.now, values)

    def _live(self, service: PlantService) -> None:
        """Requests of one interval come, wait, are served and counted."""
        offered = float(self._random.poisson(service.rate * self.interval))
        possible = service.capacity * self.interval
        served = min(offered + service.queue, possible)
        service.queue = min(service.queue + offered - served, 300.0 * service.replicas)
        latency = service.service_time + self._wait(service)
        failed = float(self._random.binomial(int(served), min(1.0, service.errors + service.dependency_errors)))
        self._add(service, served - failed, "http_requests_total", "200")
        self._add(service, failed, "http_requests_total", "500")
        for bound in BUCKETS:
            self._add(service, served * float(1 - np.exp(-bound / latency)), "bucket", "+Inf" if np.isinf(bound) else f"{bound:g}")
        self._add(service, served, "count", "")
        if service.dependency:
            wrong = float(self._random.binomial(int(served), service.dependency_errors))
            self._add(service, served - wrong, "client", "200")
            self._add(service, wrong, "client", "503")
        if service.cache:
            stale = float(self._random.binomial(int(served), service.stale))
            self._add(service, stale, "cache", "stale")
            self._add(service, (served - stale) * 0.9, "cache", "hit")
            self._add(service, (served - stale) * 0.1, "cache", "miss")
        service.memory = min(service.memory + service.leak * self.interval, LIMIT)

    def _wait(self, service: PlantService) -> float:
        busy = min(service.rate / service.capacity, 0.99)
        servers = service.workers * service.replicas
        wait = service.service_time * busy ** (np.sqrt(2 * (servers + 1)) - 1) / (servers * (1 - busy))
        return float(wait) + service.queue / service.capacity

    def _utilization(self, service: PlantService) -> float:
        if service.queue > 1:
            return 1.0
        servers = service.workers * service.replicas
        return float(min(1.0, self._random.binomial(servers * 4, min(1.0, service.rate / service.capacity)) / (servers * 4)))

    @staticmethod
    def _add(service: PlantService, amount: float, *key: str) -> None:
        service.counters[key] = service.counters.get(key, 0.0) + amount

    def _export(self, service: PlantService, put: object) -> None:
        assert callable(put)
        where = {"namespace": service.namespace, "workload": service.name}
        pods = [f"{service.name}-{suffix}" for suffix in PODS[: service.replicas]]
        if not service.dark:
            put("queue_length", service.queue, **where, queue="requests")
            for pod in pods:
                put("worker_utilization_ratio", self._utilization(service), **where, pod=pod)
            for (kind, detail), value in service.counters.items():
                share = value / len(pods)
                for pod in pods:
                    at = {**where, "pod": pod}
                    if kind == "http_requests_total":
                        put(kind, share, **at, code=detail)
                    elif kind == "bucket":
                        put("http_request_duration_seconds_bucket", share, **at, le=detail)
                    elif kind == "count":
                        put("http_request_duration_seconds_count", share, **at)
                    elif kind == "client":
                        put("http_client_requests_total", share, **at, dependency=service.dependency, code=detail)
                    else:
                        put("cache_requests_total", share, **at, cache=service.cache, result=detail)
        for number, pod in enumerate(pods):
            at = {"namespace": service.namespace, "pod": pod, "container": "main"}
            memory = service.memory if number == 0 else 150 * 2**20
            put("container_memory_working_set_bytes", memory * float(self._random.uniform(0.99, 1.01)), **at)
            put("kube_pod_container_resource_limits", float(LIMIT), **at, resource="memory")
            put("kube_pod_container_status_restarts_total", float(service.restarts if number == 0 else 0), **at)
            if service.oom and number == 0:
                put("kube_pod_container_status_last_terminated_reason", 1.0, **at, reason="OOMKilled")
        deployment = {"namespace": service.namespace, "deployment": service.name}
        put("kube_deployment_spec_replicas", float(service.replicas), **deployment)
        put("kube_deployment_status_replicas_available", float(service.replicas), **deployment)

"""The stage that tests of the engine play on: virtual time, the in-memory cluster with its controllers, the real store in memory, real CEL.

Also used by `tests/property/test_crash.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from aiops.adapters.dry_run import DryRunCache, DryRunWriter
from aiops.adapters.dry_run_outside import DryRunOutbound, DryRunSilences
from aiops.adapters.memory_alerts import MemorySilences
from aiops.adapters.memory_cache import MemoryCache
from aiops.adapters.memory_cluster import MemoryCluster
from aiops.adapters.memory_outbound import MemoryOutbound
from aiops.adapters.outbound_policy import Allowed
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.adapters.store import open_store
from aiops.app.compose import convert
from aiops.definitions.cel import compile_expression
from aiops.definitions.templates import render
from aiops.domain.command import Command, CommandKind
from aiops.domain.errors import SourceUnavailableError
from aiops.domain.execution import Execution
from aiops.domain.outcome import Verdict
from aiops.domain.plan import Plan, PlannedStep, PlannedVerify
from aiops.domain.runbook import Mode
from aiops.domain.series import RangeBatch, SampleBatch, SeriesRange
from aiops.domain.target import TargetRef
from aiops.execution.actions.contract import STAMP
from aiops.execution.desk import Hands
from aiops.execution.executor import Executor
from aiops.execution.settings import EngineSettings
from aiops.ports.cache import Cache
from aiops.ports.cluster import Cluster, ClusterWriter
from aiops.ports.sources import LogSource
from aiops.ports.storage import Store

START = 1_800_000_000.0
CHECKOUT = TargetRef("Deployment", "shop", "checkout")

Levels = Callable[[float], list[float] | None]


def deployment(name: str = "checkout", *, replicas: int = 2, image: str = "shop/checkout:1", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "main", "image": image, "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "fast"}]}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }


class ScriptedSource:
    """A metric source whose answer is a function of time: a list of levels, or None for a source that does not answer."""

    name = "prometheus"

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        self.partial = False
        self.asked: list[float] = []

    def instant(self, query: str, at: float) -> SampleBatch:
        self.asked.append(at)
        values = self.levels(at)
        if values is None:
            raise SourceUnavailableError(self.name, "Timeout", "no answer in 10 s")
        labels = tuple({"pod": f"p{n}"} for n in range(len(values)))
        return SampleBatch(self.name, query, at, labels, np.full(len(values), at), np.array(values, float), partial=self.partial)

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        times = [start + n * step for n in range(int((end - start) / step) + 1)]
        columns = [self.levels(at) for at in times]
        if None in columns:
            raise SourceUnavailableError(self.name, "Timeout", "no answer in 10 s")
        rows = max((len(column or ()) for column in columns), default=0)
        series = tuple(
            SeriesRange({"pod": f"p{n}"}, np.array([t for t, c in zip(times, columns, strict=True) if c and n < len(c)]), np.array([c[n] for c in columns if c and n < len(c)], float))
            for n in range(rows)
        )
        return RangeBatch(self.name, query, start, end, step, series, partial=self.partial)


class Stage:
    """Everything that outlives a process: time, cluster, store; and one executor at a time, which `restart` replaces."""

    def __init__(self, *, store: Store | None = None, replicas: int = 2, levels: Levels = lambda _at: [0.1], settings: EngineSettings | None = None) -> None:
        self.time = VirtualTime(START)
        self.memory = MemoryCluster(self.time)
        self.store = store or open_store("sqlite:///:memory:")
        self.source = ScriptedSource(levels)
        self.settings = settings or EngineSettings()
        self.told: list[Execution] = []
        self.verdict: Verdict | None = None
        self.in_force = True
        self.caches: dict[str, MemoryCache] = {}
        self.outbound = MemoryOutbound((Allowed("https://hooks.example.org/"),))
        self.alerts = MemorySilences(self.time)
        self.extra: dict[str, MemoryCluster] = {}
        self.logs: dict[str, LogSource] = {}
        self.writer: Any = self.memory.writer()
        self.reader: Any = self.memory.reader
        self.dry = False
        self.memory.apply(deployment(replicas=replicas))
        self.pass_time(10)
        self.executor = self.restart()
        self.executor.recover()

    def cluster(self, *, simulated: bool) -> Cluster:
        writer: ClusterWriter = DryRunWriter(self.reader, self.memory.writer(dry_run=True)) if simulated else self.writer
        return Cluster("default", self.reader, writer, self.memory.view(), simulated, {})

    def clusters(self, *, simulated: bool) -> dict[str, Cluster]:
        """That of the target and, by context, those of `extra`."""
        found = {"default": self.cluster(simulated=simulated)}
        for name, memory in self.extra.items():
            writer: ClusterWriter = DryRunWriter(memory.reader, memory.writer(dry_run=True)) if simulated else memory.writer()
            found[name] = Cluster(name, memory.reader, writer, memory.view(), simulated, {})
        return found

    def restart(self, owner: str = "one", store: Store | None = None) -> Executor:
        acting = Hands(self.clusters(simulated=False), self.caches, simulated=False, outbound=self.outbound, alerts=self.alerts)
        dry_caches: dict[str, Cache] = {name: DryRunCache(cache) for name, cache in self.caches.items()}
        rehearsal = Hands(
            self.clusters(simulated=True), dry_caches, simulated=True, outbound=DryRunOutbound(self.outbound), alerts=DryRunSilences(self.alerts),
        )
        if self.dry:
            acting = rehearsal
        self.executor = Executor(
            store=store or self.store, acting=acting, rehearsal=rehearsal, metric_sources={"prometheus": self.source}, clock=self.time,
            owner=owner, compile=compile_expression, render=render, convert=convert, settings=self.settings, tell=self.told.append, permit=lambda _execution, _step: self.verdict, in_force=lambda _plan: self.in_force,
            channels=lambda severity, _target: (f"#{severity}",), log_sources=self.logs,
        )
        return self.executor

    def pass_time(self, seconds: float) -> None:
        """Let controllers work while time passes."""
        end = self.time.now() + seconds
        while self.time.now() < end:
            self.time.run_until(min(self.time.now() + 1, end))
            self.memory.step()
            for memory in self.extra.values():
                memory.step()

    def submit(self, *steps: PlannedStep, simulated: bool = False, **plan: Any) -> Execution:
        execution = self.executor.submit(make_plan(*steps, at=self.time.now(), **plan), simulated=simulated)
        assert execution is not None
        return execution

    def run(self, execution: Execution, seconds: float = 600) -> Execution:
        """Let the engine and the cluster work until the run is done, or for so long."""
        end = self.time.now() + seconds
        while self.time.now() <= end:
            self.executor.run_due(self.time.soon)
            self.time.run_until(self.time.now())
            present = self.get(execution)
            if present.state == "done":
                return present
            self.pass_time(1)
        return self.get(execution)

    def get(self, execution: Execution) -> Execution:
        found = self.store.execution(execution.id)
        assert found is not None
        return found

    def command(self, kind: CommandKind, execution: Execution, **arguments: Any) -> Command:
        command = Command(f"cmd-{kind}-{self.time.now()}", kind, execution.id, "ada", self.time.now(), arguments)
        return self.executor.commands(command)

    def checkout(self) -> dict[str, Any]:
        return self.memory.reader.get(CHECKOUT)

    @property
    def replicas(self) -> int:
        return int(self.checkout()["spec"]["replicas"])

    @property
    def image(self) -> str:
        return str(self.checkout()["spec"]["template"]["spec"]["containers"][0]["image"])

    @property
    def stamp(self) -> str | None:
        value: str | None = self.checkout()["metadata"].get("annotations", {}).get(STAMP)
        return value

    @property
    def writes(self) -> list[Any]:
        """Real writes that the server accepted from us."""
        return [write for write in self.memory.write_log if write.user == "aiops" and not write.dry_run and write.code < 300]

    def journal(self, execution: Execution) -> list[str]:
        return [entry.kind.value for entry in self.store.journal(execution.id)]

    def patch_by(self, user: str, body: Any) -> None:
        self.memory.writer(user, user).patch(CHECKOUT, body)


def step(action: str, name: str = "", **fields: Any) -> PlannedStep:
    arguments: Mapping[str, Any] = fields.pop("arguments", {})
    return PlannedStep(name or action, action, arguments, **fields)


def scale(by: str = "+2", **fields: Any) -> PlannedStep:
    return step("scale", arguments={"by": by, **fields.pop("arguments", {})}, **fields)


VERIFY = PlannedVerify("prometheus", "latency", "value < 0.5", after=10, within=60, every=5, hold=0, worst="max")


def make_plan(*steps: PlannedStep, at: float = START, mode: Mode = Mode.AUTO, verify: PlannedVerify | None = None, **fields: Any) -> Plan:
    plan = Plan("plan-1", "inc-1", "surge", "hash-of-runbook", mode, CHECKOUT, steps, at, "hash-of-plan", verify)
    return replace(plan, **fields)

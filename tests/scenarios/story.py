"""The whole engine in the virtual world: the product's own composition, acting on an in-memory cluster, read by the world's episodes.

Neighbours: `test_faults` tells stories with it; `tests.testbed.world.virtual` is the world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from aiops.adapters.dry_run import DryRunCache, DryRunWriter
from aiops.adapters.memory_cluster import MemoryCluster
from aiops.adapters.memory_logs import MemoryLogs
from aiops.adapters.memory_notifier import MemoryNotifier
from aiops.adapters.memory_prometheus import MemorySeriesStore
from aiops.adapters.objects import CachedObjectSource
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.adapters.snapshots import MemorySnapshots
from aiops.adapters.store import SqlStore, open_store
from aiops.app.check import load_or_raise
from aiops.app.compose import Core, Outside, assemble, start
from aiops.app.config import read_settings
from aiops.app.virtual import replay_settings
from aiops.definitions.loader import Definitions
from aiops.execution.desk import Hands
from aiops.pipeline.poller import Sources
from aiops.ports.cluster import Cluster
from aiops.ports.telemetry import NullTelemetry
from aiops.settings import Settings
from tests.testbed.world.episodes import Episode
from tests.testbed.world.faults import read_faults
from tests.testbed.world.services import read_services
from tests.testbed.world.virtual import VirtualWorld

WORLD = Path(__file__).parents[1] / "testbed" / "world"
START = 1_767_260_000.0


@cache
def _packs(rules: tuple[str, ...], runbooks: tuple[str, ...]) -> Definitions:
    """Frozen, and an eighth of an episode's time to read: so once in a process."""
    return load_or_raise(read_settings(None).model_copy(update={"rules": rules, "runbooks": runbooks}))


@dataclass
class Story:
    """A world with the engine in it. `act` False is dry-run. Time runs by `run`.

    `alone`: seconds that the world is older than the daemon. `step`: seconds from one step of the world, and scrape, to the next; `keep`: for so long
    samples are kept. `define` may change the definitions before they are in force.
    """

    act: bool = True
    services: Path = WORLD / "services"
    faults: Path = WORLD / "faults"
    settings: Settings = field(default_factory=lambda: read_settings(None))
    seed: int = 0
    nodes: int = 3
    started: float = START
    alone: float = 0.0
    step: float = 1.0
    keep: float = 86400.0
    define: Callable[[Definitions], Definitions] = field(default=lambda definitions: definitions)

    def __post_init__(self) -> None:
        self.errors: list[str] = []
        self.time = VirtualTime(self.started, on_error=lambda name, error: self.errors.append(f"{name}: {type(error).__name__}: {error}"))
        self.cluster = MemoryCluster(self.time, nodes=self.nodes)
        services = read_services([self.services])
        logs = MemoryLogs("elasticsearch", indices=sorted({f"logs-{service.namespace}" for service in services}))
        self.world = VirtualWorld(
            self.time, services, read_faults([self.faults], services), seed=self.seed, cluster=self.cluster, logs=logs, step=self.step,
            store=MemorySeriesStore(retention=self.keep),
        )
        self.world.start()
        self.time.run_until(self.started + self.alone)
        self.store: SqlStore = open_store("sqlite:///:memory:")
        self.notifier = MemoryNotifier()
        self.core = self._compose()

    def _compose(self) -> Core:
        world, view, reader = self.world, self.cluster.view(), self.cluster.reader
        dry = Cluster("default", reader, DryRunWriter(reader, self.cluster.writer(dry_run=True)), view, simulated=True, facts={})
        wet = Cluster("default", reader, self.cluster.writer("aiops"), view, simulated=False, facts={})
        rehearsal = Hands({"default": dry}, {name: DryRunCache(c) for name, c in world.caches.items()}, simulated=True)
        acting = Hands({"default": wet}, dict(world.caches), simulated=False) if self.act else rehearsal
        outside = Outside(
            clock=self.time, schedule=self.time, store=self.store, telemetry=NullTelemetry(), snapshots=MemorySnapshots(),
            sources=Sources({"prometheus": world.metrics}, {"elasticsearch": world.logs}, {"kubernetes": CachedObjectSource(view, self.time)}),
            views={"default": view}, acting=acting, rehearsal=rehearsal, notifier=self.notifier,
        )
        core = assemble(outside, replay_settings(self.settings), dry_run=not self.act, owner="story", reload=lambda: "")
        start(core, self.define(_packs(self.settings.rules, self.settings.runbooks)))
        return core

    def run(self, seconds: float) -> Story:
        """Let time pass."""
        self.time.run_until(self.time.now() + seconds)
        assert self.errors == [], self.errors
        return self

    def given_quiet(self, seconds: float = 420.0) -> Story:
        """A time in which nothing is wrong, long enough for what learns to have learned."""
        return self.run(seconds)

    def when(self, fault: str) -> Story:
        """A fault begins."""
        self.world.switch_on(fault)
        return self

    def episode(self, fault: str) -> Episode:
        """What became of it."""
        return self.world.episode(fault)

    def told(self) -> str:
        """Decisions and runs, for the message of a failing test."""
        runs = [f"{r.created_at - self.started:.0f}: {r.plan.runbook} on {r.target}: {r.state.value} {r.result}" for r in self.store.executions()]
        incidents = [f"{i.opened_at - self.started:.0f}: {i.title} {i.state.value} {i.symptoms}" for i in self.store.incidents()]
        lines = [f"{d.at - self.started:.0f} {d.stage.value} {d.passed} {d.subject} {d.reason} {d.detail[:160]}" for d in self.store.decisions(limit=120)]
        return "\n".join([*incidents, *runs, *lines])

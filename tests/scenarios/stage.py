"""A small stage: one namespace, two Deployments, one number each, one rule and one runbook of one's own; the product's composition in virtual time.

Cheap where `story` is rich: a minute costs some tenths of a second. `restart` puts a new composition over the same store, cluster and clock, as a
new process would be. Neighbours: `test_moments` tells what happens in the middle of things, `tests/unit/pipeline` asks single rooms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aiops.adapters.dry_run import DryRunWriter
from aiops.adapters.memory import StatedMemory
from aiops.adapters.memory_cluster import MemoryCluster
from aiops.adapters.memory_notifier import MemoryNotifier
from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.adapters.objects import CachedObjectSource
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.adapters.snapshots import MemorySnapshots
from aiops.adapters.store import SqlStore, open_store
from aiops.app.check import load_or_raise
from aiops.app.compose import Core, Outside, assemble, start
from aiops.app.config import read_settings
from aiops.app.virtual import replay_settings
from aiops.domain.command import Command, CommandKind
from aiops.domain.errors import NotifyError, SourceUnavailableError, StoreError
from aiops.domain.execution import Execution
from aiops.domain.ids import make_id
from aiops.domain.message import Message, Thread
from aiops.domain.series import SampleBatch
from aiops.domain.target import TargetRef
from aiops.execution.desk import Hands
from aiops.pipeline.poller import Sources
from aiops.ports.cluster import Cluster
from aiops.ports.storage import Changes
from aiops.ports.telemetry import NullTelemetry

if TYPE_CHECKING:
    from aiops.adapters.memory_cluster.clients import MemoryReader

START = 1_767_260_000.0
CHECKOUT, SEARCH = TargetRef("Deployment", "shop", "checkout"), TargetRef("Deployment", "shop", "search")

RULES = """
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: stage}
rules:
  - name: busy
    query: load
    every: 5s
    for: 5s
    keepFiringFor: 5s
    severity: warning
    detector: {type: threshold, above: 80}
    target: {kind: Deployment, namespace: "{{ labels.namespace }}", name: "{{ labels.workload }}"}
    labels: {symptom: saturation}
    summary: "{{ labels.workload }} is busy"
"""

RUNBOOK = """
apiVersion: aiops/v1
kind: Runbook
metadata: {name: grow}
mode: auto
match: '"saturation" in incident.symptoms'
needsSight: [prometheus]
steps:
  - {name: scale, action: scale, arguments: {by: "+1"}}
verify:
  query: 'load{namespace="{{ target.namespace }}", workload="{{ target.name }}"}'
  passes: value < 80.0
  after: 5s
  within: 2m
  every: 5s
guards: {cooldown: 1m}
"""


class Flaky(MemoryPrometheus):
    """A Prometheus that does not answer while `dark`."""

    dark = False

    def instant(self, query: str, at: float) -> SampleBatch:
        """See the port."""
        if self.dark:
            raise SourceUnavailableError(self.name, "Timeout", "no answer")
        return super().instant(query, at)


class FlakyNotifier(MemoryNotifier):
    """A channel that refuses while `error` is set; `only` narrows it to one incident."""

    def __init__(self) -> None:
        super().__init__()
        self.error: NotifyError | None = None
        self.only = ""
        self.tries = 0

    def deliver(self, message: Message, thread: Thread | None) -> Thread:
        """See the port."""
        self.tries += 1
        if self.error is not None and self.only in ("", message.incident):
            raise self.error
        return super().deliver(message, thread)


class FlakyStore:
    """The store, whose disk is full or gone for as long as `broken` says: `write` and what else changes it fails, or `read` too."""

    def __init__(self, real: SqlStore) -> None:
        self.real = real
        self.broken = ""

    def __getattr__(self, name: str) -> Any:
        """The real store's, as long as it works."""
        if self.broken and (self.broken == "all" or name in ("write", "delivered", "not_delivered", "acquire", "renew")):
            raise StoreError("store: disk I/O error")
        return getattr(self.real, name)


class Watched:
    """The cluster's reader; `seen` is called before each request."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.seen: Callable[[str], None] = lambda _name: None

    def __getattr__(self, name: str) -> Any:
        """The real one's."""
        self.seen(name)
        return getattr(self.real, name)


class Stage:
    """Everything at hand. `load` has each workload's number, written each second; change it to make something happen."""

    def __init__(
        self, folder: Path, *, act: bool = True, rules: str = RULES, runbooks: tuple[str, ...] = (RUNBOOK,),
        settings: Mapping[str, Any] | None = None, store_url: str = "sqlite:///:memory:",
    ) -> None:
        self.folder, self.act = folder, act
        self.write_rules(rules)
        (folder / "runbooks").mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(runbooks):
            (folder / "runbooks" / f"{number}.yaml").write_text(text, encoding="utf-8")
        base = {"rules": (str(folder / "rules"),), "runbooks": (str(folder / "runbooks"),)}
        self.settings = read_settings(None).model_copy(update={**base, **(settings or {})})
        self.errors: list[str] = []
        self.time = VirtualTime(START, on_error=lambda name, error: self.errors.append(f"{name}: {type(error).__name__}: {error}"))
        self.cluster = MemoryCluster(self.time)
        self.cluster.apply({"kind": "Namespace", "metadata": {"name": "shop"}})
        for ref in (CHECKOUT, SEARCH):
            self.cluster.apply(deployment(ref.name))
        self.load = {"checkout": 40.0, "search": 40.0}
        self.samples = MemorySeriesStore()
        self.metrics = Flaky("prometheus", self.samples)
        self.store = FlakyStore(open_store(store_url))
        self.notifier = FlakyNotifier()
        self.reader = Watched(self.cluster.reader)
        self.snapshots = MemorySnapshots()
        self.memory = StatedMemory(100.0 * 2**20, 1000.0 * 2**20)
        self.reloads: list[str] = []
        self.time.every("world", 1.0, self._second)
        self.core = self._compose()

    def write_rules(self, text: str) -> None:
        """The rules' file anew."""
        (self.folder / "rules").mkdir(parents=True, exist_ok=True)
        (self.folder / "rules" / "rules.yaml").write_text(text, encoding="utf-8")

    def _second(self) -> None:
        self.cluster.step()
        for workload, value in self.load.items():
            self.samples.append({"__name__": "load", "namespace": "shop", "workload": workload}, self.time.now(), value)

    def _compose(self) -> Core:
        view, reader = self.cluster.view(), cast("MemoryReader", self.reader)
        dry = Cluster("default", reader, DryRunWriter(reader, self.cluster.writer(dry_run=True)), view, simulated=True, facts={})
        wet = Cluster("default", reader, self.cluster.writer("aiops"), view, simulated=False, facts={})
        rehearsal = Hands({"default": dry}, {}, simulated=True)
        acting = Hands({"default": wet}, {}, simulated=False) if self.act else rehearsal
        outside = Outside(
            clock=self.time, schedule=self.time, store=self.store, telemetry=NullTelemetry(), snapshots=self.snapshots,
            sources=Sources({"prometheus": self.metrics}, {}, {"kubernetes": CachedObjectSource(view, self.time)}),
            views={"default": view}, acting=acting, rehearsal=rehearsal, notifier=self.notifier, memory=self.memory,
        )
        core = assemble(outside, replay_settings(self.settings), dry_run=not self.act, owner="stage", reload=lambda: "")
        start(core, load_or_raise(self.settings))
        return core

    def restart(self) -> Stage:
        """A new process: what was in memory is gone, store, snapshots, cluster and time stay."""
        for name in ("tick", "reconsider", "gauges", "autonomy", "purge", "snapshot", "commands", *(f"poll:{r}" for r in self.core.flow.rules)):
            self.time.cancel(name)
        self.core = self._compose()
        return self

    def run(self, seconds: float, *, errors: bool = False) -> Stage:
        """Let time pass. Errors of jobs fail the test unless they are expected."""
        self.time.run_until(self.time.now() + seconds)
        if not errors:
            assert self.errors == [], self.errors
        return self

    def until(self, state: str, most: float = 120.0) -> Execution:
        """Let time pass until a run is in this state."""
        for _ in range(int(most)):
            for run in self.runs:
                if run.state.value == state:
                    return run
            self.run(1.0)
        raise AssertionError(f"no run came to {state}\n{self.told()}")

    def run_of(self, execution: str) -> Execution:
        """As it stands now."""
        return next(r for r in self.runs if r.id == execution)

    def ask(self, kind: CommandKind, subject: str = "", **arguments: Any) -> Command:
        """A person's command; carried out within two seconds. Its answer."""
        command = Command(make_id("cmd", kind.value, subject, self.time.now()), kind, subject, "ann", self.time.now(), arguments)
        self.store.real.write(Changes(commands=(command,)))
        self.run(2.0)
        return next(c for c in self.store.real.commands(pending=False) if c.id == command.id)

    @property
    def runs(self) -> list[Execution]:
        """Oldest first."""
        return list(reversed(self.store.real.executions()))

    @property
    def incidents(self) -> list[Any]:
        """Oldest first."""
        return list(reversed(self.store.real.incidents()))

    def writes(self, user: str = "aiops") -> list[Any]:
        """What was written on the cluster for real by this account."""
        return [w for w in self.cluster.write_log if w.user == user and not w.dry_run and w.code < 300]

    def replicas(self, ref: TargetRef = CHECKOUT) -> int:
        """As the object wants them."""
        return int(self.cluster.reader.get(ref)["spec"]["replicas"])

    def reasons(self, stage: str = "decide") -> set[str]:
        """Codes of all decisions of one stage."""
        return {d.reason for d in self.store.real.decisions(limit=100_000) if d.stage.value == stage}

    def told(self) -> str:
        """For the message of a failing test."""
        runs = [f"{r.created_at - START:.0f}: {r.plan.runbook} on {r.target}: {r.state.value} {r.result}" for r in self.runs]
        incidents = [f"{i.opened_at - START:.0f}: {i.title} {i.state.value} {i.symptoms}" for i in self.incidents]
        words = [f"{d.at - START:.0f} {d.stage.value} {d.passed} {d.subject} {d.reason} {d.detail[:120]}" for d in self.store.real.decisions(limit=60)]
        posts = [f"post {p.message.key} {p.message.text} edits {p.edits}" for p in self.notifier.posts]
        return "\n".join([*incidents, *runs, *posts, *words, *self.errors])


def deployment(name: str, replicas: int = 2) -> dict[str, Any]:
    """A plain one."""
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": f"{name}:1"}]}},
        },
    }

"""The world of one test of `aiops test`: virtual time, in-memory cluster, metrics and caches, the product's own composition, and what others do meanwhile.

Neighbours: `app.cases` makes one for each test; `app.compose` wires the same rooms as for the daemon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from aiops.adapters.memory_alerts import MemorySilences
from aiops.adapters.memory_cache import MemoryCache
from aiops.adapters.memory_cluster import MemoryCluster
from aiops.adapters.memory_logs import MemoryLogs
from aiops.adapters.memory_notifier import MemoryNotifier
from aiops.adapters.memory_outbound import MemoryOutbound
from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.notation import fill
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.adapters.objects import CachedObjectSource
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.adapters.snapshots import MemorySnapshots
from aiops.adapters.store import open_store
from aiops.app.compose import Outside, assemble, start
from aiops.app.outside import allowed
from aiops.app.virtual import rehearsal_on, replay_settings
from aiops.definitions.loader import Definitions
from aiops.definitions.schema_cases import CaseModel, ChangeModel
from aiops.domain.command import Command, CommandKind
from aiops.domain.errors import AiopsError, NotFoundError
from aiops.domain.execution import ExecutionState
from aiops.domain.ids import make_id
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.approval import waiting_steps
from aiops.execution.desk import Hands
from aiops.pipeline.poller import Sources
from aiops.ports.cluster import Cluster
from aiops.ports.storage import Changes
from aiops.ports.telemetry import NullTelemetry
from aiops.settings import Settings

EPOCH = 1_767_225_600.0
"""2026-01-01T00:00:00Z: tests begin at a fixed time, so that what depends on the time of day is the same each run."""
INDEX = "logs-test"
AGED = 7 * 86400.0
"""Objects of a test are this old at its start, unless the test makes them during it: no release is fresh by accident."""


class CaseStage:
    """One test's world, at its start. Raises the errors of the cluster for objects that it would not take."""

    def __init__(self, case: CaseModel, definitions: Definitions, settings: Settings) -> None:
        self.errors: list[str] = []
        self._time = VirtualTime(EPOCH - AGED, on_error=lambda name, error: self.errors.append(f"{name}: {type(error).__name__}: {error}"))
        self._cluster = MemoryCluster(self._time)
        self._age(case)
        samples = MemorySeriesStore(retention=31 * 86400.0)
        for one in case.series:
            fill(samples, one.series, one.values, start=EPOCH - case.past, interval=case.interval)
        self.store = open_store("sqlite:///:memory:")
        self._notifier = MemoryNotifier()
        self._asked: dict[str, ChangeModel] = {}
        self._compose(case, MemoryPrometheus("prometheus", samples), definitions, settings)
        # Two changes of the same time come in the order of the file.
        for change in sorted(case.changes, key=lambda c: c.at):
            self._time.at(EPOCH + change.at, "change", partial(self._change, change))

    def _age(self, case: CaseModel) -> None:
        for obj in case.objects:
            self._cluster.apply(obj)
        for until in (EPOCH - AGED, EPOCH - AGED + 60, EPOCH):
            self._time.run_until(until)
            self._cluster.settle()
        self._time.every("cluster", 1.0, self._cluster.settle, first_after=1.0)

    def _compose(self, case: CaseModel, metrics: MemoryPrometheus, definitions: Definitions, settings: Settings) -> None:
        view, logs = self._cluster.view(), MemoryLogs("elasticsearch", indices=(INDEX,), retention=30 * 86400.0)
        for record in case.logs:
            for at in record.times():
                for _ in range(record.count):
                    logs.add(EPOCH + at, record.message, record.fields, index=INDEX)
        rehearsal = rehearsal_on(self._cluster, self._time, settings)
        outside = Outside(
            clock=self._time, schedule=self._time, store=self.store, telemetry=NullTelemetry(), snapshots=MemorySnapshots(),
            sources=Sources({"prometheus": metrics}, {"elasticsearch": logs}, {"kubernetes": CachedObjectSource(view, self._time)}),
            views={"default": view}, acting=self._acting(case, settings) if case.act else rehearsal, rehearsal=rehearsal, notifier=self._notifier,
        )
        start(assemble(outside, replay_settings(settings), dry_run=not case.act, owner="test", reload=lambda: ""), definitions)

    def _acting(self, case: CaseModel, settings: Settings) -> Hands:
        """Hands that write on the in-memory cluster, flush in-memory caches, silence in memory, and send to an end that takes all the settings allow."""
        cluster = Cluster("default", self._cluster.reader, self._cluster.writer(), self._cluster.view(), simulated=False, facts={})
        caches = {name: MemoryCache(name, keys) for name, keys in case.caches.items()}
        outbound = MemoryOutbound(allowed(settings.outbound))
        return Hands({"default": cluster}, caches, simulated=False, outbound=outbound, alerts=MemorySilences(self._time))

    def _change(self, change: ChangeModel) -> None:
        """What somebody else does."""
        try:
            if change.apply is not None:
                self._cluster.apply(change.apply)
            elif change.patch is not None and change.target is not None:
                self._cluster.writer(change.by, change.by).patch(change.target, change.patch)
            elif change.delete is not None:
                self._cluster.remove(change.delete)
            elif change.run is not None:
                self._ask(CommandKind.RUN, change.run, change, {"target": str(change.target), "parameters": dict(change.parameters)})
            elif change.approve is not None:
                self._judge(CommandKind.APPROVE, change.approve, change)
            elif change.reject is not None:
                self._judge(CommandKind.REJECT, change.reject, change)
            elif change.answer is not None:
                self._answer(change.answer, change)
        except AiopsError as error:
            self.errors.append(f"at {change.at:g} s: changes: {error}")

    def _judge(self, kind: CommandKind, runbook: str, change: ChangeModel) -> None:
        waiting = [r for r in self.store.unfinished() if r.plan.runbook == runbook and r.state is ExecutionState.AWAITING_APPROVAL]
        if not waiting:
            self.errors.append(f"at {change.at:g} s: changes: no run of {runbook} waits for approval")
            return
        self._ask(kind, waiting[0].id, change, {"hash": waiting[0].plan.hash})

    def _answer(self, runbook: str, change: ChangeModel) -> None:
        """To the first run that waits for one; a step that does not ask is for the engine to refuse."""
        asking = [(run, name) for run in self.store.unfinished() if run.plan.runbook == runbook for name in waiting_steps(run)]
        if not asking:
            self.errors.append(f"at {change.at:g} s: changes: no run of {runbook} waits for an answer")
            return
        run, name = asking[0]
        if not change.step and len(asking) > 1:
            self.errors.append(f"at {change.at:g} s: changes: several steps ask, name one of: {', '.join(name for _, name in asking)}")
            return
        value = {True: "yes", False: "no"}[change.value] if isinstance(change.value, bool) else str(change.value)
        self._ask(CommandKind.ANSWER, run.id, change, {"step": change.step or name, "value": value})

    def _ask(self, kind: CommandKind, subject: str, change: ChangeModel, arguments: Mapping[str, Any]) -> None:
        now = self._time.now()
        command = Command(make_id("cmd", kind.value, subject, now, len(self._asked)), kind, subject, change.by, now, arguments)
        self._asked[command.id] = change
        self.store.write(Changes(commands=(command,)))

    def wrongly_told(self) -> Iterator[str]:
        """What people asked for and was refused although the test does not say so, or the other way round."""
        done = {c.id: c for c in self.store.commands(pending=False, limit=100_000)}
        for identity, change in self._asked.items():
            command = done.get(identity)
            words = next(f"{name} {value}" for name in ("run", "approve", "reject", "answer") if (value := getattr(change, name)))
            if command is None or not command.done:
                continue
            if command.accepted and change.refused is not None:
                yield f"at {change.at:g} s: changes: {words}: it was taken, and was to be refused: {change.refused}"
            elif not command.accepted and (change.refused is None or change.refused not in command.result):
                expected = f"; expected was: {change.refused}" if change.refused is not None else ""
                yield f"at {change.at:g} s: changes: {words}: refused: {command.result}{expected}"

    def run_until(self, at: float) -> None:
        """Let time pass until `at` seconds after the start."""
        self._time.run_until(EPOCH + at)

    def find(self, ref: TargetRef) -> JsonObject | None:
        """An object as it stands, the whole of it."""
        try:
            return self._cluster.reader.get(ref)
        except NotFoundError:
            return None

    @property
    def texts(self) -> tuple[str, ...]:
        """What people were told so far."""
        return tuple(post.message.text for post in self._notifier.posts)

    def close(self) -> None:
        """Release the store."""
        self.store.close()

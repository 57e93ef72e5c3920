"""The engine's door: takes plans, moves runs one transition at a time, and survives being killed between any two of them.

Every wait is a due time in the store; no thread sleeps. Recovery is no special mode: a run found with an intent and no effect is looked up
before anything is done. Neighbours: `pipeline.act` submits plans, the schedule runs what is due, `approval` carries out commands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from aiops.domain.command import Command
from aiops.domain.decision import Decision
from aiops.domain.errors import AiopsError, CommandError, LeaseLostError
from aiops.domain.execution import EntryKind, Execution, ExecutionState, JournalEntry, StepRun
from aiops.domain.expression import Compiler, Renderer
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import Change, Plan
from aiops.domain.runbook import Mode
from aiops.execution import approval, forward, undo, verify
from aiops.execution.actions.contract import Action, Channels
from aiops.execution.actions.registry import REGISTRY
from aiops.execution.desk import Convert, Desk, Hands, Permit, ids, log, unrendered, untyped
from aiops.execution.leases import Leases, lease_names
from aiops.execution.preview import pre_states, preview
from aiops.execution.progress import begun
from aiops.execution.settings import EngineSettings
from aiops.ports.clock import Clock
from aiops.ports.schedule import Work
from aiops.ports.sources import LogSource, MetricSource
from aiops.ports.storage import Changes, Store
from aiops.ports.telemetry import NullTelemetry, Telemetry


def _silent(execution: Execution) -> None:
    """Tell nobody."""


class Executor:
    """One for a process. `owner` is the same again after a restart of the same instance, so that it takes its runs up at once.

    `acting` and `rehearsal` are the hands for real and simulated runs; a daemon in dry-run gives the same dry hands for both.
    `permit` is asked before each real effect (kill switch); `in_force` says whether a plan's runbook still is as it was, before an approval counts; `channels` says where a `notify` step is told.
    """

    def __init__(
        self,
        *,
        store: Store,
        acting: Hands,
        rehearsal: Hands,
        metric_sources: Mapping[str, MetricSource],
        clock: Clock,
        owner: str,
        compile: Compiler,  # noqa: A002 (what it is)
        telemetry: Telemetry | None = None,
        settings: EngineSettings | None = None,
        tell: Callable[[Execution], None] = _silent,
        permit: Permit | None = None,
        in_force: Callable[[Plan], bool] = lambda _plan: True,
        channels: Channels | None = None,
        actions: Mapping[str, Action] | None = None,
        log_sources: Mapping[str, LogSource] | None = None,
        render: Renderer | None = None,
        convert: Convert | None = None,
    ) -> None:
        settings = settings or EngineSettings()
        self._leases = Leases(store, clock, owner, settings)
        self._desk = Desk(
            store=store, acting=acting, rehearsal=rehearsal, sources=metric_sources, clock=clock, leases=self._leases, compile=compile,
            settings=settings, telemetry=telemetry or NullTelemetry(), actions=actions or REGISTRY, tell=tell,
            permit=permit or (lambda _execution, _step: None), in_force=in_force, channels=channels or (lambda _severity, _target: ("",)),
            logs=log_sources or {}, render=render or unrendered, convert=convert or untyped,
        )
        self._owner = owner
        self._known: set[str] = set()
        self._queued: set[str] = set()
        self._guard = threading.Lock()

    def recover(self) -> int:
        """At start: give back leases that an earlier process of this owner left behind, and count the runs that are to go on.

        Those need nothing else: they are due, and what was intended is looked up first. Raises StoreError.
        """
        for lease in self._desk.store.leases():
            if lease.owner == self._owner:
                self._desk.store.release(lease)
        return sum(self._desk.store.unfinished_states().values())

    def submit(
        self, plan: Plan, *, simulated: bool, decisions: tuple[Decision, ...] = (), incidents: tuple[Incident, ...] = (),
    ) -> Execution | None:
        """Make a run of the plan, with `decisions` and `incidents` stored in the same transaction. The same plan again is the same run.

        None if the runbook's mode makes no run (observe, suggest, unless simulated): then nothing is stored. Raises StoreError.
        """
        if plan.mode not in (Mode.APPROVE, Mode.AUTO) and not simulated:
            return None
        identity = make_id("run", plan.id, "simulated" if simulated else "real")
        if existing := self._desk.store.execution(identity):
            return existing
        now = self._desk.clock.now()
        asks = plan.mode is Mode.APPROVE and not simulated
        expires = now + self._desk.settings.approval_ttl if asks else None
        relied = pre_states(self._desk, plan) if asks else {}
        execution = Execution(
            id=identity, plan=plan, state=ExecutionState.AWAITING_APPROVAL if asks else ExecutionState.RUNNING, created_at=now, updated_at=now,
            due_at=expires or now, simulated=simulated, expires_at=expires,
            deadline_at=None if asks or plan.deadline is None else now + plan.deadline,
            steps=tuple(StepRun(step.name, due_at=now, pre_state=relied.get(step.name, {})) for step in plan.steps),
        )
        entry = JournalEntry(identity, EntryKind.CREATED, now, data={"plan": plan.id, "hash": plan.hash, "mode": plan.mode.value, "simulated": simulated})
        self._desk.store.write(Changes(executions=(execution,), entries=(entry,), decisions=decisions, incidents=incidents))
        self._known.add(identity)
        self._desk.tell(execution)
        return execution

    def preview(self, plan: Plan) -> tuple[Change, ...]:
        """What the plan would send now, through the rehearsal's hands."""
        return preview(self._desk, plan)

    def advance(self, execution_id: str) -> float | None:
        """Perform one transition if it is due and ours. Returns when the run is due next (Unix seconds).

        None: it is done, unknown, or another owner is at it. Raises StoreError: then nothing happened that is not in the journal as intended.
        """
        execution = self._desk.store.execution(execution_id)
        if execution is None or execution.state is ExecutionState.DONE:
            return None
        names = lease_names(execution)
        with self._leases.entered(*names) as ours:
            if not ours:
                return None
            try:
                return self._transition(execution_id, names)
            except LeaseLostError as error:
                log.warning("run %s: %s", execution_id, error, extra=ids(execution))
                self._leases.forget(*names)
                return self._desk.clock.now() + self._desk.settings.again_after

    def _transition(self, execution_id: str, names: tuple[str, ...]) -> float | None:
        """With the leases held: read again what is now surely ours, move it, and let go of them if it rests for long."""
        desk, now = self._desk, self._desk.clock.now()
        execution = desk.store.execution(execution_id)
        if execution is None or execution.state is ExecutionState.DONE:
            self._leases.release(*names)
            return None
        if execution.due_at <= now:
            self._take_over(execution)
            moves = {
                ExecutionState.AWAITING_APPROVAL: _expire, ExecutionState.RUNNING: forward.move, ExecutionState.VERIFYING: verify.move,
                ExecutionState.UNDOING: undo.move,
            }
            execution = moves[execution.state](desk, execution)
        if execution.state is ExecutionState.DONE:
            self._leases.release(*names)
            self._known.discard(execution_id)
            return None
        if execution.due_at - desk.clock.now() > desk.settings.lease_ttl / 2:
            self._leases.release(*names)
        return execution.due_at

    def _take_over(self, execution: Execution) -> None:
        """Note in the journal that a run begun by an earlier process goes on here."""
        if execution.id in self._known:
            return
        self._known.add(execution.id)
        if begun(execution):
            token = self._leases.current(lease_names(execution)[0]).token
            self._desk.save(execution, self._desk.entry(execution, EntryKind.TAKEN_OVER, owner=self._owner, token=token), quiet=True)

    def run_due(self, submit: Callable[[str, Work], None]) -> int:
        """Hand what is due to the schedule, keyed by target, each run once at a time; the number handed over. Raises StoreError."""
        count = 0
        for execution in self._desk.store.due(self._desk.clock.now()):
            with self._guard:
                if execution.id in self._queued:
                    continue
                self._queued.add(execution.id)
            count += 1
            submit(execution.target, self._work(execution))
        return count

    def _work(self, execution: Execution) -> Work:
        def work() -> None:
            try:
                self._burst(execution.id)
            except AiopsError as error:  # task boundary: the run stays as it is in the store and is due again
                log.exception("run %s could not be advanced", execution.id, extra=ids(execution))
                self._desk.telemetry.count("executor_errors", reason=type(error).__name__)
            finally:
                with self._guard:
                    self._queued.discard(execution.id)

        return work

    def _burst(self, execution_id: str) -> None:
        """Transitions of one run for as long as it is due, up to a bound so that others on the same worker get their turn."""
        for _ in range(self._desk.settings.burst):
            due = self.advance(execution_id)
            if due is None or due > self._desk.clock.now():
                return

    def commands(self, command: Command) -> Command:
        """Carry out approve, reject, undo or answer. The returned command says accepted or not and why; not done: another owner is at it, ask again.

        Raises CommandError for other kinds, StoreError.
        """
        if command.kind not in approval.KINDS:
            raise CommandError(f"the executor takes {', '.join(kind.value for kind in approval.KINDS)}, not {command.kind}")
        return approval.carry_out(self._desk, command)

    def stop(self) -> None:
        """Begin nothing more; a transition under way goes on to its end and then gives its lease back, all others are given back now."""
        self._leases.stop()


def _expire(desk: Desk, execution: Execution) -> Execution:
    """Nobody approved in time."""
    if execution.expires_at is not None and desk.clock.now() < execution.expires_at:
        return desk.save(replace(execution, due_at=execution.expires_at), quiet=True)
    return desk.finish(execution, Result(Outcome.SKIPPED, "ApprovalExpired", "nobody approved it in time"))

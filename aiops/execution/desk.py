"""What every part of the engine works with: ports, settings, and the one way in which progress is written down.

Neighbours: `executor` makes the desk; `effects`, `recovery`, `forward`, `undo`, `verify` and `approval` are functions over it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import ExpressionError
from aiops.domain.execution import EntryKind, Execution, ExecutionState, JournalEntry, Lease
from aiops.domain.expression import Compiler, Renderer
from aiops.domain.ids import operation_key
from aiops.domain.message import Message
from aiops.domain.outcome import Outcome, Result, Verdict
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.target import TargetRef
from aiops.execution.actions.contract import Action, Channels, Context
from aiops.execution.actions.registry import REGISTRY
from aiops.execution.leases import Leases, lease_names
from aiops.execution.settings import EngineSettings
from aiops.ports.alerts import NoSilences, Silences
from aiops.ports.cache import Cache
from aiops.ports.clock import Clock
from aiops.ports.cluster import Cluster
from aiops.ports.outbound import ClosedOutbound, Outbound
from aiops.ports.sources import LogSource, MetricSource
from aiops.ports.storage import Changes, Store
from aiops.ports.telemetry import NullTelemetry, Telemetry

log = logging.getLogger(__name__)

Convert = Callable[[str, str, Any], Any]
"""Action, argument and rendered text in, typed value out; raises ValueError saying what is allowed."""
Permit = Callable[[Execution, PlannedStep], Verdict | None]
"""Asked before each effect of a step, all of whose arguments are known by then; a verdict that refuses ends the step before the effect is sent."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What effects go through: clusters by context, caches by name, HTTP to the outside, Alertmanager's silences. `simulated` hands only record."""

    clusters: Mapping[str, Cluster]
    caches: Mapping[str, Cache]
    simulated: bool
    outbound: Outbound = field(default_factory=ClosedOutbound)
    alerts: Silences = field(default_factory=NoSilences)


def unrendered(template: str, variables: Mapping[str, Any], *, promql: bool = False) -> str:  # noqa: ARG001 (the protocol's signature)
    """Where nobody gave a renderer, what is to be rendered is an error."""
    raise ExpressionError(f"no renderer was given for {template[:80]!r}")


def untyped(action: str, name: str, value: Any) -> Any:
    """Where nobody gave a converter, texts stay texts."""
    del action, name
    return value


def _silent(execution: Execution) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Desk:
    """`acting` carries out real runs, `rehearsal` simulated ones and previews; in dry-run both are the same. `tell` is called after each write."""

    store: Store
    acting: Hands
    rehearsal: Hands
    sources: Mapping[str, MetricSource]
    clock: Clock
    leases: Leases
    compile: Compiler
    settings: EngineSettings
    telemetry: Telemetry = field(default_factory=NullTelemetry)
    actions: Mapping[str, Action] = field(default_factory=lambda: REGISTRY)
    tell: Callable[[Execution], None] = _silent
    permit: Permit = lambda _execution, _step: None
    in_force: Callable[[Plan], bool] = lambda _plan: True
    channels: Channels = lambda _severity, _target: ("",)
    logs: Mapping[str, LogSource] = field(default_factory=dict)
    render: Renderer = unrendered
    convert: Convert = untyped

    def hands(self, execution: Execution) -> Hands:
        """A simulated run goes through the rehearsal's hands, whatever the daemon was started as."""
        return self.rehearsal if execution.simulated else self.acting

    def context(self, execution: Execution, target: TargetRef, label: str, attempt: int) -> Context:
        """For one try of one step on its target. KeyError if the cluster is not known."""
        return self.plan_context(execution.plan, target, self.hands(execution), operation_key(execution.id, label, attempt), execution.id)

    def plan_context(self, plan: Plan, target: TargetRef, hands: Hands, key: str, execution: str = "") -> Context:
        """For one target of a plan through given hands."""
        return Context(
            target=target, cluster=hands.clusters[target.context], caches=hands.caches, now=self.clock.now(), key=key,
            execution=execution, incident=plan.incident, request_timeout=self.settings.request_timeout, channels=self.channels,
            clusters=hands.clusters, metrics=self.sources, logs=self.logs, outbound=hands.outbound, alerts=hands.alerts, compile=self.compile,
        )

    def entry(self, execution: Execution, kind: EntryKind, *, step: str = "", attempt: int = 0, **data: Any) -> JournalEntry:
        """A journal line of now."""
        return JournalEntry(execution.id, kind, self.clock.now(), step, attempt, data)

    def held(self, execution: Execution) -> tuple[Lease, ...]:
        """The leases that a write about this run proves. Raises LeaseLostError."""
        return tuple(map(self.leases.current, lease_names(execution)))

    def decision(self, execution: Execution, stage: Stage, subject: str, result: Result, target: TargetRef | None = None) -> Decision:
        """The record of why, for `aiops why`; about a step it names that step's target."""
        passed = result.outcome in (Outcome.SUCCEEDED, Outcome.SIMULATED)
        return Decision(
            self.clock.now(), stage, subject, passed, result.reason, result.detail, str(target or execution.plan.target), execution.plan.incident,
            execution.id,
        )

    def save(
        self,
        execution: Execution,
        *entries: JournalEntry,
        decisions: tuple[Decision, ...] = (),
        messages: tuple[Message, ...] = (),
        quiet: bool = False,
    ) -> Execution:
        """One transaction under the lease, durable when it returns; then, unless `quiet`, it is told. Raises StoreError, LeaseLostError."""
        now = self.clock.now()
        execution = replace(execution, updated_at=now)
        changes = Changes(executions=(execution,), entries=entries, decisions=decisions, messages=messages)
        self.store.write(changes, lease=self.held(execution), now=now)
        if not quiet:
            self.tell(execution)
        return execution

    def finish(self, execution: Execution, result: Result, *entries: JournalEntry, decisions: tuple[Decision, ...] = ()) -> Execution:
        """The run is over."""
        execution = replace(execution, state=ExecutionState.DONE, result=result, due_at=self.clock.now())
        end = self.entry(execution, EntryKind.FINISHED, outcome=result.outcome.value, reason=result.reason, detail=result.detail)
        final = self.decision(execution, Stage.ACT, execution.plan.runbook, result)
        saved = self.save(execution, *entries, end, decisions=(*decisions, final))
        self.telemetry.count("executions", outcome=result.outcome.value, runbook=execution.plan.runbook)
        log.info("run %s ended: %s %s %s", execution.id, result.outcome, result.reason, result.detail, extra=ids(execution))
        return saved


def ids(execution: Execution) -> dict[str, str]:
    """For log lines."""
    return {"execution": execution.id, "incident": execution.plan.incident}

"""Runs that a person asks for by name: planned and judged like any other, and never begun without an approval.

Neighbours: `commands` brings the order to the running daemon; `app.planned` shows the same plan to a person first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiops.domain.command import Command
from aiops.domain.errors import CommandError, ExpressionError
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident, IncidentState
from aiops.domain.plan import Plan
from aiops.domain.runbook import Mode, Runbook
from aiops.domain.signal import Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef, parse_target
from aiops.execution.actions.registry import SPECS
from aiops.pipeline.decide import DeciderParts
from aiops.remediate.escalation import tried
from aiops.remediate.facts import target_facts
from aiops.remediate.objects import gather
from aiops.remediate.planner import make_plan

ASKED_FOR, PERSON_ASKS = "asked-for", "person"
"""Rule and detector of the claim that stands for a person's order."""


def over(incident: Incident, now: float) -> tuple[Signal, ...]:
    """That the orders which an incident stands for are carried out."""
    return tuple(
        replace(s, id=make_id("sig", s.key, "over", now), state=SignalState.CLEARED, at=now) for s in incident.firing if s.detector == PERSON_ASKS
    )


def ordered_plan(command_id: str) -> str:
    """The plan's id, so that who asks knows the run's too."""
    return make_id("plan", command_id)


def ordered_run(command_id: str) -> str:
    """The id of the run that comes of it under a daemon that acts."""
    return make_id("run", ordered_plan(command_id), "real")


class Orders:
    """`runbooks`: those in force."""

    def __init__(self, parts: DeciderParts, runbooks: Callable[[], Sequence[Runbook]]) -> None:
        self._parts, self._runbooks = parts, runbooks

    def plan(self, name: str, target: TargetRef, parameters: Mapping[str, Any], by: str, key: str) -> Plan:
        """The plan with every guard's verdict, in mode approve whatever the file says: a person asked, and a person lets it begin.

        For the target's active incident, if it has one. `match` is not asked. Raises CommandError saying what is wrong, StoreError.
        """
        p, now = self._parts, self._parts.clock.now()
        runbook = next((r for r in self._runbooks() if r.name == name), None)
        if runbook is None:
            raise CommandError(f"no runbook {name!r} is in force; there are: {', '.join(sorted(r.name for r in self._runbooks())) or 'none'}")
        view = p.views.get(target.context)
        if view is None:
            raise CommandError(f"the settings have no cluster {target.context!r}")
        incident = next((i for i in p.store.active_incidents() if i.target == target), None) or _stand_in(name, target, by, now, key)
        objects = gather(target, view.find, view.objects)
        history = p.store.executions(incident=incident.id, limit=1000)
        facts = target_facts(target, objects, incident, now, tried(history))
        runbook = replace(runbook, mode=Mode.APPROVE)
        try:
            plan = make_plan(runbook, incident, target, facts, p.render, now, len(history) + 1, convert=p.convert, cooldown=p.cooldown, parameters=parameters)
        except ExpressionError as error:
            raise CommandError(str(error)) from error
        _check_kinds(plan)
        plan = replace(plan, id=ordered_plan(key))
        return replace(plan, verdicts=p.guarding.judge(plan, runbook, incident, objects, now))

    def asked(self, command: Command) -> Plan:
        """The plan of a person's order. Raises CommandError, StoreError."""
        try:
            target = parse_target(str(command.arguments.get("target", "")))
        except ValueError as error:
            raise CommandError(str(error)) from error
        given = command.arguments.get("parameters") or {}
        if not isinstance(given, Mapping):
            raise CommandError("parameters must be a map")
        return self.plan(command.subject, target, given, command.by, command.id)

    def claim(self, plan: Plan, command: Command) -> Signal | None:
        """The claim that stands for the order, where the target has no active incident; it is over when the run is."""
        now = self._parts.clock.now()
        if any(i.target == plan.target for i in self._parts.store.active_incidents()):
            return None
        text = f"{plan.runbook} asked for by {command.by}"
        return Signal(
            make_id("sig", command.id), ASKED_FOR, PERSON_ASKS, SignalKind.ALERT, SignalState.FIRING, Severity.INFO, now, make_id("", command.id), {}, plan.target, text
        )

    def submit(self, plan: Plan) -> tuple[bool, str]:
        """Make its run wait for approval, with what it would send; or say what refused it. Requests are made: not under the flow's lock."""
        refusals = [v for v in plan.verdicts if v.refuses]
        if refusals:
            return False, "refused: " + "; ".join(f"{v.guard}: {v.reason} {v.detail}".strip() for v in refusals)
        p = self._parts
        execution = p.executor.submit(replace(plan, changes=p.executor.preview(plan)), simulated=p.simulated)
        if execution is None:
            return False, "no run came of it"
        return True, f"{execution.id} is simulated: the daemon runs dry" if execution.simulated else f"{execution.id} waits for approval"


def _check_kinds(plan: Plan) -> None:
    """What a person names must be of a kind that the actions take; guards would only say that they do not know it."""
    for step in plan.steps:
        kinds, target = SPECS[step.action].target_kinds if step.action in SPECS else (), plan.target_of(step)
        if kinds and target.kind not in kinds:
            raise CommandError(f"step {step.name}: {step.action} takes {', '.join(kinds)}, not {target.kind} ({target})")


def _stand_in(name: str, target: TargetRef, by: str, now: float, key: str) -> Incident:
    """What a plan is judged with where no incident is open; it is never stored."""
    identity = make_id("manual", name, str(target), key)
    labels = {"namespace": target.namespace} if target.namespace else {}
    return Incident(identity, identity, f"{name} asked for by {by}", IncidentState.OPEN, Severity.WARNING, now, now, target, labels)

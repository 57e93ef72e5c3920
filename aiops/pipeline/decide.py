"""From an incident to a run, or to the reason why there is none: match, plan, ask every guard, submit.

Neighbours: `remediate` decides purely, `guarding` gathers what guards are asked about, the executor carries plans out. The executor is
asked for a run only here; in dry-run its hands record, and nothing here knows more of that than whether runs are simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiops.correlate.inhibition import Inhibits, muted_claims
from aiops.correlate.topology import Placement, placement
from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import AiopsError, ExpressionError
from aiops.domain.execution import Execution, ExecutionState
from aiops.domain.expression import Renderer
from aiops.domain.incident import Incident
from aiops.domain.outcome import Outcome, Result, Verdict
from aiops.domain.plan import Plan
from aiops.domain.runbook import PERSON, Mode, Runbook
from aiops.domain.signal import Severity
from aiops.domain.target import TargetRef
from aiops.execution.executor import Executor
from aiops.pipeline.autonomy import Autonomy
from aiops.pipeline.guarding import Guarding
from aiops.ports.clock import Clock
from aiops.ports.cluster import ClusterView
from aiops.ports.schedule import Schedule
from aiops.ports.storage import Changes, Store
from aiops.ports.telemetry import Telemetry
from aiops.remediate.escalation import BUILT_IN, Route, route, tried
from aiops.remediate.facts import target_facts
from aiops.remediate.matching import candidates
from aiops.remediate.objects import ClusterObjects, gather
from aiops.remediate.planner import Convert, make_plan

SUGGESTED = "Suggested"
_DAY = 86400.0
BREATH = 5.0
"""Seconds after a run that found nothing to do, whatever the guards are set to: without them it would be made anew at the same instant, without end."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Why, and what the guards said of the last plan that was judged."""

    decisions: tuple[Decision, ...]
    verdicts: tuple[Verdict, ...] = ()


@dataclass
class DeciderParts:
    """What deciding needs; `app` fills it. `placement_of`: the cluster whose nodes inhibition asks about."""

    store: Store
    views: dict[str, ClusterView]
    guarding: Guarding
    executor: Executor
    render: Renderer
    convert: Convert
    schedule: Schedule
    clock: Clock
    telemetry: Telemetry
    autonomy: Autonomy
    simulated: bool
    cooldown: float = 600.0


class Decider:
    """Called under the flow's lock, so two plans for one target are never judged side by side."""

    def __init__(self, parts: DeciderParts) -> None:
        self._parts = parts
        self._runbooks: tuple[Runbook, ...] = ()
        self._asking: set[str] = set()

    def set_runbooks(self, runbooks: Sequence[Runbook]) -> None:
        """Those in force; runs that began keep the plan they have."""
        self._runbooks = tuple(runbooks)
        self._parts.guarding.set_runbooks(self._runbooks)

    def in_force(self, plan: Plan) -> bool:
        """Whether the plan's runbook still is what it was; one that is gone is not. What stands in where none is loaded is built in."""
        return plan.runbook_hash in {r.hash for r in self._runbooks if r.name == plan.runbook} or plan.runbook_hash == BUILT_IN.hash

    @property
    def runbooks(self) -> tuple[Runbook, ...]:
        """Those in force."""
        return self._runbooks

    @property
    def runbook_count(self) -> int:
        """Runbooks in force."""
        return len(self._runbooks)

    def run_due(self) -> None:
        """Hand what is due to the schedule, serial for each target."""
        self._parts.executor.run_due(self._parts.schedule.soon)

    def placement(self) -> Placement:
        """What stands where, for inhibition."""
        view = self._parts.views.get("default")
        return placement(view.objects("Pod"), view.find) if view is not None else Placement()

    def decide(self, incident: Incident, inhibits: Inhibits, now: float) -> Decided:
        """Everything that leads to at most one new run."""
        target = incident.target
        history = self._parts.store.executions(incident=incident.id, limit=1000)
        stop = self._standing_reason(incident, history)
        if stop is not None or target is None:
            reason, detail = stop or ("NoTarget", "no object that a runbook could work on; people are told")
            return Decided((_word(incident, now, "flow", reason, detail),))
        muted = muted_claims(incident, inhibits)
        effective = replace(incident, signals={k: s for k, s in incident.signals.items() if k not in muted})
        view = self._parts.views.get(target.context)
        if view is None:
            return Decided((_word(incident, now, "flow", "NoCluster", f"the settings have no cluster {target.context}"),))
        objects = gather(target, view.find, view.objects)
        facts = target_facts(target, objects, effective, now, tried(history))
        found = candidates(effective, facts, self._runbooks, now)
        decisions = list(found.decisions)
        decisions += [_word(incident, now, incident.signals[k].rule, "Explained", f"by {incident.signals[by].rule}") for k, by in muted.items()]
        way = route(found.matched, self._runbooks, history, now)
        decisions += [_word(incident, now, name, reason, detail) for name, reason, detail in way.dropped]
        if not way.order:
            decisions.append(_word(incident, now, "flow", "NoRunbook", f"symptoms {', '.join(effective.symptoms) or 'none'}"))
            return Decided(tuple(decisions))
        verdicts: tuple[Verdict, ...] = ()
        for runbook in way.order:
            done, words, judged = self._try(runbook, effective, target, objects, facts, history, now)
            decisions += words
            verdicts = judged or verdicts
            if done:
                decisions += self._escalated(way, runbook, incident, words, now)
                break
        return Decided(tuple(decisions), verdicts)

    def _escalated(self, way: Route, runbook: Runbook, incident: Incident, words: Sequence[Decision], now: float) -> list[Decision]:
        """That another runbook follows one that did not help, once it does."""
        if way.after is None or runbook.name == way.after.plan.runbook or not any(d.passed for d in words):
            return []
        self._parts.telemetry.count("escalations", runbook=way.after.plan.runbook, to="person" if runbook.name == PERSON else "runbook")
        reason = way.after.result.reason if way.after.result else ""
        return [_word(incident, now, runbook.name, "Escalated", f"after {way.after.plan.runbook} ({way.after.id}: {reason})", passed=True)]

    def _standing_reason(self, incident: Incident, history: Sequence[Execution]) -> tuple[str, str] | None:
        if not incident.active:
            return "Resolved", ""
        if muted := _muted(incident):
            return muted
        if not incident.firing:
            return "NothingFires", "waiting for the quiet to last"
        if incident.id in self._asking:
            return "BeingPrepared", "what it would send is asked of the API server"
        under_way = [e for e in history if e.state is not ExecutionState.DONE]
        return ("RunUnderWay", under_way[-1].id) if under_way else None

    def _try(
        self, runbook: Runbook, incident: Incident, target: TargetRef, objects: ClusterObjects, facts: dict[str, object],
        history: Sequence[Execution], now: float,
    ) -> tuple[bool, list[Decision], tuple[Verdict, ...]]:
        """One runbook: (no further runbook is to be tried, why, what guards said)."""
        p = self._parts
        runbook, lowered = p.autonomy.bound(runbook)
        first = [_word(incident, now, runbook.name, "AutonomyLowered", lowered)] if lowered else []
        if runbook.mode is Mode.OBSERVE:
            return False, [*first, _word(incident, now, runbook.name, "ObserveOnly", "it would match")], ()
        ends, words, judged = self._plan(runbook, incident, target, objects, facts, history, now)
        return ends, [*first, *words], judged

    def _plan(
        self, runbook: Runbook, incident: Incident, target: TargetRef, objects: ClusterObjects, facts: dict[str, object],
        history: Sequence[Execution], now: float,
    ) -> tuple[bool, list[Decision], tuple[Verdict, ...]]:
        """Plan it and ask the guards; as `_try`."""
        p = self._parts
        before = [e for e in history if e.plan.runbook == runbook.name]
        known = self._known(runbook, before, incident, now)
        if known is not None:
            ends, reason, run = known
            return ends, [_word(incident, now, runbook.name, reason, run.id)], ()
        try:
            plan = make_plan(runbook, incident, target, facts, p.render, now, len(before) + 1, convert=p.convert, cooldown=p.cooldown)
        except ExpressionError as error:
            return False, [_word(incident, now, runbook.name, "PlanFailed", str(error))], ()
        verdicts = p.guarding.judge(plan, runbook, incident, objects, now)
        plan = replace(plan, verdicts=verdicts)
        refusals = [v for v in verdicts if v.refuses]
        for verdict in verdicts:
            if not verdict.allowed:
                p.telemetry.count("guard_refusals", guard=verdict.guard, mode=verdict.mode.value, reason=verdict.reason)
        if refusals:
            p.telemetry.count("plans", runbook=runbook.name, result="refused")
            words = [_word(incident, now, f"{runbook.name}/{v.guard}", v.reason, v.detail) for v in refusals]
            return any(p.guarding.passing(v) for v in refusals), words, verdicts
        p.telemetry.count("plans", runbook=runbook.name, result="allowed")
        return True, [self._submit(plan, incident, now)], verdicts

    def _known(self, runbook: Runbook, before: Sequence[Execution], incident: Incident, now: float) -> tuple[bool, str, Execution] | None:
        """A run of this runbook for this incident that stands for all further ones: (no other runbook is to be tried, why, the run)."""
        if self._parts.simulated and before:
            return True, "AlreadySimulated", before[0]
        # A person's no stands for this incident: asking again and again would wear down the one who is asked.
        rejected = next((e for e in before if e.result is not None and e.result.reason == "Rejected"), None)
        if rejected is not None:
            return False, "Rejected", rejected
        unanswered = [e for e in before if e.result is not None and e.result.reason == "ApprovalExpired"]
        if unanswered and incident.severity is not Severity.CRITICAL and now < _asked_again(unanswered):
            return False, "NobodyAnswered", max(unanswered, key=lambda e: e.updated_at)
        if runbook.mode is Mode.SUGGEST and any(e.plan.runbook_hash == runbook.hash for e in before):
            return False, "AlreadySuggested", before[0]
        if before and _found_nothing(before[0]) and now - before[0].updated_at < BREATH:
            return True, "JustEnded", before[0]
        return None

    def _submit(self, plan: Plan, incident: Incident, now: float) -> Decision:
        p = self._parts
        if plan.mode is Mode.AUTO or p.simulated:
            return self._begin(plan, incident, now)
        # What a person is asked to judge is shown as the API server would carry it out now. That takes requests, which must not be waited
        # for under the flow's lock; until they are answered nothing else is planned for this incident.
        self._asking.add(incident.id)
        p.schedule.soon(f"ask/{incident.id}", lambda: self._ask(plan, incident))
        return _word(incident, now, plan.runbook, "Prepared", "what it would send is asked of the API server", passed=True)

    def _ask(self, plan: Plan, incident: Incident) -> None:
        p = self._parts
        try:
            current = p.store.incident(incident.id)
            if current is None or not current.firing:
                return
            shown = replace(plan, changes=p.executor.preview(plan))
            p.store.write(Changes(decisions=(self._begin(shown, incident, p.clock.now()),)))
        finally:
            self._asking.discard(incident.id)

    def _begin(self, plan: Plan, incident: Incident, now: float) -> Decision:
        p = self._parts
        if plan.mode is Mode.SUGGEST and not p.simulated:
            run = suggestion(plan, now)
            p.store.write(Changes(executions=(run,)))
            return _word(incident, now, plan.runbook, SUGGESTED, run.id, passed=True)
        try:
            execution = p.executor.submit(plan, simulated=p.simulated)
        except AiopsError as error:
            return _word(incident, now, plan.runbook, "SubmitFailed", str(error))
        if execution is None:
            return _word(incident, now, plan.runbook, "NoRun", f"mode {plan.mode.value}")
        if execution.state is ExecutionState.RUNNING:
            self.run_due()
        return _word(incident, now, plan.runbook, "Planned", execution.id, passed=True)


def _muted(incident: Incident) -> tuple[str, str] | None:
    """Why nothing is done though it fires."""
    if incident.silenced_by:
        return "Silenced", incident.silenced_by
    if incident.inhibited_by:
        return "Inhibited", f"by {incident.inhibited_by}"
    return ("Held", incident.held) if incident.held else None


def _asked_again(unanswered: Sequence[Execution]) -> float:
    """When a person may be asked the same again: after as long as the question stood, twice as long each time, a day at most."""
    last = max(unanswered, key=lambda e: e.updated_at)
    stood = last.updated_at - last.created_at
    return last.updated_at + min(stood * 2.0 ** min(len(unanswered) - 1, 10), _DAY)


def _found_nothing(run: Execution) -> bool:
    return run.state is ExecutionState.DONE and run.result is not None and run.result.outcome is Outcome.SKIPPED


def suggestion(plan: Plan, now: float) -> Execution:
    """A plan that is only shown, kept with the runs so that the review list has it."""
    return Execution(
        id=plan.id.replace("plan-", "run-", 1), plan=plan, state=ExecutionState.DONE, created_at=now, updated_at=now, due_at=now, simulated=True,
        steps=(), result=Result(Outcome.SKIPPED, SUGGESTED, "mode suggest: shown to people, not carried out"),
    )


def _word(incident: Incident, now: float, subject: str, reason: str, detail: str, *, passed: bool = False) -> Decision:
    target = str(incident.target) if incident.target else ""
    return Decision(now, Stage.DECIDE, subject, passed, reason, detail[:500], target, incident.id)

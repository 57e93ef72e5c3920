"""What the guards are asked about one plan: gathered from store, view and sight; judged purely by `remediate.guardrails`.

Neighbours: `decide` asks, and asks again through the executor's permit just before each effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiops.domain.errors import AiopsError, StoreError
from aiops.domain.execution import Execution, ExecutionState, StepRun, StepState
from aiops.domain.incident import Incident
from aiops.domain.outcome import GuardMode, Verdict
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.runbook import GuardSpec, Runbook
from aiops.domain.target import TargetRef
from aiops.pipeline.board import Board
from aiops.pipeline.history import History
from aiops.pipeline.killswitch import KillSwitch
from aiops.pipeline.storming import Storming
from aiops.pipeline.watchfulness import Watchfulness, cluster_source
from aiops.ports.clock import Clock
from aiops.ports.cluster import ClusterView
from aiops.ports.storage import Store
from aiops.remediate.earlier import picture_with, put_back, settled, taken_by
from aiops.remediate.guardrails import AT_EFFECT, AT_LATE_COUNT, judge
from aiops.remediate.guards.contract import GuardInput, GuardLimits, UnknownFactError
from aiops.remediate.guards.traits import Disrupts, acts, disruptive, late_count, traits
from aiops.remediate.named import retargeted
from aiops.remediate.objects import ClusterObjects, gather, meta
from aiops.remediate.picture import Picture, controller, take

PICTURE_FOR = 1.0
"""Seconds for which what was counted of a cluster is good for further plans."""
# Refusals that end by themselves soon: waiting is right, and trying the next runbook would be impatience.
PASSING = frozenset({"Cooldown", "TargetBusy", "RolloutUnderWay", "ClusterNotSynced", "RateLimited"})


class Guarding:
    """`simulated`: plans are judged for the dry-run writer."""

    def __init__(
        self, limits: GuardLimits, store: Store, views: Mapping[str, ClusterView], watch: Watchfulness, board: Board,
        paused: KillSwitch, storming: Storming, clock: Clock, *, simulated: bool,
    ) -> None:
        self._limits, self._store, self._views, self._watch, self._board = limits, store, views, watch, board
        self._paused, self._clock, self._simulated = paused, clock, simulated
        self._storming = storming
        self._history = History(store, limits)
        self._pictures: dict[str, tuple[float, Picture]] = {}
        self._runbooks: dict[str, Runbook] = {}

    def set_runbooks(self, runbooks: Sequence[Runbook]) -> None:
        """Those in force: their limits hold for runs under way too."""
        self._runbooks = {runbook.name: runbook for runbook in runbooks}

    def forget(self) -> None:
        """A run moved. From any thread."""
        self._history.forget()

    def judge(self, plan: Plan, runbook: Runbook, incident: Incident, objects: ClusterObjects, now: float) -> tuple[Verdict, ...]:
        """Every guard's verdict. What cannot be gathered is given as unknown, and unknown refuses. Called under the flow's lock."""
        known: dict[str, Any] = {}
        around = self._surroundings(plan, objects, now, fresh=False)
        try:
            known["executions"], known["history_since"] = self._history.about(plan, now)
            known["of_incident"] = self._history.of_incident(incident.id, now)
            known["active"] = self._active(plan, around)
            known["silences"] = self._store.silences(now)
            known["storm"] = self._storming.now(now)
        except AiopsError:
            known = {}
        given = GuardInput(
            plan=plan, guards=runbook.guards, incident=incident, objects=objects, now=now, needs_sight=runbook.needs_sight,
            incidents=self._board.all, sights=self._sights(plan.target.context), simulated=self._simulated,
            **known, **self._pause(fresh=False), **around,
        )
        return judge(given, self._limits)

    def permit(self, execution: Execution, step: PlannedStep | None = None) -> Verdict | None:
        """Asked by the engine just before each real effect of `step`, whose arguments are all known now; the first refusal, or None.

        A count that was not known when the plan was made is judged here as it would have been then; of a simulated run nothing else is.

        An undo is asked for the kill switch alone: what is put back was done by us, and is most wanted when something is wrong. It needs no
        telemetry, no freeze holds it up, and its own check of ownership keeps it off what others have changed since.
        """
        if not acts(execution.plan):
            return None
        pause = self._pause(fresh=True)
        if execution.state is ExecutionState.UNDOING:
            if pause["paused"] is False:
                return None
            return Verdict("paused", GuardMode.ENFORCE, allowed=False, reason="Paused", detail=pause["paused_by"] or "whether acting is paused is not known")
        late = step is not None and any(s.name == step.name and late_count(s) for s in execution.plan.steps)
        names = (*(() if execution.simulated else AT_EFFECT), *(AT_LATE_COUNT if late else ()))
        try:
            given = self._before_effect(execution, pause, step)
            refusing = [v for v in judge(_as_one(given, execution) if late else given, self._limits, names) if v.refuses]
        except StoreError as error:
            return Verdict("store", GuardMode.ENFORCE, allowed=False, reason="GuardUnavailable", detail=str(error))
        # Of a target that is gone nothing else can be said either.
        return next((v for v in refusing if v.guard == "target-present"), refusing[0] if refusing else None)

    def _before_effect(self, execution: Execution, pause: dict[str, Any], step: PlannedStep | None) -> GuardInput:
        """What is still to be done of a run, judged on what is there now. Raises StoreError."""
        now, done = self._clock.now(), {s.name for s in execution.steps if s.state is StepState.DONE or self._gone(execution, s)}
        begins = {} if step is None else {step.name: _on_what_it_names(step, execution.plan)}
        plan = replace(execution.plan, steps=tuple(begins.get(s.name, s) for s in execution.plan.steps if s.name not in done))
        incident = self._board.by_id(plan.incident) or self._store.incident(plan.incident)
        if incident is None:
            raise StoreError(f"incident {plan.incident} is not there")
        view, runbook = self._views.get(plan.target.context), self._runbooks.get(plan.runbook)
        objects = ClusterObjects(None) if view is None else gather(plan.target, view.find, view.objects)
        around = self._surroundings(plan, objects, now, fresh=True)
        return GuardInput(
            plan=plan, guards=runbook.guards if runbook else GuardSpec(), needs_sight=runbook.needs_sight if runbook else (), incident=incident, now=now,
            objects=objects,
            active=self._active(plan, around), incidents=self._board.all, sights=self._sights(plan.target.context),
            execution=execution.id, again=True, simulated=execution.simulated, **pause, **around,
        )

    def _gone(self, execution: Execution, run: StepRun) -> bool:
        """A step that has done away with what it works on (a pod that was evicted), or is about to: what is missing is counted in the picture."""
        target = execution.plan.target_of(next(s for s in execution.plan.steps if s.name == run.name))
        view = self._views.get(target.context)
        if run.state is not StepState.STARTED or view is None:
            return False
        found = view.find(target)
        return found is None or bool(meta(found).get("deletionTimestamp"))

    def _pause(self, *, fresh: bool) -> dict[str, Any]:
        try:
            why = self._paused.why(fresh=fresh)
        except AiopsError:
            return {"paused": None, "paused_by": ""}
        return {"paused": bool(why), "paused_by": why}

    def _sights(self, context: str) -> dict[str, Any]:
        return {("kubernetes" if name == cluster_source(context) else name): s for name, s in self._watch.all().items()}

    def _surroundings(self, plan: Plan, objects: ClusterObjects, now: float, *, fresh: bool) -> dict[str, Any]:
        contexts = {target.context for target in plan.targets} & self._views.keys()
        seen = {context: self._views[context].sight() for context in contexts}
        others = {target: self._objects(target) for target in plan.targets if target != plan.target and target.context in contexts}
        # Taking a picture costs with each pod of the cluster; a count that grows needs none.
        needed = disruptive(plan) or any(_stands_on_others(o) for o in (objects, *others.values()))
        pictures = {context: self._picture(context, now, fresh=fresh) for context in contexts} if needed else {}
        return {"cluster": seen.get(plan.target.context), "clusters": seen, "others": others, "pictures": pictures}

    def _active(self, plan: Plan, around: Mapping[str, Any]) -> Sequence[Execution]:
        """Runs that are not done: all where it counts what others take, else those on the same targets. Raises StoreError."""
        return self._store.unfinished() if around["pictures"] else self._store.unfinished(targets=plan.targets)

    def _objects(self, target: TargetRef) -> ClusterObjects:
        view = self._views[target.context]
        return gather(target, view.find, view.objects)

    def _picture(self, context: str, now: float, *, fresh: bool) -> Picture:
        """Shared by what is judged in the same second, save just before an effect."""
        if fresh:
            return take(context, self._views[context].objects)
        kept = self._pictures.get(context)
        if kept is None or not 0.0 <= now - kept[0] < PICTURE_FOR:
            kept = self._pictures[context] = (now, take(context, self._views[context].objects))
        return kept[1]

    @staticmethod
    def passing(verdict: Verdict) -> bool:
        """True if waiting is right."""
        return verdict.reason in PASSING


def _on_what_it_names(step: PlannedStep, plan: Plan) -> PlannedStep:
    """With a name that was known only now as its target. One that no object can have is for the action to refuse."""
    try:
        return retargeted(step, plan.target_of(step))
    except ValueError:
        return step


def _as_one(given: GuardInput, execution: Execution) -> GuardInput:
    """The rest of a run as it is to be judged together with what its earlier steps took away. A count that cannot be worked out is left for the guards to refuse."""
    plan, taken = given.plan, taken_by(execution)
    steps = []
    for step in plan.steps:
        target = plan.target_of(step)
        whole = not late_count(step) and traits(step.action).disrupts is Disrupts.CHANGE
        try:
            steps.append(settled(step, target, given.objects_of(target).target, taken) if whole else step)
        except (UnknownFactError, ValueError):
            steps.append(step)
    return replace(
        given, plan=replace(plan, steps=tuple(steps)), objects=put_back(given.objects, plan.target, taken),
        others={target: put_back(objects, target, taken) for target, objects in given.others.items()},
        pictures={context: picture_with(picture, taken) for context, picture in given.pictures.items()},
    )


def _stands_on_others(objects: ClusterObjects) -> bool:
    """Whether guards must know more of the cluster than these objects: what controls the target, what runs on it."""
    return objects.target is not None and (objects.target.get("kind") in ("Node", "Pod") or bool(controller(objects.target)))

"""Where a run stands and what comes next: pure functions over `Execution`.

Neighbours: `forward` and `undo` ask here, `effects` and `recovery` replace steps through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiops.domain.execution import Execution, ExecutionState, StepRun, StepState
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.runbook import OnFailure, UndoMode
from aiops.execution.parts import BAD, Room, within

_ORDER = {StepState.INTENDED: 0, StepState.PENDING: 1, StepState.STARTED: 2}
# What was interrupted is cleared up first, then new effects are made, then old ones are looked after.


def planned(plan: Plan, name: str) -> PlannedStep:
    """The plan's step of this name."""
    return next(step for step in plan.steps if step.name == name)


def with_step(execution: Execution, run: StepRun) -> Execution:
    """The run with one step replaced."""
    return replace(execution, steps=tuple(run if old.name == run.name else old for old in execution.steps))


def open_steps(execution: Execution) -> list[StepRun]:
    """Steps that can be worked on: not done, and all they need is done (whatever came of it: a failure that must stop the run ends what is pending).

    While it is not known whether one step's effect happened, no other is begun on the same target: its stamp would hide the answer.
    """
    plan, room = execution.plan, Room(execution)
    steps = {step.name: step for step in plan.steps}
    done = {run.name for run in execution.steps if run.state is StepState.DONE}
    unclear = {plan.target_of(steps[run.name]) for run in execution.steps if run.state is StepState.INTENDED}

    def may_begin(step: PlannedStep) -> bool:
        return done.issuperset(step.needs) and plan.target_of(step) not in unclear and room.for_part(step.name)

    return [run for run in execution.steps if run.state in _ORDER and (run.state is not StepState.PENDING or may_begin(steps[run.name]))]


def pick(execution: Execution, now: float) -> StepRun | None:
    """The step to move now, or None if none is due."""
    due = [run for run in open_steps(execution) if run.due_at <= now]
    return min(due, key=lambda run: _ORDER[run.state], default=None)


def settle_due(execution: Execution, now: float) -> Execution:
    """The run with its due time set from its steps; with none open it is due now, to be concluded."""
    if execution.state is ExecutionState.UNDOING:
        current = undoing(execution)
        return replace(execution, due_at=current.due_at if current else now)
    due = min((run.due_at for run in open_steps(execution)), default=now)
    return replace(execution, due_at=before_deadline(execution, due, now))


def before_deadline(execution: Execution, due: float, now: float) -> float:
    """`due`, or the deadline if that comes first and is still to come."""
    until = execution.deadline_at
    return min(due, until) if until is not None and until > now else due


def out_of_time(execution: Execution, now: float) -> bool:
    """Whether the runbook's deadline is reached."""
    return execution.deadline_at is not None and now >= execution.deadline_at


def begun(execution: Execution) -> bool:
    """Whether any step has got as far as an intent."""
    return any(run.attempt for run in execution.steps)


def end_pending(execution: Execution, reason: str, detail: str = "", among: frozenset[str] | None = None) -> Execution:
    """Nothing new is begun, of all steps or of some: what is pending is skipped. What was started is still looked after."""
    result = Result(Outcome.SKIPPED, reason, detail)
    steps = tuple(
        replace(run, state=StepState.DONE, result=result) if run.state is StepState.PENDING and (among is None or run.name in among) else run
        for run in execution.steps
    )
    return replace(execution, steps=steps)


def ended_with(execution: Execution, step: PlannedStep, detail: str) -> Execution:
    """The run after a failure that is not passed over: what is pending beside the step ends with it, and if the run is to be undone, everything."""
    among = within(execution.plan, step.part_of) if step.part_of and step.on_failure is not OnFailure.UNDO else None
    return end_pending(execution, "NotReached", detail, among)


def stopping_failure(execution: Execution) -> tuple[PlannedStep, Result] | None:
    """The first step that ended badly and whose failure is not to be passed over. For its parts a step speaks itself, unless they ask to be undone."""
    for step in execution.plan.steps:
        result = execution.step(step.name).result
        decides = step.on_failure is OnFailure.UNDO or (step.on_failure is OnFailure.STOP and not step.part_of)
        if result is not None and result.outcome in BAD and decides:
            return step, result
    return None


def step_facts(execution: Execution, scope: str = "", facts: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """The facts of the `step` vocabulary: those of the plan, `facts` over them, and `steps`: what came of each of this scope."""
    scopes = {step.name: step.scope for step in execution.plan.steps}
    steps = {
        run.name.removeprefix(scope): {
            "state": run.state.value,
            "outcome": run.result.outcome.value if run.result else "",
            "reason": run.result.reason if run.result else "",
            "output": dict(run.output),
        }
        for run in execution.steps
        if scopes[run.name] == scope
    }
    return {"parameters": {}, **execution.plan.facts, **(facts or {}), "steps": steps}


def reversible(execution: Execution) -> list[StepRun]:
    """Steps whose effect happened and can be taken back, last started first."""
    order = {step.name: index for index, step in enumerate(execution.plan.steps)}
    modes = {step.name: step.undo.mode for step in execution.plan.steps}
    found = [
        run for run in execution.steps
        if run.effect and run.undo is None and run.state in (StepState.DONE, StepState.STARTED)
        and (modes[run.name] is UndoMode.OWN or (modes[run.name] is UndoMode.AUTO and run.inverse))
    ]
    return sorted(found, key=lambda run: (run.started_at, order[run.name]), reverse=True)


def undoing(execution: Execution) -> StepRun | None:
    """The one step that undoing is at: what is not cleared up yet comes first, then what can be taken back; None if nothing is left."""
    for run in execution.steps:
        if run.state in (StepState.INTENDED, StepState.UNDO_INTENDED, StepState.UNDO_STARTED):
            return run
    return next(iter(reversible(execution)), None)

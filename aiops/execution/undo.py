"""Taking back: the inverse of each effect that happened, last first, each with an ownership check before it.

Neighbours: `verify`, `forward` and `approval` send a run here; `effects` and `recovery` do the work along the backward lane.
"""

from __future__ import annotations

from dataclasses import replace

from aiops.domain.execution import Execution, ExecutionState, StepRun, StepState
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import PlannedStep
from aiops.domain.runbook import UndoMode
from aiops.execution import effects, recovery
from aiops.execution.desk import Desk
from aiops.execution.lanes import BACKWARD, FORWARD
from aiops.execution.progress import end_pending, planned, settle_due, undoing, with_step

_CUT = Result(Outcome.INCONCLUSIVE, "Interrupted", "the run was ended before it was complete")


def enter_undo(execution: Execution, cause: Result, now: float) -> Execution:
    """The run turned round, `cause` kept as its result to be. What is pending is not begun any more."""
    turned = end_pending(replace(execution, state=ExecutionState.UNDOING, result=cause), "NotReached", cause.reason)
    return settle_due(turned, now)


def move(desk: Desk, execution: Execution) -> Execution:
    """One transition of the step that undoing is at; with none left, the end."""
    execution = cut_short(execution)
    run, now = undoing(execution), desk.clock.now()
    if run is None:
        return desk.finish(execution, summary(execution))
    if run.due_at > now:
        return desk.save(settle_due(execution, now), quiet=True)
    step = planned(execution.plan, run.name)
    if run.state is StepState.INTENDED:
        return recovery.resolve(desk, execution, step, run, FORWARD)
    step = compensation(step)
    if run.state is StepState.UNDO_INTENDED:
        return recovery.resolve(desk, execution, step, run, BACKWARD)
    if run.state is StepState.UNDO_STARTED:
        return effects.check(desk, execution, step, run, BACKWARD)
    if not run.reversal:
        run = replace(run, started_at=now, tries=0, lost=0)
    return effects.begin(desk, execution, step, run, BACKWARD)


def compensation(step: PlannedStep) -> PlannedStep:
    """The step as it is to be taken back: itself, to be given its inverse, or the action that the runbook names."""
    undo = step.undo
    if undo.mode is not UndoMode.OWN:
        return replace(step, late=(), bounds={})
    return replace(step, action=undo.action, arguments=undo.arguments, late=undo.late, target=undo.target or step.target, bounds={})


def cut_short(execution: Execution) -> Execution:
    """What was still under way forward is not waited for: its effect is recorded, and that is what is taken back."""
    execution = end_pending(execution, "NotReached", "the run is being undone")
    for run in execution.steps:
        if run.state is StepState.STARTED:
            execution = with_step(execution, replace(run, state=StepState.DONE, result=run.result or _CUT))
    return execution


def summary(execution: Execution) -> Result:
    """The cause, and what of it was undone."""
    cause = execution.result or Result(Outcome.FAILED, "Undone")
    notes = [note for run in execution.steps if run.effect and (note := _note(run, planned(execution.plan, run.name)))]
    return replace(cause, detail="; ".join(filter(None, (cause.detail, *notes))))


def _note(run: StepRun, step: PlannedStep) -> str:
    if run.state is StepState.UNDONE:
        return f"{run.name}: undone"
    if run.undo is not None:
        return f"{run.name}: not undone ({run.undo.reason}: {run.undo.detail})"
    if step.undo.mode is UndoMode.NONE:
        return f"{run.name}: not undone (the runbook says so)"
    return "" if run.inverse else f"{run.name}: cannot be undone"

"""How a step's record moves on once something is known: later, again, or through. Each is one transaction.

Neighbours: `effects` and `recovery` end here.
"""

from __future__ import annotations

from dataclasses import replace

from aiops.domain.decision import Stage
from aiops.domain.execution import EntryKind, Execution, JournalEntry, StepRun
from aiops.domain.outcome import Result
from aiops.domain.plan import PlannedStep
from aiops.domain.runbook import REPEATABLE, OnFailure
from aiops.execution.desk import Desk
from aiops.execution.lanes import FORWARD, Lane
from aiops.execution.parts import BAD
from aiops.execution.progress import ended_with, settle_due, with_step
from aiops.execution.retrying import pause, wanted


def defer(desk: Desk, execution: Execution, run: StepRun, seconds: float, *entries: JournalEntry) -> Execution:
    """Store the step with a due time `seconds` from now."""
    now = desk.clock.now()
    moved = with_step(execution, replace(run, due_at=now + seconds))
    return desk.save(settle_due(moved, now), *entries, quiet=True)


def retry_or_settle(
    desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, result: Result, transient: bool, *, sent: bool = True,  # noqa: FBT001
) -> Execution:
    """A definite failure: another try later, if the step's retry wants one, else the end of the step. `sent`: the request was refused, not only the thought of it."""
    run = replace(run, tries=run.tries + 1)
    kind = lane.effect if sent else EntryKind.CHECKED
    entry = desk.entry(execution, kind, step=step.name, attempt=run.attempt, key=run.key, applied=False, reason=result.reason, detail=result.detail)
    if run.tries <= step.retry.limit and wanted(step.retry, result, transient=transient):
        return defer(desk, execution, replace(run, state=lane.pending), pause(step.retry, run.tries, execution.id, lane.label(step)), entry)
    return settle(desk, execution, step, run, lane, result, *([entry] if sent else []))


def repeat_or_settle(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, result: Result) -> Execution:
    """What was begun did not become complete: begun anew, if the step's retry wants that and nothing adds up by it."""
    action = desk.actions.get(step.action)
    if lane is FORWARD and action is not None and action.spec.repeatable(result.reason):
        run = replace(run, tries=run.tries + 1, rounds=run.rounds + (action.spec.effect not in REPEATABLE))
        if run.tries <= step.retry.limit and wanted(step.retry, result, transient=False):
            entry = desk.entry(execution, EntryKind.CHECKED, step=step.name, attempt=run.attempt, key=run.key, reason=result.reason, detail=result.detail)
            again = replace(run, state=lane.pending, started_at=0.0)
            return defer(desk, execution, again, pause(step.retry, run.tries, execution.id, lane.label(step)), entry)
    return settle(desk, execution, step, run, lane, result)


def settle(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, result: Result, *entries: JournalEntry) -> Execution:
    """This direction of the step is through."""
    now = desk.clock.now()
    run = replace(lane.settle(run, result), due_at=now)
    execution = with_step(execution, run)
    if lane is FORWARD and result.outcome in BAD and step.on_failure is not OnFailure.CONTINUE:
        execution = ended_with(execution, step, f"step {step.name} ended with {result.reason}")
    execution = settle_due(execution, now)
    done = desk.entry(
        execution, EntryKind.STEP_DONE, step=step.name, attempt=run.attempt, direction=lane.label(step), outcome=result.outcome.value,
        reason=result.reason, detail=result.detail,
    )
    subject = f"{execution.plan.runbook}/{lane.label(step)}"
    desk.telemetry.count("steps", action=step.action, outcome=result.outcome.value)
    return desk.save(execution, *entries, done, decisions=(desk.decision(execution, Stage.ACT, subject, result, execution.plan.target_of(step)),))

"""A running run: which step is next, whether it is to be done at all, and what all steps together come to.

Neighbours: `effects` makes a step's effect, `recovery` clears up after a crash, `verify` and `undo` follow.
"""

from __future__ import annotations

from dataclasses import replace

from aiops.domain.errors import SourceError
from aiops.domain.execution import Execution, ExecutionState, StepRun, StepState
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import COLLECT, PlannedStep
from aiops.domain.runbook import EffectClass, OnFailure
from aiops.domain.target import TargetRef
from aiops.execution import effects, recovery, verify
from aiops.execution.desk import Desk
from aiops.execution.lanes import FORWARD
from aiops.execution.late import condition
from aiops.execution.parts import collected
from aiops.execution.progress import (
    begun,
    end_pending,
    open_steps,
    out_of_time,
    pick,
    planned,
    reversible,
    settle_due,
    stopping_failure,
)
from aiops.execution.settling import defer, settle
from aiops.execution.undo import cut_short, enter_undo

DEADLINE = "DeadlineReached"
_AT_WORK = (ExecutionState.RUNNING, ExecutionState.VERIFYING, ExecutionState.UNDOING)


def move(desk: Desk, execution: Execution) -> Execution:
    """One transition."""
    if not begun(execution) and (other := busy_with(desk, execution)):
        return desk.finish(execution, Result(Outcome.SKIPPED, "TargetBusy", f"run {other[0]} is at work on {other[1]}"))
    if _too_late(desk, execution):
        return _stop(desk, execution)
    if not open_steps(execution):
        return conclude(desk, execution)
    run, now = pick(execution, desk.clock.now()), desk.clock.now()
    if run is None:
        return desk.save(settle_due(execution, now), quiet=True)
    step = planned(execution.plan, run.name)
    ways = {StepState.INTENDED: recovery.resolve, StepState.STARTED: effects.check}
    return ways[run.state](desk, execution, step, run, FORWARD) if run.state in ways else _begin(desk, execution, step, run)


def _too_late(desk: Desk, execution: Execution) -> bool:
    """The deadline is reached, and something is still to be done or was given up for that reason."""
    given_up = any(run.result is not None and run.result.reason == DEADLINE for run in execution.steps)
    return out_of_time(execution, desk.clock.now()) and (given_up or bool(open_steps(execution)))


def busy_with(desk: Desk, execution: Execution) -> tuple[str, TargetRef] | None:
    """Another real run that has begun on one of the same targets, and which. What this one was planned on is about to change, so it does not wait."""
    if execution.simulated:
        return None
    for other in desk.store.unfinished(targets=execution.plan.targets):
        if other.id != execution.id and not other.simulated and other.state in _AT_WORK and begun(other):
            shared = [target for target in execution.plan.targets if target in other.plan.targets]
            if shared:
                return other.id, shared[0]
    return None


def _begin(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun) -> Execution:
    now = desk.clock.now()
    if step.action == COLLECT:
        output, result = collected(execution, step)
        return settle(desk, execution, step, replace(run, output=output), FORWARD, result)
    if not run.attempt and (reason := condition(desk, execution, step)):
        return settle(desk, execution, step, run, FORWARD, reason)
    if not execution.simulated and _touches(desk, step):
        try:
            execution = verify.with_baseline(desk, execution)
        except SourceError as error:
            run = run if run.started_at else replace(run, started_at=now)
            if now - run.started_at >= desk.settings.patience:
                return settle(desk, execution, step, run, FORWARD, Result(Outcome.ERROR, "LossOfSight", f"no baseline could be measured: {error}"))
            return defer(desk, execution, run, desk.settings.again_after)
        foreseen = bool(execution.plan.facts.get("incident.forecast"))  # what is only to come finds its level good still
        if not foreseen and verify.good_already(desk, execution) and not any(r.attempt for r in execution.steps):
            level = execution.verification.baseline if execution.verification else None
            words = f"the level is good before acting: {level:g}" if level is not None else "the level is good before acting"
            return desk.finish(execution, Result(Outcome.SKIPPED, "LevelIsGood", words))
    return effects.begin(desk, execution, step, run, FORWARD)


def _stop(desk: Desk, execution: Execution) -> Execution:
    """The deadline is reached: nothing more is begun, what is unclear is cleared up, what is under way is not waited for; then it is undone or not."""
    under_way = ", ".join(f"{run.name} is {run.state}" for run in open_steps(execution))
    cause = Result(Outcome.FAILED, DEADLINE, "; ".join(filter(None, (f"not done {execution.plan.deadline or 0:g} s after it began", under_way))))
    if execution.plan.undo_on_failure and (reversible(execution) or any(run.state is StepState.INTENDED for run in execution.steps)):
        return desk.save(enter_undo(execution, cause, desk.clock.now()))
    execution = end_pending(execution, DEADLINE)
    unclear = next((run for run in execution.steps if run.state is StepState.INTENDED), None)
    if unclear is not None:
        if unclear.due_at > desk.clock.now():
            return desk.save(settle_due(execution, desk.clock.now()), quiet=True)
        return recovery.resolve(desk, execution, planned(execution.plan, unclear.name), unclear, FORWARD)
    return desk.finish(cut_short(execution), cause)


def _touches(desk: Desk, step: PlannedStep) -> bool:
    """Whether the step changes anything outside, so that the level before it must be known."""
    action = desk.actions.get(step.action)
    return action is not None and action.spec.effect is not EffectClass.NONE


def conclude(desk: Desk, execution: Execution) -> Execution:
    """All steps are through: failed, rehearsed, nothing to do, to be verified, or done."""
    failure = stopping_failure(execution)
    if failure is not None:
        step, result = failure
        cause = replace(result, detail=f"step {step.name}: {result.detail}")
        if step.on_failure is OnFailure.UNDO and reversible(execution):
            return desk.save(enter_undo(execution, cause, desk.clock.now()))
        return desk.finish(execution, cause)
    outcomes = [run.result.outcome for run in execution.steps if run.result is not None]
    if execution.simulated and Outcome.SIMULATED in outcomes:
        return desk.finish(verify.rehearse(desk, execution), Result(Outcome.SIMULATED, "DryRun", "nothing was changed"))
    if Outcome.SUCCEEDED not in outcomes:
        return desk.finish(execution, _nothing(execution))
    if execution.plan.verify is not None and any(run.effect and _touches(desk, planned(execution.plan, run.name)) for run in execution.steps):
        return verify.enter(desk, execution)
    return desk.finish(execution, Result(Outcome.SUCCEEDED, "Completed", _passed_over(execution)))


def _nothing(execution: Execution) -> Result:
    """No step did anything: all were skipped, or those that failed were to be passed over."""
    results = _results(execution)
    told = "; ".join(f"{name}: {result.reason}" for name, result in results)
    failed = any(result.outcome is not Outcome.SKIPPED for _, result in results)
    return Result(Outcome.FAILED, "AllStepsFailed", told) if failed else Result(Outcome.SKIPPED, "NothingToDo", told)


def _passed_over(execution: Execution) -> str:
    """Failures that the runbook said to pass over."""
    return "; ".join(f"{name} ended with {result.reason}" for name, result in _results(execution) if result.outcome not in (Outcome.SUCCEEDED, Outcome.SKIPPED))


def _results(execution: Execution) -> list[tuple[str, Result]]:
    """Of the runbook's own steps; what they are made of they speak for."""
    parts = {step.name for step in execution.plan.steps if step.part_of}
    return [(run.name, run.result) for run in execution.steps if run.result is not None and run.name not in parts]

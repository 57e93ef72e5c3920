"""Making one effect happen once: prepare on a fresh read, write the intent, send, write the effect; later, check.

The order is the law here: an intent is durable, under a lease with enough time left, before anything is sent. Where no answer comes, nothing
is assumed: the step stays intended and `recovery` looks. Neighbours: `lanes` gives the direction, `forward` and `undo` call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from aiops.domain.errors import AiopsError, ConflictError, DisruptionRefusedError, ExpressionError, InvalidError, LeaseLostError
from aiops.domain.execution import EntryKind, Execution, StepRun
from aiops.domain.outcome import GuardMode, Outcome, Result, Verdict
from aiops.domain.plan import Change, PlannedStep
from aiops.execution import recovery
from aiops.execution.actions.contract import ActionRefusedError, Again, Checked, Context, Done, Effect, Failed, Prepared, Waiting
from aiops.execution.changes import change_of, redacted
from aiops.execution.desk import Desk, ids, log
from aiops.execution.failures import MALFORMED, NO_ANSWER, OUTSIDE, result_of
from aiops.execution.lanes import Lane, series_of
from aiops.execution.late import arguments_of, outside_bounds, unknown
from aiops.execution.leases import lease_names
from aiops.execution.progress import settle_due, with_step
from aiops.execution.retrying import TIMED_OUT
from aiops.execution.settling import defer, repeat_or_settle, retry_or_settle, settle


def begin(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane) -> Execution:
    """Prepare and send one try. Returns the run as it was last saved."""
    if impossible := _impossible(desk, execution, step):
        return settle(desk, execution, step, run, lane, impossible)
    context = desk.context(execution, execution.plan.target_of(step), series_of(lane, step, run), run.attempt + 1)
    run = run if run.started_at else replace(run, started_at=context.now)
    try:
        given = lane.arguments(step, run)
        arguments = arguments_of(desk, execution, step) if given is None else given
    except ExpressionError as error:
        return settle(desk, execution, step, run, lane, unknown(execution, step, "ArgumentsUnknown", error))
    verdict = _refusal(desk, execution, step, arguments)
    return _prepare(desk, execution, replace(step, arguments=arguments), run, lane, context) if verdict is None else _refused(desk, execution, step, run, lane, verdict)


def _prepare(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, context: Context) -> Execution:
    """Read fresh, decide what is to be sent, and send it."""
    try:
        prepared = desk.actions[step.action].prepare(context, step.arguments)
    except NO_ANSWER as error:
        return _unreadable(desk, execution, step, run, lane, error)
    except (*OUTSIDE, *MALFORMED) as error:
        return retry_or_settle(desk, execution, step, run, lane, *result_of(error), sent=False)
    stop = prepared.skip if prepared.skip and prepared.skip.outcome is Outcome.SKIPPED else lane.objection(execution, step, run, prepared) or prepared.skip
    if stop:
        return retry_or_settle(desk, execution, step, run, lane, stop, False, sent=False)
    return _send(desk, execution, step, run, lane, context, prepared)


def _impossible(desk: Desk, execution: Execution, step: PlannedStep) -> Result | None:
    """Why nothing can be sent at all, or None."""
    hands, target = desk.hands(execution), execution.plan.target_of(step)
    if step.action not in desk.actions:
        return Result(Outcome.ERROR, "UnknownAction", f"there is no action {step.action!r}")
    if target.context not in hands.clusters:
        return Result(Outcome.ERROR, "UnknownCluster", f"no cluster {target.context!r} in the settings")
    if hands.simulated and not execution.simulated:
        return Result(Outcome.ERROR, "ActingSwitchedOff", "the run was begun for real, and now the daemon runs dry")
    kinds = desk.actions[step.action].spec.target_kinds
    if kinds and target.kind not in kinds:
        return Result(Outcome.ERROR, "WrongKind", f"{step.action} takes {', '.join(kinds)}, not {target.kind}")
    return None


def _refusal(desk: Desk, execution: Execution, step: PlannedStep, arguments: Mapping[str, Any]) -> Verdict | None:
    """The verdict of a guard that does not let this be sent, or None. What came of late arguments is judged like what was planned, in a rehearsal too."""
    if outside := outside_bounds(step, arguments):
        return Verdict("approval", GuardMode.ENFORCE, allowed=False, reason="OutsideBounds", detail=outside)
    if execution.simulated and not step.late:
        return None
    verdict = desk.permit(execution, replace(step, arguments=arguments, late=()))
    return verdict if verdict is not None and verdict.refuses else None


def _refused(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, verdict: Verdict) -> Execution:
    """Nothing is sent; the verdict is kept with the plan's and in the journal, and the runbook says what becomes of the run."""
    entry = desk.entry(
        execution, EntryKind.CHECKED, step=step.name, attempt=run.attempt, guard=verdict.guard, reason=verdict.reason, detail=verdict.detail,
    )
    kept = tuple(v for v in execution.plan.verdicts if v.guard != verdict.guard)
    execution = replace(execution, plan=replace(execution.plan, verdicts=(*kept, verdict)))
    result = Result(Outcome.ERROR, verdict.reason, verdict.detail or f"refused by {verdict.guard}")
    return settle(desk, execution, step, run, lane, result, entry)


def _unreadable(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, error: AiopsError) -> Execution:
    """Nothing was sent: look again for a while, but not until what was planned on is stale. What is half done is waited for as long as the step may last."""
    now = desk.clock.now()
    if now - run.started_at >= (step.timeout if run.effect else min(desk.settings.patience, step.timeout)):
        return settle(desk, execution, step, run, lane, result_of(error)[0])
    return defer(desk, execution, replace(run, state=lane.pending), desk.settings.again_after)


def _send(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, context: Context, prepared: Prepared) -> Execution:
    names = lease_names(execution)
    desk.leases.extend(*names)
    run = replace(lane.keep(run, prepared), state=lane.intended, attempt=run.attempt + 1, key=context.key, due_at=context.now)
    intent = desk.entry(
        execution, lane.intent, step=step.name, attempt=run.attempt, key=context.key, action=step.action, request=redacted(prepared.request),
        pre_state=dict(prepared.pre_state), leaves=dict(prepared.leaves), inverse=dict(prepared.inverse), output=dict(prepared.output),
        token=desk.leases.current(names[0]).token, **({"arguments": dict(step.arguments)} if step.late else {}),
    )
    execution = desk.save(settle_due(with_step(execution, run), context.now), intent, quiet=True)
    if not desk.leases.enough(*names):  # the disk took its time: another owner might have begun before our request lands
        raise LeaseLostError(f"too little is left of the lease on {', '.join(names)} to send what was intended")
    began = desk.clock.monotonic()
    try:
        effect = desk.actions[step.action].start(context, prepared)
    except NO_ANSWER as error:
        log.warning("no answer to %s, will look whether it happened: %s", context.key, error, extra=ids(execution))
        return defer(desk, execution, run, desk.settings.look_after)
    except (InvalidError, ConflictError) as error:
        return recovery.after_refusal(desk, execution, step, run, lane, error)
    except DisruptionRefusedError as error:
        return _disruption_refused(desk, execution, step, run, lane, error)
    except (*OUTSIDE, ActionRefusedError) as error:
        return retry_or_settle(desk, execution, step, run, lane, *result_of(error))
    desk.telemetry.observe("effect", desk.clock.monotonic() - began, action=step.action)
    return _record(desk, execution, step, run, lane, prepared, effect)


def _disruption_refused(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, error: DisruptionRefusedError) -> Execution:
    """A budget that forbids it now may allow it soon: waited for until the step's time-out. It is no try that failed, and nothing was done."""
    left = run.started_at + step.timeout - desk.clock.now()
    result = result_of(error)[0]
    entry = desk.entry(execution, lane.effect, step=step.name, attempt=run.attempt, key=run.key, applied=False, reason=result.reason, detail=result.detail)
    if execution.simulated:
        return settle(desk, execution, step, run, lane, Result(Outcome.SIMULATED, "DryRun", f"would be waited for: {result.detail}"), entry)
    if left <= 0:
        return settle(desk, execution, step, run, lane, result, entry)
    return defer(desk, execution, replace(run, state=lane.pending), min(desk.settings.disruption_wait, left), entry)


def _record(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, prepared: Prepared, effect: Effect) -> Execution:
    """Write down what came back. What was only recorded by a dry writer ends here: there is nothing to wait for."""
    change = change_of(lane.label(step), step.action, str(execution.plan.target_of(step)), prepared.request, effect)
    kept = lane.kept(run)
    run = lane.keep(run, replace(kept, output={**kept.output, **effect.output}, leaves=effect.leaves or kept.leaves))
    entry = desk.entry(execution, lane.effect, step=step.name, attempt=run.attempt, key=run.key, applied=effect.applied, change=asdict(change))
    execution = _with_change(execution, change)
    if execution.simulated or not effect.applied:
        result = Result(Outcome.SIMULATED, "DryRun", effect.note or change.note or "recorded only")
        return settle(desk, execution, step, run, lane, result, entry)
    run = replace(run, state=lane.started, effect=True, due_at=desk.clock.now())
    return desk.save(settle_due(with_step(execution, run), desk.clock.now()), entry, messages=effect.messages)


def _with_change(execution: Execution, change: Change) -> Execution:
    """What was sent takes the place of what was foreseen. The plan's hash covers neither."""
    others = tuple(old for old in execution.plan.changes if old.step != change.step)
    return replace(execution, plan=replace(execution.plan, changes=(*others, change)))


def check(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane) -> Execution:
    """Look whether what was started is complete."""
    checked = _checked(desk, execution, step, run, lane)
    if isinstance(checked, Done):
        kept = lane.kept(run)
        run = lane.keep(run, replace(kept, output={**kept.output, **checked.output}))
        return settle(desk, execution, step, run, lane, Result(Outcome.SUCCEEDED, "Completed", checked.detail))
    if isinstance(checked, Failed):
        return repeat_or_settle(desk, execution, step, run, lane, checked.result)
    left = run.started_at + step.timeout - desk.clock.now()
    if isinstance(checked, Again) and left > 0:
        return defer(desk, execution, replace(run, state=lane.pending), min(checked.due_in, left))
    if isinstance(checked, Waiting) and (checked.patient or left > 0):
        return defer(desk, execution, run, checked.due_in if checked.patient else min(checked.due_in, left))
    late = Result(Outcome.FAILED, TIMED_OUT, f"not complete after {step.timeout:g} s: {checked.detail}")
    return repeat_or_settle(desk, execution, step, run, lane, late)


def _checked(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane) -> Checked:
    """The action's answer; an API that does not answer just now is a reason to wait."""
    try:
        context = desk.context(execution, execution.plan.target_of(step), series_of(lane, step, run), run.attempt)
        return desk.actions[step.action].check(context, lane.kept(run), run.started_at)
    except NO_ANSWER as error:
        return Waiting(desk.settings.again_after, str(error))
    except (*OUTSIDE, *MALFORMED) as error:
        return Failed(result_of(error)[0])

"""Look before acting: what became of an intent whose effect is not recorded, after a crash or a lost answer.

HAPPENED: recorded as such, and on with it. NOT: a new attempt, with a new intent. UNKNOWN: at most once means that it is not repeated;
it is inconclusive and goes to a person. Neighbours: `effects` asks after a refused precondition, `forward` and `undo` after a restart.
"""

from __future__ import annotations

from dataclasses import replace

from aiops.domain.errors import ClusterError
from aiops.domain.execution import EntryKind, Execution, JournalEntry, StepRun
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import PlannedStep
from aiops.execution.actions.contract import Looked, Prepared, Seen
from aiops.execution.desk import Desk, ids, log
from aiops.execution.failures import MALFORMED, NO_ANSWER, OUTSIDE, result_of
from aiops.execution.lanes import Lane, series_of
from aiops.execution.settling import defer, retry_or_settle, settle

_UNKNOWN = Result(Outcome.INCONCLUSIVE, "EffectUnknown", "whether it happened cannot be told; it is not repeated, a person must look")


def resolve(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane) -> Execution:
    """One intended step, looked up."""
    seen = _look(desk, execution, step, run, lane)
    if not isinstance(seen, Seen):
        return seen
    log.info("looked for %s: %s", run.key, seen.looked, extra=ids(execution))
    if seen.looked is Looked.HAPPENED:
        return _go_on(desk, execution, step, run, lane, seen)
    entry = _entry(desk, execution, step, run, seen)
    if seen.looked is Looked.UNKNOWN:
        return settle(desk, execution, step, run, lane, _UNKNOWN, entry)
    run = replace(run, lost=run.lost + 1)
    if run.lost > desk.settings.recoveries:
        lost = Result(Outcome.ERROR, "NotSent", f"{run.lost} attempts did not get as far as being sent")
        return settle(desk, execution, step, run, lane, lost, entry)
    return defer(desk, execution, replace(run, state=lane.pending), 0.0, entry)


def after_refusal(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, error: ClusterError) -> Execution:
    """A `test` failed or the object was busy: perhaps because an earlier try of this step did happen after all."""
    seen = _look(desk, execution, step, run, lane)
    if not isinstance(seen, Seen):
        return seen
    if seen.looked is Looked.HAPPENED:
        return _go_on(desk, execution, step, run, lane, seen)
    return retry_or_settle(desk, execution, step, run, lane, *result_of(error))


def _go_on(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane, seen: Seen) -> Execution:
    """It happened. If an earlier try did it, what that one intended is what stands there, and its intent is in the journal."""
    entry = _entry(desk, execution, step, run, seen)
    if seen.key and seen.key != run.key:
        for intent in desk.store.journal(execution.id):
            if intent.kind is lane.intent and intent.data.get("key") == seen.key:
                kept = {name: intent.data.get(name, {}) for name in ("pre_state", "leaves", "inverse", "output")}
                run = lane.keep(run, Prepared(**kept))
    return defer(desk, execution, replace(run, state=lane.started, effect=True), 0.0, entry)


def _entry(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, seen: Seen) -> JournalEntry:
    return desk.entry(execution, EntryKind.LOOKED, step=step.name, attempt=run.attempt, key=run.key, looked=seen.looked.value, found=seen.key)


def _look(desk: Desk, execution: Execution, step: PlannedStep, run: StepRun, lane: Lane) -> Seen | Execution:
    """The answer, or the run as saved because none could be had."""
    action = desk.actions.get(step.action)
    if action is None:
        return Seen(Looked.UNKNOWN)
    try:
        return action.look(desk.context(execution, execution.plan.target_of(step), series_of(lane, step, run), run.attempt), lane.kept(run))
    except NO_ANSWER as error:
        if desk.clock.now() - run.started_at >= step.timeout:
            return settle(desk, execution, step, run, lane, replace(_UNKNOWN, detail=f"{_UNKNOWN.detail}: {error}"))
        return defer(desk, execution, run, desk.settings.again_after)
    except (*OUTSIDE, *MALFORMED) as error:
        return settle(desk, execution, step, run, lane, result_of(error)[0])

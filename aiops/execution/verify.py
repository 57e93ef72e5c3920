"""Measuring: the baseline before the first effect, the level afterwards. What cannot be measured is never taken for good.

The judgement itself is pure and lives in `remediate.verification`; here is the reading of the source at the clock's time.
Neighbours: `forward` takes the baseline, `executor` moves a verifying run through `move`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from aiops.domain.decision import Stage
from aiops.domain.errors import ExpressionError, SourceError
from aiops.domain.execution import EntryKind, Execution, ExecutionState, VerifyRun
from aiops.domain.outcome import Judgement, Outcome, Result
from aiops.domain.plan import PlannedVerify
from aiops.execution.desk import Desk
from aiops.execution.progress import reversible
from aiops.execution.undo import enter_undo
from aiops.remediate.verification import judge

_RESULTS = {
    Judgement.HELPED: (Outcome.SUCCEEDED, "Verified"),
    Judgement.NO_EFFECT: (Outcome.FAILED, "NoEffect"),
    Judgement.HARMED: (Outcome.FAILED, "Harmed"),
    Judgement.INCONCLUSIVE: (Outcome.INCONCLUSIVE, "NotMeasured"),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """`level` is the worst series' value and `count` the number of series that have one; None where nothing could be measured, and why."""

    level: float | None
    count: int = 0
    why: str = ""


def measure(desk: Desk, spec: PlannedVerify) -> Measured:
    """Ask now. Raises SourceError if there is no whole answer; an empty answer is an answer, without a level."""
    source = desk.sources.get(spec.source)
    if source is None:
        raise SourceError(spec.source, "UnknownSource", "it is not in the settings")
    batch = source.instant(spec.query, desk.clock.now())
    if batch.partial:
        raise SourceError(spec.source, "Partial", "; ".join(batch.warnings))
    values = [float(value) for value in batch.values if not math.isnan(value)]
    if not values:
        return Measured(None, 0, "no series" if not len(batch) else "every series is NaN")
    return Measured(max(values) if spec.worst == "max" else min(values), len(values))


def passes(desk: Desk, spec: PlannedVerify, measured: Measured, baseline: float | None) -> bool | None:
    """Whether the level is good; None if that cannot be said. A baseline that could not be had is NaN, and no comparison with it holds."""
    if measured.level is None:
        return None
    facts = {"value": measured.level, "baseline": math.nan if baseline is None else baseline, "count": measured.count}
    try:
        return bool(desk.compile(spec.passes, "verify").evaluate(facts))
    except (ExpressionError, ValueError):
        return None


def with_baseline(desk: Desk, execution: Execution) -> Execution:
    """The run with the level before acting, if it is to be verified and has none yet. Raises SourceError: what cannot be seen is not acted on."""
    spec = execution.plan.verify
    if spec is None or execution.verification is not None:
        return execution
    measured = measure(desk, spec)
    return replace(execution, verification=VerifyRun(baseline=measured.level, detail=measured.why))


def good_already(desk: Desk, execution: Execution) -> bool:
    """The level before acting passes: there is nothing to mend, and acting could not be told to have helped. Alarms are held for a while, levels are now."""
    spec, run = execution.plan.verify, execution.verification
    return spec is not None and run is not None and passes(desk, spec, Measured(run.baseline, 1), run.baseline) is True


def enter(desk: Desk, execution: Execution) -> Execution:
    """All steps are done: the first look is after `after` seconds."""
    spec, now = execution.plan.verify, desk.clock.now()
    assert spec is not None
    run = replace(execution.verification or VerifyRun(), started_at=now, detail="")
    return desk.save(replace(execution, state=ExecutionState.VERIFYING, verification=run, due_at=now + spec.after))


def move(desk: Desk, execution: Execution) -> Execution:
    """Measure once more and judge."""
    spec, now = execution.plan.verify, desk.clock.now()
    assert spec is not None
    before = execution.verification or VerifyRun(started_at=now)
    try:
        measured = measure(desk, spec)
    except SourceError as error:
        measured = Measured(None, 0, str(error))
    run = judge(spec, before, measured.level, now, passes(desk, spec, measured, before.baseline))
    if run.judgement is None and now > before.started_at + spec.after + spec.within + 2 * spec.every:
        run = replace(run, judgement=Judgement.INCONCLUSIVE, detail=run.detail or "no judgement in time")
    if measured.why and run.judgement is not Judgement.HELPED:
        run = replace(run, detail="; ".join(filter(None, (run.detail, measured.why))))
    execution = replace(execution, verification=run)
    if run.judgement is None:
        return desk.save(replace(execution, due_at=now + spec.every), quiet=True)
    return _conclude(desk, execution, run.judgement)


def _conclude(desk: Desk, execution: Execution, judgement: Judgement) -> Execution:
    run = execution.verification
    assert run is not None
    outcome, reason = _RESULTS[judgement]
    result = Result(outcome, reason, run.detail)
    entry = desk.entry(execution, EntryKind.VERIFIED, judgement=judgement.value, baseline=run.baseline, values=list(run.values), detail=run.detail)
    decision = desk.decision(execution, Stage.VERIFY, execution.plan.runbook, result)
    if outcome is Outcome.FAILED and execution.plan.undo_on_failure and reversible(execution):
        return desk.save(enter_undo(execution, result, desk.clock.now()), entry, decisions=(decision,))
    return desk.finish(execution, result, entry, decisions=(decision,))


def rehearse(desk: Desk, execution: Execution) -> Execution:
    """For a simulated run: read once, and say what would be measured."""
    spec = execution.plan.verify
    if spec is None:
        return execution
    try:
        measured = measure(desk, spec)
        verdict = passes(desk, spec, measured, measured.level)
        level = f"level now {measured.level:g}" if measured.level is not None else f"no level now ({measured.why})"
        said = {True: "passes already", False: "does not pass", None: "passing cannot be told"}[verdict]
        run = VerifyRun(baseline=measured.level, detail=f"would be measured: {level}, {said}: {spec.passes}")
    except SourceError as error:
        run = VerifyRun(detail=f"would be measured, but now: {error}")
    return replace(execution, verification=run)

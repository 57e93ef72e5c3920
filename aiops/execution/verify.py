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
from aiops.domain.series import RangeBatch
from aiops.execution.desk import Desk
from aiops.execution.progress import before_deadline, out_of_time, reversible
from aiops.execution.undo import enter_undo
from aiops.remediate.verification import KEPT, SELF_HEALED, expectation, judge

_RESULTS = {
    Judgement.HELPED: (Outcome.SUCCEEDED, "Verified"),
    Judgement.NO_EFFECT: (Outcome.FAILED, "NoEffect"),
    Judgement.HARMED: (Outcome.FAILED, "Harmed"),
    Judgement.INCONCLUSIVE: (Outcome.INCONCLUSIVE, "NotMeasured"),
}
_LONGEST = 86400.0
"""A run that ended within the time looked at may have been made so long before."""


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
    """The run with the level before acting, if it is to be verified and has none yet. Raises SourceError: what cannot be seen is not acted on,
    and where there is no level before, nobody could tell afterwards whether it helped.
    """
    spec = execution.plan.verify
    if spec is None or execution.verification is not None:
        return execution
    measured = measure(desk, spec)
    if measured.level is None:
        raise SourceError(spec.source, "NoLevel", measured.why)
    run = VerifyRun(baseline=measured.level, detail=measured.why)
    return replace(execution, verification=_with_history(desk, execution, spec, run))


def _with_history(desk: Desk, execution: Execution, spec: PlannedVerify, run: VerifyRun) -> VerifyRun:
    """The levels of the time before acting, but not of before another run of ours ended on the target: what that did is no trend.

    A source that gives the level of now but no history is no reason not to act; only can it not be told then what would have come of itself.
    """
    now = desk.clock.now()
    others = desk.store.executions(target=execution.target, since=now - spec.before - _LONGEST, limit=200)
    ended = [e.updated_at for e in others if e.id != execution.id and not e.simulated and any(step.effect for step in e.steps)]
    start = max([now - spec.before, *(at for at in ended if at <= now)])
    step = max(spec.every, spec.before / KEPT)
    if now - start < step:
        return run
    try:
        batch = desk.sources[spec.source].range(spec.query, start, now, step)
    except SourceError as error:
        return replace(run, detail="; ".join(filter(None, (run.detail, f"no history: {error}"))))
    if batch.partial:
        return replace(run, detail="; ".join(filter(None, (run.detail, "no history: the answer is partial"))))
    times, values = _worst_levels(batch, spec.worst)
    return replace(run, before_times=times, before_values=values)


def _worst_levels(batch: RangeBatch, worst: str) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
    """At each time the level of the series that is worst then."""
    levels: dict[float, float] = {}
    better = max if worst == "max" else min
    for series in batch.series:
        for time, value in zip(series.times.tolist(), series.values.tolist(), strict=True):
            if math.isfinite(value):
                levels[time] = better(levels.get(time, value), value)
    times = sorted(levels)[-KEPT:]
    return tuple(times), tuple(levels[time] for time in times)


def good_already(desk: Desk, execution: Execution) -> bool:
    """The level before acting passes: there is nothing to mend, and acting could not be told to have helped. Alarms are held for a while, levels are now."""
    spec, run = execution.plan.verify, execution.verification
    return spec is not None and run is not None and passes(desk, spec, Measured(run.baseline, 1), run.baseline) is True


def enter(desk: Desk, execution: Execution) -> Execution:
    """All steps are done: the first look is after `after` seconds."""
    spec, now = execution.plan.verify, desk.clock.now()
    assert spec is not None
    run = replace(execution.verification or VerifyRun(), started_at=now, detail="")
    return desk.save(replace(execution, state=ExecutionState.VERIFYING, verification=run, due_at=before_deadline(execution, now + spec.after, now)))


def move(desk: Desk, execution: Execution) -> Execution:
    """Measure once more and judge."""
    spec, now = execution.plan.verify, desk.clock.now()
    assert spec is not None
    before = execution.verification or VerifyRun(started_at=now)
    try:
        measured = measure(desk, spec)
    except SourceError as error:
        measured = Measured(None, 0, str(error))


    def would_pass(level: float) -> bool | None:
        return passes(desk, spec, Measured(level, measured.count), before.baseline)

    run = judge(spec, before, measured.level, now, passes(desk, spec, measured, before.baseline), would_pass)
    if run.judgement is None and now > before.started_at + spec.after + spec.within + 2 * spec.every:
        run = replace(run, judgement=Judgement.INCONCLUSIVE, detail=run.detail or "no judgement in time")
    if run.judgement is None and out_of_time(execution, now):
        run = replace(run, judgement=Judgement.INCONCLUSIVE, detail="the runbook's deadline came before a judgement")
    if measured.why and run.judgement is not Judgement.HELPED:
        run = replace(run, detail="; ".join(filter(None, (run.detail, measured.why))))
    execution = replace(execution, verification=run)
    if run.judgement is None:
        return desk.save(replace(execution, due_at=before_deadline(execution, now + spec.every, now)), quiet=True)
    return _conclude(desk, execution, run.judgement)


def _conclude(desk: Desk, execution: Execution, judgement: Judgement) -> Execution:
    run = execution.verification
    assert run is not None
    outcome, reason = _RESULTS[judgement]
    result = Result(outcome, run.reason or reason, run.detail)
    entry = desk.entry(
        execution, EntryKind.VERIFIED, judgement=judgement.value, reason=result.reason, baseline=run.baseline, before=list(run.before_values),
        values=list(run.values), detail=run.detail,
    )
    decision = desk.decision(execution, Stage.VERIFY, execution.plan.runbook, result)
    # What healed by itself is well now: taking back what was done could only disturb it.
    if outcome is Outcome.FAILED and run.reason != SELF_HEALED and execution.plan.undo_on_failure and reversible(execution):
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
        run = _with_history(desk, execution, spec, VerifyRun(baseline=measured.level))
        later = expectation(spec, run, desk.clock.now() + spec.after + spec.within)
        if later is not None and verdict is False and passes(desk, spec, Measured(later, measured.count), measured.level):
            said += f", but is on its way to {later:.4g} by itself"
        run = replace(run, detail=f"would be measured: {level}, {said}: {spec.passes}")
    except SourceError as error:
        run = VerifyRun(detail=f"would be measured, but now: {error}")
    return replace(execution, verification=run)

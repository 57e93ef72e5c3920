"""Did it help? A pure judge over the levels measured after acting.

"No data" is never success: it breaks a hold that was running, and at the end it makes the judgement inconclusive.
Neighbours: `execution.verify` measures and asks, `domain.execution.VerifyRun` is what is kept between two looks.
"""

from __future__ import annotations

import math
from dataclasses import replace

from aiops.domain.execution import VerifyRun
from aiops.domain.outcome import Judgement
from aiops.domain.plan import PlannedVerify
from aiops.domain.runbook import VerifySpec

KEPT = 60
"""Levels kept in the run: enough to draw what happened, bounded however long it is measured."""
WORSE = 0.1
"""A level counts as worse than the baseline beyond this share of it; less is noise."""


def judge(spec: PlannedVerify | VerifySpec, run: VerifyRun, level: float | None, now: float, passes: bool | None) -> VerifyRun:  # noqa: FBT001 (three-valued, as measured)
    """The run after one more look at `now` (Unix seconds).

    `level` None (or NaN) or `passes` None: it could not be measured. Looks before `started_at + after` are kept and not judged. HELPED as soon
    as it has passed for `hold` seconds without a break; else, `within` seconds after the first look that counts, NO_EFFECT, HARMED (worse than
    the baseline by more than `WORSE`) or INCONCLUSIVE. A run that was judged stays as it is.
    """
    if run.judgement is not None:
        return run
    if level is not None and math.isnan(level):
        level = None
    seen = passes if level is not None else None
    run = replace(run, times=(*run.times, now)[-KEPT:], values=(*run.values, level)[-KEPT:])
    first = run.started_at + spec.after
    if now < first:
        return run
    since = (run.passing_since if run.passing_since is not None else now) if seen else None
    run = replace(run, passing_since=since)
    if since is not None and now - since >= spec.hold:
        return replace(run, judgement=Judgement.HELPED, detail=f"{_words(level, run.baseline)}, passing for {now - since:g} s")
    if now < first + spec.within:
        return run
    judgement, detail = _at_the_end(spec, run, level, seen)
    return replace(run, judgement=judgement, detail=detail)


def _at_the_end(spec: PlannedVerify | VerifySpec, run: VerifyRun, level: float | None, seen: bool | None) -> tuple[Judgement, str]:  # noqa: FBT001 (as above)
    if level is None or seen is None:
        return Judgement.INCONCLUSIVE, f"no data at the end of {spec.within:g} s"
    words = _words(level, run.baseline)
    if seen:
        return Judgement.INCONCLUSIVE, f"{words}; it passes, but not for {spec.hold:g} s without a break"
    if run.baseline is not None and not math.isnan(run.baseline):
        rise = level - run.baseline if spec.worst == "max" else run.baseline - level
        if rise > WORSE * abs(run.baseline) and rise > 0:
            return Judgement.HARMED, f"{words}: worse after {spec.within:g} s"
    return Judgement.NO_EFFECT, f"{words}: does not pass after {spec.within:g} s"


def _words(level: float | None, baseline: float | None) -> str:
    now = "no level" if level is None else f"level {level:.4g}"
    return f"{now}, before acting {'unknown' if baseline is None else f'{baseline:.4g}'}"

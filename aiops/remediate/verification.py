"""Did it help? A pure judge over the levels measured after acting, against those before: the last one, and where they were going by themselves.

"No data" is never success: it breaks a hold that was running, and at the end it makes the judgement inconclusive.
Neighbours: `execution.verify` measures and asks, `trend` draws the line, `domain.execution.VerifyRun` is what is kept between two looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from aiops.domain.execution import VerifyRun
from aiops.domain.outcome import Judgement
from aiops.domain.plan import PlannedVerify
from aiops.domain.runbook import VerifySpec
from aiops.remediate.trend import trend

KEPT = 60
"""Levels kept in the run: enough to draw what happened, bounded however long it is measured."""
WORSE = 0.1
"""At the end a level counts as worse than what was to be expected beyond this share of it; less is noise."""
MUCH_WORSE = 0.5
"""Beyond this share, in `LOOKS` looks one after the other, it is not waited for the end: what was done is taken back at once."""
LOOKS = 3
NOISE = 3.0
"""Median distances from the line before acting that a level may be off by chance."""
SELF_HEALED = "SelfHealed"
Spec = PlannedVerify | VerifySpec


def judge(
    spec: Spec, run: VerifyRun, level: float | None, now: float, passes: bool | None,  # noqa: FBT001 (three-valued, as measured)
    would_pass: Callable[[float], bool | None] = lambda _level: None,
) -> VerifyRun:
    """The run after one more look at `now` (Unix seconds).

    `level` None (or NaN) or `passes` None: it could not be measured. Looks before `started_at + after` are kept and not judged. Once it has
    passed for `hold` seconds without a break: HELPED, or NO_EFFECT with the reason `SelfHealed` if the level was on its way before acting and
    `would_pass` by now. HARMED as soon as it is much worse for some looks. Else, `within` seconds after the first look that counts, NO_EFFECT,
    HARMED (worse than before and than where it was going) or INCONCLUSIVE. A run that was judged stays as it is.
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
        return _good(spec, run, level, now, would_pass)
    if _much_worse(spec, run, first):
        return replace(run, judgement=Judgement.HARMED, detail=f"{_words(level, run.baseline)}: much worse in {LOOKS} looks")
    if now < first + spec.within:
        return run
    judgement, detail = _at_the_end(spec, run, level, seen, now)
    return replace(run, judgement=judgement, detail=detail)


def expectation(spec: Spec, run: VerifyRun, at: float) -> float | None:
    """The level to be expected at `at` had nobody acted; None unless the levels before acting were clearly getting better."""
    line = trend(run.before_times, run.before_values, spec.worst)
    # A line through good times and the bad ones after them may pass where the level never was: only one that leads from bad to good counts.
    return line.expected(at) if line is not None and (line.slope < 0) == (spec.worst == "max") else None


def _good(spec: Spec, run: VerifyRun, level: float | None, now: float, would_pass: Callable[[float], bool | None]) -> VerifyRun:
    held = f"passing for {now - (run.passing_since or now):g} s"
    expected = expectation(spec, run, now)
    if expected is not None and would_pass(expected) is True:
        words = f"{_words(level, run.baseline)}, {held}; but it was on its way before acting and would have come to {expected:.4g} by itself"
        return replace(run, judgement=Judgement.NO_EFFECT, reason=SELF_HEALED, detail=words)
    return replace(run, judgement=Judgement.HELPED, detail=f"{_words(level, run.baseline)}, {held}")


def _worse_by(spec: Spec, run: VerifyRun, level: float, now: float) -> tuple[float, float]:
    """(how much worse than was to be expected, the size that this is to be compared with). The worse of baseline and trend is expected."""
    baseline = run.baseline
    if baseline is None or math.isnan(baseline):
        return -math.inf, 0.0
    line = trend(run.before_times, run.before_values, spec.worst)
    expected = [baseline] if line is None else [baseline, line.expected(now)]
    reference = max(expected) if spec.worst == "max" else min(expected)
    rise = level - reference if spec.worst == "max" else reference - level
    return rise - (0.0 if line is None else NOISE * line.noise), abs(reference)


def _much_worse(spec: Spec, run: VerifyRun, first: float) -> bool:
    looks = [(t, v) for t, v in zip(run.times, run.values, strict=True) if t >= first][-LOOKS:]
    if len(looks) < LOOKS:
        return False
    for at, level in looks:
        if level is None:
            return False
        rise, size = _worse_by(spec, run, level, at)
        # Without a size to compare with (a baseline of nothing) it cannot be said how bad it is: the end decides.
        if not (size > 0 and rise > MUCH_WORSE * size):
            return False
    return True


def _at_the_end(spec: Spec, run: VerifyRun, level: float | None, seen: bool | None, now: float) -> tuple[Judgement, str]:  # noqa: FBT001 (as above)
    if level is None or seen is None:
        return Judgement.INCONCLUSIVE, f"no data at the end of {spec.within:g} s"
    words = _words(level, run.baseline)
    if seen:
        return Judgement.INCONCLUSIVE, f"{words}; it passes, but not for {spec.hold:g} s without a break"
    blind = sum(value is None for value in run.values)
    if 2 * blind > len(run.values):
        return Judgement.INCONCLUSIVE, f"{words}; {blind} of {len(run.values)} looks saw nothing"
    rise, size = _worse_by(spec, run, level, now)
    if rise > WORSE * size and rise > 0:
        return Judgement.HARMED, f"{words}: worse after {spec.within:g} s"
    return Judgement.NO_EFFECT, f"{words}: does not pass after {spec.within:g} s"


def _words(level: float | None, baseline: float | None) -> str:
    now = "no level" if level is None else f"level {level:.4g}"
    return f"{now}, before acting {'unknown' if baseline is None else f'{baseline:.4g}'}"

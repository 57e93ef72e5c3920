"""Verification's judge: helped only after the hold, never on missing data, compared with the level before acting."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.execution import VerifyRun
from aiops.domain.outcome import Judgement
from aiops.domain.plan import PlannedVerify
from aiops.remediate.verification import KEPT, judge

SPEC = PlannedVerify("prometheus", "q", "value < 1.0", after=10.0, within=60.0, every=10.0, hold=20.0, worst="max")
Level = float | None


def look(levels: list[Level], *, spec: PlannedVerify = SPEC, baseline: Level = 5.0, start: float = 100.0) -> VerifyRun:
    """Looks at the levels each `every` from `after` on; a level below 1 passes."""
    run = VerifyRun(baseline=baseline, started_at=start)
    for n, level in enumerate(levels):
        run = judge(spec, run, level, start + spec.after + n * spec.every, None if level is None else level < 1.0)
    return run


def test_helped_once_it_held() -> None:
    assert look([3.0, 0.5, 0.5]).judgement is None
    run = look([3.0, 0.5, 0.5, 0.5])
    assert run.judgement is Judgement.HELPED
    assert run.passing_since == 120.0
    assert run.values == (3.0, 0.5, 0.5, 0.5)
    assert run.times == (110.0, 120.0, 130.0, 140.0)


def test_without_a_hold_the_first_pass_is_enough() -> None:
    assert look([3.0, 0.5], spec=replace(SPEC, hold=0.0)).judgement is Judgement.HELPED


def test_a_break_or_a_gap_begins_the_hold_anew() -> None:
    assert look([0.5, 0.5, 2.0, 0.5, 0.5]).judgement is None
    assert look([0.5, 0.5, None, 0.5, 0.5]).judgement is None
    assert look([0.5, 0.5, None, 0.5, 0.5, 0.5]).judgement is Judgement.HELPED


@pytest.mark.parametrize(
    ("last", "baseline", "worst", "judgement"),
    [
        (5.0, 5.0, "max", Judgement.NO_EFFECT),
        (5.4, 5.0, "max", Judgement.NO_EFFECT),
        (5.6, 5.0, "max", Judgement.HARMED),
        (3.0, 5.0, "max", Judgement.NO_EFFECT),
        (3.0, 5.0, "min", Judgement.HARMED),
        (9.0, 5.0, "min", Judgement.NO_EFFECT),
        (5.0, None, "max", Judgement.NO_EFFECT),
        (1.0, 0.0, "max", Judgement.HARMED),
        (float("inf"), 5.0, "max", Judgement.HARMED),
        (None, 5.0, "max", Judgement.INCONCLUSIVE),
        (float("nan"), 5.0, "max", Judgement.INCONCLUSIVE),
    ],
)
def test_at_the_end(last: Level, baseline: Level, worst: str, judgement: Judgement) -> None:
    spec = replace(SPEC, worst=worst)
    before = look([7.0] * 6, spec=spec, baseline=baseline)
    assert before.judgement is None
    after = judge(spec, before, last, 170.0, None if last is None else False)
    assert after.judgement is judgement
    assert after.detail


def test_passing_at_the_end_but_not_long_enough_is_inconclusive() -> None:
    assert look([7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 0.5]).judgement is Judgement.INCONCLUSIVE


def test_looks_before_the_settling_time_do_not_count() -> None:
    run = VerifyRun(baseline=5.0, started_at=100.0)
    for at in (101.0, 105.0, 109.0):
        run = judge(replace(SPEC, hold=0.0), run, 0.1, at, True)
    assert run.judgement is None
    assert run.passing_since is None
    assert len(run.values) == 3


def test_a_judged_run_stays() -> None:
    run = look([0.5, 0.5, 0.5])
    assert judge(SPEC, run, 99.0, 1000.0, False) is run


def test_an_expression_that_cannot_be_evaluated_is_no_pass() -> None:
    run = VerifyRun(baseline=5.0, started_at=100.0)
    assert judge(SPEC, run, 0.5, 170.0, None).judgement is Judgement.INCONCLUSIVE


def test_history_is_bounded() -> None:
    run = look([7.0] * 500, spec=replace(SPEC, within=1e6))
    assert len(run.values) == len(run.times) == KEPT


@given(st.lists(st.none() | st.just(float("nan")), max_size=20), st.floats(0, 100), st.booleans())
def test_no_data_is_never_success(levels: list[Level], hold: float, passes: bool) -> None:
    spec, run = replace(SPEC, hold=hold), VerifyRun(baseline=5.0, started_at=100.0)
    for n, level in enumerate(levels):
        run = judge(spec, run, level, 110.0 + n * 10, passes)
    assert run.judgement in (None, Judgement.INCONCLUSIVE)
    assert (run.judgement is None) == (len(levels) < 7)

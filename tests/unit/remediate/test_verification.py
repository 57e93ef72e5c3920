"""Verification's judge: helped only after the hold, never on missing data, compared with the level before acting."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.execution import VerifyRun
from aiops.domain.outcome import Judgement
from aiops.domain.plan import PlannedVerify
from aiops.remediate.verification import KEPT, LOOKS, SELF_HEALED, expectation, judge

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


def below_one(level: float) -> bool:
    return level < 1.0


def before(levels: list[Level], *, baseline: Level = None, start: float = 100.0, step: float = 10.0) -> VerifyRun:
    """A run whose level was seen each `step` before acting."""
    times = tuple(start - step * (len(levels) - n) for n in range(len(levels)))
    return VerifyRun(baseline=levels[-1] if baseline is None else baseline, started_at=start, before_times=times, before_values=tuple(levels))


def looks(run: VerifyRun, levels: list[Level], spec: PlannedVerify = SPEC) -> VerifyRun:
    for n, level in enumerate(levels):
        run = judge(spec, run, level, run.started_at + spec.after + n * spec.every, None if level is None else level < 1.0, below_one)
    return run


FALLING: list[Level] = [9.0 - 0.4 * n for n in range(18)]
RISING: list[Level] = [1.0 + 0.4 * n for n in range(18)]
FLAT: list[Level] = [5.0 + 0.1 * (n % 3) for n in range(18)]


def test_what_was_on_its_way_to_good_healed_by_itself() -> None:
    run = looks(before(FALLING), [1.5, 0.9, 0.5, 0.1])
    assert (run.judgement, run.reason) == (Judgement.NO_EFFECT, SELF_HEALED)
    assert "by itself" in run.detail


@pytest.mark.parametrize("levels", [FLAT, RISING, [None] * 18, [], [5.0, 4.0, 3.0]])
def test_what_was_not_on_its_way_was_helped(levels: list[Level]) -> None:
    run = looks(before(levels, baseline=5.0), [0.5, 0.5, 0.5])
    assert (run.judgement, run.reason) == (Judgement.HELPED, "")


def test_good_times_before_a_fault_are_no_recovery_from_it() -> None:
    leak: list[Level] = [*[0.4 + 0.001 * (n % 7) for n in range(40)], *[0.4 + 0.1 * n for n in range(18)]]
    assert looks(before(leak), [0.5, 0.5, 0.5]).judgement is Judgement.HELPED


def test_what_was_too_slow_on_its_way_was_helped() -> None:
    slowly: list[Level] = [9.0 - 0.05 * n for n in range(18)]
    assert looks(before(slowly), [0.5, 0.5, 0.5]).judgement is Judgement.HELPED


def test_much_worse_is_not_waited_for() -> None:
    run = looks(before(FLAT), [9.0] * LOOKS)
    assert run.judgement is Judgement.HARMED
    assert looks(before(FLAT), [9.0, None, 9.0, 9.0]).judgement is None
    assert looks(before(FLAT), [9.0, 9.0]).judgement is None
    assert looks(before(FLAT), [6.0] * LOOKS).judgement is None


def test_what_goes_on_getting_worse_as_before_was_not_harmed_by_us() -> None:
    on: list[Level] = [1.0 + 0.4 * n for n in range(18, 30)]
    assert looks(before(RISING), on).judgement is Judgement.NO_EFFECT
    assert looks(before(FLAT), [5.0 + 0.2 * n for n in range(12)]).judgement is Judgement.HARMED


def test_mostly_blind_is_inconclusive_whatever_the_last_look_saw() -> None:
    assert looks(before(FLAT), [None, None, None, None, None, None, 9.0]).judgement is Judgement.INCONCLUSIVE


@given(st.lists(st.floats(0, 20) | st.none(), max_size=30), st.lists(st.floats(0, 20) | st.none(), min_size=7, max_size=12))
def test_helped_always_means_that_it_passes_and_was_not_on_its_way(levels: list[Level], after: list[Level]) -> None:
    run = looks(before(levels, baseline=5.0), after)
    if run.judgement is Judgement.HELPED or run.reason == SELF_HEALED:
        assert run.values[-1] is not None
        assert run.values[-1] < 1.0
        expected = expectation(SPEC, run, run.times[-1])
        assert (expected is not None and expected < 1.0) == (run.reason == SELF_HEALED)
    if after[-1] is None and run.judgement is not None and len(run.values) == len(after):
        assert run.judgement is Judgement.INCONCLUSIVE

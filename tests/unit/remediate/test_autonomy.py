"""The ladder: the file is the ceiling, the budget takes rungs, evidence only suggests, and more failures never raise a level."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.execution import Execution, Review, ReviewVerdict, VerifyRun
from aiops.domain.outcome import Judgement, Outcome
from aiops.domain.runbook import Mode
from aiops.remediate.autonomy import (
    FLOOR,
    LADDER,
    RANK,
    AutonomyPolicy,
    Level,
    Record,
    budget,
    demoted,
    effective,
    judged,
    promoted,
    record_of,
)
from tests.unit.remediate.test_escalation import NOW, run

POLICY = AutonomyPolicy()
MODES = st.sampled_from(LADDER)
COUNTS = st.integers(0, 40)


def level(mode: Mode) -> Level:
    return Level(mode, NOW - 1000)


@given(MODES, MODES)
def test_the_lower_of_both_counts(file: Mode, earned: Mode) -> None:
    assert RANK[effective(file, earned)] == min(RANK[file], RANK[earned])


@pytest.mark.parametrize(
    ("mode", "record", "suggests"),
    [
        (Mode.SUGGEST, Record(right_marks=5), Mode.APPROVE),
        (Mode.SUGGEST, Record(right_marks=4), None),
        (Mode.SUGGEST, Record(right_marks=9, wrong_marks=1), None),
        (Mode.APPROVE, Record(runs=5, helped=5), Mode.AUTO),
        (Mode.APPROVE, Record(runs=4, helped=4), None),
        (Mode.APPROVE, Record(runs=7, helped=5, failed=2), None),
        (Mode.APPROVE, Record(runs=12, helped=10, failed=2), Mode.AUTO),
        (Mode.APPROVE, Record(runs=20, helped=19, wrong=1), None),
        (Mode.OBSERVE, Record(right_marks=50), None),
        (Mode.AUTO, Record(runs=50, helped=50), None),
    ],
)
def test_a_rung_up_is_suggested_after_enough(mode: Mode, record: Record, suggests: Mode | None) -> None:
    found = judged(level(mode), Mode.AUTO, record, POLICY, NOW)
    assert (found.level, found.suggests) == (level(mode), suggests)
    assert bool(found.missing) == (suggests is None)


def test_the_file_is_the_ceiling() -> None:
    assert judged(level(Mode.SUGGEST), Mode.SUGGEST, Record(right_marks=50), POLICY, NOW).suggests is None
    assert promoted(level(Mode.APPROVE), Mode.APPROVE, "ann", NOW) is None
    assert promoted(level(Mode.AUTO), Mode.APPROVE, "ann", NOW) is None


@pytest.mark.parametrize(
    ("record", "after"),
    [
        (Record(runs=3, failed=2), Mode.AUTO),
        (Record(runs=3, failed=3), Mode.APPROVE),
        (Record(runs=2, failed=1, wrong=1), Mode.APPROVE),
        (Record(runs=1, wrong=1), Mode.AUTO),
        (Record(wrong_marks=2), Mode.APPROVE),
        (Record(runs=30, helped=25, failed=5), Mode.AUTO),
        (Record(runs=30, helped=24, failed=6), Mode.APPROVE),
    ],
)
def test_the_budget_takes_one_rung(record: Record, after: Mode) -> None:
    found = judged(level(Mode.AUTO), Mode.AUTO, record, POLICY, NOW)
    assert found.level.mode is after
    if after is not Mode.AUTO:
        assert (found.level.at, found.level.by) == (NOW, "aiops")
        assert "budget" in found.level.reason


def test_it_ends_at_the_floor() -> None:
    worst = Record(runs=9, failed=9)
    assert judged(level(FLOOR), Mode.AUTO, worst, POLICY, NOW).level == level(FLOOR)
    assert judged(level(Mode.OBSERVE), Mode.AUTO, worst, POLICY, NOW).level == level(Mode.OBSERVE)


def test_a_person_moves_one_rung_at_a_time() -> None:
    one = promoted(level(Mode.SUGGEST), Mode.AUTO, "ann", NOW)
    assert one is not None
    assert (one.mode, one.by, one.at) == (Mode.APPROVE, "ann", NOW)
    down = demoted(level(Mode.AUTO), Mode.APPROVE, "ann", NOW, "too keen")
    assert down is not None
    assert (down.mode, down.reason) == (Mode.SUGGEST, "too keen")
    assert demoted(level(Mode.OBSERVE), Mode.AUTO, "ann", NOW) is None


RECORDS = st.builds(Record, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS).map(lambda r: replace(r, runs=r.helped + r.failed + r.wrong))
POLICIES = st.builds(AutonomyPolicy, MODES, st.integers(1, 10), st.integers(1, 10), st.floats(0, 0.99), st.integers(1, 10))


@given(RECORDS, POLICIES, MODES, MODES, st.sampled_from(["failed", "wrong", "wrong_marks"]))
def test_more_failures_never_raise_a_level_nor_make_one_suggested(record: Record, policy: AutonomyPolicy, mode: Mode, file: Mode, kind: str) -> None:
    worse = replace(record, **{kind: getattr(record, kind) + 1}, runs=record.runs + (kind != "wrong_marks"))
    before, after = (judged(level(mode), file, r, policy, NOW) for r in (record, worse))
    assert RANK[effective(file, after.level.mode)] <= RANK[effective(file, before.level.mode)]
    assert after.suggests is None or before.suggests is not None
    assert RANK[effective(file, after.level.mode)] <= RANK[file]
    assert worse.spent - budget(worse, policy) >= record.spent - budget(record, policy)


@given(RECORDS, POLICIES, MODES, MODES)
def test_no_record_raises_a_level_by_itself(record: Record, policy: AutonomyPolicy, mode: Mode, file: Mode) -> None:
    found = judged(level(mode), file, record, policy, NOW)
    assert RANK[effective(file, found.level.mode)] <= RANK[effective(file, mode)]
    assert found.suggests is None or RANK[found.suggests] <= RANK[file]


def mark(execution: Execution, verdict: ReviewVerdict) -> Review:
    return Review(execution.id, verdict, "ann", NOW)


def test_what_a_record_counts() -> None:
    good = replace(run("a", "Verified", Outcome.SUCCEEDED), verification=VerifyRun(judgement=Judgement.HELPED))
    harmed = replace(run("a", "Harmed", at=NOW - 90), verification=VerifyRun(judgement=Judgement.HARMED))
    healed, undone, reverted = run("a", "SelfHealed", at=NOW - 80), run("a", "UndoAsked", at=NOW - 70), run("a", "Completed", Outcome.SUCCEEDED, at=NOW - 65)
    blind, skipped = run("a", "NotMeasured", Outcome.INCONCLUSIVE, at=NOW - 60), run("a", "LevelIsGood", Outcome.SKIPPED, at=NOW - 55)
    dry, wrong = run("a", at=NOW - 52, simulated=True), run("a", at=NOW - 51, simulated=True)
    runs = [good, harmed, healed, undone, reverted, blind, skipped, dry, wrong]
    marks = [mark(dry, ReviewVerdict.RIGHT), mark(wrong, ReviewVerdict.WRONG)]
    assert record_of(runs, marks, {reverted.id}, 0.0) == Record(runs=6, helped=1, failed=1, wrong=3, right_marks=1, wrong_marks=1)
    assert record_of(runs, [mark(good, ReviewVerdict.WRONG)], (), 0.0).helped == 0
    assert record_of(runs, (), (), NOW) == Record()

"""Who is next: never what failed beyond its limit, what escalatesTo names before what priority says, a person at the end and once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.definitions.cel import compile_expression
from aiops.definitions.escalations import check_escalations
from aiops.domain.execution import Execution, ExecutionState, StepRun
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import PERSON, GuardSpec, Mode, Runbook, StepSpec
from aiops.remediate.escalation import BUILT_IN, SETTLED, limit, route, tried
from tests.unit.execution.stage import make_plan, scale

NOW = 10_000.0


def runbook(name: str, *, most: int | None = None, to: tuple[str, ...] = (), action: str = "scale") -> Runbook:
    steps = (StepSpec("only", action),)
    return Runbook(name, Mode.AUTO, compile_expression("true", "match"), steps, guards=GuardSpec(maximum_per_incident=most), escalates_to=to)


def run(name: str, reason: str = "NoEffect", outcome: Outcome = Outcome.FAILED, *, at: float = NOW - 100, simulated: bool = False) -> Execution:
    plan = replace(make_plan(scale(), at=at), runbook=name)
    step = StepRun("scale", attempt=1, effect=True, result=Result(Outcome.INCONCLUSIVE, reason) if reason == "EffectUnknown" else None)
    return Execution(f"run-{name}-{at:.0f}", plan, ExecutionState.DONE, at, at + 50, at, simulated, (step,), result=Result(outcome, reason, "why"))


A, B, C = runbook("a"), runbook("b"), runbook("c")
ALL = (A, B, C)


def names(matched: tuple[Runbook, ...], *history: Execution, known: tuple[Runbook, ...] = (), now: float = NOW) -> list[str]:
    return [r.name for r in route(matched, known or matched, history, now).order]


def test_without_a_failure_it_goes_by_priority_and_nobody_is_told() -> None:
    assert names(ALL) == ["a", "b", "c"]
    assert names(ALL, run("a", "Verified", Outcome.SUCCEEDED)) == ["a", "b", "c"]


def test_what_failed_gives_way_to_the_next_and_a_person_is_last() -> None:
    assert names(ALL, run("a")) == ["b", "c", PERSON]
    assert names(ALL, run("a"), run("b", "NotMeasured", Outcome.INCONCLUSIVE, at=NOW - 60)) == ["c", PERSON]
    found = route(ALL, ALL, [run("a")], NOW)
    assert found.dropped == (("a", "FailedBefore", "1 of at most 1 for this incident, last run-a-9900: NoEffect"),)
    assert found.after == run("a")
    assert found.order[-1] is BUILT_IN


def test_it_goes_again_below_its_own_limit() -> None:
    often = replace(A, guards=GuardSpec(maximum_per_incident=2))
    assert names((often, B), run("a")) == ["a", "b", PERSON]
    assert names((often, B), run("a"), run("a", at=NOW - 60)) == ["b", PERSON]


def test_escalates_to_wins_over_priority() -> None:
    chosen = runbook("a", to=("c", "b"))
    assert names((chosen, B, C), run("a")) == ["c", "b", PERSON]
    # One that was named and failed follows its own list first, then the rest of the list that led to it.
    third, fourth = runbook("c", to=("d",)), runbook("d")
    assert names((chosen, B, third, fourth), run("a"), run("c", at=NOW - 60)) == ["d", "b", PERSON]


def test_what_acts_must_match_and_what_only_tells_need_not() -> None:
    telling = runbook("tell", action="notify")
    known = (runbook("a", to=("b", "tell")), B, telling)
    assert names((known[0],), run("a"), known=known) == ["tell", PERSON]


def test_nobody_is_told_twice() -> None:
    told = run(PERSON, "Completed", Outcome.SUCCEEDED, at=NOW - 40)
    assert names((A,), run("a"), told) == []
    own = runbook(PERSON, action="notify")
    assert names((A, own), run("a")) == [PERSON]
    assert route((A, own), (A, own), [run("a")], NOW).order[-1] is own
    assert names((A, own), told) == ["a"]


@pytest.mark.parametrize(("outcome", "reason"), [(Outcome.SUCCEEDED, "Verified"), (Outcome.FAILED, "SelfHealed")])
def test_after_one_that_helped_nobody_is_told_until_it_had_time_to_clear(outcome: Outcome, reason: str) -> None:
    good = run("b", reason, outcome, at=NOW - 60)
    assert names((A, B), run("a"), good) == ["b"]
    assert names((A, B), run("a"), good, now=NOW + SETTLED) == ["b", PERSON]


def test_an_effect_that_nobody_knows_of_goes_to_a_person_alone() -> None:
    found = route(ALL, ALL, [run("a", "EffectUnknown", Outcome.INCONCLUSIVE)], NOW)
    assert [r.name for r in found.order] == [PERSON]
    assert {reason for _, reason, _ in found.dropped} == {"FailedBefore", "EffectUnknown"}


@pytest.mark.parametrize("reason", ["SelfHealed"])
def test_what_says_nothing_against_it_is_no_failure(reason: str) -> None:
    assert names(ALL, run("a", reason)) == ["a", "b", "c"]
    assert names(ALL, run("a", simulated=True)) == ["a", "b", "c"]
    for unseen in ("LossOfSight", "ClusterPartial", "ClusterStale", "SourceStale", "Frozen"):
        blind = replace(run("a", unseen, Outcome.ERROR), steps=())
        assert names(ALL, blind) == ["a", "b", "c"]


def test_what_was_tried_is_told_in_order() -> None:
    lines = tried([run("b", at=NOW - 50), run("a"), run("c", "Verified", Outcome.SUCCEEDED)])
    assert lines == ("a [run-a-9900] failed NoEffect (why)", "b [run-b-9950] failed NoEffect (why)")


HISTORIES = st.lists(
    st.builds(
        lambda name, end, at: run(name, *end, at=at),
        st.sampled_from(["a", "b", "c", PERSON]),
        st.sampled_from([
            ("NoEffect", Outcome.FAILED), ("NotMeasured", Outcome.INCONCLUSIVE), ("Forbidden", Outcome.ERROR), ("Verified", Outcome.SUCCEEDED),
            ("EffectUnknown", Outcome.INCONCLUSIVE), ("Rejected", Outcome.SKIPPED),
        ]),
        st.floats(0, NOW - 51),
    ),
    max_size=8,
)


@given(HISTORIES, st.lists(st.none() | st.integers(0, 3), min_size=3, max_size=3), st.lists(st.sampled_from(["a", "b", "c"]), max_size=3))
def test_never_beyond_the_limit_and_at_most_one_person(history: list[Execution], limits: list[int | None], to: list[str]) -> None:
    known = tuple(runbook(n, most=most, to=tuple(to) if n == "a" else ()) for n, most in zip("abc", limits, strict=True))
    order = route(known, known, history, NOW).order
    for r in order:
        failures = sum(e.plan.runbook == r.name and e.result is not None and e.result.outcome is not Outcome.SUCCEEDED and e.result.outcome is not Outcome.SKIPPED for e in history)
        assert r.name == PERSON or failures == 0 or failures < limit(r)
    people = [r.name for r in order if r.name == PERSON]
    assert len(people) <= 1
    assert not people or order[-1].name == PERSON
    if any(e.plan.runbook == PERSON and e.result is not None and e.result.outcome is Outcome.SUCCEEDED for e in history):
        assert not people
    assert len({r.name for r in order}) == len(order)


def test_names_and_ends_are_checked() -> None:
    assert list(check_escalations({"a": ["b", PERSON], "b": []}, ["a", "b"])) == []
    assert [(n, p) for n, p, _ in check_escalations({"a": ["c"]}, ["a", "b"])] == [("a", 0)]
    (name, place, words), = check_escalations({"a": ["b"], "b": [PERSON, "a"]}, ["a", "b"])
    assert (name, place) == ("a", 0)
    assert "a → b → a" in words
    assert [p for _, p, _ in check_escalations({"a": ["a"]}, ["a"])] == [0]

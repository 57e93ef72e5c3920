"""Token buckets keep their bound whatever is asked when; the loop on one target by one action ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.domain.execution import StepRun, StepState
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.target import TargetRef
from aiops.remediate.bucket import Bucket
from aiops.remediate.guards.contract import GuardLimits
from tests.unit.remediate.shop import CHECKOUT, Case, Shop, make_plan, run, workload

SHOP = Shop(workload())
OTHER = TargetRef("Deployment", "shop", "cart")
any_bucket = st.builds(Bucket, st.integers(1, 6), st.sampled_from([1.0, 7.5, 60.0]))


@settings(max_examples=200, deadline=None)
@given(any_bucket, st.lists(st.floats(0, 40), min_size=1, max_size=80))
def test_no_span_holds_more_than_the_burst_and_what_comes_in_it(bucket: Bucket, gaps: list[float]) -> None:
    now, spent = 1_800_000_000.0, list[float]()
    for gap in gaps:
        now += gap
        # A restart between any two: nothing is known but the stored times of the window.
        if bucket.tokens([t for t in spent if t > now - bucket.window], now) >= 1.0:
            spent.append(now)
    for first, begin in enumerate(spent):
        for last, end in enumerate(spent[first:], first):
            if end - begin <= bucket.window:
                assert last - first + 1 <= bucket.burst + (end - begin) / bucket.every + 1e-6


@given(any_bucket, st.lists(st.floats(0, 400), max_size=20), st.lists(st.floats(-50, 400), max_size=5))
def test_more_spendings_never_leave_more(bucket: Bucket, ages: list[float], more: list[float]) -> None:
    now = 1_800_000_000.0
    spent = [now - age for age in ages]
    fewer = bucket.tokens([*spent, *(now - age for age in more)], now)
    assert 0.0 <= fewer <= bucket.tokens(spent, now) + 1e-9 <= bucket.burst + 1e-9


@given(any_bucket, st.lists(st.floats(0, 400), max_size=20))
def test_after_the_wait_there_is_a_token(bucket: Bucket, ages: list[float]) -> None:
    now = 1_800_000_000.0
    spent = [now - age for age in ages]
    wait = bucket.wait(spent, now)
    assert bucket.tokens(spent, now + wait) >= 1.0 - 1e-6
    assert (wait == 0.0) is (bucket.tokens(spent, now) >= 1.0)


def test_a_bucket_without_a_period_is_no_limit() -> None:
    assert Bucket(3, 0.0).tokens([1.0] * 9, 1.0) == 3.0


@pytest.mark.parametrize(
    ("guard", "plan"),
    [
        ("target-rate", make_plan(runbook="other")),
        ("runbook-rate", make_plan(target=OTHER)),
        ("cluster-rate", make_plan(target=OTHER, runbook="other")),
    ],
)
def test_whose_runs_count(guard: str, plan: Plan) -> None:
    quiet = dict.fromkeys(("cooldown", "attempts", "loop"), None)
    few, no = Bucket(2, 600.0), Bucket(1000, 1.0)
    kept = {"target-rate": "target_bucket", "runbook-rate": "runbook_bucket", "cluster-rate": "cluster_bucket"}
    buckets: dict[str, Any] = {name: few if g == guard else no for g, name in kept.items()}
    limits = GuardLimits(**buckets)
    case = Case(SHOP, limits=limits)
    runs = [run(n, plan=plan, at=SHOP.now - 100 - n) for n in range(2)]
    refused = {g: r for g, r in case.refused(executions=runs).items() if g not in quiet}
    assert refused == {guard: "RateLimited"}
    assert "may begin in" in case.verdicts(executions=runs)[guard].detail
    assert guard not in case.refused(executions=runs[:1])
    assert guard not in case.refused(executions=[replace(r, created_at=SHOP.now - 1300) for r in runs])
    assert guard not in case.refused(executions=[replace(r, simulated=True) for r in runs])
    telling = [replace(r, plan=make_plan("notify", {}, target=r.plan.target, runbook=r.plan.runbook)) for r in runs]
    assert guard not in case.refused(executions=telling)


def loops(*runs: object) -> str | None:
    case = Case(SHOP, make_plan(cooldown=0.0), limits=GuardLimits(loop_limit=3))
    return case.refused(executions=runs).get("loop")


def test_the_same_action_on_the_same_target_ends_whatever_incident_or_runbook_asks() -> None:
    done = [run(n, plan=make_plan(runbook=f"r{n}", incident=f"inc-{n}"), at=SHOP.now - 60 * n) for n in range(1, 4)]
    assert loops(*done) == "Loop"
    assert loops(*done[1:]) is None
    assert loops(*done[1:], replace(done[0], created_at=SHOP.now - 3600)) is None
    assert loops(*done[1:], replace(done[0], plan=make_plan("restart"))) is None
    assert loops(*done[1:], replace(done[0], plan=make_plan(target=OTHER))) is None


def test_a_step_that_was_never_begun_is_no_loop_and_one_on_the_target_of_another_plan_is() -> None:
    done = [run(n, at=SHOP.now - 60 * n) for n in range(1, 4)]
    skipped = StepRun("do", StepState.DONE, result=Result(Outcome.SKIPPED, "ConditionFalse"))
    assert loops(*done[1:], replace(done[0], steps=(skipped,))) is None
    assert loops(*done[1:], replace(done[0], steps=(StepRun("do"),))) == "Loop"
    elsewhere = replace(make_plan(target=OTHER), steps=(PlannedStep("do", "scale", {"by": "+1"}, target=CHECKOUT),))
    assert loops(*done[1:], replace(done[0], plan=elsewhere)) == "Loop"

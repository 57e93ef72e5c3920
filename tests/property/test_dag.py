"""Any runbook, in virtual time: no step begins before what it needs is done, no more items are at work than allowed, and every run comes to an end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.app.compose import convert
from aiops.definitions.cel import compile_expression
from aiops.definitions.templates import render
from aiops.domain.execution import EntryKind, Execution, ExecutionState, StepState
from aiops.domain.outcome import Outcome
from aiops.domain.plan import COLLECT
from aiops.domain.runbook import ForEach, Mode, OnFailure, Runbook, StepSpec, TargetSpec
from aiops.execution.parts import BAD
from aiops.remediate.expansion import Binder, Place
from tests.unit.execution.stage import CHECKOUT, Stage

FACTS: dict[str, Any] = {"parameters": {}}
policies = st.sampled_from(list(OnFailure))


@st.composite
def runbooks(draw: st.DrawFn, depth: int = 0) -> Runbook:
    """Steps that wait, fail, go over items or call another runbook, needing any of those before them."""
    steps: list[StepSpec] = []
    for index in range(draw(st.integers(1, 5 if depth == 0 else 3))):
        needs = tuple(draw(st.sets(st.sampled_from([s.name for s in steps]), max_size=2))) if steps else ()
        kind = draw(st.sampled_from(["wait", "wait", "fail", "never", *(["call"] if depth < 2 else [])]))
        fields: dict[str, Any] = {"needs": needs, "on_failure": draw(policies)}
        if draw(st.booleans()):
            fields["for_each"] = ForEach(tuple(f"i{n}" for n in range(draw(st.integers(0, 3)))), concurrency=draw(st.integers(1, 2)))
        if kind == "never":
            fields["when"] = compile_expression("1 > 2", "step")
        if kind == "call":
            steps.append(StepSpec(f"s{index}", "", runbook=draw(runbooks(depth + 1)), **fields))
        elif kind == "fail":  # there is no such object, so nothing is sent
            steps.append(StepSpec(f"s{index}", "scale", {"by": "+1"}, target=TargetSpec(name="gone"), **fields))
        else:
            steps.append(StepSpec(f"s{index}", "wait", {"for": float(draw(st.integers(0, 6)))}, **fields))
    return Runbook("any", Mode.AUTO, compile_expression("false", "match"), tuple(steps))


def play(runbook: Runbook) -> tuple[Stage, Execution, Counter[str]]:
    """The run when it is over, and for each step the most of its items that were at work at once."""
    stage = Stage()
    execution = stage.submit(*Binder(FACTS, render, convert).steps(runbook.steps, Place(CHECKOUT)), facts=FACTS)
    holders = {step.name: step.part_of for step in execution.plan.steps}
    most: Counter[str] = Counter()
    for _ in range(600):
        stage.run(execution, seconds=0)
        present = stage.get(execution)
        working = {ancestor for run in present.steps if run.state is StepState.STARTED for ancestor in chain(run.name, holders)}
        for name, count in Counter(holders[name] for name in working).items():
            most[name] = max(most[name], count)
        if present.state is ExecutionState.DONE:
            return stage, present, most
        stage.pass_time(1)
    raise AssertionError("the run does not end")


def chain(name: str, holders: dict[str, str]) -> list[str]:
    """The step and all that it is part of."""
    return [name, *chain(holders[name], holders)] if name else []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(runbooks())
def test_order_bounds_and_end(runbook: Runbook) -> None:
    stage, done, most = play(runbook)
    assert_order(done, [(entry.kind, entry.step) for entry in stage.store.journal(done.id)])
    for step in done.plan.steps:
        assert not step.parallel or most[step.name] <= step.parallel
        assert done.step(step.name).state is StepState.DONE
    assert done.result is not None
    assert_outcome(done)
    assert (stage.writes, stage.store.leases(), stage.store.unfinished()) == ([], [], [])


def assert_order(done: Execution, journal: list[tuple[EntryKind, str]]) -> None:
    """What began, began once and after the end of all that it needs, and not after a failure that ends the run."""
    needs = {step.name: step.needs for step in done.plan.steps}
    begun: set[str] = set()
    ended: set[str] = set()
    for kind, name in journal:
        if kind is EntryKind.STEP_DONE:
            ended.add(name)
        elif kind is EntryKind.INTENT:
            assert ended.issuperset(needs[name])
            assert ended.isdisjoint(stopping(done))
            assert name not in begun
            begun.add(name)


def stopping(done: Execution) -> list[str]:
    """The steps whose failure ends the run."""
    return [
        step.name for step in done.plan.steps
        if (result := done.step(step.name).result) is not None and result.outcome in BAD
        and (step.on_failure is OnFailure.UNDO or (step.on_failure is OnFailure.STOP and not step.part_of))
    ]


def assert_outcome(done: Execution) -> None:
    """The run has failed exactly if a step did whose failure is not passed over."""
    assert done.result is not None
    if stopping(done):
        assert done.result.outcome in BAD
    else:
        leaves = [done.step(s.name).result for s in done.plan.steps if s.action != COLLECT]
        succeeded = any(result is not None and result.outcome is Outcome.SUCCEEDED for result in leaves)
        assert (done.result.outcome is Outcome.SUCCEEDED) == succeeded

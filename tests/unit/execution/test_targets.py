"""A step with a target of its own: its context, its words to people, and the lock of everything that a run works on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.domain.execution import ExecutionState
from aiops.domain.outcome import Outcome
from aiops.domain.runbook import OnFailure
from aiops.domain.target import TargetRef
from aiops.execution.leases import Leases
from aiops.execution.settings import EngineSettings
from tests.unit.execution.stage import CHECKOUT, Stage, deployment, make_plan, scale, step

CART = TargetRef("Deployment", "shop", "cart")


@pytest.fixture
def stage():
    stage = Stage()
    stage.memory.apply(deployment("cart", replicas=3))
    stage.pass_time(10)
    return stage


def count(stage, ref):
    return stage.memory.reader.get(ref)["spec"]["replicas"]


def both():
    return scale("+1", name="near"), scale("+1", name="far", needs=("near",), target=CART)


def test_each_step_works_on_its_own_target(stage):
    done = stage.run(stage.submit(*both()))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert (count(stage, CHECKOUT), count(stage, CART)) == (3, 4)
    assert done.plan.targets == (CHECKOUT, CART)
    assert [(change.step, change.target) for change in done.plan.changes] == [("near", str(CHECKOUT)), ("far", str(CART))]
    assert [d.subject for d in stage.store.decisions(target=str(CART))] == ["surge/far"]
    assert stage.store.leases() == []


def test_the_inverse_is_sent_to_the_target_of_the_step(stage):
    failing = step("rollback", needs=("far",), on_failure=OnFailure.UNDO)
    done = stage.run(stage.submit(*both(), failing))
    assert (count(stage, CHECKOUT), count(stage, CART)) == (2, 3)
    assert [write.target for write in done.plan.changes if write.step == "far~undo"] == [str(CART)]


def test_a_preview_is_made_on_the_targets_of_the_steps(stage):
    unknown = scale(name="elsewhere", target=replace(CART, context="moon"))
    changes = stage.executor.preview(make_plan(*both(), unknown))
    assert [change.target for change in changes] == ["shop/deployment/checkout", "shop/deployment/cart", "moon:shop/deployment/cart"]
    assert "replicas: 4" in changes[1].diff
    assert changes[2].note == "cannot be foreseen: UnknownCluster: no cluster 'moon' in the settings"


def test_a_kind_that_the_action_does_not_take_is_refused_for_the_target_of_the_step(stage):
    done = stage.run(stage.submit(scale(target=TargetRef("Node", "", "n1"))))
    assert (done.result.reason, stage.writes) == ("WrongKind", [])


def test_another_run_on_any_of_the_targets_is_turned_away(stage):
    waits = step("wait", arguments={"for": 60}, target=CART)
    first = stage.submit(scale("+1", name="near"), waits)
    stage.run(first, seconds=5)
    other = stage.submit(scale("+1"), id="plan-2", target=CART)
    done = stage.run(other, seconds=5)
    assert (done.state, done.result.reason) == (ExecutionState.DONE, "TargetBusy")
    assert done.result.detail == f"run {first.id} is at work on shop/deployment/cart"
    assert count(stage, CART) == 3


def test_all_targets_are_leased_or_none(stage):
    settings = EngineSettings()
    one, two = (Leases(stage.store, stage.time, owner, settings) for owner in ("one", "two"))
    with two.entered("b"):
        pass
    with one.entered("a", "b") as ours:
        assert not ours
    assert [lease.name for lease in stage.store.leases()] == ["b"]
    two.release("b")
    with one.entered("a", "b") as ours:
        assert ours
        assert one.enough("a", "b")
        with two.entered("b", "c") as theirs:
            assert not theirs
        with one.entered("b") as again:
            assert not again
    one.release("a", "b")
    assert stage.store.leases() == []


def test_nothing_is_sent_when_one_of_the_leases_was_lost(stage):
    execution = stage.submit(*both())
    acquire = stage.store.acquire
    stage.executor.advance(execution.id)
    stage.pass_time(stage.settings.lease_ttl + 1)
    assert acquire(f"target/default/{CART}", "thief", 600, stage.time.now()) is not None
    before = len(stage.writes)
    stage.run(execution, seconds=60)
    assert len(stage.writes) == before
    assert stage.get(execution).state is ExecutionState.RUNNING

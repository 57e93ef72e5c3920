"""Scaling what an autoscaler owns: by its bounds, with the autoscaler at work."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.domain.errors import InvalidError
from aiops.domain.outcome import Outcome
from aiops.domain.target import TargetRef
from aiops.execution.actions.contract import STAMP, Context, Looked
from aiops.execution.actions.registry import REGISTRY
from tests.unit.execution.stage import CHECKOUT, Stage, scale, step

HPA = TargetRef("HorizontalPodAutoscaler", "shop", "checkout")


def autoscaler(name: str = "checkout", low: int = 2, high: int = 6, **metadata: Any) -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}
    spec = {"scaleTargetRef": reference, "minReplicas": low, "maxReplicas": high}
    return {"kind": "HorizontalPodAutoscaler", "metadata": {"name": name, "namespace": "shop", **metadata}, "spec": spec}


@pytest.fixture
def stage():
    stage = Stage()
    stage.memory.apply(autoscaler())
    stage.pass_time(5)
    return stage


def bounds(stage: Stage) -> tuple[int, int]:
    spec = stage.memory.reader.get(HPA)["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def context(stage: Stage, key: str = "run-1.step.1") -> Context:
    return Context(CHECKOUT, stage.cluster(simulated=False), {}, stage.time.now(), key)


def reason(stage: Stage, **arguments: Any) -> str:
    found = REGISTRY["scale"].prepare(context(stage), arguments).skip
    return found.reason if found else ""


def test_a_rise_lifts_the_minimum_and_the_autoscaler_does_the_rest(stage):
    done = stage.run(stage.submit(scale("+2")))
    assert done.result.outcome is Outcome.SUCCEEDED, done.result
    assert bounds(stage) == (4, 6)
    assert stage.replicas == 4
    (write,) = stage.writes
    assert write.ref.kind == "HorizontalPodAutoscaler"
    assert stage.memory.reader.get(HPA)["metadata"]["annotations"][STAMP] == f"{done.id}.scale.1"
    assert "minReplicas: 4" in done.plan.changes[0].diff


def test_a_maximum_of_people_is_lifted_only_if_the_step_says_so(stage):
    assert stage.run(stage.submit(scale("+8"))).result.outcome is Outcome.SUCCEEDED
    assert bounds(stage) == (6, 6)
    assert reason(stage, by="+2") == "AtMaximum"
    done = stage.run(stage.submit(step("scale", arguments={"by": "+8", "maximum": 8, "liftMaximum": True}), id="plan-2"))
    assert done.result.outcome is Outcome.SUCCEEDED, done.result
    assert bounds(stage) == (8, 8)
    assert stage.replicas == 8


def test_an_undo_puts_both_bounds_back_and_a_fall_leaves_the_count_to_the_autoscaler(stage):
    bad = step("set-image", "bad", arguments={"image": "?"}, needs=("scale",), on_failure="undo")
    done = stage.run(stage.submit(step("scale", arguments={"by": "+8", "maximum": 8, "liftMaximum": True}), bad))
    assert done.steps[0].undo.outcome is Outcome.SUCCEEDED, done.steps[0].undo
    assert bounds(stage) == (2, 6)
    assert stage.replicas == 6  # what the maximum leaves; fewer is for its metrics to say
    stage.memory.apply(autoscaler(low=5))
    done = stage.run(stage.submit(scale("-2"), id="plan-2"))
    assert (done.result.outcome, done.steps[0].result.detail) == (Outcome.SUCCEEDED, "the autoscaler may go down to 4")
    assert bounds(stage) == (4, 6)
    assert stage.replicas == 6
    assert reason(stage, to=5) == "AutoscalerDecides"


@pytest.mark.parametrize(
    ("metadata", "why"),
    [({"labels": {"scaledobject.keda.sh/name": "checkout"}}, "OwnedByKeda"), ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}, "OwnedByArgoCD")],
)
def test_an_autoscaler_of_others_is_not_moved(metadata, why):
    stage = Stage()
    stage.memory.apply(autoscaler(**metadata))
    done = stage.run(stage.submit(scale("+2")))
    assert done.result is not None
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, why)
    assert not stage.writes


def test_two_autoscalers_of_one_workload_are_left_alone(stage):
    stage.memory.apply(autoscaler("second"))
    assert reason(stage, by="+2") == "OwnedByAutoscaler"


@pytest.mark.parametrize("change", [{"spec": {"minReplicas": 3}}, {"spec": {"maxReplicas": 9}}, {"metadata": {"annotations": {STAMP: "run-0.x.1"}}}])
def test_bounds_that_somebody_moved_meanwhile_refuse_it(stage, change):
    ready = REGISTRY["scale"].prepare(context(stage), {"by": "+2"})
    stage.memory.writer("ada").patch(HPA, change)
    with pytest.raises(InvalidError):
        REGISTRY["scale"].start(context(stage), ready)
    assert REGISTRY["scale"].look(context(stage), ready).looked is Looked.UNKNOWN


def test_bounds_that_somebody_moves_afterwards_are_seen(stage):
    ready = REGISTRY["scale"].prepare(context(stage), {"by": "+2"})
    REGISTRY["scale"].start(context(stage), ready)
    assert REGISTRY["scale"].look(context(stage), ready).looked is Looked.HAPPENED
    stage.memory.writer("ada").patch(HPA, {"spec": {"minReplicas": 1}})
    assert REGISTRY["scale"].check(context(stage), ready, 0).result.reason == "Superseded"  # type: ignore[union-attr]


def test_an_autoscaler_that_is_gone_when_its_bounds_are_to_be_put_back(stage):
    ready = REGISTRY["scale"].prepare(context(stage), {"by": "+2"})
    REGISTRY["scale"].start(context(stage), ready)
    stage.memory.remove(HPA)
    done = stage.run(stage.submit(step("scale", arguments=dict(ready.inverse))))
    assert done.result.reason == "TargetVanished"


def test_a_count_of_zero_switches_the_autoscaler_off_and_stays(stage):
    stage.patch_by("ada", {"spec": {"replicas": 0}})
    stage.pass_time(5)
    assert stage.replicas == 0
    assert reason(stage, by="+2") == "ScaledToZero"


def test_a_crash_after_the_bounds_were_moved_moves_them_no_second_time(stage):
    class Dies:
        def patch(self, *args: Any, **kwargs: Any) -> Any:
            stage.memory.writer().patch(*args, **kwargs)
            raise KeyboardInterrupt

    stage.writer = Dies()
    execution = stage.submit(scale("+2"))
    stage.restart()
    with pytest.raises(KeyboardInterrupt):
        stage.executor.advance(execution.id)
    stage.writer = stage.memory.writer()
    stage.restart(owner="two").recover()
    stage.pass_time(stage.settings.lease_ttl + 1)
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert len(stage.writes) == 1
    assert bounds(stage) == (4, 6)

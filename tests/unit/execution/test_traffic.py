"""Traffic away and back: between zones by a Service's selector or an EndpointSlice, between clusters by a ConfigMap; the taking side is looked at first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiops.adapters.memory_cluster import MemoryCluster
from aiops.domain.errors import ClusterUnavailableError
from aiops.domain.outcome import Outcome
from aiops.domain.plan import PlannedStep
from aiops.domain.target import TargetRef
from aiops.execution.actions.levers import SERVICE_NAME
from tests.unit.execution.kill import Dying, die_and_live
from tests.unit.execution.stage import START, Stage, deployment, step

SERVICE = TargetRef("Service", "shop", "checkout")
SLICE = TargetRef("EndpointSlice", "shop", "checkout-b")
CONFIG = TargetRef("ConfigMap", "edge", "routes", "gateway")
LOST = ClusterUnavailableError("Timeout", "no answer in 10 s")
TARGETS = pytest.mark.parametrize("target", [SERVICE, SLICE, CONFIG], ids=["selector", "slice", "context"])


def endpoint_slice(name: str, service: str, *ready: bool | None, zone: str = "b", first: int = 1) -> dict[str, Any]:
    endpoints = [
        {"addresses": [f"10.0.0.{first + n}"], "zone": zone, "conditions": {} if state is None else {"ready": state}} for n, state in enumerate(ready)
    ]
    labels = {SERVICE_NAME: service}
    return {"kind": "EndpointSlice", "metadata": {"name": name, "namespace": "shop", "labels": labels}, "addressType": "IPv4", "endpoints": endpoints, "ports": []}


def zoned(zone: str, replicas: int = 2) -> dict[str, Any]:
    obj = deployment(f"checkout-{zone}", replicas=replicas)
    labels = {"app": "checkout", "zone": zone}
    obj["spec"]["selector"]["matchLabels"] = labels
    obj["spec"]["template"]["metadata"]["labels"] = labels
    return obj


def staged(**options: Any) -> Any:
    stage: Any = Stage(**options)
    for zone in ("a", "b"):
        stage.memory.apply(zoned(zone))
    stage.memory.apply({"kind": "Service", "metadata": {"name": "checkout", "namespace": "shop"}, "spec": {"selector": {"app": "checkout", "zone": "a"}, "ports": [{"port": 80}]}})
    stage.memory.apply(endpoint_slice("checkout-a", "checkout", True, True, zone="a"))
    stage.memory.apply(endpoint_slice("checkout-b", "checkout-standby", True, None, False))
    stage.extra["gateway"] = gateway = MemoryCluster(stage.time)
    gateway.apply({"kind": "ConfigMap", "metadata": {"name": "routes", "namespace": "edge"}, "data": {"active": "a", "other": "x"}})
    stage.extra["west"] = west = MemoryCluster(stage.time)
    west.apply(endpoint_slice("checkout-x", "checkout", True, True, True, zone="west-1"))
    stage.pass_time(30)
    stage.restart()
    return stage


@pytest.fixture
def stage():
    return staged(levels=lambda at: [0.5] if at < START + 600 else [0.001])


def shift(target: TargetRef = SERVICE, **arguments: Any) -> PlannedStep:
    given: dict[str, dict[str, Any]] = {
        "Service": {"selector": ("zone=b",)}, "EndpointSlice": {"service": "checkout"},
        "ConfigMap": {"key": "active", "to": "b", "endpoints": "checkout", "endpointsContext": "west", "endpointsNamespace": "shop"},
    }
    needs = arguments.pop("needs", ())
    return step("shift-traffic", "away", arguments={**given[target.kind], **arguments}, target=target, needs=needs)


HEALTHY = {"promql": "errors", "passes": "value < 0.01", "for": 120.0}


def failback(target: TargetRef = SERVICE, **arguments: Any) -> PlannedStep:
    given: dict[str, dict[str, Any]] = {
        "Service": {}, "EndpointSlice": {"endpoints": "checkout", "endpointsZone": "a"},
        "ConfigMap": {"key": "active", "endpoints": "checkout", "endpointsContext": "default", "endpointsNamespace": "shop"},
    }
    needs = arguments.pop("needs", ())
    return step("failback-traffic", "back", arguments={**given[target.kind], **HEALTHY, **arguments}, target=target, needs=needs)


def present(stage: Any, target: TargetRef) -> Any:
    cluster = stage.extra.get(target.context, stage.memory)
    obj = cluster.reader.get(target)
    return {"Service": lambda: obj["spec"]["selector"], "EndpointSlice": lambda: obj["metadata"]["labels"][SERVICE_NAME], "ConfigMap": lambda: obj["data"]["active"]}[
        target.kind
    ]()


BEFORE = {SERVICE: {"app": "checkout", "zone": "a"}, SLICE: "checkout-standby", CONFIG: "a"}
AFTER = {SERVICE: {"app": "checkout", "zone": "b"}, SLICE: "checkout", CONFIG: "b"}


def run(stage: Any, *steps: PlannedStep, identity: str = "plan-1", **plan: Any) -> Any:
    return stage.run(stage.submit(*steps, id=identity, **plan))


def writes(stage: Any) -> int:
    clusters = [stage.memory, *stage.extra.values()]
    return sum(w.user == "aiops" and not w.dry_run and w.code < 300 for c in clusters for w in c.write_log)


@TARGETS
def test_away_and_once_the_near_side_is_healthy_back(stage, target):
    done = run(stage, shift(target))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert done.steps[0].output["ready"] == {SERVICE: 2, SLICE: 2, CONFIG: 3}[target]
    assert present(stage, target) == AFTER[target]
    assert run(stage, failback(target), identity="early").result.reason == "NearSideFailing"
    assert present(stage, target) == AFTER[target]
    stage.pass_time(START + 800 - stage.time.now())
    done = run(stage, failback(target), identity="late")
    assert done.result.outcome is Outcome.SUCCEEDED
    assert present(stage, target) == BEFORE[target]
    assert writes(stage) == 2


def test_the_near_side_must_have_been_healthy_all_the_while(stage):
    run(stage, shift())
    stage.pass_time(START + 660 - stage.time.now())
    done = run(stage, failback(), identity="just-recovered")
    assert (done.result.reason, "which does not pass" in done.result.detail) == ("NearSideFailing", True)
    stage.source.levels = lambda at: [] if START + 700 < at < START + 730 else [0.001]
    stage.pass_time(100)
    assert run(stage, failback(), identity="with-a-gap").result.reason == "NearSideFailing"
    assert present(stage, SERVICE) == AFTER[SERVICE]
    stage.pass_time(120)
    assert run(stage, failback(), identity="healthy").result.outcome is Outcome.SUCCEEDED


def test_one_run_goes_away_waits_and_comes_back(stage):
    wait = step("wait-for", "recovered", arguments=HEALTHY, needs=("away",), timeout=3600)
    execution = stage.submit(shift(), wait, failback(needs=("recovered",)))
    done = stage.run(execution, seconds=2000)
    assert done.result.outcome is Outcome.SUCCEEDED
    assert present(stage, SERVICE) == BEFORE[SERVICE]
    assert done.updated_at >= START + 720


def dead(stage: Any, target: TargetRef) -> None:
    if target is SERVICE:
        stage.memory.apply(zoned("b", replicas=0))
    elif target is SLICE:
        stage.memory.apply(endpoint_slice("checkout-b", "checkout-standby", False, False))
    else:
        stage.extra["west"].apply(endpoint_slice("checkout-x", "checkout", False, False, False, zone="west-1"))
    stage.pass_time(60)


@TARGETS
def test_a_dead_far_side_takes_nothing(stage, target):
    dead(stage, target)
    done = run(stage, shift(target))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "FarSideDead")
    assert (present(stage, target), writes(stage)) == (BEFORE[target], 0)


@TARGETS
def test_a_far_side_that_is_too_small_takes_nothing(stage, target):
    assert run(stage, shift(target, minimumReady=4)).result.reason == "FarSideDead"
    assert writes(stage) == 0


def test_only_endpoints_of_the_zone_count(stage):
    assert run(stage, shift(CONFIG, endpointsZone="west-2")).result.reason == "FarSideDead"
    assert run(stage, shift(CONFIG, endpointsZone="west-1"), identity="plan-2").result.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("levels", "reason"), [(lambda _at: [0.2], "FarSideFailing"), (lambda _at: [], "FarSideUnseen"), (lambda _at: None, "FarSideUnseen")],
)
def test_a_far_side_that_fails_or_is_not_seen_takes_nothing(levels, reason):
    stage = staged(levels=levels)
    done = run(stage, shift(promql="errors", passes="value < 0.01"))
    assert (done.result.outcome, done.result.reason, writes(stage)) == (Outcome.FAILED, reason, 0)


class Unreachable:
    """A reader that nobody answers."""

    def __getattr__(self, _name: str) -> Any:
        def fail(*_args: Any, **_options: Any) -> Any:
            raise LOST

        return fail


class Cut:
    """A cluster that cannot be reached."""

    reader = Unreachable()

    def __init__(self, memory: MemoryCluster) -> None:
        self._memory = memory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)


def test_a_far_cluster_that_does_not_answer_takes_nothing(stage):
    stage.extra["west"] = Cut(stage.extra["west"])
    stage.restart()
    assert run(stage, shift(CONFIG)).result.reason == "FarSideUnseen"
    assert run(stage, shift(CONFIG, endpointsContext="south"), identity="plan-2").result.reason == "UnknownCluster"
    assert writes(stage) == 0


@TARGETS
def test_a_dead_near_side_gets_nothing_back(stage, target):
    run(stage, shift(target))
    stage.source.levels = lambda _at: [0.001]
    stage.memory.apply(zoned("a", replicas=0))
    stage.memory.apply(endpoint_slice("checkout-a", "checkout", False, False, zone="a"))
    stage.pass_time(60)
    least = {"minimumReady": 3} if target is CONFIG else {}
    assert run(stage, failback(target, **least), identity="plan-2").result.reason == "NearSideDead"
    assert present(stage, target) == AFTER[target]


@TARGETS
def test_a_persons_change_in_between_stays(stage, target):
    run(stage, shift(target))
    stage.source.levels = lambda _at: [0.001]
    change = {
        "Service": {"spec": {"selector": {"zone": "c"}}}, "EndpointSlice": {"metadata": {"labels": {SERVICE_NAME: "mine"}}}, "ConfigMap": {"data": {"active": "c"}},
    }
    stage.extra.get(target.context, stage.memory).writer("ann", "ann").patch(target, change[target.kind])
    left = present(stage, target)
    done = run(stage, failback(target), identity="plan-2")
    assert (done.result.outcome, done.steps[0].result.reason) == (Outcome.SKIPPED, "ChangedByOther")
    assert present(stage, target) == left


@TARGETS
def test_a_person_who_took_it_back_is_not_taken_for_us(stage, target):
    assert run(stage, failback(target)).steps[0].result.reason == "NothingToRestore"
    run(stage, shift(target), identity="plan-2")
    assert run(stage, shift(target), identity="plan-3").steps[0].result.reason == "AlreadyThere"


def failing(need: str) -> PlannedStep:
    return step("redis-flush", "fail", arguments={"cache": "none", "pattern": "a*"}, needs=(need,), on_failure="undo")


@TARGETS
def test_undoing_either_way(stage, target):
    done = run(stage, shift(target), failing("away"))
    assert (done.steps[0].state, present(stage, target)) == ("undone", BEFORE[target])
    run(stage, shift(target), identity="plan-2")
    stage.source.levels = lambda _at: [0.001]
    done = run(stage, failback(target), failing("back"), identity="plan-3")
    assert (done.steps[0].state, present(stage, target)) == ("undone", AFTER[target])
    assert run(stage, failback(target), identity="plan-4").result.outcome is Outcome.SUCCEEDED
    assert present(stage, target) == BEFORE[target]


def test_a_far_side_that_dies_on_the_way_is_a_failure_that_is_taken_back(stage):
    execution = stage.submit(PlannedStep(**{**{f: getattr(shift(), f) for f in PlannedStep.__slots__}, "on_failure": "undo"}))
    stage.executor.advance(execution.id)
    assert present(stage, SERVICE) == AFTER[SERVICE]
    for pod in stage.memory.reader.list("Pod", "shop", label_selector="zone=b").items:
        stage.memory.remove(TargetRef("Pod", "shop", pod["metadata"]["name"]))
    stage.executor.advance(execution.id)
    done = stage.run(execution)
    assert done.result.reason == "FarSideDead"
    assert present(stage, SERVICE) == BEFORE[SERVICE]


@TARGETS
@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_crash_it_is_done_once(stage, target, when):
    cluster = stage.extra.get(target.context)
    if cluster is None:
        real, holder, name = stage.writer, stage, "writer"
        stage.writer = Dying(real, "patch", when=when)
    else:
        real, holder, name = cluster.writer, cluster, "writer"
        cluster.writer = lambda *a, **o: Dying(real(*a, **o), "patch", when=when)
    stage.restart()
    done = die_and_live(stage, stage.submit(shift(target)), lambda: setattr(holder, name, real))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert (present(stage, target), writes(stage)) == (AFTER[target], 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_lost_answer_it_is_done_once(stage, when):
    stage.writer = Dying(stage.writer, "patch", when=when, error=LOST)
    stage.restart()
    assert run(stage, shift()).result.outcome is Outcome.SUCCEEDED
    assert writes(stage) == 1


def test_a_change_between_reading_and_writing_refuses_the_patch(stage):
    class Meddled:
        def patch(self, *args: Any, **options: Any) -> Any:
            if not writes(stage):
                stage.memory.writer("ann", "ann").patch(SERVICE, {"spec": {"selector": {"zone": "c"}}})
            return stage.memory.writer().patch(*args, **options)

    stage.writer = Meddled()
    stage.restart()
    assert run(stage, shift()).result.reason == "PreconditionFailed"
    assert present(stage, SERVICE)["zone"] == "c"


@TARGETS
def test_dry_run_shows_the_change_and_makes_none(stage, target):
    done = run(stage, shift(target), simulated=True)
    assert done.result.outcome is Outcome.SIMULATED
    assert "aiops/traffic-before" in done.plan.changes[0].diff
    assert (present(stage, target), writes(stage)) == (BEFORE[target], 0)


@TARGETS
def test_a_target_that_vanished(stage, target):
    stage.extra.get(target.context, stage.memory).remove(target)
    assert run(stage, shift(target)).result.reason == "TargetVanished"
    assert run(stage, failback(target), identity="plan-2").result.reason == "TargetVanished"


@pytest.mark.parametrize(
    ("target", "arguments", "reason"),
    [
        (SERVICE, {"selector": ()}, "InvalidArguments"),
        (SERVICE, {"selector": ("zone",)}, "InvalidArguments"),
        (SERVICE, {"key": "x"}, "InvalidArguments"),
        (SLICE, {"service": ""}, "InvalidArguments"),
        (CONFIG, {"to": ""}, "InvalidArguments"),
        (CONFIG, {"key": "none"}, "NoSuchKey"),
        (CONFIG, {"endpoints": None}, "InvalidArguments"),
    ],
)
def test_arguments_that_do_not_fit_the_target(stage, target, arguments, reason):
    assert run(stage, shift(target, **arguments)).result.reason == reason
    assert writes(stage) == 0


def test_a_service_without_a_selector_and_a_slice_without_the_near_side(stage):
    stage.memory.apply({"kind": "Service", "metadata": {"name": "checkout", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}})
    stage.memory.writer("ann").patch(SERVICE, {"spec": {"selector": None}})
    assert run(stage, shift()).result.reason == "NoSelector"
    run(stage, shift(SLICE), identity="plan-2")
    assert run(stage, failback(SLICE, endpoints=None), identity="plan-3").result.reason == "InvalidArguments"


def test_the_record_is_kept_by_lever(stage):
    run(stage, shift(CONFIG))
    run(stage, shift(CONFIG, key="other", to="y"), identity="plan-2")
    record = stage.extra["gateway"].reader.get(CONFIG)["metadata"]["annotations"]["aiops/traffic-before"]
    assert json.loads(record) == {"data/active": {"before": "a", "set": "b"}, "data/other": {"before": "x", "set": "y"}}
    stage.source.levels = lambda _at: [0.001]
    assert run(stage, failback(CONFIG), identity="plan-3").result.outcome is Outcome.SUCCEEDED
    assert stage.extra["gateway"].reader.get(CONFIG)["data"] == {"active": "a", "other": "y"}

"""What each action decides, and what it sends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.adapters.memory_cache import MemoryCache
from aiops.domain.errors import InvalidError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import EffectClass, Retry
from aiops.domain.target import TargetRef
from aiops.execution.actions import rollback, rollout, stamped
from aiops.execution.actions import scale as scaling
from aiops.execution.actions.contract import STAMP, Context, Done, Failed, Looked, Seen, Waiting
from aiops.execution.actions.registry import REGISTRY, SPECS
from tests.unit.execution.stage import CHECKOUT, START, Stage, deployment, scale, step


def test_every_action_is_named_as_its_spec_says():
    assert {name: action.spec.name for name, action in REGISTRY.items()} == {name: name for name in REGISTRY}
    for spec in SPECS.values():
        assert spec.doc
        assert all(parameter.doc for parameter in spec.parameters.values())
        if spec.effect is EffectClass.STAMPED:
            assert any("patch" in permission.verbs for permission in spec.permissions)


@pytest.mark.parametrize(
    ("present", "by", "wanted"),
    [(4, "+50%", 6), (3, "+50%", 5), (1, "+10%", 2), (10, "+2", 12), (4, "-25%", 3), (3, "-25%", 3), (3, "-50%", 2), (2, "-5", 0), (100, "+110%", 210), (4, " +1 ", 5)],
)
def test_changes_of_a_count(present, by, wanted):
    assert scaling.changed(present, by) == wanted


@pytest.mark.parametrize("by", ["", "2", "++2", "+2 pods", "+%", "1e3", "+٣", "+9999999"])
def test_what_is_no_change_is_refused(by):
    with pytest.raises(ValueError, match="write for example"):
        scaling.changed(4, by)


@pytest.mark.parametrize(
    ("present", "arguments", "expected"),
    [
        (4, {"by": "+50%", "maximum": 5}, 5),
        (5, {"by": "+50%", "maximum": 5}, "AtMaximum"),
        (8, {"by": "+50%", "maximum": 5}, "AtMaximum"),
        (8, {"to": 9, "maximum": 5}, "AtMaximum"),
        (4, {"by": "-50%", "minimum": 3}, 3),
        (2, {"by": "-1", "minimum": 3}, "AtMinimum"),
        (0, {"by": "+2"}, "ScaledToZero"),
        (0, {"to": 2}, 2),
        (4, {"to": 4}, "AlreadyThere"),
        (4, {}, "InvalidArguments"),
        (4, {"to": 3, "by": "+1"}, "InvalidArguments"),
        (4, {"to": 3, "minimum": 5, "maximum": 4}, "InvalidArguments"),
        (4, {"by": "a lot"}, "InvalidArguments"),
        (9_999, {"by": "+900%"}, 10_000),
    ],
)
def test_the_count_wanted(present, arguments, expected):
    found = scaling.wanted(present, arguments)
    assert (found.reason if isinstance(found, Result) else found) == expected


@given(
    present=st.integers(0, 500), by=st.from_regex(r"[+-][0-9]{1,3}%?", fullmatch=True),
    low=st.one_of(st.none(), st.integers(0, 300)), high=st.one_of(st.none(), st.integers(0, 300)),
)
def test_a_rise_never_lowers_and_a_fall_never_raises(present, by, low, high):
    found = scaling.wanted(present, {"by": by, "minimum": low, "maximum": high})
    if isinstance(found, Result):
        assert found.outcome in (Outcome.SKIPPED, Outcome.ERROR)
        return
    assert found != present
    assert (low or 0) <= found <= (high if high is not None else scaling.MAXIMUM)
    if by.startswith("+"):
        assert found > present
    else:
        assert found < present


def context(stage: Stage, key: str = "run-1.step.1", target: TargetRef = CHECKOUT) -> Context:
    return Context(target, stage.cluster(simulated=False), stage.caches, stage.time.now(), key)


def prepared(stage: Stage, action: str, key: str = "run-1.step.1", **arguments: Any) -> Any:
    return REGISTRY[action].prepare(context(stage, key), arguments)


def test_the_patch_tests_all_that_it_relies_on_before_it_writes():
    stage = Stage()
    for action, arguments, value in (("scale", {"by": "+1"}, "/spec/replicas"), ("restart", {}, "/spec/template")):
        operations = prepared(stage, action, **arguments).request
        kinds = [op["op"] for op in operations]
        assert kinds == sorted(kinds, key=lambda kind: kind != "test")
        assert {op["path"] for op in operations if op["op"] == "test"} == {"/metadata/uid", "/metadata/annotations/aiops~1operation", value}


@pytest.mark.parametrize("action", ["scale", "restart"])
def test_a_prepared_patch_is_refused_once_anything_it_relies_on_changed(action):
    changes: list[Any] = [{"metadata": {"annotations": {STAMP: "run-0.x.1"}}}]
    changes.append({"spec": {"replicas": 3}} if action == "scale" else {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}})
    for change in changes:
        stage = Stage()
        ready = prepared(stage, action, **({"by": "+1"} if action == "scale" else {}))
        stage.patch_by("somebody", change)
        with pytest.raises(InvalidError):
            REGISTRY[action].start(context(stage), ready)


def test_a_status_change_does_not_refuse_it():
    stage = Stage()
    ready = prepared(stage, "scale", by="+1")
    version = stage.checkout()["metadata"]["resourceVersion"]
    stage.patch_by("somebody", {"metadata": {"labels": {"x": "y"}}})
    assert stage.checkout()["metadata"]["resourceVersion"] != version
    assert REGISTRY["scale"].start(context(stage), ready).applied


def test_an_object_without_annotations_can_be_stamped_and_no_one_elses_are_lost():
    stage = Stage()
    stage.memory.apply({"kind": "StatefulSet", "metadata": {"name": "db", "namespace": "shop"}, "spec": deployment("db")["spec"] | {"serviceName": "db"}})
    stage.pass_time(20)
    ref = TargetRef("StatefulSet", "shop", "db")
    assert "annotations" not in stage.memory.reader.get(ref)["metadata"]
    here = context(stage, target=ref)
    ready = REGISTRY["restart"].prepare(here, {})
    stage.memory.writer("ada").patch(ref, {"metadata": {"annotations": {"note": "keep me"}}})
    with pytest.raises(InvalidError):
        REGISTRY["restart"].start(here, ready)
    assert REGISTRY["restart"].start(here, REGISTRY["restart"].prepare(here, {})).applied
    assert stage.memory.reader.get(ref)["metadata"]["annotations"] == {"note": "keep me", STAMP: "run-1.step.1"}


def test_looking():
    stage = Stage()
    ready = prepared(stage, "scale", by="+1")
    action = REGISTRY["scale"]
    assert action.look(context(stage), ready) == Seen(Looked.NOT)
    action.start(context(stage), ready)
    assert action.look(context(stage), ready) == Seen(Looked.HAPPENED, "run-1.step.1")
    assert action.look(context(stage, "run-1.step.7"), ready) == Seen(Looked.HAPPENED, "run-1.step.1")  # an earlier try of the same step
    assert action.look(context(stage, "run-2.step.1"), ready) == Seen(Looked.UNKNOWN)


def test_looking_after_somebody_changed_the_count():
    stage = Stage()
    ready = prepared(stage, "scale", by="+1")
    stage.patch_by("hpa", {"spec": {"replicas": 9}})
    assert REGISTRY["scale"].look(context(stage), ready) == Seen(Looked.UNKNOWN)
    stage.patch_by("aiops-before", {"metadata": {"annotations": {STAMP: "run-0.step.1"}}})
    ready = prepared(stage, "scale", by="+1")
    stage.patch_by("hpa", {"spec": {"replicas": 8}})
    assert REGISTRY["scale"].look(context(stage), ready) == Seen(Looked.NOT)  # the former stamp is there, which ours would have replaced


def test_a_step_name_that_begins_like_another_is_not_taken_for_it():
    stage = Stage()
    REGISTRY["scale"].start(context(stage, "run-1.step-b.1"), prepared(stage, "scale", "run-1.step-b.1", by="+1"))
    ready = prepared(stage, "scale", "run-1.step.1", by="+1")
    assert REGISTRY["scale"].look(context(stage, "run-1.step.1"), ready) == Seen(Looked.NOT)


def workload(kind: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}}
    return {"kind": kind, "metadata": {"generation": 2}, "spec": {"replicas": 2, "template": template, **spec}, "status": {"observedGeneration": 2, **status}}


COMPLETE = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}
DAEMONS = {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (workload("Deployment", COMPLETE), Done),
        (workload("Deployment", {**COMPLETE, "observedGeneration": 1}), Waiting),
        (workload("Deployment", {**COMPLETE, "updatedReplicas": 1}), Waiting),
        (workload("Deployment", {**COMPLETE, "replicas": 3}), Waiting),
        (workload("Deployment", {**COMPLETE, "availableReplicas": 1}), Waiting),
        (workload("Deployment", {}), Waiting),
        (workload("Deployment", {**COMPLETE, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}), Failed),
        (workload("Deployment", {"observedGeneration": 1, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}), Waiting),
        (workload("StatefulSet", {**COMPLETE, "updateRevision": "b", "currentRevision": "b"}), Done),
        (workload("StatefulSet", {**COMPLETE, "updateRevision": "b", "currentRevision": "a"}), Waiting),
        (workload("StatefulSet", {**COMPLETE, "readyReplicas": 1, "updateRevision": "b", "currentRevision": "b"}), Waiting),
        (workload("StatefulSet", {**COMPLETE, "updatedReplicas": 1}, updateStrategy={"rollingUpdate": {"partition": 1}}), Done),
        (workload("StatefulSet", {**COMPLETE, "updatedReplicas": 0}, updateStrategy={"rollingUpdate": {"partition": 1}}), Waiting),
        (workload("DaemonSet", DAEMONS), Done),
        (workload("DaemonSet", {**DAEMONS, "updatedNumberScheduled": 2}), Waiting),
        (workload("DaemonSet", {**DAEMONS, "numberAvailable": 2}), Waiting),
    ],
)
def test_when_a_rollout_is_complete(obj, expected):
    assert isinstance(rollout.progress(obj, rollout.template_digest(obj["spec"]["template"])), expected)


def test_another_template_than_ours_is_superseded():
    found = rollout.progress(workload("Deployment", COMPLETE), "another")
    assert isinstance(found, Failed)
    assert found.result.reason == "Superseded"


def test_on_delete_does_not_roll_out():
    found = rollout.unable(workload("StatefulSet", {}, updateStrategy={"type": "OnDelete"}))
    assert found is not None
    assert found.reason == "OnDeleteStrategy"


def test_selectors_as_the_api_takes_them():
    selector = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [
            {"key": "t", "operator": "In", "values": ["x", "y"]}, {"key": "u", "operator": "NotIn", "values": ["z"]},
            {"key": "v", "operator": "Exists"}, {"key": "w", "operator": "DoesNotExist"},
        ],
    }
    assert rollback.selector_text(selector) == "a=1,b=2,t in (x,y),u notin (z),v,!w"


def test_replica_sets_of_others_are_not_rolled_back_to():
    obj = {"metadata": {"uid": "u", "annotations": {rollback.REVISION: "2"}}, "spec": {"template": {"spec": {"containers": [{"image": "b"}]}}}}
    foreign = {
        "metadata": {"annotations": {rollback.REVISION: "1"}, "ownerReferences": [{"uid": "other", "controller": True}]},
        "spec": {"template": {"spec": {"containers": [{"image": "a"}]}}},
    }
    found = rollback.choose(obj, [foreign], None)
    assert isinstance(found, Result)
    assert found.reason == "NoOlderRevision"


@pytest.fixture
def stage():
    stage = Stage()
    stage.caches["catalog"] = MemoryCache("catalog", [f"item:{n}" for n in range(5)] + ["session:1"])
    stage.restart()
    return stage


def flush(**arguments: Any) -> Any:
    return step("redis-flush", arguments={"cache": "catalog", "pattern": "item:*", **arguments}, retry=Retry(limit=1, initial=5))


def test_a_flush_removes_what_matches_and_counts_it(stage):
    done = stage.run(stage.submit(flush()))
    assert (done.result.outcome, done.steps[0].result.detail) == (Outcome.SUCCEEDED, "5 of 5 keys removed")
    assert stage.caches["catalog"].keys == ("session:1",)


def test_a_flush_cut_off_by_its_limit_is_no_success(stage):
    done = stage.run(stage.submit(flush(limit=3)))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "FlushIncomplete")
    assert len(stage.caches["catalog"].keys) == 3


@pytest.mark.parametrize("pattern", ["*", "**", "?*", ""])
def test_a_pattern_that_takes_everything_is_refused(stage, pattern):
    done = stage.run(stage.submit(flush(pattern=pattern)))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "PatternRefused")
    assert len(stage.caches["catalog"].keys) == 6


def test_a_cache_that_is_down_is_tried_again_and_then_a_failure(stage):
    stage.caches["catalog"].broken = True
    execution = stage.submit(flush())
    stage.run(execution, seconds=2)
    assert stage.get(execution).steps[0].tries == 1
    stage.caches["catalog"].broken = False
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    stage.caches["catalog"].broken = True
    done = stage.run(stage.submit(flush(), id="plan-2"))
    assert (done.result.outcome, done.result.reason, done.steps[0].tries) == (Outcome.FAILED, "CacheUnavailable", 2)


def test_a_message_longer_than_a_chat_takes_is_cut(stage):
    stage.run(stage.submit(step("notify", arguments={"message": "x" * 10_000})))
    ((message, _),) = stage.store.messages()
    assert len(message.text) == 2_500
    assert message.channel == "#warning"


def test_arguments_of_a_wrong_shape_are_an_error_not_a_crash(stage):
    done = stage.run(stage.submit(step("wait", arguments={"for": "soon"}), step("notify")))
    assert [run.result.reason for run in done.steps] == ["InvalidArguments", "NotReached"]


def test_an_action_refuses_a_target_of_another_kind(stage):
    done = stage.run(stage.submit(scale(), target=TargetRef("Pod", "shop", "checkout-1")))
    assert (done.result.reason, done.result.detail) == ("WrongKind", "step scale: scale takes Deployment, StatefulSet, not Pod")


def test_the_restart_mark_is_the_clocks_time(stage):
    assert prepared(stage, "restart").output["restartedAt"] == "2027-01-15T08:00:10Z"
    assert stage.time.now() == START + 10


def test_the_stamp_in_a_pointer_is_escaped():
    assert stamped.pointer("aiops/a~b") == "aiops~1a~0b"

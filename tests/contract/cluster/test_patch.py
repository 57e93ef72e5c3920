"""Patches: merge and JSON, tests that guard them, subresources, dry-run, who owns a field."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.domain.errors import ConflictError, InvalidError, NotFoundError
from aiops.domain.target import JsonObject
from tests.contract.cluster.bench import Bench, ref, workload

STAMP = "aiops/operation"
STAMP_PATH = "/metadata/annotations/aiops~1operation"


@pytest.fixture
def deployment(bench: Bench) -> Any:
    body = workload(bench, replicas=0)
    body["metadata"]["annotations"] = {"team": "shop"}
    made = bench.writer.create("Deployment", bench.namespace, body).after
    assert made is not None
    return bench.until("it was seen", lambda: observed(bench))


def observed(bench: Bench) -> JsonObject | None:
    found = bench.reader.get(ref(bench, "Deployment", "web"))
    status = found.get("status", {})
    conditions = {c["type"]: c["reason"] for c in status.get("conditions", [])}
    settled = status.get("observedGeneration", 0) >= found["metadata"]["generation"] and "deployment.kubernetes.io/revision" in found["metadata"]["annotations"]
    # The last that the controller has to say; before it, the object still changes by itself.
    return found if settled and conditions.get("Progressing") == "NewReplicaSetAvailable" else None


def patch(bench: Bench, body: Any, **options: Any) -> JsonObject:
    done = bench.writer.patch(ref(bench, "Deployment", "web"), body, **options)
    assert done.applied
    assert done.after is not None
    return done.after


def owners(obj: JsonObject, *path: str) -> set[str]:
    found = set()
    for entry in obj["metadata"]["managedFields"]:
        fields = entry["fieldsV1"]
        for part in path:
            fields = fields.get(part)
            if fields is None:
                break
        else:
            found.add(f"{entry['manager']}/{entry.get('subresource', '')}")
    return found


def test_a_merge_patch_sets_and_removes(bench: Bench, deployment: JsonObject):
    after = patch(bench, {"metadata": {"annotations": {"team": None, "note": "x"}}, "spec": {"minReadySeconds": 3}})
    assert "team" not in after["metadata"]["annotations"]
    assert after["metadata"]["annotations"]["note"] == "x"
    assert after["spec"]["minReadySeconds"] == 3
    assert after["spec"]["replicas"] == 0
    assert after["metadata"]["generation"] == deployment["metadata"]["generation"] + 1
    assert after["metadata"]["uid"] == deployment["metadata"]["uid"]


def test_an_annotation_raises_the_generation_of_a_deployment_and_of_nothing_else(bench: Bench, deployment: JsonObject):
    body = {"metadata": {"annotations": {"note": "x"}}}
    after = patch(bench, body)
    assert after["metadata"]["generation"] == deployment["metadata"]["generation"] + 1
    assert int(after["metadata"]["resourceVersion"]) > int(deployment["metadata"]["resourceVersion"])
    bench.writer.create("StatefulSet", bench.namespace, workload(bench, "db", kind="StatefulSet", replicas=0, serviceName="db"))
    stateful = bench.writer.patch(ref(bench, "StatefulSet", "db"), body).after
    assert stateful is not None
    assert stateful["metadata"]["generation"] == 1


def test_a_patch_that_changes_nothing_writes_nothing(bench: Bench, deployment: JsonObject):
    after = patch(bench, {"metadata": {"annotations": {"team": "shop"}}, "spec": {"replicas": 0}})
    assert after["metadata"]["resourceVersion"] == bench.reader.get(ref(bench, "Deployment", "web"))["metadata"]["resourceVersion"]
    assert after["metadata"]["resourceVersion"] == deployment["metadata"]["resourceVersion"]


def test_a_stamped_patch_is_guarded_by_tests(bench: Bench, deployment: JsonObject):
    """The form in which this project writes: uid, the value relied on, and the former stamp, which is absent at first."""

    def stamped(
        replicas: int, relied_on: int, former: str | None, stamp: str, uid: str = deployment["metadata"]["uid"]
    ) -> list[JsonObject]:
        return [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "test", "path": "/spec/replicas", "value": relied_on},
            {"op": "test", "path": STAMP_PATH, "value": former},
            {"op": "add", "path": STAMP_PATH, "value": stamp},
            {"op": "replace", "path": "/spec/replicas", "value": replicas},
        ]

    after = patch(bench, stamped(3, 0, None, "one"))
    assert (after["spec"]["replicas"], after["metadata"]["annotations"][STAMP]) == (3, "one")
    refused = [
        stamped(4, 3, None, "two"),
        stamped(4, 3, "another", "two"),
        stamped(4, 0, "one", "two"),
        stamped(4, 3, "one", "two", uid="00000000-0000-4000-8000-000000000000"),
    ]
    for body in refused:
        with pytest.raises(InvalidError) as caught:
            bench.writer.patch(ref(bench, "Deployment", "web"), body)
        assert caught.value.status == 422
    now = bench.reader.get(ref(bench, "Deployment", "web"))
    assert (now["spec"]["replicas"], now["metadata"]["annotations"][STAMP]) == (3, "one")
    after = patch(bench, stamped(4, 3, "one", "two"))
    assert (after["spec"]["replicas"], after["metadata"]["annotations"][STAMP]) == (4, "two")


def test_a_test_below_a_missing_parent_fails(bench: Bench):
    bench.writer.create("Deployment", bench.namespace, workload(bench, "bare", replicas=0, paused=True))
    body = [{"op": "test", "path": "/metadata/finalizers/0", "value": None}]
    with pytest.raises(InvalidError) as caught:
        bench.writer.patch(ref(bench, "Deployment", "bare"), body)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/spec/nothing/here", "value": 1},
        {"op": "remove", "path": "/metadata/annotations/absent"},
        {"op": "test", "path": "/spec/replicas", "value": "0"},
        {"op": "test", "path": "/spec/replicas", "value": None},
        {"op": "test", "path": "/spec/template/spec/containers/7", "value": {}},
        {"op": "add", "path": "/spec/template/spec/containers/7", "value": {}},
        {"op": "move", "from": "/metadata/annotations/absent", "path": "/metadata/annotations/there"},
    ],
)
def test_an_operation_that_does_not_apply_is_422(bench: Bench, deployment: JsonObject, operation: JsonObject):
    with pytest.raises(InvalidError) as caught:
        bench.writer.patch(ref(bench, "Deployment", "web"), [operation])
    assert caught.value.status == 422


def test_every_operation_works(bench: Bench, deployment: JsonObject):
    container = "/spec/template/spec/containers"
    after = patch(
        bench,
        [
            {"op": "add", "path": f"{container}/-", "value": {"name": "side", "image": "side:1"}},
            {"op": "add", "path": f"{container}/0", "value": {"name": "first", "image": "first:1"}},
            {"op": "replace", "path": f"{container}/1/image", "value": "web:2"},
            {"op": "test", "path": f"{container}/1/image", "value": "web:2"},
            {"op": "remove", "path": f"{container}/2"},
            {"op": "copy", "from": "/metadata/annotations/team", "path": "/metadata/annotations/copied"},
            {"op": "move", "from": "/metadata/annotations/team", "path": "/metadata/annotations/moved"},
            {"op": "add", "path": "/metadata/annotations/with~1slash", "value": "x"},
            {"op": "replace", "path": "/metadata/annotations/replaced", "value": "though absent"},
        ],
    )
    assert [(c["name"], c["image"]) for c in after["spec"]["template"]["spec"]["containers"]] == [("first", "first:1"), ("app", "web:2")]
    annotations = after["metadata"]["annotations"]
    assert (annotations.get("team"), annotations["copied"], annotations["moved"], annotations["with/slash"]) == (None, "shop", "shop", "x")
    assert annotations["replaced"] == "though absent"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"spec": {"replicas": -1}}, {422}),
        ({"spec": {"selector": {"matchLabels": {"app": "other"}}}}, {422}),
        ({"spec": {"replicas": "many"}}, {400, 422}),
        ({"metadata": {"name": "other"}}, {400, 422}),
        ({"metadata": {"annotations": {"til~de/slash": "x"}}}, {422}),
        ([{"op": "conjure", "path": "/spec/replicas", "value": 1}], {400, 422}),
        ([{"op": "replace", "path": "/spec/replicas", "value": -1}], {422}),
        ([{"op": "replace", "path": "/spec/template", "value": {}}], {422}),
    ],
)
def test_a_result_that_is_no_valid_object_is_refused(bench: Bench, deployment: JsonObject, body: Any, status: set[int]):
    with pytest.raises(InvalidError) as caught:
        bench.writer.patch(ref(bench, "Deployment", "web"), body)
    assert caught.value.status in status


def test_a_version_in_the_body_that_is_not_the_present_one_conflicts_and_a_uid_is_invalid(bench: Bench, deployment: JsonObject):
    old = deployment["metadata"]["resourceVersion"]
    patch(bench, {"metadata": {"annotations": {"note": "x"}, "resourceVersion": old}})
    refusals = [({"resourceVersion": old}, ConflictError, 409), ({"uid": "00000000-0000-4000-8000-000000000000"}, InvalidError, 422)]
    for meta, error, status in refusals:
        with pytest.raises(error) as caught:
            bench.writer.patch(ref(bench, "Deployment", "web"), {"metadata": {"annotations": {"note": "y"}} | meta})
        assert caught.value.status == status


def test_a_dry_run_changes_nothing_and_shows_the_outcome(bench: Bench, deployment: JsonObject):
    body = {"metadata": {"annotations": {STAMP: "one"}}, "spec": {"replicas": 5}}
    shown = bench.dry.patch(ref(bench, "Deployment", "web"), body)
    assert (shown.applied, shown.origin) == (False, "server")
    assert shown.after is not None
    assert (shown.after["spec"]["replicas"], shown.after["metadata"]["annotations"][STAMP]) == (5, "one")
    now = bench.reader.get(ref(bench, "Deployment", "web"))
    assert now == deployment
    with pytest.raises(InvalidError):
        bench.dry.patch(ref(bench, "Deployment", "web"), {"spec": {"replicas": -1}})
    with pytest.raises(InvalidError):
        bench.dry.patch(ref(bench, "Deployment", "web"), [{"op": "test", "path": "/spec/replicas", "value": 9}])


def test_scale_changes_the_count_and_drops_annotations(bench: Bench, deployment: JsonObject):
    body = {"metadata": {"annotations": {STAMP: "one"}}, "spec": {"replicas": 4}}
    scale = patch(bench, body, subresource="scale")
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 4)
    now = bench.reader.get(ref(bench, "Deployment", "web"))
    assert now["spec"]["replicas"] == 4
    assert STAMP not in now["metadata"]["annotations"]
    assert "aiops/scale" in owners(now, "f:spec", "f:replicas")
    patch(
        bench,
        [{"op": "test", "path": "/spec/replicas", "value": 4}, {"op": "replace", "path": "/spec/replicas", "value": 2}],
        subresource="scale",
    )
    assert bench.reader.get(ref(bench, "Deployment", "web"))["spec"]["replicas"] == 2
    with pytest.raises(InvalidError):
        bench.writer.patch(ref(bench, "Deployment", "web"), {"spec": {"replicas": -1}}, subresource="scale")
    shown = bench.dry.patch(ref(bench, "Deployment", "web"), {"spec": {"replicas": 9}}, subresource="scale")
    assert shown.after is not None
    assert shown.after["spec"]["replicas"] == 9
    assert bench.reader.get(ref(bench, "Deployment", "web"))["spec"]["replicas"] == 2


def test_status_is_not_written_through_the_object(bench: Bench, deployment: JsonObject):
    after = patch(bench, {"status": {"replicas": 99}, "metadata": {"annotations": {"note": "x"}}})
    assert after["status"].get("replicas", 0) == 0


def test_the_object_is_not_written_through_its_status(bench: Bench):
    bench.writer.create("PodDisruptionBudget", bench.namespace, {"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": {}}})
    target = ref(bench, "PodDisruptionBudget", "web")
    body = {"spec": {"minAvailable": 7}, "status": {"conditions": [_condition()]}}
    after = bench.writer.patch(target, body, subresource="status").after
    assert after is not None
    assert after["spec"]["minAvailable"] == 1
    assert "Checked" in {c["type"] for c in after["status"]["conditions"]}


def _condition() -> JsonObject:
    return {"type": "Checked", "status": "True", "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def test_who_wrote_the_count_is_recorded(bench: Bench, deployment: JsonObject):
    bench.apply({**workload(bench, "applied", replicas=0), "apiVersion": "apps/v1"})
    target = ref(bench, "Deployment", "applied")
    before = bench.reader.get(target)
    assert not any(o.startswith("aiops") for o in owners(before, "f:spec", "f:replicas"))
    assert len(owners(before, "f:spec", "f:replicas")) == 1
    bench.writer.patch(target, [{"op": "replace", "path": "/spec/replicas", "value": 1}])
    after = bench.reader.get(target)
    assert owners(after, "f:spec", "f:replicas") == {"aiops/"}
    assert not any(o.startswith("aiops") for o in owners(after, "f:spec", "f:template"))
    ours = next(e for e in after["metadata"]["managedFields"] if e["manager"] == "aiops")
    assert (ours["operation"], ours["apiVersion"], ours["fieldsType"]) == ("Update", "apps/v1", "FieldsV1")
    assert ours["time"]
    assert ours["fieldsV1"]["f:spec"] == {"f:replicas": {}}


def test_a_stamp_is_recorded_as_ours(bench: Bench, deployment: JsonObject):
    after = patch(bench, {"metadata": {"annotations": {STAMP: "one"}}})
    assert owners(after, "f:metadata", "f:annotations", f"f:{STAMP}") == {"aiops/"}


def test_what_is_not_there_cannot_be_patched(bench: Bench):
    for writer in (bench.writer, bench.dry):
        with pytest.raises(NotFoundError):
            writer.patch(ref(bench, "Deployment", "missing"), {"spec": {"replicas": 1}})


def test_a_running_pod_is_mostly_fixed(bench: Bench):
    body = {"metadata": {"name": "one"}, "spec": {"containers": [{"name": "app", "image": "web:1"}]}}
    bench.writer.create("Pod", bench.namespace, body)
    target = ref(bench, "Pod", "one")
    with pytest.raises(InvalidError) as caught:
        bench.writer.patch(target, {"spec": {"hostNetwork": True}})
    assert caught.value.status == 422
    after = bench.writer.patch(target, [{"op": "replace", "path": "/spec/containers/0/image", "value": "web:2"}]).after
    assert after is not None
    assert after["spec"]["containers"][0]["image"] == "web:2"

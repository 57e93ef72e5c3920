"""Identity, reading and selecting, creating and deleting."""

from __future__ import annotations

from datetime import datetime

import pytest

from aiops.adapters.kubernetes import emit_event
from aiops.domain.errors import ConflictError, InvalidError, NotFoundError
from aiops.domain.target import JsonObject, TargetRef
from tests.contract.cluster.bench import Bench, is_ready, pods, ref, running, workload


def config_map(bench: Bench, name: str = "settings", **labels: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": bench.namespace, "labels": labels},
        "data": {"a": "1"},
    }


def test_what_is_created_gets_an_identity(bench: Bench):
    made = bench.writer.create("Deployment", bench.namespace, workload(bench))
    assert (made.applied, made.origin, made.before) == (True, "server", None)
    assert made.after is not None
    meta = made.after["metadata"]
    assert len(meta["uid"]) == 36
    assert int(meta["resourceVersion"]) > 0
    assert meta["generation"] == 1
    assert datetime.fromisoformat(meta["creationTimestamp"]).tzinfo is not None
    assert made.after["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    assert made.after["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    found = bench.reader.get(ref(bench, "Deployment", "web"))
    assert (found["kind"], found["apiVersion"], found["metadata"]["uid"]) == ("Deployment", "apps/v1", meta["uid"])


def test_creating_twice_fails(bench: Bench):
    bench.writer.create("ConfigMap", bench.namespace, config_map(bench))
    with pytest.raises(ConflictError) as caught:
        bench.writer.create("ConfigMap", bench.namespace, config_map(bench))
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")


def test_a_dry_run_creates_nothing_and_says_what_it_would(bench: Bench):
    shown = bench.dry.create("Deployment", bench.namespace, workload(bench))
    assert (shown.applied, shown.origin) == (False, "server")
    assert shown.after is not None
    assert shown.after["spec"]["revisionHistoryLimit"] == 10
    with pytest.raises(NotFoundError):
        bench.reader.get(ref(bench, "Deployment", "web"))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"metadata": {"name": "Not_A_Name"}}, 422),
        ({"metadata": {"name": ""}}, 422),
        ({"metadata": {"name": "web", "labels": {"app": "no spaces please"}}}, 422),
        ({"metadata": {"name": "web", "annotations": {"not a key!": "x"}}}, 422),
        ({"metadata": {"name": "web", "namespace": "elsewhere"}}, 400),
        ({"kind": "StatefulSet"}, 400),
    ],
)
def test_what_cannot_be_an_object_is_refused(bench: Bench, change: JsonObject, status: int):
    with pytest.raises(InvalidError) as caught:
        bench.writer.create("Deployment", bench.namespace, workload(bench) | change)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": -1},
        {"selector": {"matchLabels": {"app": "another"}}},
        {"selector": {}},
        {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
        {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": ""}]}}},
        {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "a"}] * 2}}},
    ],
)
def test_a_specification_that_makes_no_sense_is_refused(bench: Bench, change: JsonObject):
    with pytest.raises(InvalidError) as caught:
        bench.writer.create("Deployment", bench.namespace, workload(bench, **change))
    assert caught.value.status == 422


def test_a_replica_count_that_is_no_number_is_refused(bench: Bench):
    with pytest.raises(InvalidError) as caught:
        bench.writer.create("Deployment", bench.namespace, workload(bench, replicas="three"))  # type: ignore[arg-type]
    assert caught.value.status == 400


def test_nothing_is_created_in_a_namespace_that_is_not_there(bench: Bench):
    body = config_map(bench)
    body["metadata"]["namespace"] = "nowhere"
    with pytest.raises(NotFoundError):
        bench.writer.create("ConfigMap", "nowhere", body)


@pytest.mark.parametrize("name", ["missing", "UPPER", "a/b", "..", "", "x" * 300, "a b"])
def test_what_is_not_there_is_not_found_whatever_its_name(bench: Bench, name: str):
    with pytest.raises(NotFoundError) as caught:
        bench.reader.get(ref(bench, "Deployment", name))
    assert caught.value.status == 404


def test_a_namespace_means_nothing_to_kinds_that_have_none(bench: Bench):
    page = bench.reader.list("Node", bench.namespace)
    assert len(page.items) == 3
    name = page.items[0]["metadata"]["name"]
    assert bench.reader.get(TargetRef("Node", bench.namespace, name))["metadata"]["name"] == name


def test_an_unknown_kind_is_refused(bench: Bench):
    with pytest.raises(InvalidError, match="Gizmo"):
        bench.reader.get(TargetRef("Gizmo", bench.namespace, "x"))
    with pytest.raises(InvalidError, match="Gizmo"):
        bench.reader.list("Gizmo")


def test_lists_are_selected_by_labels(bench: Bench):
    for name, labels in {"a": {"tier": "web", "zone": "x"}, "b": {"tier": "db"}, "c": {}}.items():
        bench.writer.create("ConfigMap", bench.namespace, config_map(bench, name, **labels))

    def names(selector: str) -> set[str]:
        items = bench.reader.list("ConfigMap", bench.namespace, label_selector=selector).items
        return {i["metadata"]["name"] for i in items} - {"kube-root-ca.crt"}

    assert names("") == {"a", "b", "c"}
    assert names("tier=web") == names("tier==web") == names("tier in (web, mail)") == {"a"}
    assert names("tier!=web") == names("tier notin (web)") == {"b", "c"}
    assert names("tier") == {"a", "b"}
    assert names("!tier") == {"c"}
    assert names("tier,zone=x") == {"a"}
    with pytest.raises(InvalidError) as caught:
        names("tier=(")
    assert caught.value.status == 400


def test_lists_are_selected_by_fields(bench: Bench):
    running(bench, replicas=3)
    first = pods(bench, "web")[0]
    node, name = first["spec"]["nodeName"], first["metadata"]["name"]

    def names(kind: str, selector: str, namespace: str = bench.namespace) -> set[str]:
        return {i["metadata"]["name"] for i in bench.reader.list(kind, namespace, field_selector=selector).items}

    assert names("Pod", f"metadata.name={name}") == {name}
    assert name in names("Pod", f"spec.nodeName={node}", "")
    assert name not in names("Pod", f"spec.nodeName!={node}")
    assert name in names("Pod", f"status.phase=Running,metadata.namespace={bench.namespace}")
    assert names("Pod", "status.phase=Failed") == set()
    assert node in names("Node", "spec.unschedulable=false", "")
    with pytest.raises(InvalidError) as caught:
        names("Deployment", "spec.replicas=3")
    assert caught.value.status == 400


def test_a_list_carries_whole_objects_and_a_version(bench: Bench):
    bench.writer.create("Deployment", bench.namespace, workload(bench))
    page = bench.reader.list("Deployment", bench.namespace)
    assert [(i["kind"], i["apiVersion"], i["metadata"]["name"]) for i in page.items] == [("Deployment", "apps/v1", "web")]
    assert int(page.resource_version) >= int(page.items[0]["metadata"]["resourceVersion"])


def test_events_are_found_by_what_they_are_about(bench: Bench):
    made = bench.writer.create("ConfigMap", bench.namespace, config_map(bench)).after
    assert made is not None
    about = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "namespace": bench.namespace, "uid": made["metadata"]["uid"]}
    body = {"metadata": {"name": "settings.1", "namespace": bench.namespace}, "involvedObject": about, "reason": "Seen", "type": "Normal"}
    bench.writer.create("Event", bench.namespace, body)

    def found(selector: str) -> int:
        return len(bench.reader.list("Event", bench.namespace, field_selector=selector).items)

    assert found("involvedObject.name=settings,involvedObject.kind=ConfigMap") == 1
    assert found(f"involvedObject.uid={made['metadata']['uid']},reason=Seen,type=Normal") == 1
    assert found("involvedObject.name=other") == 0
    elsewhere = {**body, "metadata": {"name": "settings.2"}, "involvedObject": {**about, "namespace": "elsewhere"}}
    with pytest.raises(InvalidError):
        bench.writer.create("Event", bench.namespace, elsewhere)


def test_our_events_are_taken_and_told_once(bench: Bench):
    made = bench.writer.create("Deployment", bench.namespace, workload(bench)).after
    assert made is not None
    target, uid = ref(bench, "Deployment", "web"), made["metadata"]["uid"]
    for expected in (True, False):
        assert (
            emit_event(bench.writer, target, reason="ScaledOut", message="2 to 3 <b>", now=1_800_000_000.0, name_key="run/1", uid=uid)
            is expected
        )
    (event,) = bench.reader.list("Event", bench.namespace, field_selector=f"involvedObject.uid={uid},reason=ScaledOut").items
    assert (event["type"], event["message"], event["firstTimestamp"]) == ("Normal", "2 to 3 <b>", "2027-01-15T08:00:00Z")
    assert event["reportingComponent"] == "aiops"
    node = bench.reader.list("Node").items[0]["metadata"]
    key = f"{bench.namespace}/cordon"
    assert emit_event(
        bench.writer, TargetRef("Node", "", node["name"]), reason="Cordoned", message="m", type="Warning", now=1.0, name_key=key
    )


def test_delete_asks_for_the_uid(bench: Bench):
    made = bench.writer.create("ConfigMap", bench.namespace, config_map(bench)).after
    assert made is not None
    target = ref(bench, "ConfigMap", "settings")
    with pytest.raises(ConflictError) as caught:
        bench.writer.delete(target, uid="00000000-0000-4000-8000-000000000000")
    assert caught.value.status == 409
    shown = bench.dry.delete(target, uid=made["metadata"]["uid"])
    assert (shown.applied, shown.after) == (False, None)
    assert bench.reader.get(target)["metadata"]["uid"] == made["metadata"]["uid"]
    done = bench.writer.delete(target, uid=made["metadata"]["uid"])
    assert (done.applied, done.after) == (True, None)
    with pytest.raises(NotFoundError):
        bench.reader.get(target)
    with pytest.raises(NotFoundError):
        bench.writer.delete(target, uid=made["metadata"]["uid"])


def test_what_an_object_owns_goes_with_it(bench: Bench):
    made = running(bench, replicas=2)
    bench.writer.delete(ref(bench, "Deployment", "web"), uid=made["metadata"]["uid"])
    bench.until("no pods are left", lambda: not bench.reader.list("Pod", bench.namespace, label_selector="app=web").items)
    bench.until("no ReplicaSets are left", lambda: not bench.reader.list("ReplicaSet", bench.namespace).items)


def test_a_deleted_pod_is_replaced_by_another(bench: Bench):
    running(bench, replicas=2)
    victim = pods(bench, "web")[0]
    bench.writer.delete(ref(bench, "Pod", victim["metadata"]["name"]), uid=victim["metadata"]["uid"])

    def replaced() -> bool:
        now = pods(bench, "web")
        return len(now) == 2 and all(is_ready(p) for p in now) and victim["metadata"]["uid"] not in {p["metadata"]["uid"] for p in now}

    bench.until("two other pods are ready", replaced)

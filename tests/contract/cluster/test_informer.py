"""The cached view that lives on list and watch."""

from __future__ import annotations

import threading

from aiops.ports.cluster import WatchEvent
from tests.contract.cluster.bench import Bench, pods, ref, running, workload

PATIENCE = 150
READ = {"verbs": ["get", "list", "watch"], "apiGroups": ["", "apps"], "resources": ["pods", "deployments"]}


def test_the_view_follows_the_cluster(bench: Bench):
    made = running(bench, replicas=2)
    view = bench.informer("Deployment", "Pod", "ReplicaSet", "Node")
    assert view.wait_settled(PATIENCE)
    sight = view.sight()
    assert (sight.synced, dict(sight.errors)) == (True, {})
    assert sight.seen_at > 0
    target = ref(bench, "Deployment", "web")
    found = view.find(target)
    assert found is not None
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert (found["kind"], found["apiVersion"]) == ("Deployment", "apps/v1")
    assert len(view.objects("Node")) == 3
    assert len(view.objects("Pod", bench.namespace)) == 2
    assert not view.objects("Pod", "elsewhere")
    assert len(view.objects("Node", bench.namespace)) == 3
    assert not view.objects("Service")
    bench.writer.patch(target, {"spec": {"replicas": 3}})
    bench.until("the view shows three", lambda: (view.find(target) or {})["spec"]["replicas"] == 3)
    bench.until("and three pods", lambda: len(view.objects("Pod", bench.namespace)) == 3)
    bench.writer.delete(target, uid=made["metadata"]["uid"])
    bench.until("the view shows none", lambda: view.find(target) is None and not view.objects("Pod", bench.namespace))


def test_field_owners_are_kept_only_where_they_are_asked_for(bench: Bench):
    running(bench, replicas=1)
    view = bench.informer("Deployment", "Pod", "Namespace")
    assert view.wait_settled(PATIENCE)
    assert (view.find(ref(bench, "Deployment", "web")) or {})["metadata"]["managedFields"]
    kept = [*view.objects("Pod", bench.namespace), *view.objects("Namespace")]
    assert len(kept) > 1
    assert not [o for o in kept if "managedFields" in o["metadata"]]


def test_a_kind_that_may_not_be_listed_does_not_block_the_others(bench: Bench):
    reader, _, _ = bench.account(READ)
    view = bench.informer("ConfigMap", reader=reader)
    assert view.wait_settled(PATIENCE)
    sight = view.sight()
    assert not sight.synced
    assert "Forbidden" in sight.errors["ConfigMap"]
    both = bench.informer("Node", "ConfigMap")
    assert both.wait_settled(PATIENCE)
    assert both.sight().synced


def test_events_are_told_in_order(bench: Bench):
    told: list[tuple[str, int]] = []
    complete = threading.Event()

    def note(event: WatchEvent) -> None:
        name = event.object["metadata"]["name"]
        if event.object["metadata"].get("namespace") == bench.namespace and name == "web":
            told.append((event.type, event.object["spec"]["replicas"]))
            if event.type == "DELETED":
                complete.set()

    view = bench.informer("Deployment", on_event=note)
    assert view.wait_settled(PATIENCE)
    made = bench.writer.create("Deployment", bench.namespace, workload(bench, replicas=0)).after
    assert made is not None
    bench.writer.patch(ref(bench, "Deployment", "web"), {"spec": {"replicas": 1}})
    bench.until("there is a pod", lambda: pods(bench, "web"))
    bench.writer.delete(ref(bench, "Deployment", "web"), uid=made["metadata"]["uid"])
    assert complete.wait(PATIENCE)
    assert (told[0], told[-1]) == (("ADDED", 0), ("DELETED", 1))
    assert {kind for kind, _ in told[1:-1]} == {"MODIFIED"}


def test_what_may_be_many_is_seen_without_what_it_holds(bench: Bench):
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "clean:1"}]}}
    cron = {"metadata": {"name": "clean"}, "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": pod}}}}
    bench.writer.create("CronJob", bench.namespace, cron)
    bench.writer.create("Job", bench.namespace, {"metadata": {"name": "once"}, "spec": {"suspend": True, "template": pod}})
    bench.writer.create("ConfigMap", bench.namespace, {"metadata": {"name": "flags", "labels": {"app": "web"}}, "data": {"a": "b"}, "binaryData": {"c": "ZA=="}})
    view = bench.informer("CronJob", "Job", "ConfigMap")
    assert view.wait_settled(PATIENCE)
    found = {kind: view.find(ref(bench, kind, name)) or {} for kind, name in (("CronJob", "clean"), ("Job", "once"), ("ConfigMap", "flags"))}
    assert "jobTemplate" not in found["CronJob"]["spec"]
    assert found["CronJob"]["spec"]["suspend"] is True
    assert "template" not in found["Job"]["spec"]
    assert found["Job"]["spec"]["suspend"] is True
    assert not {"data", "binaryData"} & set(found["ConfigMap"])
    assert found["ConfigMap"]["metadata"]["labels"] == {"app": "web"}
    assert found["ConfigMap"]["metadata"]["managedFields"]
    # What a later change brings is left out as well, and a reader has all of it.
    bench.writer.patch(ref(bench, "ConfigMap", "flags"), {"metadata": {"labels": {"app": "api"}}, "data": {"a": "c"}})
    bench.until("the change shows", lambda: (view.find(ref(bench, "ConfigMap", "flags")) or {})["metadata"]["labels"] == {"app": "api"})
    assert "data" not in (view.find(ref(bench, "ConfigMap", "flags")) or {})
    assert bench.reader.get(ref(bench, "ConfigMap", "flags"))["data"] == {"a": "c"}

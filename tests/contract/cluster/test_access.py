"""Accounts with few rights, and the dry-run writer that looks at them."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.adapters.dry_run import DryRunWriter
from aiops.domain.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from tests.contract.cluster.bench import Bench, pods, ref, running, workload

READ = {"verbs": ["get", "list", "watch"], "apiGroups": ["", "apps"], "resources": ["pods", "deployments"]}
PATCH = {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments"]}


def test_rights_are_what_the_rules_say(bench: Bench):
    reader, _, _ = bench.account(READ, PATCH)
    assert reader.can("patch", "apps", "deployments", bench.namespace)
    assert reader.can("patch", "apps", "deployments", bench.namespace, name="web")
    assert reader.can("list", "", "pods", bench.namespace)
    assert not reader.can("patch", "apps", "deployments", bench.namespace, subresource="scale")
    assert not reader.can("patch", "apps", "statefulsets", bench.namespace)
    assert not reader.can("delete", "apps", "deployments", bench.namespace)
    assert not reader.can("create", "", "pods", bench.namespace, subresource="eviction")
    assert not reader.can("patch", "apps", "deployments", "default")


def test_what_is_not_allowed_is_forbidden(bench: Bench):
    made = bench.writer.create("Deployment", bench.namespace, workload(bench, replicas=0)).after
    assert made is not None
    reader, writer, dry = bench.account(READ)
    target = ref(bench, "Deployment", "web")
    assert reader.get(target)["metadata"]["uid"] == made["metadata"]["uid"]
    for attempt in (
        lambda w: w.patch(target, {"spec": {"replicas": 1}}),
        lambda w: w.patch(target, {"spec": {"replicas": 1}}, subresource="scale"),
        lambda w: w.create("Deployment", bench.namespace, workload(bench, "another")),
        lambda w: w.delete(target, uid=made["metadata"]["uid"]),
        lambda w: w.evict(ref(bench, "Pod", "any"), uid=""),
    ):
        for attempting in (writer, dry):
            with pytest.raises(ForbiddenError) as caught:
                attempt(attempting)
            assert caught.value.status == 403
    with pytest.raises(ForbiddenError):
        reader.list("ConfigMap", bench.namespace)
    with pytest.raises(ForbiddenError):
        reader.list("Pod")
    with pytest.raises(ForbiddenError):
        list(reader.watch("ConfigMap", "1", namespace=bench.namespace, timeout=1))


def test_the_dry_run_writer_asks_the_server_where_it_may(bench: Bench):
    before = running(bench, replicas=2)
    reader, _, dry = bench.account(READ, PATCH)
    writer = DryRunWriter(reader, dry)  # type: ignore[arg-type]
    target = ref(bench, "Deployment", "web")
    shown = writer.patch(target, {"spec": {"replicas": 7}})
    assert (shown.applied, shown.origin, shown.note) == (False, "server", "")
    assert shown.before is not None
    assert shown.after is not None
    assert (shown.before["spec"]["replicas"], shown.after["spec"]["replicas"]) == (2, 7)
    scaled = writer.patch(target, {"spec": {"replicas": 7}}, subresource="scale")
    assert (scaled.origin, scaled.applied) == ("computed", False)
    assert scaled.after is not None
    assert (scaled.after["kind"], scaled.after["spec"]["replicas"]) == ("Deployment", 7)
    with pytest.raises(InvalidError):
        writer.patch(target, {"spec": {"replicas": -1}})
    assert bench.reader.get(target)["metadata"]["generation"] == before["metadata"]["generation"]


def test_the_dry_run_writer_computes_for_a_read_only_account(bench: Bench):
    running(bench, replicas=1)
    reader, _, dry = bench.account(READ)
    writer = DryRunWriter(reader, dry)  # type: ignore[arg-type]
    target, uid = ref(bench, "Deployment", "web"), bench.reader.get(ref(bench, "Deployment", "web"))["metadata"]["uid"]
    shown = writer.patch(
        target, [{"op": "test", "path": "/metadata/uid", "value": uid}, {"op": "replace", "path": "/spec/replicas", "value": 7}]
    )
    assert (shown.applied, shown.origin) == (False, "computed")
    assert "may not patch deployments" in shown.note
    assert shown.after is not None
    assert shown.after["spec"]["replicas"] == 7
    with pytest.raises(InvalidError):
        writer.patch(target, [{"op": "test", "path": "/metadata/uid", "value": "another"}])
    pod = pods(bench, "web")[0]
    evicted = writer.evict(ref(bench, "Pod", pod["metadata"]["name"]), uid=pod["metadata"]["uid"])
    assert (evicted.origin, evicted.applied, evicted.after) == ("computed", False, None)
    assert "budgets were not asked" in evicted.note
    with pytest.raises(ConflictError):
        writer.delete(target, uid="00000000-0000-4000-8000-000000000000")
    with pytest.raises(NotFoundError):
        writer.patch(ref(bench, "Deployment", "missing"), {})
    created = writer.create("Deployment", bench.namespace, workload(bench, "another"))
    assert (created.origin, created.applied) == ("computed", False)
    assert len(bench.reader.list("Deployment", bench.namespace).items) == 1
    assert len(pods(bench, "web")) == 1


def test_what_is_computed_is_what_the_server_says(bench: Bench):
    body = workload(bench, replicas=0)
    body["metadata"]["annotations"] = {"team": "shop"}
    bench.writer.create("Deployment", bench.namespace, body)

    def settled() -> bool:
        found = bench.reader.get(ref(bench, "Deployment", "web"))
        return any(c["reason"] == "NewReplicaSetAvailable" for c in found.get("status", {}).get("conditions", []))

    bench.until("it was seen", settled)
    here, there = DryRunWriter(bench.reader, None), DryRunWriter(bench.reader, bench.dry)  # type: ignore[arg-type]
    container = "/spec/template/spec/containers/0"
    patches: list[Any] = [
        {"spec": {"replicas": 5, "template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}},
        {"metadata": {"annotations": {"team": None, "aiops/operation": "one"}}},
        [
            {"op": "test", "path": "/metadata/annotations/aiops~1operation", "value": None},
            {"op": "add", "path": "/metadata/annotations/aiops~1operation", "value": "one"},
            {"op": "replace", "path": f"{container}/image", "value": "web:2"},
            {"op": "add", "path": f"{container}/args", "value": ["--safe"]},
        ],
    ]
    for patch in patches:
        results = [writer.patch(ref(bench, "Deployment", "web"), patch) for writer in (here, there)]
        assert [r.origin for r in results] == ["computed", "server"]
        shown = [r.after for r in results]
        for after in shown:
            assert after is not None
            for name in ("managedFields", "generation", "resourceVersion"):
                after["metadata"].pop(name)
        assert shown[0] == shown[1]


def test_a_writer_that_really_writes_is_not_taken_for_dry_runs(bench: Bench):
    with pytest.raises(ValueError, match="dryRun=All"):
        DryRunWriter(bench.reader, bench.writer)  # type: ignore[arg-type]

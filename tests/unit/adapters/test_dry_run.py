"""The dry-run writer over the in-memory cluster: whatever is asked of it, nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.dry_run import DryRunWriter
from aiops.adapters.memory_cluster import READ_ONLY, MemoryCluster, Rule
from aiops.adapters.patching import clone
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.domain.errors import ClusterError, ClusterUnavailableError
from aiops.domain.target import JsonObject, TargetRef

NAMES = st.sampled_from(["web", "missing", "a/b", ""])
KINDS = st.sampled_from(["Deployment", "Pod", "ConfigMap", "Gizmo"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 30) | st.sampled_from(["x", "web:2", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["metadata", "spec", "replicas", "annotations", "name"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = st.sampled_from(
    ["/spec/replicas", "/metadata/annotations/x", "/metadata/uid", "/spec/template/spec/containers/0/image", "", "/", "x"]
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "conjure"]), "path": PATHS},
    optional={"value": VALUES, "from": PATHS},
)
BODIES = st.dictionaries(st.sampled_from(["metadata", "spec", "data", "status"]), VALUES, max_size=3) | st.lists(OPERATIONS, max_size=4)
CALLS = st.tuples(
    st.sampled_from(["patch", "create", "delete", "evict"]), KINDS, NAMES, BODIES, st.sampled_from(["", "scale", "status", "other"])
)
RULES: list[list[Rule] | None] = [None, list(READ_ONLY), [*READ_ONLY, Rule(("patch",), ("apps",), ("deployments",))]]


def cluster_with_web() -> tuple[VirtualTime, MemoryCluster]:
    time = VirtualTime(1_800_000_000.0)
    cluster = MemoryCluster(time)
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "web:1"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    cluster.apply({"kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    cluster.apply({"kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"a": "1"}})
    time.run_until(time.now() + 5)
    cluster.step()
    return time, cluster


def everything(cluster: MemoryCluster) -> list[JsonObject]:
    kinds = ("Deployment", "ReplicaSet", "Pod", "ConfigMap", "Namespace", "Node", "Event")
    return [clone(obj) for kind in kinds for obj in cluster.view().objects(kind)]


@settings(deadline=None)
@given(calls=st.lists(CALLS, min_size=1, max_size=5), rules=st.sampled_from(RULES), asking=st.booleans())
def test_nothing_is_ever_written(calls: list[Any], rules: list[Rule] | None, asking: bool):
    time, cluster = cluster_with_web()
    before = everything(cluster)
    server = cluster.writer("dry", rules=rules, dry_run=True) if asking else None
    writer = DryRunWriter(cluster.reader_as("dry", rules), server)
    for method, kind, name, body, subresource in calls:
        target = TargetRef(kind, "default", name)
        known = cluster.view().find(target)
        uid = known["metadata"]["uid"] if known else "unknown"
        try:
            if method == "patch":
                result = writer.patch(target, clone(body), subresource=subresource)
            elif method == "create":
                named = body if isinstance(body, dict) else {}
                result = writer.create(kind, "default", {**named, "metadata": {"name": name}})
            else:
                result = getattr(writer, method)(target, uid=uid)
        except ClusterError:
            continue
        assert not result.applied
        assert result.origin == ("server" if asking and rules is None else result.origin)
    assert all(write.dry_run for write in cluster.write_log)
    assert asking or not cluster.write_log
    cluster.step()
    assert everything(cluster) == before
    time.run_until(time.now() + 60)


def test_a_writer_that_writes_is_refused():
    _, cluster = cluster_with_web()
    with pytest.raises(ValueError, match="dryRun=All"):
        DryRunWriter(cluster.reader, cluster.writer())


def test_where_the_rights_cannot_be_asked_for_it_computes():
    _, cluster = cluster_with_web()

    class Mute(type(cluster.reader)):  # type: ignore[misc]
        def can(self, *args: Any, **options: Any) -> bool:
            raise ClusterUnavailableError("TimedOut", "no answer")

    reader = Mute(cluster.server, cluster.reader._account, 0.0)
    shown = DryRunWriter(reader, cluster.writer(dry_run=True)).patch(TargetRef("Deployment", "default", "web"), {"spec": {"replicas": 5}})
    assert (shown.origin, shown.applied) == ("computed", False)
    assert "TimedOut" in shown.note
    assert shown.after is not None
    assert shown.after["spec"]["replicas"] == 5
    assert cluster.write_log == []


def test_before_is_the_present_object_and_stays_as_it_is():
    _, cluster = cluster_with_web()
    writer = DryRunWriter(cluster.reader, None)
    body = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:9"}]
    shown = writer.patch(TargetRef("Deployment", "default", "web"), body)
    assert shown.before is not None
    assert shown.after is not None
    images = [obj["spec"]["template"]["spec"]["containers"][0]["image"] for obj in (shown.before, shown.after)]
    assert images == ["web:1", "web:9"]

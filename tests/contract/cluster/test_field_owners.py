"""Who wrote our fields since: the same answer from the managedFields of the cluster in memory and of a real one."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.domain.target import JsonObject
from aiops.remediate.field_owners import other_writers
from tests.contract.cluster.bench import Bench, ref, workload

REPLICAS = [{"op": "test", "path": "/spec/replicas", "value": 1}, {"op": "replace", "path": "/spec/replicas", "value": 0}]
IMAGE = "/spec/template/spec/containers/0/image"


@pytest.fixture
def target(bench: Bench) -> Any:
    """A Deployment that somebody made and whose count and image we changed."""
    bench.apply({**workload(bench, replicas=0), "apiVersion": "apps/v1"})
    found = ref(bench, "Deployment", "web")
    bench.writer.patch(found, [
        {"op": "replace", "path": "/spec/replicas", "value": 1}, {"op": "replace", "path": IMAGE, "value": "web:ours"},
        {"op": "add", "path": "/metadata/annotations", "value": {"aiops/operation": "run.step.1"}},
    ])
    return found


def template(obj: JsonObject, image: str) -> list[JsonObject]:
    """The patch that puts the whole template back, as a rollback's undo does."""
    spec = obj["spec"]["template"]["spec"]
    back = {**obj["spec"]["template"], "spec": {**spec, "containers": [{**spec["containers"][0], "image": image}]}}
    return [{"op": "replace", "path": "/spec/template", "value": back}]


def test_what_only_we_wrote_is_ours(bench: Bench, target: Any):
    obj = bench.reader.get(target)
    assert other_writers(obj, REPLICAS) == {}
    assert other_writers(obj, [{"op": "replace", "path": IMAGE, "value": "web:1"}]) == {}
    assert other_writers(obj, template(obj, "web:1")) == {}


def test_what_another_changed_and_set_back_is_theirs(bench: Bench, target: Any):
    for count, image in ((3, "web:theirs"), (1, "web:ours")):
        bench.manager("ben").patch(target, [{"op": "replace", "path": "/spec/replicas", "value": count}, {"op": "replace", "path": IMAGE, "value": image}])
    obj = bench.reader.get(target)
    assert other_writers(obj, REPLICAS) == {"spec.replicas": "ben"}
    name = obj["spec"]["template"]["spec"]["containers"][0]["name"]
    field = f"spec.template.spec.containers[{name}].image"
    assert other_writers(obj, [{"op": "replace", "path": IMAGE, "value": "web:1"}]) == {field: "ben"}
    assert other_writers(obj, template(obj, "web:1")) == {field: "ben"}


def test_what_another_wrote_beside_it_is_no_matter(bench: Bench, target: Any):
    bench.manager("ben").patch(target, {"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "x"}}, "spec": {"minReadySeconds": 3}})
    obj = bench.reader.get(target)
    assert other_writers(obj, REPLICAS) == {}
    assert other_writers(obj, template(obj, "web:1")) == {}
    assert other_writers(obj, [{"op": "replace", "path": "/spec/minReadySeconds", "value": 0}]) == {"spec.minReadySeconds": "ben"}
    assert other_writers(obj, [{"op": "remove", "path": "/metadata/annotations/note"}]) == {"metadata.annotations.note": "ben"}


def test_the_scale_of_another_is_theirs(bench: Bench, target: Any):
    bench.manager("scaler").patch(target, {"spec": {"replicas": 2}}, subresource="scale")
    bench.manager("scaler").patch(target, {"spec": {"replicas": 1}}, subresource="scale")
    assert other_writers(bench.reader.get(target), REPLICAS) == {"spec.replicas": "scaler"}


def test_what_tells_nothing_hinders_nothing(bench: Bench, target: Any):
    obj = bench.reader.get(target)
    obj["metadata"].pop("managedFields")
    assert other_writers(obj, REPLICAS) == {}
    assert other_writers(None, REPLICAS) == {}
    assert other_writers(bench.reader.get(target), {"spec": {"replicas": 0}}) == {}
    assert other_writers(bench.reader.get(target), [{"op": "add", "path": "/spec/nothing/here", "value": 1}]) == {}

"""Which writes a fault allows: by verb, object and the fields that change, whichever form of patch they came in."""

from __future__ import annotations

import pytest

from tests.testbed.world.faults import Allowed
from tests.testbed.world.writes import Write, changed_fields, is_allowed

SCALE = Allowed("patch", "deployments", "shop", "checkout", ("spec.replicas",))


def write(**changes: object) -> Write:
    values: dict[str, object] = {
        "at": 1.0, "user": "u", "verb": "patch", "resource": "deployments", "subresource": "", "namespace": "shop", "name": "checkout",
        "fields": ("spec.replicas",), "code": 200, "dry_run": False,
    }  # fmt: skip
    return Write(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"fields": ("metadata.annotations.x/y", "spec.replicas")}, True),
        ({"fields": ("spec.replicas", "spec.template.spec.containers.0.image")}, False),
        ({"fields": ("spec.replicasets",)}, False),
        ({"name": "catalog"}, False),
        ({"namespace": "other"}, False),
        ({"verb": "delete"}, False),
        ({"resource": "pods"}, False),
    ],
)
def test_allowed(changes: dict[str, object], expected: bool) -> None:
    assert is_allowed(write(**changes), SCALE) is expected


def test_fields_of_patches() -> None:
    merge = {"metadata": {"annotations": {"a/b": "c"}}, "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "x"}]}}}}
    assert changed_fields(merge) == ("metadata.annotations.a/b", "spec.replicas", "spec.template.spec.containers")
    json_patch = [
        {"op": "test", "path": "/metadata/uid", "value": "u"},
        {"op": "replace", "path": "/spec/replicas", "value": 3},
        {"op": "add", "path": "/metadata/annotations/a~1b", "value": "c"},
    ]
    assert changed_fields(json_patch) == ("spec.replicas", "metadata.annotations.a/b")
    assert changed_fields({"kind": "Scale", "metadata": {"name": "x"}, "spec": {"replicas": 2}}, "scale") == ("spec.replicas",)
    assert changed_fields(None) == ()


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"user": "system:serviceaccount:aiops:daemon"}, True),
        ({"user": "world"}, False),
        ({"user": "system:kube-controller-manager"}, False),
        ({"user": "system:serviceaccount:kube-system:deployment-controller"}, False),
        ({"resource": "events", "verb": "create"}, False),
        ({"resource": "selfsubjectaccessreviews", "verb": "create"}, False),
        ({"resource": "serviceaccounts", "subresource": "token", "verb": "create"}, False),
        ({"resource": "pods", "verb": "evict"}, True),
    ],
)
def test_whose_writes_count(changes: dict[str, object], counts: bool) -> None:
    assert write(**changes).counts is counts

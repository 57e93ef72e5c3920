"""Who else holds the replica count or the template."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiops.domain.target import JsonObject
from aiops.remediate.ownership import Owner, controller_owner, replicas_owner, template_owner
from tests.unit.remediate.shop import Shop, workload

COUNT: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
TEMPLATE: dict[str, Any] = {"f:spec": {"f:template": {"f:spec": {}}}}


def hpa(name: str = "checkout-hpa", *, scales: str = "checkout", kind: str = "Deployment", **metadata: Any) -> JsonObject:
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": scales}
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"scaleTargetRef": reference, "maxReplicas": 9},
    }


def owners(*others: JsonObject, managed: list[dict[str, Any]] | None = None, **metadata: Any) -> tuple[Owner | None, Owner | None]:
    """Of count and template, for a Deployment with this metadata."""
    obj = workload()
    shop = Shop(obj, *others)
    objects = shop.objects()
    assert objects.target is not None
    objects.target["metadata"] = {**objects.target["metadata"], **metadata}
    if managed is not None:
        objects.target["metadata"]["managedFields"] = managed
    return replicas_owner(objects), template_owner(objects)


def reason(owner: Owner | None) -> str:
    return owner.reason if owner is not None else ""


def test_nobody_but_people() -> None:
    assert owners() == (None, None)


def test_an_autoscaler_owns_the_count_and_not_the_template() -> None:
    count, template = owners(hpa())
    assert count is not None
    assert (count.name, count.reason) == ("HorizontalPodAutoscaler/checkout-hpa", "OwnedByAutoscaler")
    assert template is None


def test_autoscalers_of_others_do_not_matter() -> None:
    assert owners(hpa(scales="cart"), hpa("other", kind="StatefulSet")) == (None, None)


def test_keda_by_its_autoscaler_or_by_a_mark_on_the_target() -> None:
    assert reason(owners(hpa("keda-hpa-x", labels={"scaledobject.keda.sh/name": "x"}))[0]) == "OwnedByKeda"
    made = [{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "y", "uid": "1", "controller": True}]
    count, _ = owners(hpa("keda-hpa-y", ownerReferences=made))
    assert count is not None
    assert count.name == "KEDA/y"
    assert reason(owners(annotations={"scaledobject.keda.sh/name": "z"})[0]) == "OwnedByKeda"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/checkout"}}, "OwnedByArgoCD"),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "OwnedByArgoCD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}, "OwnedByFlux"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "shop"}}, "OwnedByFlux"),
    ],
)
def test_gitops_owns_what_it_declares_and_unknown_counts_as_declared(metadata: dict[str, Any], expected: str) -> None:
    assert tuple(reason(o) for o in owners(**metadata)) == (expected, expected)


def test_gitops_that_leaves_the_count_out_does_not_own_it() -> None:
    tracked: dict[str, Any] = {"labels": {"argocd.argoproj.io/instance": "shop"}}
    managed = [{"manager": "argocd-controller", "operation": "Apply", "fieldsV1": TEMPLATE}]
    assert tuple(reason(o) for o in owners(managed=managed, **tracked)) == ("", "OwnedByArgoCD")
    applied: dict[str, Any] = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": {"template": {}}})}}
    assert tuple(reason(o) for o in owners(**tracked, **applied)) == ("", "OwnedByArgoCD")


@pytest.mark.parametrize(("group", "kind", "expected"), [("argoproj.io", "Rollout", "OwnedByRollout"), ("operators.example", "Shop", "OwnedByController")])
def test_a_controller_of_the_object_owns_everything(group: str, kind: str, expected: str) -> None:
    references = [{"apiVersion": f"{group}/v1", "kind": kind, "name": "x", "uid": "1", "controller": True}]
    assert tuple(reason(o) for o in owners(ownerReferences=references)) == (expected, expected)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"manager": "kustomize-controller", "operation": "Apply"}, "OwnedByApply"),
        ({"manager": "platform-bot", "operation": "Apply"}, "OwnedByApply"),
        ({"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale"}, "OwnedByScaler"),
        ({"manager": "rollouts-controller", "operation": "Update"}, "OwnedByRollout"),
        ({"manager": "argocd-controller", "operation": "Update"}, "OwnedByGitOps"),
        ({"manager": "kubectl", "operation": "Update", "subresource": "scale"}, ""),
        ({"manager": "kubectl", "operation": "Apply"}, ""),
        ({"manager": "kubectl-client-side-apply", "operation": "Update"}, ""),
        ({"manager": "helm", "operation": "Update"}, ""),
        ({"manager": "aiops", "operation": "Update"}, ""),
    ],
)
def test_other_field_managers_that_will_write_again(entry: dict[str, Any], expected: str) -> None:
    assert reason(owners(managed=[{**entry, "fieldsV1": COUNT}])[0]) == expected
    assert reason(owners(managed=[{**entry, "fieldsV1": TEMPLATE}])[0]) == ""


def test_strange_managed_fields_do_no_harm() -> None:
    assert owners(managed=[{}, {"manager": "x", "operation": "Apply", "fieldsV1": {"f:spec": "?"}}]) == (None, None)


def test_a_vanished_target_has_no_owner() -> None:
    from aiops.remediate.objects import ClusterObjects

    empty = ClusterObjects(None)
    assert (replicas_owner(empty), template_owner(empty), controller_owner(empty)) == (None, None, None)

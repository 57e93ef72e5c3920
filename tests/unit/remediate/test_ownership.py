"""Who else holds the replica count or the template."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiops.domain.plan import PlannedStep
from aiops.domain.target import JsonObject
from aiops.remediate.objects import ClusterObjects
from aiops.remediate.ownership import (
    IGNORED,
    Owner,
    config_owner,
    controller_owner,
    lever_owner,
    owner_of_writes,
    replicas_owner,
    resources_owner,
    template_owner,
    vertical_owner,
)
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
        ({"manager": "kustomize-controller", "operation": "Apply"}, "OwnedByFlux"),
        ({"manager": "platform-bot", "operation": "Apply"}, "OwnedByApply"),
        ({"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale"}, "OwnedByScaler"),
        ({"manager": "rollouts-controller", "operation": "Update"}, "OwnedByRollout"),
        ({"manager": "argocd-controller", "operation": "Update"}, "OwnedByArgoCD"),
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
    empty = ClusterObjects(None)
    assert (replicas_owner(empty), template_owner(empty), controller_owner(empty)) == (None, None, None)


TRACKED: dict[str, Any] = {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/checkout"}}
RECONCILED = {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}


def hindered(action: str, *others: JsonObject, arguments: dict[str, Any] | None = None, **metadata: Any) -> str:
    """The reason by which a step of this action on the Deployment is refused; empty if it is not."""
    shop = Shop(workload(), *others)
    objects = shop.objects()
    assert objects.target is not None
    objects.target["metadata"] = {**objects.target["metadata"], **metadata}
    return reason(owner_of_writes(objects, [PlannedStep(action, action, arguments or {})]))


WRITERS = {"scale": {"by": "+1"}, "rollback": {}, "set-image": {}, "set-env": {}, "set-resources": {}, "pause-rollout": {}}


@pytest.mark.parametrize(("metadata", "expected"), [(TRACKED, "OwnedByArgoCD"), (RECONCILED, "OwnedByFlux")])
@pytest.mark.parametrize("action", WRITERS)
def test_gitops_refuses_each_write_of_what_it_compares(action: str, metadata: dict[str, Any], expected: str) -> None:
    assert hindered(action, arguments=WRITERS[action], **metadata) == expected


@pytest.mark.parametrize("metadata", [TRACKED, RECONCILED])
@pytest.mark.parametrize("action", ["restart", "restart-pod", "redis-flush", "notify"])
def test_gitops_lets_a_restart_be(action: str, metadata: dict[str, Any]) -> None:
    assert hindered(action, **metadata) == ""


@pytest.mark.parametrize(
    ("value", "scale", "image"), [("spec.replicas", "", "OwnedByArgoCD"), ("spec.replicas, spec.template", "", ""), ("*", "", ""), ("spec", "OwnedByArgoCD", "OwnedByArgoCD")],
)
def test_fields_that_people_say_are_ignored_are_written(value: str, scale: str, image: str) -> None:
    metadata = {"annotations": {**TRACKED["annotations"], IGNORED: value}}
    assert hindered("scale", arguments={"by": "+1"}, **metadata) == scale
    assert hindered("set-image", **metadata) == image


@pytest.mark.parametrize(
    "off",
    [
        {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}, {"kustomize.toolkit.fluxcd.io/ssa": "Ignore"}, {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"},
        {"helm.toolkit.fluxcd.io/driftDetection": "disabled"},
    ],
)
def test_flux_that_is_told_to_leave_an_object_alone_does_not_own_it(off: dict[str, str]) -> None:
    assert hindered("set-image", **RECONCILED, annotations=off) == ""
    assert hindered("set-image", **RECONCILED, annotations=dict.fromkeys(off, "enabled")) == "OwnedByFlux"


def test_the_instance_label_counts_only_beside_what_argo_wrote() -> None:
    instance: dict[str, Any] = {"labels": {"app.kubernetes.io/instance": "shop"}}
    assert reason(owners(**instance)[1]) == ""
    managed = [{"manager": "argocd-controller", "operation": "Update", "fieldsV1": TEMPLATE}]
    count, template = owners(managed=managed, **instance)
    assert count is None
    assert template is not None
    assert (template.name, template.reason) == ("ArgoCD/shop", "OwnedByArgoCD")


def test_a_rollout_that_takes_its_template_from_the_target() -> None:
    obj = workload()
    made: JsonObject = {
        "kind": "ReplicaSet",
        "metadata": {"name": "checkout-6f", "namespace": "shop", "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "checkout", "uid": "1", "controller": True}]},
        "spec": {"replicas": 0, "selector": obj["spec"]["selector"], "template": obj["spec"]["template"]},
    }
    for action in (*WRITERS, "restart"):
        assert hindered(action, made, arguments=WRITERS.get(action)) == "OwnedByRollout"
    made["spec"]["template"] = {**obj["spec"]["template"], "metadata": {"labels": {"app": "other"}}}
    made["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    assert hindered("restart", made) == ""


def test_a_vertical_autoscaler_is_known_by_what_it_wrote_on_pods() -> None:
    objects = Shop(workload()).objects()
    assert resources_owner(objects) is None
    for pod in objects.pods:
        pod["metadata"].setdefault("annotations", {})["vpaUpdates"] = "Pod resources updated by checkout: container 0: cpu request"
    assert reason(owner_of_writes(objects, [PlannedStep("set-resources", "set-resources", {})])) == "OwnedByVpa"
    assert owner_of_writes(objects, [PlannedStep("set-image", "set-image", {})]) is None


@pytest.mark.parametrize(("mode", "expected"), [(None, "OwnedByVpa"), ("Initial", "OwnedByVpa"), ("Recreate", "OwnedByVpa"), ("Off", "")])
def test_a_vertical_autoscaler_that_only_recommends_owns_nothing(mode: str | None, expected: str) -> None:
    scaler: JsonObject = {"metadata": {"name": "v"}, "spec": {"targetRef": {"kind": "Deployment", "name": "checkout"}}}
    if mode:
        scaler["spec"]["updatePolicy"] = {"updateMode": mode}
    assert reason(vertical_owner([scaler], "Deployment", "checkout")) == expected
    assert vertical_owner([scaler], "StatefulSet", "checkout") is None


def test_an_autoscaler_that_others_declare_is_not_moved() -> None:
    assert lever_owner([hpa()]) is None
    assert reason(lever_owner([hpa(labels={"scaledobject.keda.sh/name": "x"})])) == "OwnedByKeda"
    assert reason(lever_owner([hpa(**TRACKED)])) == "OwnedByArgoCD"
    assert reason(lever_owner([hpa(), hpa("b")])) == "OwnedByAutoscaler"
    controlled = [{"apiVersion": "x.example/v1", "kind": "App", "name": "x", "uid": "1", "controller": True}]
    assert reason(lever_owner([hpa(ownerReferences=controlled)])) == "OwnedByController"


def test_config_maps_have_owners_too() -> None:
    config: JsonObject = {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {"a": "b"}}
    assert config_owner(config) is None
    assert reason(config_owner({**config, "metadata": {**config["metadata"], **RECONCILED}})) == "OwnedByFlux"
    managed = [{"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {}}}}]
    assert config_owner({**config, "metadata": {**config["metadata"], **RECONCILED, "managedFields": managed}}) is None

"""What changed about a workload of late, and whether it is being rolled out, read from real object graphs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from aiops.domain.target import TargetRef
from aiops.remediate.objects import ClusterObjects
from aiops.remediate.recent_changes import recent_changes, roll_out
from tests.unit.remediate.shop import RESTARTED_AT, Shop, workload


def said(shop: Shop) -> list[tuple[str, str, str]]:
    return [(c.kind, c.words, c.by) for c in recent_changes(shop.objects(), shop.now)]


def test_a_new_workload_has_no_release_that_came_before() -> None:
    assert said(Shop(workload())) == []
    assert recent_changes(ClusterObjects(None), 0.0) == ()


def test_a_release_says_what_and_by_whom_and_is_forgotten_after_an_hour() -> None:
    shop = Shop(workload())
    shop.pass_time(7200)
    shop.release("shop/checkout:2")
    shop.pass_time(120)
    assert said(shop) == [("release", "revision 2: image of main from shop/checkout:1 to shop/checkout:2", "ci")]
    shop.pass_time(3600)
    assert said(shop) == []


def test_values_of_variables_are_not_shown() -> None:
    shop = Shop(workload())
    shop.pass_time(7200)
    shop.patch([{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "TOKEN", "value": "hush"}]}])
    shop.pass_time(60)
    assert said(shop) == [("release", "revision 2: env of main", "kubectl-edit")]


def test_one_that_was_gone_back_to_is_a_release_too() -> None:
    shop = Shop(workload())
    shop.pass_time(7200)
    shop.release("shop/checkout:2")
    shop.pass_time(600)
    shop.release("shop/checkout:1")
    shop.pass_time(60)
    assert said(shop) == [("release", "revision 3: a revision that ran before", "ci")]


def test_a_restart_is_told_as_one() -> None:
    shop = Shop(workload())
    shop.pass_time(7200)
    moment = datetime.fromtimestamp(shop.now, UTC).isoformat()
    shop.patch({"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: moment}}}}}, manager="kubectl-rollout")
    shop.pass_time(60)
    assert said(shop) == [("restart", "all pods were restarted", "kubectl-rollout")]


def test_replicas_by_a_person_and_by_an_autoscaler() -> None:
    shop = Shop(workload())
    shop.pass_time(7200)
    shop.patch([{"op": "replace", "path": "/spec/replicas", "value": 6}])
    shop.pass_time(60)
    moment = datetime.fromtimestamp(shop.now - 10, UTC).isoformat()
    scaler = {"metadata": {"name": "scaler"}, "status": {"lastScaleTime": moment, "desiredReplicas": 6}}
    found = recent_changes(replace(shop.objects(), autoscalers=(scaler,)), shop.now)
    assert [(c.words, c.by) for c in found] == [("the autoscaler went to 6 replicas", "scaler"), ("replicas set to 6", "kubectl-edit")]


def test_a_config_map_that_the_pods_read() -> None:
    template_reads = workload()
    template_reads["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "table"}}]
    shop = Shop({"kind": "ConfigMap", "metadata": {"name": "table", "namespace": "shop"}, "data": {"a": "1"}}, template_reads)
    shop.pass_time(7200)
    shop.patch({"data": {"a": "2"}}, ref=TargetRef("ConfigMap", "shop", "table"))
    shop.pass_time(30)
    assert said(shop) == [("configuration", "ConfigMap table was changed", "kubectl-edit")]


def test_a_roll_out_explains_until_its_grace_has_passed() -> None:
    shop = Shop(workload())
    shop.pass_time(7200)
    assert roll_out(shop.objects(), shop.now, 60.0) == ""
    shop.release("shop/checkout:2")
    assert roll_out(shop.objects(), shop.now, 60.0) == "deployment/shop/checkout is being rolled out"
    shop.pass_time(40)
    assert roll_out(shop.objects(), shop.now, 60.0).startswith("deployment/shop/checkout was rolled out")
    shop.pass_time(60)
    assert roll_out(shop.objects(), shop.now, 60.0) == ""


def test_a_roll_out_that_is_stuck_explains_nothing() -> None:
    shop = Shop(workload(progressDeadlineSeconds=60))
    shop.pass_time(7200)
    never = [
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "shop/checkout:2"},
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": {"testbed.aiops/ready-after": "100h"}},
    ]
    shop.patch(never)
    shop.pass_time(30)
    assert roll_out(shop.objects(), shop.now, 60.0) != ""
    shop.pass_time(60)
    assert roll_out(shop.objects(), shop.now, 60.0) == ""

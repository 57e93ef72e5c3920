"""Why containers do not stay up, told apart from what their pods say; which configuration changed; whether a release changed a probe."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.remediate.crashes import config_changes, crashes, probe_changed
from aiops.remediate.objects import ClusterObjects, config_names
from aiops.remediate.releases import running_release
from tests.unit.remediate.shop import Shop, workload

NOW = 1_800_000_000.0


def pod(status: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [{"name": "app", **status}]}}


def ended(code: int, reason: str = "Error", waiting: str = "CrashLoopBackOff", restarts: int = 5) -> dict[str, Any]:
    terminated = {"exitCode": code, "reason": reason, "startedAt": "2027-01-15T07:59:00Z", "finishedAt": "2027-01-15T07:59:30Z"}
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": "2027-01-15T07:59:40Z"}}
    return {"restartCount": restarts, "state": state, "lastState": {"terminated": terminated}}


@pytest.mark.parametrize(
    ("status", "causes", "words"),
    [
        ({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}, ["image"], ["app: ImagePullBackOff: no such image"]),
        ({"state": {"waiting": {"reason": "InvalidImageName"}}, "image": "A:1"}, ["image"], ["app: InvalidImageName: A:1"]),
        (
            {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'configmap "flags" not found'}}}, ["configuration"],
            ['app: CreateContainerConfigError: configmap "flags" not found'],
        ),
        (ended(137, "OOMKilled"), ["memory"], ["app: killed for more memory than its limit"]),
        (ended(137), ["probe"], ["app: killed by the kubelet (exit 137), as when a liveness or startup probe fails"]),
        (ended(143), ["probe"], ["app: killed by the kubelet (exit 143), as when a liveness or startup probe fails"]),
        (ended(2), ["program"], ["app: ended by itself with exit 2"]),
        (ended(2, waiting=""), ["program"], ["app: ended by itself with exit 2"]),
        (ended(2, waiting="", restarts=1), [], []),
        ({"state": {"running": {}}, "restartCount": 0, "lastState": {}}, [], []),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, [], []),
    ],
)  # fmt: skip
def test_causes_are_told_apart(status: dict[str, Any], causes: list[str], words: list[str]) -> None:
    assert crashes(ClusterObjects(None, pods=(pod(status), pod(status))), NOW) == (causes, words)


def test_what_ended_by_itself_after_its_configuration_changed_may_have_ended_for_that() -> None:
    config = {"metadata": {"name": "flags", "managedFields": [{"manager": "ada", "time": "2027-01-15T07:50:00Z"}, {"manager": "ci", "time": "2026-01-01T00:00:00Z"}]}}
    objects = ClusterObjects(None, pods=(pod(ended(1)),), configs=(config,))
    assert crashes(objects, NOW)[0] == ["configuration", "program"]
    assert config_changes(objects, NOW) == ["ConfigMap flags was changed 600 s ago by ada"]
    assert config_changes(objects, NOW + 1800) == []
    assert crashes(ClusterObjects(None, pods=(pod(ended(137)),), configs=(config,)), NOW)[0] == ["probe"]


def test_the_config_maps_that_pods_read() -> None:
    template = {
        "spec": {
            "initContainers": [{"envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "x"}}]}],
            "containers": [{"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "b", "key": "k"}}}, {"name": "B", "value": "1"}]}],
            "volumes": [{"configMap": {"name": "c"}}, {"projected": {"sources": [{"configMap": {"name": "d"}}, {"secret": {"name": "y"}}]}}, {"emptyDir": {}}],
        },
    }
    assert config_names(template) == ("a", "b", "c", "d")
    assert config_names({}) == ()


@pytest.mark.parametrize(("kind", "path"), [("Deployment", "/ready"), ("StatefulSet", "/ready"), ("Deployment", "/")])
def test_a_release_that_changed_a_probe(kind: str, path: str) -> None:
    template = {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "main", "image": "a:1", "livenessProbe": {"httpGet": {"path": "/", "port": 80}}}]}}
    shop = Shop(workload(kind, template=template))
    ref = shop_ref(kind)
    assert not probe_changed(shop.objects(ref), running_release(shop.objects(ref), shop.now))
    changed = {"name": "main", "image": "a:2", "livenessProbe": {"httpGet": {"path": path, "port": 80}}}
    shop.patch({"spec": {"template": {"spec": {"containers": [changed]}}}}, ref=ref)
    shop.pass_time(120)
    assert probe_changed(shop.objects(ref), running_release(shop.objects(ref), shop.now)) is (path != "/")


def shop_ref(kind: str) -> Any:
    from dataclasses import replace

    from tests.unit.remediate.shop import CHECKOUT

    return replace(CHECKOUT, kind=kind)

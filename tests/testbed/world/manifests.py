"""The objects that stand for the services on a cluster. Pure. Neighbours: `live` and `virtual` apply them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.testbed.world.cluster_state import STATE
from tests.testbed.world.services import Service

CONTAINER = "app"
READY_AFTER = "testbed.aiops/ready-after"
RUN_FOR = "testbed.aiops/run-for"
BACK_OFF = "testbed.aiops/back-off"


def deployment(service: Service) -> dict[str, Any]:
    """The Deployment."""
    labels = {**service.labels, "app": service.name}
    limits = {"memory": str(int(service.memory.limit)), "cpu": f"{round(service.cpu_limit * 1000)}m"}
    container = {"name": CONTAINER, "image": service.image, "resources": {"limits": limits, "requests": {"cpu": "100m"}}}
    template = {"metadata": {"labels": labels, "annotations": {READY_AFTER: _span(service.startup)}}, "spec": {"containers": [container]}}
    meta: dict[str, Any] = {"name": service.name, "namespace": service.namespace, "labels": labels}
    if service.annotations:
        meta["annotations"] = dict(service.annotations)
    spec = {"replicas": service.replicas, "selector": {"matchLabels": {"app": service.name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def autoscaler(service: Service) -> dict[str, Any] | None:
    """The HorizontalPodAutoscaler, if the service has one."""
    wanted = service.autoscaler
    if wanted is None:
        return None
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": wanted.utilization}}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": service.name, "namespace": service.namespace, "labels": {"app": service.name}},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
            "minReplicas": wanted.minimum,
            "maxReplicas": wanted.maximum,
            "metrics": [metric],
        },
    }


def image_patch(before: Mapping[str, Any], image: str, *, crashes: bool) -> list[dict[str, Any]]:
    """A JSON patch of a Deployment: another image, and the mark that makes its pods crash or not."""
    changes: list[dict[str, Any]] = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
    annotations = (before["spec"]["template"].get("metadata") or {}).get("annotations")
    path = "/spec/template/metadata/annotations"
    mark = f"{path}/{STATE.replace('/', '~1')}"
    if crashes:
        changes += [] if annotations is not None else [{"op": "add", "path": path, "value": {}}]
        changes.append({"op": "add", "path": mark, "value": "CrashLoopBackOff"})
    elif STATE in (annotations or {}):
        changes.append({"op": "remove", "path": mark})
    return changes


OUT_OF_MEMORY: dict[str, Any] = {"metadata": {"annotations": {STATE: "OOMKilled", RUN_FOR: "10ms", BACK_OFF: "5s"}}}
"""Merge patch of a pod: its container is ended at once for using too much memory."""
RECOVER: dict[str, Any] = {"metadata": {"annotations": {STATE: None, RUN_FOR: None, BACK_OFF: None}}}
"""Merge patch of a pod: its container starts again after the back-off and stays."""


def _span(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"

"""The objects that stand for the services on a cluster. Pure. Neighbours: `live` and `virtual` apply them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.testbed.world.cluster_state import CLEANS, STATE, marks_of
from tests.testbed.world.deeds import Revert, SetConfiguration, SetImage
from tests.testbed.world.services import Service

CONTAINER = "app"
READY_AFTER = "testbed.aiops/ready-after"
RUN_FOR = "testbed.aiops/run-for"
BACK_OFF = "testbed.aiops/back-off"
ZONE = "topology.kubernetes.io/zone"
FAILOVER = "aiops/failover-zone"
"""The label by which a Service names the zone that may take its traffic."""
CLEANUP = "aiops/cleanup-job"
"""The label by which a workload names the CronJob that cleans up after it."""


def deployments(service: Service) -> list[dict[str, Any]]:
    """The Deployment, or one in each of its zones."""
    return [_deployment(service, name, zone) for (_, name), zone in service.places.items()]


def _deployment(service: Service, name: str, zone: str) -> dict[str, Any]:
    selector = {"app": service.name} | ({ZONE: zone} if zone else {})
    labels = {**service.labels, **selector}
    limits = {"memory": str(int(service.memory.limit)), "cpu": f"{round(service.cpu_limit * 1000)}m"}
    container: dict[str, Any] = {"name": CONTAINER, "image": service.image, "resources": {"limits": limits, "requests": {"cpu": "100m"}}}
    if service.env:
        container["env"] = [{"name": name, "value": value} for name, value in service.env.items()]
    if service.config:
        container["envFrom"] = [{"configMapRef": {"name": config_name(service)}}]
    pod: dict[str, Any] = {"containers": [container]} | ({"schedulerName": service.scheduler} if service.scheduler else {})
    if zone:
        pod["nodeSelector"] = {ZONE: zone}
    if service.volume is not None:
        pod["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": service.volume.claim}}]
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    template = {"metadata": {"labels": labels, "annotations": {READY_AFTER: span(service.startup)}}, "spec": pod}
    own = labels | ({CLEANUP: service.volume.cleanup} if service.volume is not None else {})
    meta: dict[str, Any] = {"name": name, "namespace": service.namespace, "labels": own}
    if service.annotations:
        meta["annotations"] = dict(service.annotations)
    spec = {"replicas": service.replicas, "selector": {"matchLabels": selector}, "template": template}
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


def config_name(service: Service) -> str:
    """Of the ConfigMap that the service takes variables from."""
    return f"{service.name}-config"


def belongings(service: Service) -> list[dict[str, Any]]:
    """What stands beside the Deployment: ConfigMap, claim and the CronJob that cleans it, which never runs by itself, and what directs the traffic."""
    found: list[dict[str, Any]] = []
    if service.zones:
        front = {"name": service.name, "namespace": service.namespace, "labels": {**service.labels, FAILOVER: service.zones[1]}}
        spec: dict[str, Any] = {"selector": {"app": service.name, ZONE: service.zones[0]}, "ports": [{"port": 80}]}
        found.append({"apiVersion": "v1", "kind": "Service", "metadata": front, "spec": spec})
    if service.config:
        found.append(config_map(service.namespace, config_name(service), service.config))
    volume = service.volume
    if volume is not None:
        meta = {"namespace": service.namespace, "labels": {"app": service.name}}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": str(int(volume.size))}}}
        found.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": volume.claim, **meta}, "spec": claim})
        container = {"name": "clean", "image": f"{service.name}-clean:1", "command": ["clean", "/data"]}
        pod = {"metadata": {"labels": {CLEANS: service.name}}, "spec": {"restartPolicy": "Never", "containers": [container]}}
        spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": pod}}}
        found.append({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": volume.cleanup, **meta}, "spec": spec})
    return found


def disk(claim: Mapping[str, Any]) -> dict[str, Any]:
    """What a claim gets on a cluster where nothing provides volumes."""
    namespace, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
    spec = {
        "capacity": claim["spec"]["resources"]["requests"], "accessModes": claim["spec"]["accessModes"], "hostPath": {"path": "/data"},
        "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": name},
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{namespace}-{name}"}, "spec": spec}


def config_map(namespace: str, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """One."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": dict(data)}


def change(before: Mapping[str, Any], deed: SetImage | SetConfiguration | Revert) -> list[dict[str, Any]] | None:
    """The JSON patch of a Deployment that does the deed; None if it does not apply any more."""
    container = before["spec"]["template"]["spec"]["containers"][0]
    if isinstance(deed, SetImage):
        if deed.only_if and container.get("image") not in deed.only_if:
            return None
        return image_patch(before, deed.image, state=deed.state, startup=deed.startup)
    if isinstance(deed, SetConfiguration):
        if deed.only_if and deed.only_if not in marks_of(container):
            return None
        return configuration_patch(before, deed.env, deed.value, deed.config_map, state=deed.state)
    return [{"op": "replace", "path": f"/spec/{deed.field}", "value": deed.value}]


def image_patch(before: Mapping[str, Any], image: str, *, state: str = "", startup: float = 0.0) -> list[dict[str, Any]]:
    """A JSON patch of a Deployment: another image, the mark that makes its pods fail or not, and how long they take to be ready (0: as before)."""
    changes: list[dict[str, Any]] = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
    return changes + _marked(before, state, startup)


def configuration_patch(before: Mapping[str, Any], env: str, value: str | None, config_map: str, *, state: str = "") -> list[dict[str, Any]]:
    """A JSON patch of a Deployment: a variable (None: taken away), or the ConfigMap that its variables come from."""
    container, path = before["spec"]["template"]["spec"]["containers"][0], "/spec/template/spec/containers/0"
    if config_map:
        change = {"op": "add", "path": f"{path}/envFrom", "value": [{"configMapRef": {"name": config_map}}]}
        return [change, *_marked(before, state, 0.0)]
    kept = [each for each in container.get("env") or () if each["name"] != env]
    wanted = kept if value is None else [*kept, {"name": env, "value": value}]
    return [{"op": "add", "path": f"{path}/env", "value": wanted}, *_marked(before, state, 0.0)]


def _marked(before: Mapping[str, Any], state: str, startup: float) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = []
    annotations = (before["spec"]["template"].get("metadata") or {}).get("annotations")
    path = "/spec/template/metadata/annotations"
    if annotations is None and (state or startup):
        changes.append({"op": "add", "path": path, "value": {}})
    if state:
        changes.append({"op": "add", "path": f"{path}/{STATE.replace('/', '~1')}", "value": state})
    elif STATE in (annotations or {}):
        changes.append({"op": "remove", "path": f"{path}/{STATE.replace('/', '~1')}"})
    if startup:
        changes.append({"op": "add", "path": f"{path}/{READY_AFTER.replace('/', '~1')}", "value": span(startup)})
    return changes


OUT_OF_MEMORY: dict[str, Any] = {"metadata": {"annotations": {STATE: "OOMKilled", RUN_FOR: "10ms", BACK_OFF: "5s"}}}
"""Merge patch of a pod: its container is ended at once for using too much memory."""
RECOVER: dict[str, Any] = {"metadata": {"annotations": {STATE: None, RUN_FOR: None, BACK_OFF: None}}}
"""Merge patch of a pod: its container starts again after the back-off and stays."""


def span(seconds: float) -> str:
    """A duration as the fake kubelets read it."""
    return f"{round(seconds * 1000)}ms"

"""What kubelets, kube-state-metrics and node exporters would tell of the cluster: names and labels as docs/world.md has them. Pure.

Neighbours: `cluster_state` is read, `service_model` knows memory and processor time, `simulation` asks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.testbed.world.cluster_state import ClusterState, Key, Pod
from tests.testbed.world.service_metrics import Labels
from tests.testbed.world.service_model import ServiceModel

PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
DISK = 100.0 * 2**30
_USED = 0.35
_UNITS = {"memory": "byte", "cpu": "core"}


class ClusterExporter:
    """Label sets and values of all that is watched. They are made anew when the state of the cluster changed; most are constant between."""

    def __init__(self, models: Mapping[Key, ServiceModel], extra: Labels) -> None:
        self._models, self._extra = models, dict(extra)
        self._state: ClusterState | None = None
        self._ids: tuple[object, ...] = ()
        self._labels: tuple[Labels, ...] = ()
        self._values = np.empty(0)
        self._live = 0
        """How many series from the front change each second: memory and processor time of running containers, volumes."""

    def read(self, state: ClusterState) -> tuple[tuple[Labels, ...], np.ndarray]:
        """The series and their values now."""
        if state is not self._state:
            self._state = state
            self._make(state)
        disks = [np.array([m.written, m.service.volume.size - m.written]) for m in self._models.values() if m.service.volume is not None]
        usage = [column for model in self._models.values() if model.slots.pods for column in (model.slots.memory, model.slots.cpu)]
        values = self._values.copy()
        if usage or disks:
            values[: self._live] = np.concatenate([*usage, *disks])
        return self._labels, values

    def _make(self, state: ClusterState) -> None:
        labels: list[Labels] = []
        values: list[float] = []

        def add(name: str, value: float, **more: str) -> None:
            labels.append({"__name__": name, **self._extra, **more})
            values.append(value)

        for model in self._models.values():
            for name in ("container_memory_working_set_bytes", "container_cpu_usage_seconds_total"):
                for pod in model.slots.pods:
                    add(name, 0.0, namespace=pod.namespace, pod=pod.name, container=pod.containers[0].name)
        for model in self._models.values():
            volume = model.service.volume
            if volume is not None:
                place = {"namespace": model.service.namespace, "persistentvolumeclaim": volume.claim}
                add("kubelet_volume_stats_used_bytes", 0.0, **place)
                add("kubelet_volume_stats_available_bytes", 0.0, **place)
        self._live = len(labels)
        for model in self._models.values():
            if model.service.volume is not None:
                place = {"namespace": model.service.namespace, "persistentvolumeclaim": model.service.volume.claim}
                add("kubelet_volume_stats_capacity_bytes", model.service.volume.size, **place)
        for key in (place for model in self._models.values() for place in model.service.places):
            deployment = state.deployments.get(key)
            if deployment is not None:
                place = {"namespace": deployment.namespace, "deployment": deployment.name}
                add("kube_deployment_spec_replicas", deployment.replicas, **place)
                add("kube_deployment_status_replicas_available", deployment.available, **place)
                add("kube_deployment_status_replicas_unavailable", deployment.unavailable, **place)
            for pod in state.pods.get(key, ()):
                _pod(pod, add)
        for node in state.nodes:
            for condition, status in node.conditions:
                for value in ("true", "false", "unknown"):
                    add("kube_node_status_condition", float(status.lower() == value), node=node.name, condition=condition, status=value)
            place = {"node": node.name, "mountpoint": "/", "fstype": "ext4"}
            add("node_filesystem_size_bytes", DISK, **place)
            add("node_filesystem_avail_bytes", DISK * (1.0 - _USED), **place)
        ids = tuple(frozenset(each.items()) for each in labels)
        if ids != self._ids:
            self._ids, self._labels = ids, tuple(labels)
        self._values = np.array(values)


def _pod(pod: Pod, add: object) -> None:
    assert callable(add)
    place = {"namespace": pod.namespace, "pod": pod.name}
    if pod.node:
        add("kube_pod_info", 1.0, node=pod.node, **place)
    for claim in pod.claims:
        add("kube_pod_spec_volumes_persistentvolumeclaims_info", 1.0, persistentvolumeclaim=claim, **place)
    for phase in PHASES:
        add("kube_pod_status_phase", float(pod.phase == phase), phase=phase, **place)
    for container in pod.containers:
        where = {**place, "container": container.name}
        for resource, limit in container.limits:
            add("kube_pod_container_resource_limits", limit, resource=resource, unit=_UNITS.get(resource, "integer"), **where)
        add("kube_pod_container_status_restarts_total", container.restarts, **where)
        if container.waiting:
            add("kube_pod_container_status_waiting_reason", 1.0, reason=container.waiting, **where)
        if container.last_terminated:
            add("kube_pod_container_status_last_terminated_reason", 1.0, reason=container.last_terminated, **where)

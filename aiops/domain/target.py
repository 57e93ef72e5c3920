"""What an incident is about and what a runbook works on: one object of one cluster.

Neighbours: rules name targets by template, `ports.cluster` reads and writes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JsonObject = dict[str, Any]
"""A Kubernetes object as it stands in JSON."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind is reached on the API. `group` is empty for core."""

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for core."""
        return f"{self.group}/{self.version}" if self.group else self.version


KINDS: Mapping[str, Kind] = {
    k.name: k
    for k in (
        Kind("Pod", "", "v1", "pods"),
        Kind("Node", "", "v1", "nodes", namespaced=False),
        Kind("Namespace", "", "v1", "namespaces", namespaced=False),
        Kind("Service", "", "v1", "services"),
        Kind("ConfigMap", "", "v1", "configmaps"),
        Kind("Event", "", "v1", "events"),
        Kind("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
        Kind("Deployment", "apps", "v1", "deployments"),
        Kind("StatefulSet", "apps", "v1", "statefulsets"),
        Kind("DaemonSet", "apps", "v1", "daemonsets"),
        Kind("ReplicaSet", "apps", "v1", "replicasets"),
        Kind("ControllerRevision", "apps", "v1", "controllerrevisions"),
        Kind("Job", "batch", "v1", "jobs"),
        Kind("CronJob", "batch", "v1", "cronjobs"),
        Kind("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers"),
        Kind("VerticalPodAutoscaler", "autoscaling.k8s.io", "v1", "verticalpodautoscalers"),
        Kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets"),
        Kind("EndpointSlice", "discovery.k8s.io", "v1", "endpointslices"),
        Kind("Lease", "coordination.k8s.io", "v1", "leases"),
    )
}

# RFC 1123 subdomain, as the API server asks for most names; anything else in an alert's label can not be an object.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def valid_name(name: str) -> bool:
    """True if the API server could hold an object of this name."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class TargetRef:
    """One object: `namespace` is empty for cluster-scoped kinds, `context` names the cluster in the settings."""

    kind: str
    namespace: str
    name: str
    context: str = "default"

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        where = "" if self.context == "default" else f"{self.context}:"
        return f"{where}{place}{self.kind.lower()}/{self.name}"


def parse_target(text: str) -> TargetRef:
    """`[context:][namespace/]kind/name`, as people type it and as `str()` prints it. Raises ValueError saying what is allowed."""
    context, _, rest = text.rpartition(":")
    parts = rest.split("/")
    kinds = {k.lower(): k for k in KINDS} | {v.plural: k for k, v in KINDS.items()}
    if len(parts) not in (2, 3) or parts[-2].lower() not in kinds or not valid_name(parts[-1]):
        raise ValueError(f"{text!r} is no target: write [context:][namespace/]kind/name, for example shop/deployment/checkout")
    kind = KINDS[kinds[parts[-2].lower()]]
    if kind.namespaced != (len(parts) == 3):
        stands = f"in a namespace: write NAMESPACE/{kind.name.lower()}/{parts[-1]}" if kind.namespaced else f"in no namespace: write {kind.name.lower()}/{parts[-1]}"
        raise ValueError(f"{text!r} is no target: a {kind.name} stands {stands}")
    return TargetRef(kind.name, parts[0] if len(parts) == 3 else "", parts[-1], context or "default")

"""Types of the fields that this cluster reads: what has another shape is refused (400) before anything looks at it. Pure. Neighbour: `validation`.

Stands for the server's decoding into typed objects: null is the same as absent, unknown fields pass.
"""

from __future__ import annotations

from typing import Any

from aiops.domain.errors import InvalidError
from aiops.domain.target import JsonObject

Shape = Any
"""A type, a tuple of types, MAP, a dict of fields, or a list with the shape of its items."""

MAP = "a map of strings"
_NUMBER_OR_SHARE = (int, str)

_CONDITIONS = [{"type": str, "status": str, "reason": str, "message": str}]
_LABEL_SELECTOR = {"matchLabels": MAP, "matchExpressions": [{"key": str, "operator": str, "values": [str]}]}
_CONTAINERS = [{"name": str, "image": str, "imagePullPolicy": str, "resources": dict, "ports": [dict], "env": [dict]}]
_POD_SPEC = {
    "containers": _CONTAINERS,
    "initContainers": _CONTAINERS,
    "nodeName": str,
    "nodeSelector": MAP,
    "restartPolicy": str,
    "terminationGracePeriodSeconds": int,
    "tolerations": [dict],
}
_META = {
    "name": str,
    "generateName": str,
    "namespace": str,
    "uid": str,
    "resourceVersion": str,
    "generation": int,
    "labels": MAP,
    "annotations": MAP,
    "finalizers": [str],
    "ownerReferences": [{"apiVersion": str, "kind": str, "name": str, "uid": str, "controller": bool}],
}
_TEMPLATE = {"metadata": {"labels": MAP, "annotations": MAP}, "spec": _POD_SPEC}
_STATUS = {
    "conditions": _CONDITIONS,
    "containerStatuses": [{"name": str, "ready": bool, "restartCount": int, "state": dict, "lastState": dict}],
    "phase": str,
    "disruptedPods": MAP,
} | dict.fromkeys(
    ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "observedGeneration", "disruptionsAllowed", "currentHealthy"), int
)
_WORKLOAD = {
    "replicas": int,
    "minReadySeconds": int,
    "revisionHistoryLimit": int,
    "progressDeadlineSeconds": int,
    "paused": bool,
    "selector": _LABEL_SELECTOR,
    "template": _TEMPLATE,
    "strategy": {"type": str, "rollingUpdate": {"maxSurge": _NUMBER_OR_SHARE, "maxUnavailable": _NUMBER_OR_SHARE}},
    "updateStrategy": {"type": str, "rollingUpdate": {"partition": int}},
    "podManagementPolicy": str,
}
_SPECS: dict[str, Shape] = {
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), _WORKLOAD),
    "Pod": _POD_SPEC,
    "Node": {"unschedulable": bool, "taints": [{"key": str, "effect": str}]},
    "Job": {"template": _TEMPLATE, "suspend": bool} | dict.fromkeys(("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"), int),
    "HorizontalPodAutoscaler": {
        "scaleTargetRef": {"apiVersion": str, "kind": str, "name": str},
        "minReplicas": int,
        "maxReplicas": int,
        "metrics": [dict],
    },
    "PodDisruptionBudget": {
        "selector": _LABEL_SELECTOR,
        "minAvailable": _NUMBER_OR_SHARE,
        "maxUnavailable": _NUMBER_OR_SHARE,
        "unhealthyPodEvictionPolicy": str,
    },
}


def label_job(job: JsonObject) -> None:
    """Give a new Job the selector, and its pods the labels, that the server makes from its uid and name."""
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    own = dict.fromkeys(("controller-uid", "batch.kubernetes.io/controller-uid"), uid) | dict.fromkeys(("job-name", "batch.kubernetes.io/job-name"), name)
    metadata = job["spec"]["template"].setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **own}
    job["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def shaped(obj: JsonObject) -> JsonObject:
    """The object without nulls where a shape is known. Raises InvalidError (400) naming the first field that has another one."""
    kind = obj["kind"]
    shape: JsonObject = {"metadata": _META, "spec": _SPECS.get(kind, dict), "status": _STATUS}
    if kind == "Event":
        shape |= {"involvedObject": dict.fromkeys(("kind", "namespace", "name", "uid"), str), "count": int, "reason": str, "type": str}
    found: JsonObject = _fit(obj, shape, kind)
    return found


def _fit(value: Any, shape: Shape, path: str) -> Any:
    if isinstance(shape, dict):
        fields = _is(value, dict, path)
        wanted = {k: v for k, v in fields.items() if v is not None or k not in shape}
        return {k: _fit(v, shape[k], f"{path}.{k}") if k in shape else v for k, v in wanted.items()}
    if isinstance(shape, list):
        return [_fit(v, shape[0], f"{path}[{i}]") for i, v in enumerate(_is(value, list, path))]
    if shape == MAP:
        texts = {k: "" if v is None else v for k, v in _is(value, dict, path).items()}
        if not all(isinstance(v, str) for v in texts.values()):
            raise InvalidError("BadRequest", f"{path}: must be {MAP}", 400)
        return texts
    return _is(value, shape, path)


def _is(value: Any, types: type | tuple[type, ...], path: str) -> Any:
    allowed = types if isinstance(types, tuple) else (types,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        names = " or ".join(t.__name__ for t in allowed)
        raise InvalidError("BadRequest", f"{path}: cannot unmarshal {type(value).__name__} into {names}", 400)
    return value

"""Defaults and checks of objects, as far as they matter to what this project writes. Pure. Neighbour: `server`.

Not the whole of Kubernetes' validation: names, kinds, counts, selectors, containers, what may not change, and the defaults that
controllers and readers rely on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiops.adapters.patching import clone, same
from aiops.domain.errors import InvalidError
from aiops.domain.target import KINDS, JsonObject, valid_name

from .selectors import matches
from .shapes import shaped

WITH_STATUS = frozenset(
    {"Pod", "Node", "Namespace", "Service", "PersistentVolumeClaim", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}
    | {"Job", "CronJob", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
)
"""Kinds whose status is written through `/status` only."""
WITH_SCALE = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})
_WITH_TEMPLATE = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})

_CONFIG = ("data", "binaryData", "immutable")
_COUNTS = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
_LABEL_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_SHARE = re.compile(r"[0-9]{1,5}%")
_MOST_LABEL = 63
_MOST_ANNOTATIONS = 256 * 1024


def invalid(obj: Mapping[str, Any], path: str, why: str) -> InvalidError:
    """A 422 as the API words it."""
    name = (obj.get("metadata") or {}).get("name", "")
    return InvalidError("Invalid", f'{obj.get("kind")} "{name}" is invalid: {path}: {why}', 422)


def defaulted(obj: JsonObject) -> JsonObject:
    """A copy with the defaults that the server fills in. Raises InvalidError (400) for fields of a wrong type."""
    obj = shaped(clone(obj))
    kind = obj["kind"]
    spec = obj.setdefault("spec", {}) if kind in WITH_STATUS - {"Namespace"} else obj.get("spec", {})
    if kind in ("Deployment", "StatefulSet", "ReplicaSet"):
        spec.setdefault("replicas", 1)
    if kind in ("Deployment", "StatefulSet"):
        spec.setdefault("revisionHistoryLimit", 10)
    if kind == "Deployment":
        spec.setdefault("progressDeadlineSeconds", 600)
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            limits = strategy.setdefault("rollingUpdate", {})
            limits.setdefault("maxSurge", "25%")
            limits.setdefault("maxUnavailable", "25%")
    if kind == "StatefulSet":
        spec.setdefault("podManagementPolicy", "OrderedReady")
        spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    if kind == "Job":
        _default_job(spec)
    if kind == "HorizontalPodAutoscaler":
        spec.setdefault("minReplicas", 1)
        spec.setdefault("scaleTargetRef", {})
    if kind in _WITH_TEMPLATE and "template" in spec:
        _default_pod_spec(spec["template"].setdefault("spec", {}))
    if kind == "Pod":
        _default_pod_spec(spec)
    return obj


def _default_job(spec: JsonObject) -> None:
    for name, value in (("parallelism", 1), ("completions", 1), ("backoffLimit", 6)):
        spec.setdefault(name, value)
    _default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _default_pod_spec(spec: JsonObject) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    for container in spec.get("containers") or ():
        image = container.get("image", "")
        container.setdefault("imagePullPolicy", "Always" if ":" not in image or image.endswith(":latest") else "IfNotPresent")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")


def check(obj: JsonObject, before: JsonObject | None) -> None:
    """Raises InvalidError (422, or 400 for what cannot be an object at all). `before` is the stored state of an update."""
    kind = obj["kind"]
    meta = obj["metadata"]
    if not valid_name(meta.get("name", "")):
        raise invalid(obj, "metadata.name", "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'")
    _check_texts(obj, meta)
    if kind in _WITH_TEMPLATE:
        _check_workload(obj)
    if kind == "Pod":
        _check_pod_spec(obj, obj["spec"], "spec")
    if kind == "Job":
        _check_job(obj)
    if kind == "PodDisruptionBudget":
        _check_shares(obj, obj["spec"], "spec")
    if kind == "HorizontalPodAutoscaler":
        _check_autoscaler(obj)
    if kind == "Event" and (obj.get("involvedObject") or {}).get("namespace", "") not in (meta["namespace"], ""):
        raise invalid(obj, "involvedObject.namespace", "does not match event.namespace")
    if before is not None:
        _check_unchangeable(obj, before)


def _check_texts(obj: JsonObject, meta: JsonObject) -> None:
    for part in ("labels", "annotations"):
        texts = meta.get(part)
        if texts is None:
            continue
        for key, value in texts.items():
            if not _LABEL_KEY.fullmatch(key):
                raise invalid(obj, f"metadata.{part}", f"Invalid value: {key!r}: a qualified name")
            if part == "labels" and not _LABEL_VALUE.fullmatch(value):
                raise invalid(obj, "metadata.labels", f"Invalid value: {value!r}: at most 63 of A-Z, a-z, 0-9, '-', '_', '.'")
    if sum(len(k) + len(v) for k, v in (meta.get("annotations") or {}).items()) > _MOST_ANNOTATIONS:
        raise invalid(obj, "metadata.annotations", "Too long: may not be more than 262144 bytes")


def _check_shares(obj: JsonObject, limits: JsonObject, path: str) -> None:
    for name in ("maxSurge", "maxUnavailable", "minAvailable"):
        value = limits.get(name, 0)
        if isinstance(value, str) and not _SHARE.fullmatch(value):
            raise invalid(obj, f"{path}.{name}", f"Invalid value: {value!r}: a valid percent string such as '25%'")
        if isinstance(value, int) and value < 0:
            raise invalid(obj, f"{path}.{name}", f"Invalid value: {value}: must be greater than or equal to 0")


def _check_job(obj: JsonObject) -> None:
    pod = obj["spec"]["template"]["spec"]
    _check_pod_spec(obj, pod, "spec.template.spec")
    if pod["restartPolicy"] not in ("OnFailure", "Never"):
        raise invalid(obj, "spec.template.spec.restartPolicy", f'Unsupported value: {pod["restartPolicy"]!r}: supported values: "OnFailure", "Never"')
    if len(obj["metadata"]["name"]) > _MOST_LABEL:
        raise invalid(obj, "spec.template.labels", "Invalid value: must be no more than 63 characters")


def _check_autoscaler(obj: JsonObject) -> None:
    spec = obj["spec"]
    for name in ("kind", "name"):
        if not spec["scaleTargetRef"].get(name):
            raise invalid(obj, f"spec.scaleTargetRef.{name}", "Required value")
    low, high = spec["minReplicas"], spec.get("maxReplicas", 0)
    if low < 1:
        raise invalid(obj, "spec.minReplicas", f"Invalid value: {low}: must be greater than or equal to 1")
    if high < 1:
        raise invalid(obj, "spec.maxReplicas", f"Invalid value: {high}: must be greater than 0")
    if high < low:
        raise invalid(obj, "spec.maxReplicas", f"Invalid value: {high}: must be greater than or equal to `minReplicas`")


def _check_workload(obj: JsonObject) -> None:
    spec = obj["spec"]
    _check_shares(obj, (spec.get("strategy") or {}).get("rollingUpdate") or {}, "spec.strategy.rollingUpdate")
    for name in _COUNTS:
        value = spec.get(name, 0)
        if not 0 <= value < 2**31:
            raise invalid(obj, f"spec.{name}", f"Invalid value: {value}: must be greater than or equal to 0")
    template, selector = spec.get("template"), spec.get("selector")
    if not selector:
        raise invalid(obj, "spec.selector", "Required value")
    if template is None:
        raise invalid(obj, "spec.template", "Required value")
    if not matches(selector, (template.get("metadata") or {}).get("labels") or {}):
        raise invalid(obj, "spec.template.metadata.labels", "`selector` does not match template `labels`")
    _check_pod_spec(obj, template.get("spec") or {}, "spec.template.spec")


def _check_pod_spec(obj: JsonObject, spec: JsonObject, path: str) -> None:
    containers = spec.get("containers")
    if not containers:
        raise invalid(obj, f"{path}.containers", "Required value")
    for index, container in enumerate(containers):
        for name in ("name", "image"):
            if not container.get(name):
                raise invalid(obj, f"{path}.containers[{index}].{name}", "Required value")
    if len({c["name"] for c in containers}) != len(containers):
        raise invalid(obj, f"{path}.containers", "Duplicate value: names of containers are unique")
    if spec.get("restartPolicy") != "Always" and obj["kind"] in _WITH_TEMPLATE:
        raise invalid(obj, f"{path}.restartPolicy", f'Unsupported value: {spec.get("restartPolicy")!r}: supported values: "Always"')


def _check_unchangeable(obj: JsonObject, before: JsonObject) -> None:
    kind = obj["kind"]
    if kind in _WITH_TEMPLATE and not same(obj["spec"]["selector"], before["spec"]["selector"]):
        raise invalid(obj, "spec.selector", "Invalid value: field is immutable")
    if kind == "Job" and not same(obj["spec"]["template"], before["spec"]["template"]):
        raise invalid(obj, "spec.template", "Invalid value: field is immutable")
    if kind == "ConfigMap" and before.get("immutable") and not same([obj.get(k) for k in _CONFIG], [before.get(k) for k in _CONFIG]):
        raise invalid(obj, "data", "Forbidden: field is immutable when `immutable` is set")
    if kind == "Pod" and not same(_fixed_part(obj), _fixed_part(before)):
        raise invalid(obj, "spec", "Forbidden: pod updates may not change fields other than the images of containers and tolerations")


def _fixed_part(pod: JsonObject) -> JsonObject:
    spec = {k: v for k, v in pod["spec"].items() if k not in ("tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds")}
    for name in ("containers", "initContainers"):
        if name in spec:
            spec[name] = [{k: v for k, v in c.items() if k != "image"} for c in spec[name]]
    return spec


def known_kind(kind: str) -> None:
    """Raises InvalidError if the cluster does not have this kind."""
    if kind not in KINDS:
        raise InvalidError("UnknownKind", f"the cluster has no kind {kind!r}: only {', '.join(sorted(KINDS))}", 400)

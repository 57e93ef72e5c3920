"""Alertmanager's webhook (version 4) as a way in: each alert of a notification becomes a Signal of kind ALERT.

Types are checked strictly; values are hostile and stay data: bounded, without control characters, and a target only where they are names that the
API server could hold. Neighbours: `web` mounts the route and hands over the body, `pipeline.triage` takes the signals.

The target, first row that fits (`exported_X` stands for X where a scrape renamed it):

| labels | target |
| --- | --- |
| `aiops_target` (label or annotation, `namespace/kind/name`) | that |
| `deployment`, `statefulset`, `daemonset`, `cronjob`, `horizontalpodautoscaler`, `persistentvolumeclaim`, `job_name`, each with `namespace` | that object; `job_name` is a Job, since `job` is Prometheus' own |
| `workload` with `workload_type` and `namespace` | that workload |
| `pod` or `pod_name`, with `namespace` | the pod; but not that of an exporter which tells about others (`EXPORTERS`) |
| `node` | the node |

The severity is that of the label `severity` by `SEVERITIES`; without one, or with one unknown, it is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from aiops.domain.errors import AiopsError, trimmed
from aiops.domain.ids import make_id
from aiops.domain.series import series_id
from aiops.domain.signal import Evidence, Severity, Signal, SignalKind, SignalState
from aiops.domain.target import KINDS, TargetRef, parse_target, valid_name

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_LABELS = 64
MAX_NAME = 128
MAX_VALUE = 1024
MAX_LINES = 8

SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(("critical", "crit", "emergency", "fatal", "disaster", "page", "p1", "sev1"), Severity.CRITICAL),
    **dict.fromkeys(("warning", "warn", "error", "high", "major", "medium", "minor", "average", "p2", "p3", "sev2", "sev3"), Severity.WARNING),
    **dict.fromkeys(("info", "information", "informational", "notice", "low", "none", "debug", "p4", "p5", "sev4", "sev5"), Severity.INFO),
}

EXPORTERS = ("kube-state-metrics", "node-exporter", "node-problem-detector")
"""Their own pod stands in the label `pod` of what they tell about nodes."""

_WORKLOADS = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "cronjob": "CronJob",
    "horizontalpodautoscaler": "HorizontalPodAutoscaler",
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "job_name": "Job",
}
_TYPES = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet", "job": "Job", "cronjob": "CronJob", "replicaset": "ReplicaSet"}
_EXPORTED = "exported_"


class AlertPayloadError(AiopsError, ValueError):
    """The body is no webhook notification of version 4; the text says where and what is allowed."""


class _Alert(msgspec.Struct, rename="camel"):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    starts_at: datetime
    annotations: dict[str, str] = {}
    ends_at: datetime | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")
    fingerprint: str = ""


class _Notification(msgspec.Struct, rename="camel"):
    version: Literal["4"]
    alerts: list[_Alert]
    receiver: str = ""
    truncated_alerts: int = 0


_decode = msgspec.json.Decoder(_Notification).decode


def parse_webhook(body: bytes, *, received_at: float, context: str = "default") -> tuple[Signal, ...]:
    """The signals of one notification: FIRING or CLEARED at `received_at` (Unix seconds). `context` names the cluster that the targets are in.

    The series is the hash of the labels as they were sent; what is shown of them is trimmed. The rule is `alert:` and the alert's name, so that no
    alert can pass for a rule of ours. Raises AlertPayloadError.
    """
    if len(body) > MAX_BODY_BYTES:
        raise AlertPayloadError(f"the body has {len(body)} bytes; allowed are {MAX_BODY_BYTES}")
    try:
        notification = _decode(body)
    except (ValueError, RecursionError) as error:
        raise AlertPayloadError(trimmed(f"no Alertmanager webhook notification of version 4: {error}")) from error
    return tuple(_signal(alert, notification, received_at, context) for alert in notification.alerts)


def _signal(alert: _Alert, notification: _Notification, received_at: float, context: str) -> Signal:
    state = SignalState.FIRING if alert.status == "firing" else SignalState.CLEARED
    labels = {_clean(name, MAX_NAME): _clean(value, MAX_VALUE) for name, value in sorted(alert.labels.items())[:MAX_LABELS]}
    name = _clean(alert.labels.get("alertname", ""), MAX_NAME) or "unnamed"
    rule, series = f"alert:{name}", series_id(alert.labels)
    target, notes = _target(alert, context)
    if len(alert.labels) > MAX_LABELS:
        notes.append(f"{len(alert.labels)} labels, the first {MAX_LABELS} are kept")
    if notification.truncated_alerts > 0:
        notes.append(f"Alertmanager left out {notification.truncated_alerts} alerts of this group")
    notes.append(f"since {alert.starts_at.isoformat(timespec='seconds')}")
    said = [alert.annotations.get(key, "") for key in ("summary", "message", "description")]
    summary = next((_clean(text, MAX_VALUE) for text in said if text.strip()), name)
    return Signal(
        id=make_id("sig", rule, series, state.value, received_at),
        rule=rule,
        detector="alertmanager",
        kind=SignalKind.FORECAST if alert.labels.get("forecast", "").strip().lower() == "true" else SignalKind.ALERT,
        state=state,
        severity=SEVERITIES.get(alert.labels.get("severity", "").strip().lower(), Severity.WARNING),
        at=received_at,
        series=series,
        labels=labels,
        target=target,
        summary=summary,
        evidence=Evidence(note="; ".join(notes), lines=tuple(_lines(alert))),
    )


def _lines(alert: _Alert) -> Iterator[str]:
    """The annotations and the link as texts for people."""
    for name, value in sorted(alert.annotations.items())[: MAX_LINES - 1]:
        yield _clean(f"{name}: {value}", MAX_VALUE)
    if alert.generator_url:
        yield _clean(f"generatorURL: {alert.generator_url}", MAX_VALUE)


def _target(alert: _Alert, context: str) -> tuple[TargetRef | None, list[str]]:
    """The target by the table above, or None with the reason."""
    wanted = alert.labels.get("aiops_target") or alert.annotations.get("aiops_target")
    if wanted:
        return _named(wanted, context)
    labels = dict(alert.labels)
    labels.update({name.removeprefix(_EXPORTED): value for name, value in alert.labels.items() if name.startswith(_EXPORTED)})
    found = _subject(labels, alert.labels.get("job", ""))
    if found is None:
        return None, ["no label names an object"]
    kind, name = found
    namespace = labels.get("namespace", "") if KINDS[kind].namespaced else ""
    if KINDS[kind].namespaced and not valid_name(namespace):
        return None, [f"a {kind} is named, but the label namespace holds no name of one"]
    if not valid_name(name):
        return None, [f"the label for a {kind} holds no name that an object can have"]
    return TargetRef(kind, namespace, name, context), []


def _named(text: str, context: str) -> tuple[TargetRef | None, list[str]]:
    try:
        ref = parse_target(text)
    except ValueError:
        return None, ["aiops_target is no target: write namespace/kind/name"]
    if KINDS[ref.kind].namespaced != bool(ref.namespace) or (ref.namespace and not valid_name(ref.namespace)):
        return None, [f"aiops_target: a {ref.kind} is written {'namespace/kind/name' if KINDS[ref.kind].namespaced else 'kind/name'}"]
    # Whoever sends alerts speaks about the cluster that this way in belongs to, and no other.
    return TargetRef(ref.kind, ref.namespace, ref.name, context), []


def _subject(labels: Mapping[str, str], job: str) -> tuple[str, str] | None:
    """Kind and name of what the alert is about."""
    for label, kind in _WORKLOADS.items():
        if labels.get(label):
            return kind, labels[label]
    kind_of_workload = _TYPES.get(labels.get("workload_type", "").lower())
    if labels.get("workload") and kind_of_workload:
        return kind_of_workload, labels["workload"]
    pod = labels.get("pod") or labels.get("pod_name")
    if pod and not any(exporter in job and exporter in pod for exporter in EXPORTERS):
        return "Pod", pod
    if labels.get("node"):
        return "Node", labels["node"]
    return None


def _clean(text: str, limit: int) -> str:
    return trimmed(text, limit).strip()

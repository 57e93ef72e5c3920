"""Alertmanager's webhook: strict in types, patient with hostile values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiops.adapters.alertmanager import MAX_BODY_BYTES, MAX_LABELS, MAX_VALUE, AlertPayloadError, parse_webhook
from aiops.domain.signal import Severity, Signal, SignalKind, SignalState

NOW = 1_790_000_000.0


def alert(status: str = "firing", annotations: dict[str, str] | None = None, **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "HighLatency", **labels},
        "annotations": annotations or {},
        "startsAt": "2026-09-21T09:52:26.739266876+02:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=x",
        "fingerprint": "c1d2",
    }


def body(*alerts: dict[str, Any], **top: Any) -> bytes:
    whole: dict[str, Any] = {
        "version": "4", "groupKey": '{}:{alertname="HighLatency"}', "truncatedAlerts": 0, "status": "firing", "receiver": "aiops",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager:9093", "alerts": list(alerts),
    }  # fmt: skip
    return json.dumps({**whole, **top}).encode()


def one(*args: Any, **labels: Any) -> Signal:
    (signal,) = parse_webhook(body(alert(*args, **labels)), received_at=NOW)
    return signal


def test_a_firing_alert_is_a_firing_signal() -> None:
    signal = one("firing", {"summary": "Latency is high", "runbook_url": "http://wiki/x"}, namespace="shop", deployment="checkout", severity="critical")
    assert (signal.kind, signal.state, signal.severity) == (SignalKind.ALERT, SignalState.FIRING, Severity.CRITICAL)
    assert str(signal.target) == "shop/deployment/checkout"
    assert signal.rule == "alert:HighLatency"
    assert signal.at == NOW
    assert signal.summary == "Latency is high"
    assert "since 2026-09-21T09:52:26+02:00" in signal.evidence.note
    assert "runbook_url: http://wiki/x" in signal.evidence.lines


def test_resolved_is_cleared_and_the_same_claim() -> None:
    fired, over = one("firing", namespace="shop", pod="a-1"), one("resolved", namespace="shop", pod="a-1")
    assert over.state is SignalState.CLEARED
    assert over.key == fired.key
    assert over.id != fired.id


@pytest.mark.parametrize(
    ("labels", "target"),
    [
        ({"namespace": "shop", "deployment": "checkout", "pod": "kube-state-metrics-7d9", "job": "kube-state-metrics"}, "shop/deployment/checkout"),
        ({"namespace": "shop", "statefulset": "db"}, "shop/statefulset/db"),
        ({"namespace": "shop", "daemonset": "agent"}, "shop/daemonset/agent"),
        ({"namespace": "shop", "job_name": "import", "job": "kube-state-metrics"}, "shop/job/import"),
        ({"namespace": "shop", "workload": "cart", "workload_type": "deployment"}, "shop/deployment/cart"),
        ({"namespace": "shop", "pod": "cart-7d9-x1", "job": "cart"}, "shop/pod/cart-7d9-x1"),
        ({"namespace": "monitoring", "exported_namespace": "shop", "pod": "ksm-1", "exported_pod": "cart-7d9-x1"}, "shop/pod/cart-7d9-x1"),
        ({"namespace": "monitoring", "pod": "kube-state-metrics-7d9", "job": "kube-state-metrics", "node": "worker-1"}, "node/worker-1"),
        ({"node": "worker-1.example.org"}, "node/worker-1.example.org"),
        ({"aiops_target": "shop/deployment/checkout", "node": "worker-1"}, "shop/deployment/checkout"),
        ({"aiops_target": "elsewhere:shop/deployment/checkout"}, "shop/deployment/checkout"),
        ({"namespace": "shop", "persistentvolumeclaim": "data-0", "pod": "db-0"}, "shop/persistentvolumeclaim/data-0"),
    ],
)
def test_the_target_by_the_table(labels: dict[str, str], target: str) -> None:
    assert str(one(**labels).target) == target


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"job": "checkout"},
        {"deployment": "checkout"},
        {"namespace": "shop", "pod": "Not-A-Name"},
        {"namespace": "shop", "pod": "../../nodes/worker-1"},
        {"namespace": "shop/../kube-system", "deployment": "checkout"},
        {"namespace": "shop", "deployment": "checkout\n"},
        {"namespace": "shop", "deployment": "x" * 300},
        {"aiops_target": "deployment/checkout"},
        {"aiops_target": "shop/node/worker-1"},
        {"aiops_target": "SHOP/deployment/checkout"},
        {"aiops_target": "rm -rf"},
    ],
)
def test_what_names_no_object_has_no_target_and_says_why(labels: dict[str, str]) -> None:
    signal = one(**labels)
    assert signal.target is None
    assert signal.evidence.note


@pytest.mark.parametrize(
    ("label", "severity"),
    [("critical", Severity.CRITICAL), ("Page", Severity.CRITICAL), ("warning", Severity.WARNING), ("none", Severity.INFO), ("???", Severity.WARNING), ("", Severity.WARNING)],
)
def test_severity(label: str, severity: Severity) -> None:
    assert one(severity=label).severity is severity


def test_hostile_values_are_kept_as_data_of_bounded_length() -> None:
    evil = '<script>alert(1)</script>\x1b[2J\u202e"}} or 1==1 {{ x }}'
    signal = one("firing", {"summary": evil, "description": "d" * 10_000}, alertname=evil, namespace="shop", note=evil, huge="h" * 100_000)
    assert signal.labels["note"] == '<script>alert(1)</script> [2J "}} or 1==1 {{ x }}'
    assert len(signal.labels["huge"]) <= MAX_VALUE
    for text in (signal.rule, signal.summary, *signal.labels.values(), *signal.evidence.lines):
        assert text.isprintable()
        assert len(text) <= MAX_VALUE


def test_labels_that_look_alike_after_trimming_stay_two_claims() -> None:
    first, second = parse_webhook(body(alert(pod="a\u200b"), alert(pod="a\u202e")), received_at=NOW)
    assert first.labels == second.labels
    assert first.key != second.key


def test_too_many_labels_are_cut_and_it_is_said() -> None:
    signal = one(**{f"l{i}": "v" for i in range(200)})
    assert len(signal.labels) == MAX_LABELS
    assert "201 labels" in signal.evidence.note


def test_an_alert_cannot_pass_for_a_rule() -> None:
    assert one(alertname="SourceDark").rule == "alert:SourceDark"
    assert one(alertname="").rule == "alert:unnamed"


def test_alerts_left_out_by_alertmanager_are_mentioned() -> None:
    (signal,) = parse_webhook(body(alert(), truncatedAlerts=7), received_at=NOW)
    assert "left out 7 alerts" in signal.evidence.note


def test_no_alerts_is_fine_and_unknown_fields_are_of_later_versions() -> None:
    assert parse_webhook(body(), received_at=NOW) == ()
    assert len(parse_webhook(body({**alert(), "new": 1}, news=[1]), received_at=NOW)) == 1


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 200_000, "array"),
        (b"{}", "version"),
        (body(version="3"), r"\$\.version"),
        (body(version=4), r"\$\.version"),
        (body(alerts={}), r"\$\.alerts"),
        (body({**alert(), "labels": {"a": 1}}), r"alerts\[0\]\.labels"),
        (body(alert(), {**alert(), "labels": None}), r"alerts\[1\]\.labels"),
        (body({**alert(), "status": "pending"}), r"alerts\[0\]\.status"),
        (body({**alert(), "startsAt": "yesterday"}), "startsAt"),
        (body({k: v for k, v in alert().items() if k != "startsAt"}), "startsAt"),
        (body({**alert(), "annotations": {"a": ["b"]}}), "annotations"),
        (b'{"version":"4","alerts":[{"status":"firing","labels":{"a":"\\ud800"},"startsAt":"2026-09-21T09:52:26Z"}]}', "surrogate|escape|unicode"),
        (b'{"version":"4","pad":"' + b"x" * MAX_BODY_BYTES + b'","alerts":[]}', "allowed are"),
    ],
)
def test_what_is_no_notification_is_one_clear_error(raw: bytes, where: str) -> None:
    with pytest.raises(AlertPayloadError, match=f"(?i){where}") as refused:
        parse_webhook(raw, received_at=NOW)
    assert len(str(refused.value)) <= 500

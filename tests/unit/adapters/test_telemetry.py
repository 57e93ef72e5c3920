"""Every metric that the code touches is declared with those labels, and none is declared that nothing touches."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiops.adapters.telemetry import COUNTERS, GAUGES, HISTOGRAMS, PrometheusTelemetry

ROOT = Path(__file__).parents[3] / "aiops"
TABLES = {"count": COUNTERS, "gauge": GAUGES, "observe": HISTOGRAMS}


def uses() -> list[tuple[str, str, frozenset[str], str]]:
    """(method, metric, labels, place) of each call on something called telemetry."""
    found = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in TABLES:
                continue
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if "telemetry" in name and node.args and isinstance(node.args[0], ast.Constant):
                labels = frozenset(k.arg for k in node.keywords if k.arg and k.arg not in ("amount", "value", "seconds"))
                found.append((node.func.attr, str(node.args[0].value), labels, f"{path.relative_to(ROOT)}:{node.lineno}"))
    return found


def test_every_use_is_declared_with_its_labels() -> None:
    assert len(uses()) > 30
    wrong = [
        f"{place}: {method} {metric} {sorted(labels)}"
        for method, metric, labels, place in uses()
        if metric not in TABLES[method] or frozenset(TABLES[method][metric][1]) != labels
    ]
    assert wrong == []


def test_nothing_is_declared_that_nobody_touches() -> None:
    touched = {metric for _, metric, _, _ in uses()}
    assert sorted((set(COUNTERS) | set(GAUGES) | set(HISTOGRAMS)) - touched) == []


def test_exposition_can_be_parsed_and_an_undeclared_name_is_refused() -> None:
    telemetry = PrometheusTelemetry()
    telemetry.count("polls", rule='x"\n', result="ok")
    telemetry.observe("query", 0.02, source="prometheus")
    telemetry.gauge("dry_run", 1)
    families = {f.name: f for f in text_string_to_metric_families(telemetry.render().decode())}
    assert families["aiops_polls"].samples[0].labels == {"rule": 'x"\n', "result": "ok"}
    assert "aiops_query_seconds" in families
    with pytest.raises(KeyError):
        telemetry.count("invented")


def test_gauges_of_what_is_gone_are_taken_back() -> None:
    telemetry = PrometheusTelemetry()
    for rule in ("a", "b"):
        telemetry.gauge("drift_psi", 0.3, rule=rule, target_namespace="shop", target_name="x")
        telemetry.gauge("drift_psi", 0.3, rule=rule, target_namespace="shop", target_name="y")
        telemetry.gauge("series", 1, rule=rule, state="ready")
    telemetry.gauge("rules_loaded", 2)

    def left() -> list[str]:
        return sorted(line for line in telemetry.render().decode().splitlines() if line.startswith(("aiops_drift", "aiops_series{", "aiops_rules_loaded")))

    telemetry.forget("drift_psi", rule="a", target_namespace="shop", target_name="x")
    telemetry.forget("drift_psi", rule="nobody")
    assert [line.partition(" ")[0] for line in left()] == [
        'aiops_drift_psi{rule="a",target_name="y",target_namespace="shop"}',
        'aiops_drift_psi{rule="b",target_name="x",target_namespace="shop"}',
        'aiops_drift_psi{rule="b",target_name="y",target_namespace="shop"}',
        "aiops_rules_loaded",
        'aiops_series{rule="a",state="ready"}',
        'aiops_series{rule="b",state="ready"}',
    ]
    telemetry.forget("", rule="b")
    assert [line.partition(" ")[0] for line in left()] == [
        'aiops_drift_psi{rule="a",target_name="y",target_namespace="shop"}', "aiops_rules_loaded", 'aiops_series{rule="a",state="ready"}',
    ]

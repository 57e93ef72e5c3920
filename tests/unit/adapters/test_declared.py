"""Declared against live: which fields differ, what is no difference, and the signal that a rule makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.objects import CachedObjectSource
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.app.cases import run_cases
from aiops.app.check import load_or_raise
from aiops.detect.bank import RuleBank
from aiops.domain.declared import LAST_APPLIED, DeclaredQuery, differences, last_applied
from aiops.domain.signal import SignalState
from aiops.domain.target import JsonObject
from aiops.settings import Settings
from tests.unit.adapters.test_objects import View


def deployment(**spec: Any) -> JsonObject:
    """As the API gives it back: with what it filled in."""
    container = {"name": "app", "image": "web:1", "imagePullPolicy": "IfNotPresent", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}, "env": [{"name": "A", "value": "1"}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container, {"name": "proxy", "image": "proxy:1"}], "restartPolicy": "Always"}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"app": "web", "other": "x"}},
        "spec": {"replicas": 2, "progressDeadlineSeconds": 600, "template": template, **spec}, "status": {"replicas": 2},
    }  # fmt: skip


def container(**fields: Any) -> JsonObject:
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}}


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"apiVersion": "apps/v1beta1", "status": {"replicas": 9}, "metadata": {"name": "other", "uid": "z", "labels": {"app": "web"}}},
        container(image="web:1"),
        container(resources={"limits": {"cpu": 0.5, "memory": "1024Mi"}}),
        container(env=[{"name": "A", "value": "1"}], args=[], tty=False),
        {"spec": {"replicas": 2, "paused": None, "strategy": {}}},
    ],
)
def test_what_is_no_difference(declared: JsonObject) -> None:
    assert differences(declared, deployment()) == []


@pytest.mark.parametrize(
    ("declared", "field", "was", "now"),
    [
        (container(image="web:2"), "spec.template.spec.containers[app].image", "web:2", "web:1"),
        (container(resources={"limits": {"cpu": "1"}}), "spec.template.spec.containers[app].resources.limits.cpu", "1", "500m"),
        (container(env=[{"name": "PASSWORD", "value": "password=hunter2"}]), "spec.template.spec.containers[app].env[PASSWORD]", '{"name": "PASSWORD", "value": "password=[redacted]"}', "absent"),
        (container(command=["run"]), "spec.template.spec.containers[app].command", '["run"]', "absent"),
        ({"spec": {"replicas": None}}, "spec.replicas", "absent", "2"),
        ({"spec": {"paused": True}}, "spec.paused", "true", "absent"),
        ({"metadata": {"labels": {"app": "shop"}}}, "metadata.labels.app", "shop", "web"),
        ({"spec": {"template": {"spec": {"containers": [{"name": "gone", "image": "x"}]}}}}, "spec.template.spec.containers[gone]", '{"image": "x", "name": "gone"}', "absent"),
    ],
)
def test_what_differs(declared: JsonObject, field: str, was: str, now: str) -> None:
    (found,) = differences(declared, deployment())
    assert (found.field, found.declared, found.live) == (field, was, now)
    assert differences(declared, deployment(), [field]) == differences(declared, deployment(), [field.partition(".")[0]]) == []


def test_what_was_last_applied_is_read_from_the_object() -> None:
    live = deployment()
    assert last_applied(live) is None
    live["metadata"]["annotations"] = {LAST_APPLIED: "no JSON"}
    assert last_applied(live) is None
    live["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(container(image="web:0"))}
    wanted = last_applied(live)
    assert wanted is not None
    assert [d.field for d in differences(wanted, live)] == ["spec.template.spec.containers[app].image"]


RULES = """
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: declared}
rules:
  - name: not-as-declared
    declared:
      objects:
        - kind: Deployment
          namespace: shop
          name: web
          fields: {spec: {replicas: 3, template: {spec: {containers: [{name: app, image: "web:2"}]}}}}
    severity: warning
    detector: {type: threshold, above: 0}
    target: {kind: "Deployment", namespace: shop, name: web}
    labels: {symptom: configuration}
    summary: "{{ labels.field }} of {{ labels.name }} is {{ labels.live }}, declared {{ labels.declared }}"
"""
CASE = """
apiVersion: aiops/v1
kind: Test
tests:
  - name: as declared but for IMAGE
    interval: 15s
    objects:
      - {kind: Namespace, metadata: {name: shop}}
      - kind: Deployment
        metadata: {name: web, namespace: shop}
        spec:
          replicas: 2
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec: {containers: [{name: app, image: "IMAGE"}]}
      - kind: HorizontalPodAutoscaler
        metadata: {name: web, namespace: shop}
        spec: {minReplicas: 1, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
    expect:
      - {at: 1m, incidents: INCIDENTS}
"""


@pytest.mark.parametrize(("image", "incidents"), [("web:1", "[{target: shop/deployment/web, symptoms: [configuration], severity: warning}]"), ("web:2", "[]")])
def test_a_rule_makes_an_incident_of_it_and_leaves_the_autoscaler_its_own(tmp_path: Path, image: str, incidents: str) -> None:
    rules, case = tmp_path / "declared.yaml", tmp_path / "declared.test.yaml"
    rules.write_text(RULES)
    case.write_text(CASE.replace("IMAGE", image).replace("INCIDENTS", incidents))
    results = run_cases((case,), Settings(rules=(str(rules),), runbooks=()))
    assert [r.failures for r in results] == [()]


def test_the_signal_ends_when_all_is_as_declared_again_and_says_what_differed(tmp_path: Path) -> None:
    rules = tmp_path / "declared.yaml"
    rules.write_text(RULES)
    (rule,) = load_or_raise(Settings(rules=(str(rules),), runbooks=())).rules
    view, time = View(deployment(replicas=2)), VirtualTime(1000.0)
    source, bank = CachedObjectSource(view, time), RuleBank(rule)
    assert isinstance(rule.query, DeclaredQuery)
    told = {f.labels["field"]: f for f in bank.observe(source.values(rule.query, 1000.0)).findings}
    assert set(told) == {"spec.replicas", "spec.template.spec.containers[app].image"}
    image = told["spec.template.spec.containers[app].image"]
    assert (image.state, image.labels["declared"], image.labels["live"]) == (SignalState.FIRING, "web:2", "web:1")
    healed = deployment(replicas=3)
    healed["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2"
    view._objects = (healed,)
    assert {f.state for f in bank.observe(source.values(rule.query, 1015.0)).findings} == {SignalState.CLEARED}

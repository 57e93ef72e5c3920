"""A model's input drifts, our own rule sees it in the histogram, the shipped runbook trains, the reference moves, and the alarm is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.app.cases import run_cases
from aiops.settings import Settings

RUNBOOKS = Path(__file__).parents[2] / "runbooks"
RULES = """
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: models}
rules:
  - name: model-input-drift
    query: sum by (namespace, workload, feature, le) (model_feature_bucket)
    every: 15s
    for: 30s
    keepFiringFor: 30s
    severity: warning
    kind: counter
    detector: {type: drift, of: histogram, feature: feature, referenceMode: sinceRetraining, reference: 12m, window: 4m}
    target: {kind: Deployment, namespace: "{{ labels.namespace }}", name: "{{ labels.workload }}"}
    labels: {symptom: model-drift, drift: input}
"""
CASE = """
apiVersion: aiops/v1
kind: Test
tests:
  - name: SEVERITY drift
    act: true
    interval: 15s
    series:
      - {series: 'model_feature_bucket{namespace="shop",workload="checkout",feature="age",le="1"}', values: 0+40x80 FIRST+USUALx200}
      - {series: 'model_feature_bucket{namespace="shop",workload="checkout",feature="age",le="+Inf"}', values: 0+50x80 ALL}
      - {series: 'aiops_drift_psi{target_namespace="shop",target_name="checkout"}', values: 0.01x80 0.3xLONG 0+0x180}
    objects:
      - kind: Namespace
        metadata: {name: shop}
      - kind: CronJob
        metadata: {name: train-demand, namespace: shop}
        spec:
          schedule: "0 3 * * 0"
          concurrencyPolicy: Forbid
          jobTemplate:
            spec:
              template:
                spec: {restartPolicy: Never, containers: [{name: train, image: "train:1"}]}
      - kind: Deployment
        metadata: {name: checkout, namespace: shop, labels: {aiops/trained-by: train-demand}}
        spec:
          replicas: 2
          selector: {matchLabels: {app: checkout}}
          template:
            metadata: {labels: {app: checkout}}
            spec: {schedulerName: ml-scheduler, containers: [{name: app, image: "checkout:1"}]}
    expect:
      - {at: 20m, incidents: [], actions: []}
      - {at: OPEN, incidents: [{target: shop/deployment/checkout, symptoms: [model-drift], severity: SEVERITY}]}
      - at: 40m
        incidents: []
        objects: [{target: shop/deployment/checkout, fields: {spec: {template: {spec: {schedulerName: ml-scheduler}}}}}]
        verification: {judgement: helped}
        runs: [{runbook: retrain-on-drift, outcome: succeeded}]
"""


CHANGES = {
    # A little more in the upper half, which is a warning once the window is full; ten times the load and all of it above, which is critical at once.
    "warning": {"FIRST": "3231", "USUAL": "31", "ALL": "4050+50x200", "LONG": "24", "OPEN": "25m"},
    "critical": {"FIRST": "3210", "USUAL": "10", "ALL": "4500+500x200", "LONG": "16", "OPEN": "22m30s"},
}


@pytest.mark.parametrize(("severity", "about"), [("warning", "input"), ("critical", "prediction")])
def test_drift_is_trained_away_and_the_new_is_usual(tmp_path: Path, severity: str, about: str) -> None:
    rules, case, text = tmp_path / "models.yaml", tmp_path / "models.test.yaml", CASE.replace("SEVERITY", severity)
    for name, value in CHANGES[severity].items():
        text = text.replace(name, value)
    said = RULES
    if about == "prediction":
        # What the model answers, not what it is asked: no features, and a reason of its own.
        said = said.replace("model-input-drift", "model-prediction-drift").replace("feature, le) (model_feature_bucket", "le) (model_prediction_bucket")
        said = said.replace("feature: feature", "about: prediction").replace("drift: input", "drift: prediction")
        text = text.replace("model_feature_bucket", "model_prediction_bucket").replace('feature="age",', "")
    rules.write_text(said)
    case.write_text(text)
    results = run_cases((case,), Settings(rules=(str(rules),), runbooks=(str(RUNBOOKS),)))
    assert [(r.name, r.failures) for r in results] == [(f"{severity} drift", ())]

"""References of drift rules in the store: versions are kept, and found again by a start that has no snapshot."""

from __future__ import annotations

from pathlib import Path

from aiops.adapters.snapshots import MemorySnapshots
from aiops.pipeline.references import document
from tests.scenarios.stage import CHECKOUT, RUNBOOK, Stage

RULES = """
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: stage}
rules:
  - name: drifting
    query: load
    every: 5s
    severity: warning
    detector: {type: drift, referenceMode: sinceRetraining, reference: 10m, window: 5m}
    target: {kind: Deployment, namespace: "{{ labels.namespace }}", name: "{{ labels.workload }}"}
    labels: {symptom: drift}
"""


def test_versions_are_kept_and_found_again_without_a_snapshot(tmp_path: Path) -> None:
    stage = Stage(tmp_path, rules=RULES, runbooks=(RUNBOOK,))
    stage.store.broken = "write"
    stage.run(630, errors=True)
    assert stage.store.real.value(document("drifting")) is None
    stage.store.broken = ""
    stage.run(120, errors=True)
    (checkout,) = [r for r in stage.store.real.value(document("drifting"))["references"].values() if r["current"]["labels"]["workload"] == "checkout"]
    assert (checkout["current"]["version"], checkout["earlier"]) == (1, [])
    assert sum(checkout["current"]["counts"]) >= 100
    stage.errors.clear()
    stage.snapshots = MemorySnapshots()
    stage.restart()
    # It knows what was usual, and needs only a window.
    stage.load["checkout"] = 60.0
    stage.run(320)
    assert [i.target for i in stage.incidents if i.active] == [CHECKOUT]
    at = stage.time.now()
    stage.core.flow.parts.observer.retrained(CHECKOUT, at)
    stage.run(10)
    (checkout,) = [r for r in stage.store.real.value(document("drifting"))["references"].values() if r["current"] is None]
    assert [(e["version"], e["rows"] >= 100) for e in checkout["earlier"]] == [(1, True)]
    stage.run(120)
    assert [i for i in stage.incidents if i.active] == []

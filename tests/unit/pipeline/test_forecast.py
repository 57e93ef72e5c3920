"""After a run that a forecast asked for the level decides: the claim that goes on being made neither keeps the incident open nor asks again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiops.adapters.alertmanager import parse_webhook
from aiops.domain.signal import SignalKind
from tests.scenarios.stage import RULES, RUNBOOK, Stage

FORESEEN = RULES.replace("    every: 5s\n", "    every: 5s\n    forecast: true\n", 1)
# The claim is about checkout's load, which stays; the level that decides is search's.
BOOK = RUNBOOK.replace('workload="{{ target.name }}"', 'workload="search"').replace("guards: {cooldown: 1m}", "guards: {cooldown: 1s, maximumPerIncident: 9}")


def foreseen(folder: Path, *, rules: str = FORESEEN, seconds: float = 600) -> Stage:
    stage = Stage(folder, rules=rules, runbooks=(BOOK,)).run(60)
    stage.load["checkout"] = 95.0
    return stage.run(seconds)


def test_one_run_then_the_level_decides(tmp_path: Path) -> None:
    stage = foreseen(tmp_path)
    (run,), (incident,) = stage.runs, stage.incidents
    assert run.result is not None
    # Its level was good before: what is foreseen is acted on all the same.
    assert (run.result.reason, run.plan.facts["incident.forecast"]) == ("Verified", True)
    assert incident.state.value == "resolved", stage.told()
    assert [s.kind for s in incident.signals.values()] == [SignalKind.FORECAST]
    assert next(iter(incident.signals.values())).state.value == "firing"
    assert len(stage.run(3600).runs) == 1
    assert len(stage.incidents) == 1


def test_without_it_the_claim_keeps_the_incident_open(tmp_path: Path) -> None:
    stage = foreseen(tmp_path, rules=RULES)
    assert stage.incidents[0].active


def test_once_it_was_clear_it_counts_again(tmp_path: Path) -> None:
    stage = foreseen(tmp_path)
    stage.load["checkout"] = 40.0
    stage.run(60)
    stage.load["checkout"] = 95.0
    stage.run(60)
    assert len(stage.runs) == 2, stage.told()


def test_another_claim_keeps_it_open(tmp_path: Path) -> None:
    second = "\n".join(FORESEEN.splitlines()[5:]).replace("name: busy", "name: busier").replace("    forecast: true\n", "").replace("above: 80", "above: 90")
    stage = foreseen(tmp_path, rules=f"{FORESEEN.rstrip()}\n{second}\n", seconds=300)
    assert stage.incidents[0].active, stage.told()
    assert [s.rule for s in stage.incidents[0].firing if s.kind is SignalKind.METRIC] == ["busier"]


@pytest.mark.parametrize("label", ["true", " TRUE "])
def test_an_alert_may_say_that_it_is_a_forecast(label: str) -> None:
    alert = {
        "status": "firing", "labels": {"alertname": "DiskFull", "forecast": label, "namespace": "shop", "deployment": "checkout"}, "annotations": {},
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "ab",
    }
    body = {"version": "4", "groupKey": "g", "truncatedAlerts": 0, "status": "firing", "receiver": "r", "groupLabels": {}, "commonLabels": {},
            "commonAnnotations": {}, "externalURL": "", "alerts": [alert]}
    (signal,) = parse_webhook(json.dumps(body).encode(), received_at=1.0)
    assert signal.kind is SignalKind.FORECAST

"""Looking at all incidents again must not take the time away from new ones, however many there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.domain.incident import Incident
from aiops.domain.series import series_id
from aiops.domain.signal import Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef
from tests.scenarios.stage import Stage


def claim(name: str, at: float) -> Signal:
    labels = {"namespace": "shop", "workload": name, "symptom": "noise"}
    target = TargetRef("Deployment", "shop", name)
    return Signal(f"sig-{name}", "noisy", "threshold", SignalKind.METRIC, SignalState.FIRING, Severity.WARNING, at, series_id(labels), labels, target, "noisy")


def test_a_look_that_takes_long_is_broken_off_and_goes_on_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path)
    for name in "abcde":
        stage.time._now += 1.0
        stage.core.flow.take((claim(name, stage.time.now()),))
    looked, real = [], stage.core.flow._transactions.decide_safely
    seconds = 0.9

    def slow(incident: Incident, now: float) -> None:
        real(incident, now)
        looked.append(incident.target.name if incident.target else "")
        stage.time._now += seconds

    monkeypatch.setattr(stage.core.flow._transactions, "decide_safely", slow)
    stage.core.flow.reconsider()
    assert looked == ["a", "b", "c"]
    stage.core.flow.reconsider()
    assert looked == ["a", "b", "c", "d", "e", "a"]
    seconds = 0.0
    stage.core.flow.reconsider()
    assert looked[6:] == ["b", "c", "d", "e", "a"]
    stage.core.flow.reconsider()
    assert looked[11:] == ["a", "b", "c", "d", "e"]

"""Capacity rules in virtual time: what is foretold, when it is told, and when it is told no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiops.domain.errors import SourceThrottledError
from aiops.domain.series import RangeBatch
from aiops.domain.signal import SignalKind
from tests.scenarios.stage import START, Stage

RULES = """
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: capacity}
rules:
  - name: runs-out
    capacity: {use: used, limit: size, leadTime: 1h, step: 1m, history: 6h, horizons: [30m, 2h]}
    every: 30s
    severity: warning
    detector: {type: exhaustion, gate: 0.5}
    target: {kind: Deployment, namespace: shop, name: "{{ labels.workload }}"}
    labels: {symptom: disk-forecast}
    summary: "full within the hour: {{ value | percent }}"
  - name: full
    query: used / on (workload) size
    every: 5s
    severity: critical
    detector: {type: threshold, above: 0.9}
    target: {kind: Deployment, namespace: shop, name: "{{ labels.workload }}"}
    labels: {symptom: disk}
    inhibits: [{symptom: disk-forecast}]
"""
PAST = np.arange(START - 5 * 3600.0, START, 15.0)


class Disks(Stage):
    """`rate` a second fills the disk of checkout; `used` is what is in it."""

    def fill(self, used: np.ndarray, size: float = 1000.0) -> Disks:
        self.samples.append_many({"__name__": "used", "workload": "checkout"}, PAST, used)
        self.samples.append_many({"__name__": "size", "workload": "checkout"}, PAST, np.full(len(PAST), size))
        self.used, self.size, self.rate = float(used[-1]), size, 0.0
        self.time.every("disk", 15.0, self._fill)
        return self

    def _fill(self) -> None:
        self.used += 15.0 * self.rate
        self.samples.append({"__name__": "used", "workload": "checkout"}, self.time.now(), self.used)
        self.samples.append({"__name__": "size", "workload": "checkout"}, self.time.now(), self.size)

    def firing(self) -> set[str]:
        return {s.rule for i in self.core.board for s in i.firing}


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path, rules=RULES)


def grown(pace: float, end: float) -> np.ndarray:
    return end + pace * (PAST - START) + np.random.default_rng(1).normal(0.0, 0.5, len(PAST))


def test_it_is_told_in_time_with_when_and_why(disks: Disks) -> None:
    disks.fill(grown(0.035, 880.0)).rate = 0.035  # 120 are left, 126 an hour
    disks.run(120.0)
    assert disks.firing() == {"runs-out"}
    (incident,) = disks.incidents
    (claim,) = incident.firing
    assert (claim.kind, claim.severity.value) == (SignalKind.FORECAST, "critical")
    text = "\n".join(claim.evidence.lines)
    assert "P10" in text
    assert "88% of the limit is used" in text
    assert "model trend" in text
    assert claim.summary.startswith("full within the hour: ")


def test_a_clean_up_ends_it_and_it_stays_ended(disks: Disks) -> None:
    disks.fill(grown(0.035, 880.0)).rate = 0.035
    disks.run(120.0)
    disks.used = 300.0
    disks.run(60.0)
    assert disks.firing() == set()
    disks.run(1200.0)
    assert [i.state.value for i in disks.incidents] == ["resolved"]


def test_a_fix_of_the_pace_is_a_new_regime(disks: Disks) -> None:
    disks.fill(grown(0.035, 840.0)).rate = 0.035
    disks.run(900.0)
    assert disks.firing() == {"runs-out"}
    disks.rate = 0.0
    disks.run(2700.0)
    assert disks.firing() == set()


def test_what_was_foretold_ends_when_it_is_there(disks: Disks) -> None:
    disks.fill(grown(0.035, 895.0)).rate = 0.5
    disks.run(90.0)
    assert "full" in disks.firing()
    disks.run(600.0)
    assert disks.firing() == {"full"}


@pytest.mark.parametrize(("end", "size"), [(400.0, 1000.0), (880.0, 5000.0)])
def test_below_the_gate_nothing_is_claimed(disks: Disks, end: float, size: float) -> None:
    disks.fill(grown(0.2, end), size).rate = 0.2
    disks.run(300.0)
    assert disks.firing() == set()


def test_a_larger_disk_ends_it(disks: Disks) -> None:
    disks.fill(grown(0.035, 880.0)).rate = 0.035
    disks.run(120.0)
    disks.size = 2000.0
    disks.run(300.0)
    assert disks.firing() == set()


def test_a_series_without_a_sense_spoils_no_other(disks: Disks) -> None:
    disks.samples.append_many({"__name__": "used", "workload": "nan"}, PAST, np.full(len(PAST), np.nan))
    disks.samples.append_many({"__name__": "used", "workload": "unlimited"}, PAST, np.arange(float(len(PAST))))
    disks.fill(grown(0.035, 880.0)).rate = 0.035
    disks.run(120.0)
    assert disks.firing() == {"runs-out"}


def test_a_source_that_throttles_is_asked_again_from_where_it_was(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    disks.fill(grown(0.035, 880.0)).rate = 0.035
    real, left = disks.metrics.range, [2]

    def throttled(query: str, start: float, end: float, step: float) -> RangeBatch:
        left[0] -= 1
        if left[0] == 0:
            raise SourceThrottledError("prometheus", "slow down", 1.0)
        return real(query, start, end, step)

    monkeypatch.setattr(disks.metrics, "range", throttled)
    disks.run(120.0)
    assert "Throttled" in disks.reasons("poll")
    assert disks.firing() == {"runs-out"}


def test_what_quiet_times_leave_out_is_not_learned(tmp_path: Path) -> None:
    """A restore filled half of the disk within the last two hours; that it was one is known."""
    used = 500.0 + np.where(PAST > START - 7200.0, (PAST - START + 7200.0) * 0.05, 0.0)
    settings: dict[str, object] = {"quietTimes": [{"name": "restore", "from": "2026-01-01T07:33:20", "until": "2026-01-01T09:33:00", "skip": ["learning"]}]}
    for known in (False, True):
        stage = Disks(tmp_path / str(known), rules=RULES, settings=_quiet(settings) if known else {})
        stage.fill(used)
        stage.run(60.0)
        assert stage.firing() == (set() if known else {"runs-out"})


def _quiet(values: dict[str, object]) -> dict[str, object]:
    from aiops.settings import Settings

    return {"quiet_times": Settings.model_validate(values).quiet_times}

"""What came of each answer, for Prometheus: nothing stays of what is gone, and want of room is said once."""

from __future__ import annotations

from aiops.adapters.telemetry import PrometheusTelemetry
from aiops.detect.findings import Observed
from aiops.detect.groups import Measure
from aiops.domain.rule import DetectorSpec, PromQuery, Rule
from aiops.domain.signal import Severity
from aiops.domain.target import TargetRef
from aiops.pipeline.accounts import Accounts

RULE = Rule("drift", "s", PromQuery("q"), 60.0, DetectorSpec("drift"), Severity.WARNING)
STATES = {"warming": 0, "ready": 1, "blind": 0, "shed": 0}


def accounts(telemetry: PrometheusTelemetry) -> Accounts:
    return Accounts(telemetry, lambda _rule, labels: (TargetRef("Deployment", "shop", labels["workload"]), ""), ttl=3600.0)


def shown(telemetry: PrometheusTelemetry, metric: str) -> list[str]:
    return sorted(line for line in telemetry.render().decode().splitlines() if line.startswith(f"aiops_{metric}"))


def psi(*workloads: str) -> Observed:
    return Observed((), 1, STATES, {}, tuple(Measure("drift_psi", 0.4, {"workload": w}) for w in workloads))


def test_what_was_measured_of_a_subject_that_is_gone_is_taken_back() -> None:
    telemetry = PrometheusTelemetry()
    one = accounts(telemetry)
    for poll in range(120):
        one.count(RULE, psi("stays", "goes") if poll < 30 else psi("stays"), 60.0 * poll)
        assert len(shown(telemetry, "drift_psi")) == (2 if poll < 89 else 1)
    assert shown(telemetry, "drift_psi") == ['aiops_drift_psi{rule="drift",target_name="stays",target_namespace="shop"} 0.4']


def test_of_a_rule_that_is_gone_nothing_is_shown() -> None:
    telemetry = PrometheusTelemetry()
    one = accounts(telemetry)
    one.count(RULE, psi("a"), 0.0)
    one.forget("drift")
    assert shown(telemetry, "drift_psi") + shown(telemetry, "series{") + shown(telemetry, "rule_judged") == []


def test_want_of_room_is_said_when_it_begins_changes_and_ends() -> None:
    one = accounts(PrometheusTelemetry())
    lack = Observed((), 1, {**STATES, "shed": 7}, {"SeriesLimit": 7})
    whole = Observed((), 1, {**STATES, "shed": 99}, {"AnswerTooLarge": 99})
    said = [[(d.reason, d.passed, d.detail) for d in one.count(RULE, seen, float(i))] for i, seen in enumerate((psi("a"), lack, lack, whole, psi("a"), psi("a")))]
    assert said == [
        [],
        [("SeriesLimit", False, "7 new series found no room beside the 1 that are known: the rule has its most, or all rules have, or memory is short")],
        [],
        [("AnswerTooLarge", False, "an answer of 99 series is not looked at")],
        [("RoomAgain", True, "no series is left out any more, after AnswerTooLarge")],
        [],
    ]

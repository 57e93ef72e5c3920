"""Bursts of log records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aiops.detect.bank import RuleBank
from aiops.detect.contract import Scores
from aiops.detect.log_rate import LogErrorRate
from aiops.domain.rule import DetectorSpec, LogQuery, MetricKind, MissingData, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Severity

ROW = np.array([0], dtype=np.int64)
T0 = 1_700_000_000.0


def feed(detector: LogErrorRate, counts: Sequence[float]) -> list[Scores]:
    return [detector.score_and_learn(ROW, np.array([T0 + 15.0 * i]), np.array([float(c)])) for i, c in enumerate(counts)]


def breaches(counts: Sequence[float]) -> list[int]:
    return [i for i, s in enumerate(feed(LogErrorRate(minimum_count=10, ratio=5.0), counts)) if s.breach[0]]


def test_all_three_conditions_are_asked_for() -> None:
    assert breaches([0] * 10 + [9]) == []
    assert breaches([0] * 10 + [10]) == [10]
    assert breaches([20] * 10 + [99]) == []
    assert breaches([20] * 10 + [101]) == [10]


def test_chance_alone_does_not_make_a_burst() -> None:
    counts = np.random.default_rng(7).poisson(6.0, 5000).astype(float).tolist()
    strict = [i for i, s in enumerate(feed(LogErrorRate(minimum_count=1, ratio=1.01), counts)) if s.breach[0]]
    assert len(strict) < 50
    assert breaches(counts) == []


def test_a_burst_that_lasts_does_not_become_usual_within_minutes() -> None:
    assert breaches([2.0] * 40 + [100.0] * 100) == list(range(40, 140))


def test_a_burst_soon_after_the_start_or_once_in_a_while_does_not_hide_the_next() -> None:
    assert breaches([0, 0, 2, 12, 14, 13] + [0] * 10 + [14]) == [5, 16]
    assert breaches(([0] * 20 + [30]) * 3) == [20, 41, 62]


def test_a_count_that_stays_becomes_usual_in_the_end() -> None:
    found = breaches([2.0] * 120 + [100.0] * 1000)
    assert found == list(range(120, 120 + len(found)))
    assert 200 < len(found) < 1000


def log_rule() -> Rule:
    return Rule(
        name="log-errors",
        source="logs",
        query=LogQuery("logs-*", 60.0),
        every=15.0,
        detector=DetectorSpec("logErrorRate", {"minimum_count": 10, "ratio": 5.0, "new_templates": False}),
        severity=Severity.WARNING,
        kind=MetricKind.COUNT,
        missing_data=MissingData.CLEAR,
    )


def poll(bank: RuleBank, i: int, counts: dict[str, float]) -> list[tuple[str, str]]:
    labels = tuple({"workload": w} for w in counts)
    at = T0 + 15.0 * i
    batch = SampleBatch("logs", "q", at, labels, np.full(len(counts), at), np.array(list(counts.values()), dtype=float))
    return [(f.labels["workload"], f.state.value) for f in bank.observe(batch).findings]


def test_the_first_errors_of_a_service_count_after_an_hour_without_any() -> None:
    bank = RuleBank(log_rule())
    for i in range(10):
        assert poll(bank, i, {}) == []
    assert poll(bank, 10, {"a": 50.0}) == [("a", "firing")]
    assert poll(bank, 11, {"a": 50.0, "b": 3.0}) == []
    assert poll(bank, 12, {}) == [("a", "cleared")]


def test_what_was_already_there_at_the_start_is_usual() -> None:
    bank = RuleBank(log_rule())
    assert [poll(bank, i, {"a": 50.0}) for i in range(20)] == [[]] * 20
    assert poll(bank, 20, {"a": 400.0}) == [("a", "firing")]


@pytest.mark.parametrize("parameters", [{"minimum_count": 0}, {"ratio": 1.0}, {"new_templates": True}])
def test_parameters_that_mean_nothing_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="logErrorRate"):
        LogErrorRate(**parameters)  # type: ignore[arg-type]

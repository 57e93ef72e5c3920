"""Judgements of series as metrics: the series' own labels, and nothing where nothing is known."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from aiops.adapters.series_metrics import HELP, SeriesMetrics
from aiops.detect.bank import RuleBank
from aiops.domain.rule import DetectorSpec, PromQuery, Rule
from aiops.domain.signal import Severity
from tests.unit.detect.test_bank import T0, batch


def text(*judged: tuple[str, dict[str, str], dict[str, float | None]]) -> list[str]:
    registry = CollectorRegistry()
    registry.register(SeriesMetrics(lambda: judged))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_labels_are_those_of_the_series_and_unknown_numbers_are_absent() -> None:
    assert text(("r", {"__name__": "up", "pod": 'a"b', "rule": "x", "a.b": "no"}, {"score": 0.5, "expected": None, "upper": float("inf")})) == [
        'aiops_series_score{exported_rule="x",pod="a\\"b",rule="r"} 0.5'
    ]
    assert text() == []
    assert len(text(("r", {}, dict.fromkeys(HELP, 1.0)), ("s", {"a": "b"}, dict.fromkeys(HELP, 2.0)))) == 8


def test_a_bank_shows_what_fires_first_and_no_more_than_asked() -> None:
    bank = RuleBank(Rule("r", "s", PromQuery("q"), 15.0, DetectorSpec("threshold", {"above": 10.0}), Severity.WARNING))
    bank.observe(batch(T0, [({"pod": name}, value) for name, value in (("a", 1.0), ("b", 2.0), ("c", 30.0))]))
    shown = bank.shown(2)
    assert [(labels["pod"], round(numbers["score"] or 0.0, 9), numbers["upper"]) for labels, numbers in shown] == [("c", 3.0, 10.0), ("a", 0.1, 10.0)]
    bank.observe(batch(T0 + 15.0, [({"pod": "b"}, 2.0)]))
    assert [labels["pod"] for labels, _ in bank.shown(5)] == ["b"]

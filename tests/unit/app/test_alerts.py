"""The shipped alerts about the daemon itself: over metrics that there are, and firing when a detector has gone blind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.adapters.telemetry import COUNTERS, GAUGES, HISTOGRAMS
from aiops.definitions.promql import check_promql

FILE = Path(__file__).parents[3] / "deploy" / "monitoring" / "alerts.yaml"
ALERTS: dict[str, dict[str, Any]] = {a["alert"]: a for a in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"][0]["rules"]}
T0 = 1_700_000_000.0


@pytest.mark.parametrize("name", list(ALERTS))
def test_an_alert_asks_for_metrics_that_there_are(name: str) -> None:
    known = {f"aiops_{n}_total" for n in COUNTERS} | {f"aiops_{n}" for n in GAUGES} | {f"aiops_{n}_seconds_count" for n in HISTOGRAMS}
    check_promql(ALERTS[name]["expr"])
    assert set(re.findall(r"\baiops_\w+", ALERTS[name]["expr"])) <= known
    assert ALERTS[name]["annotations"]["summary"]


def fires(name: str, samples: Mapping[tuple[tuple[str, str], ...], tuple[float, float]]) -> bool:
    """`samples`: labels → value 14 minutes ago and now."""
    store = MemorySeriesStore()
    for back, place in ((840.0, 0), (1.0, 1)):
        for labels, values in samples.items():
            store.append(dict(labels), T0 - back, values[place])
    return len(MemoryPrometheus("p", store).instant(ALERTS[name]["expr"], T0)) > 0


def of(metric: str, *values: float, **labels: str) -> tuple[tuple[tuple[str, str], ...], tuple[float, float]]:
    return tuple({"__name__": f"aiops_{metric}", **labels}.items()), (values[0], values[-1])


CASES: list[tuple[str, list[Any], list[Any]]] = [
    ("AiopsAbsent", [], [of("build_info", 1.0)]),
    (
        "AiopsRuleBlind",
        [of("series", 3.0, rule="r", state="blind"), of("series", 0.0, rule="r", state="ready"), of("series", 0.0, rule="r", state="warming")],
        [of("series", 3.0, rule="r", state="blind"), of("series", 1.0, rule="r", state="ready")],
    ),
    ("AiopsRuleSilent", [of("rule_judged_timestamp_seconds", T0 - 2000.0, rule="r")], [of("rule_judged_timestamp_seconds", T0 - 60.0, rule="r")]),
    (
        "AiopsRuleWarmingLong",
        [of("series", 3.0, rule="r", state="warming"), of("series", 0.0, rule="r", state="ready")],
        [of("series", 3.0, rule="r", state="warming"), of("series", 1.0, rule="r", state="ready")],
    ),
    ("AiopsSourceDown", [of("source_up", 0.0, source="p")], [of("source_up", 1.0, source="p")]),
    (
        "AiopsSeriesDropped",
        [of("series", 9.0, rule="r", state="shed")],
        [of("series", 0.0, rule="r", state="shed"), of("series", 9.0, rule="r", state="blind")],
    ),
    ("AiopsMemoryShort", [of("memory_state", 1.0)], [of("memory_state", 0.0)]),
    ("AiopsRulesShed", [of("rules_shed", 1.0)], [of("rules_shed", 0.0)]),
    ("AiopsReloadRefused", [of("config_last_reload_successful", 0.0)], [of("config_last_reload_successful", 1.0)]),
    ("AiopsPollsMissed", [of("schedule_missed_total", 0.0, 40.0, job="poll:r")], [of("schedule_missed_total", 7.0, job="poll:r")]),
]


@pytest.mark.parametrize(("name", "bad", "good"), CASES)
def test_an_alert_fires_on_what_it_is_for(name: str, bad: list[Any], good: list[Any]) -> None:
    assert (fires(name, dict(bad)), fires(name, dict(good))) == (True, False)


def test_every_alert_is_tried() -> None:
    assert {case[0] for case in CASES} == set(ALERTS)

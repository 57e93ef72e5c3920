"""Asking sources: what an answer, half an answer and none lead to; and how events are found for each series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.domain.rule import PromQuery
from aiops.domain.series import Labels, SampleBatch, series_id
from aiops.pipeline.poller import match_volume
from aiops.pipeline.stage import Dropped, Passed
from tests.scenarios.stage import RULES, Stage


def batch(*series: tuple[dict[str, str], float]) -> SampleBatch:
    labels: tuple[Labels, ...] = tuple(one for one, _ in series)
    return SampleBatch("prometheus", "q", 1.0, labels, np.full(len(series), 1.0), np.array([value for _, value in series], dtype=np.float64))


A, B = {"__name__": "errors", "pod": "a", "code": "500"}, {"__name__": "errors", "pod": "b", "code": "500"}


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (batch(), {}),
        (batch(({"pod": "a"}, 7.0)), {"a": 7.0}),
        (batch(({"__name__": "requests", "pod": "a"}, 7.0), ({"__name__": "other", "pod": "a"}, 1.0)), {"a": 8.0}),
        (batch(({}, 9.0)), {"a": 9.0, "b": 9.0}),
        (batch(({"pod": "a"}, np.nan), ({"pod": "b"}, np.inf)), {}),
        (batch(({"pod": "c"}, 7.0)), {}),
        (batch(({"pod": "a", "zone": "x"}, 7.0)), {}),
        (batch(({"pod": "a", "zone": "x"}, 7.0), ({"pod": "a"}, 1.0), ({"pod": "b"}, 2.0)), {"a": 1.0, "b": 2.0}),
        (batch(({"pod": "b"}, 2.0), ({"pod": "a", "code": "500"}, 3.0)), {"a": 3.0, "b": 2.0}),
    ],
    ids=["none", "one", "sum over names", "coarser", "not finite", "another", "finer", "of two kinds", "of two kinds again"],
)
def test_events_of_each_series(volume: SampleBatch, expected: dict[str, float]) -> None:
    assert match_volume([A, B], volume) == {series_id(A if pod == "a" else B): events for pod, events in expected.items()}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path).run(10)


def test_no_answer_is_a_reason(stage: Stage) -> None:
    poller, rule = stage.core.flow.parts.poller, stage.core.flow._rules["busy"]
    assert isinstance(poller.poll(rule), Passed)
    stage.metrics.dark = True
    dropped = poller.poll(rule)
    assert isinstance(dropped, Dropped)
    assert (dropped.reason, dropped.decisions[0].subject) == ("Timeout", "busy")


def test_a_source_that_the_settings_lack_is_a_reason(stage: Stage) -> None:
    poller, rule = stage.core.flow.parts.poller, stage.core.flow._rules["busy"]
    for odd in (replace(rule, source="mimir"), replace(rule, source="kubernetes"), replace(rule, source="kubernetes", volume_query="x")):
        dropped = poller.poll(odd)
        assert isinstance(dropped, Dropped)
        assert dropped.reason == "NotConfigured"


def test_too_few_events_are_no_claim(tmp_path: Path) -> None:
    rules = RULES.replace("    query: load\n", "    query: load\n    minimumVolume: {query: 'load * 0 + 3', value: 5}\n")
    stage = Stage(tmp_path, rules=rules)
    stage.load["checkout"] = 99.0
    stage.run(60)
    assert stage.incidents == [], stage.told()


def test_without_series_nobody_asks_for_their_volume(stage: Stage) -> None:
    poller, rule, asked = stage.core.flow.parts.poller, stage.core.flow._rules["busy"], []

    class Asked(MemoryPrometheus):
        def instant(self, query: str, at: float) -> SampleBatch:
            asked.append(query)
            return super().instant(query, at)

    poller._sources = replace(poller._sources, metrics={"prometheus": Asked("prometheus", stage.samples)})
    for query in ("load", "nothing"):
        polled = poller.poll(replace(rule, query=PromQuery(query), volume_query="vector(7)"))
        assert isinstance(polled, Passed)
        assert polled.record.volume == ({series_id(one): 7.0 for one in polled.record.batch.labels})
    assert asked == ["load", "vector(7)", "nothing"]

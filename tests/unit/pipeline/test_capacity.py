"""Outlooks of many series: limits by labels, bad ones with their reasons, what is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiops.definitions.loader import load_definitions
from aiops.definitions.promql import check_promql
from aiops.domain.rule import CapacityQuery, Rule
from aiops.domain.series import SeriesRange
from aiops.pipeline.capacity import answer_of, outlooks_of, share_used, tracks

ROOT = Path(__file__).parents[3]
HOUR = 3600.0
AT = np.arange(400) * HOUR
QUERY = CapacityQuery("used", "size", 2 * 86400.0)


def one(values: np.ndarray, times: np.ndarray = AT, **labels: str) -> SeriesRange:
    return SeriesRange({"__name__": "used", **labels}, times, np.asarray(values, dtype=np.float64))


def shipped() -> list[Rule]:
    found = load_definitions([ROOT / "rules"], [], actions={}, sources={"prometheus": "prometheus", "elasticsearch": "elasticsearch"})
    return [rule for rule in found.rules if isinstance(rule.query, CapacityQuery)]


def test_what_is_asked_is_promql_and_a_step_s_peak_is_asked_for_in_pieces() -> None:
    rules = shipped()
    assert len(rules) >= 12
    for rule in rules:
        assert isinstance(rule.query, CapacityQuery)
        assert rule.forecast
        for track in tracks(rule.source, rule.query):
            if track is not None:
                check_promql(track.query)
    assert tracks("p", CapacityQuery("a + b", 5.0, 60.0, sample="max"))[0].query == "max_over_time((a + b)[1h:5m])"


def test_a_limit_belongs_to_those_that_have_all_its_labels() -> None:
    limits = [one(np.full(400, 500.0), node="n1"), one(np.full(400, 900.0), node="n1", disk="b"), one(np.full(400, 100.0))]
    series = [one(AT / HOUR, node="n1", disk="a"), one(AT / HOUR, node="n1", disk="b"), one(AT / HOUR / 10, node="n2")]
    found = outlooks_of(QUERY, series, limits, float(AT[-1]))
    assert [(o.labels.get("disk"), o.limit) for o in found] == [("a", 500.0), ("b", 900.0), (None, 100.0)]
    assert all(o.found is not None for o in found)
    (alone,) = outlooks_of(QUERY, series[:1], [one(np.ones(400), node="other")], float(AT[-1]))
    assert "labels" in alone.reason


@pytest.mark.parametrize(
    ("series", "says"),
    [
        (one(np.full(400, np.nan)), "0 samples"),
        (one(np.arange(5.0), AT[-5:]), "5 samples; at least 12"),
        (one(np.arange(14.0), np.append(AT[:13], AT[-1])), "too few to fill the gaps"),
    ],
)
def test_a_bad_series_has_its_reason_and_spoils_no_other(series: SeriesRange, says: str) -> None:
    bad, good = outlooks_of(QUERY, [series, one(AT / HOUR, disk="good")], 1000.0, float(AT[-1]))
    assert bad.found is None
    assert says in bad.reason
    assert good.found is not None
    rule = shipped()[0]
    assert {labels.get("disk") for labels in answer_of(rule, QUERY, (bad, good), float(AT[-1])).labels} == {"good"}


def test_a_series_that_is_gone_is_left_out_and_a_counter_is_its_rate() -> None:
    gone = one(AT[:300] / HOUR, AT[:300], disk="gone")
    assert outlooks_of(QUERY, [gone], 1000.0, float(AT[-1])) == ()
    counted = np.cumsum(np.full(400, 7200.0))
    counted[200:] -= counted[200]  # it began anew
    (found,) = outlooks_of(CapacityQuery("c", 5.0, 86400.0, counter=True), [one(counted)], 5.0, float(AT[-1]))
    assert (found.use, found.limit) == (2.0, 5.0)


def test_as_time_passes_between_steps_the_same_paths_are_read_later() -> None:
    (found,) = outlooks_of(QUERY, [one(AT / HOUR)], 450.0, float(AT[-1]))
    rule = shipped()[0]

    def p50(later: float) -> float:
        batch = answer_of(rule, QUERY, [found], float(AT[-1]) + later)
        return float(batch.values[[labels["aiops_exhaustion"] for labels in batch.labels].index("p50")])

    assert p50(0.0) - p50(HOUR) == HOUR


@pytest.mark.parametrize(("use", "limit", "falling", "share"), [(50.0, 200.0, False, 0.25), (200.0, 200.0, False, 1.0), (50.0, 10.0, True, 0.2), (5.0, 10.0, True, 1.0), (0.0, 10.0, False, 0.0)])
def test_share_of_the_limit(use: float, limit: float, share: float, *, falling: bool) -> None:
    assert share_used(CapacityQuery("u", limit, 60.0, falling=falling), use, limit) == share

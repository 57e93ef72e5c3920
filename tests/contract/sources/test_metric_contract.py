"""What every `MetricSource` does; run on a real Prometheus through both clients, and on ours in memory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.domain.errors import SourceRejectedError
from aiops.ports.sources import MetricSource
from tests.contract.sources.samples import EVERY, START

AT = START + 900.0


def test_a_batch_names_its_source_query_and_time(metrics: MetricSource) -> None:
    batch = metrics.instant("up", AT)
    assert (batch.source, batch.query, batch.at) == (metrics.name, "up", AT)
    assert len(batch) == len(batch.labels) == len(batch.values) == len(batch.times) == 3
    assert batch.values.dtype == batch.times.dtype == np.float64
    assert not batch.partial


def test_labels_hold_the_metric_name(metrics: MetricSource) -> None:
    batch = metrics.instant('memory_limit_bytes{pod="cart-b"}', AT)
    assert [dict(labels) for labels in batch.labels] == [{"__name__": "memory_limit_bytes", "namespace": "shop", "pod": "cart-b"}]
    assert batch.values.tolist() == [550.0]


def test_times_are_those_of_the_evaluation(metrics: MetricSource) -> None:
    assert metrics.instant("up", AT + 7.25).times.tolist() == [AT + 7.25] * 3


def test_a_scalar_is_one_series_without_labels(metrics: MetricSource) -> None:
    for query, value in (("42", 42.0), ("scalar(memory_limit_bytes{pod='pay-a'})", 650.0), ("time()", AT)):
        batch = metrics.instant(query, AT)
        assert [dict(labels) for labels in batch.labels] == [{}]
        assert batch.values.tolist() == [value]


def test_a_string_is_no_answer(metrics: MetricSource) -> None:
    with pytest.raises(SourceRejectedError):
        metrics.instant('"text"', AT)


def test_nothing_found_is_an_answer_without_series(metrics: MetricSource) -> None:
    assert len(metrics.instant("nothing", AT)) == 0
    assert metrics.range("nothing", AT, AT + 60, 15).series == ()


def test_nan_and_infinities_come_as_they_are(metrics: MetricSource) -> None:
    batch = metrics.instant('odd{kind=~"nan|plus|minus"}', AT)
    found = {labels["kind"]: value for labels, value in zip(batch.labels, batch.values.tolist(), strict=True)}
    assert math.isnan(found.pop("nan"))
    assert found == {"plus": math.inf, "minus": -math.inf}


def test_tiny_and_huge_values_keep_all_digits(metrics: MetricSource) -> None:
    batch = metrics.instant('odd{kind=~"large|small"} or huge_total', START + 15)
    assert sorted(batch.values.tolist()) == [5e-324, 1e15 + 3, 1.7e308]


def test_a_stale_series_is_missing(metrics: MetricSource) -> None:
    assert len(metrics.instant("first_half", START + 1500)) == 1
    assert len(metrics.instant("first_half", START + 1502)) == 0


def test_hostile_label_values_come_as_they_are(metrics: MetricSource) -> None:
    values = {labels["value"] for labels in metrics.instant("text", AT).labels}
    assert {'a"b', "back\\slash", "new\nline", "ünïcödé", "{}", "$1"} <= values


def test_a_range_has_both_ends(metrics: MetricSource) -> None:
    batch = metrics.range('memory_limit_bytes{pod="cart-a"}', AT, AT + 60, 15)
    assert (batch.source, batch.start, batch.end, batch.step) == (metrics.name, AT, AT + 60, 15)
    assert [series.times.tolist() for series in batch.series] == [[AT, AT + 15, AT + 30, AT + 45, AT + 60]]
    assert batch.series[0].values.tolist() == [500.0] * 5


def test_a_range_ends_at_the_last_whole_step(metrics: MetricSource) -> None:
    batch = metrics.range('memory_limit_bytes{pod="cart-a"}', AT, AT + 59, 15)
    assert batch.series[0].times.tolist() == [AT, AT + 15, AT + 30, AT + 45]


def test_steps_without_a_sample_are_absent(metrics: MetricSource) -> None:
    batch = metrics.range("first_half", START + 1400, START + 1600, 50)
    assert batch.series[0].times.tolist() == [START + 1400, START + 1450, START + 1500]
    gap = metrics.range("gap", START + 900, START + 1800, 100)
    assert gap.series[0].times.tolist() == [START + 900, START + 1000, START + 1100, START + 1200, START + 1800]


def test_a_range_keeps_nan(metrics: MetricSource) -> None:
    batch = metrics.range('odd{kind="nan"}', AT, AT + 30, EVERY)
    assert np.isnan(batch.series[0].values).all()
    assert len(batch.series[0].values) == 3


def test_a_range_of_one_step(metrics: MetricSource) -> None:
    batch = metrics.range("vector(1)", AT, AT, 15)
    assert batch.series[0].times.tolist() == [AT]


def test_a_range_of_a_scalar(metrics: MetricSource) -> None:
    batch = metrics.range("time()", AT, AT + 20, 10)
    assert [dict(series.labels) for series in batch.series] == [{}]
    assert batch.series[0].values.tolist() == [AT, AT + 10, AT + 20]


def test_a_long_range_has_each_step_once(metrics: MetricSource) -> None:
    batch = metrics.range("vector(time())", START, START + 4000, 0.25)
    times = batch.series[0].times
    assert len(times) == 16001
    assert (np.diff(times) == 0.25).all()
    assert (batch.series[0].values == times).all()


def test_start_and_end_of_a_long_range_are_those_asked_for(metrics: MetricSource) -> None:
    batch = metrics.range("timestamp(memory_limit_bytes{pod='cart-a'} @ start())", START + 100, START + 500, 0.1)
    assert np.unique(batch.series[0].values).tolist() == [START + 90]


@pytest.mark.parametrize("query", ["sum(", "foo(up)", "up + on(job) up", "", "up[5m]"])
def test_a_bad_query_is_refused(metrics: MetricSource, query: str) -> None:
    with pytest.raises(SourceRejectedError) as caught:
        metrics.instant(query, AT)
    assert caught.value.reason == "BadQuery"
    assert caught.value.source == metrics.name
    with pytest.raises(SourceRejectedError):
        metrics.range(query, AT, AT + 60, 15)


def test_an_unknown_function_is_named(metrics: MetricSource) -> None:
    with pytest.raises(SourceRejectedError, match="frobnicate"):
        metrics.instant("frobnicate(up)", AT)


def test_a_range_that_ends_before_it_starts_is_refused(metrics: MetricSource) -> None:
    with pytest.raises(SourceRejectedError):
        metrics.range("up", AT, AT - 1, 15)


@pytest.mark.parametrize("step", [0, -1])
def test_a_step_must_be_positive(metrics: MetricSource, step: float) -> None:
    with pytest.raises(SourceRejectedError):
        metrics.range("up", AT, AT + 60, step)

"""The evaluator where no real Prometheus is at hand: figures worked out by hand, limits, and answers in several parts."""

from __future__ import annotations

import math

import pytest

from aiops.adapters.memory_prometheus import MemoryPrometheus, MemorySeriesStore
from aiops.adapters.memory_prometheus.notation import fill
from aiops.domain.errors import SourceRejectedError


def source(more: dict[str, str] | None = None, subquery_step: float = 60.0, **series: str) -> MemoryPrometheus:
    """Samples each 60 s from time 0."""
    store = MemorySeriesStore()
    for name, notation in {**(more or {}), **series}.items():
        fill(store, name, notation, start=0, interval=60)
    return MemoryPrometheus("m", store, subquery_step=subquery_step)


def value(metrics: MemoryPrometheus, query: str, at: float) -> float:
    (found,) = metrics.instant(query, at).values.tolist()
    return float(found)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("increase(x[5m])", 50.0),  # 10 a minute, both edges on a sample
        ("rate(x[5m])", 10 / 60),
        ("increase(x[90s])", 15.0),  # one gap seen, extrapolated over the whole window
        ("irate(x[5m])", 10 / 60),
        ("delta(x[2m])", 20.0),
        ("deriv(x[5m])", 10 / 60),
        ("predict_linear(x[5m], 60)", 110.0),
        ("avg_over_time(x[2m])", 90.0),
        ("quantile_over_time(0.5, x[3m])", 85.0),
        ("sum_over_time(x[1m])", 190.0),
        ("max_over_time(x[5m] offset 2m)", 80.0),
        ("last_over_time(x[1m] @ 120)", 20.0),
        ("sum_over_time(x[4m:2m])", 80 + 60 + 100),
        ("stddev_over_time(x[2m])", math.sqrt(200 / 3)),
    ],
)
def test_by_hand(query: str, expected: float) -> None:
    assert value(source(x="0+10x10"), query, 600) == pytest.approx(expected, rel=1e-12)


def test_a_counter_that_resets_counts_from_zero() -> None:
    assert value(source(x="0 10 20 5 15"), "increase(x[4m])", 240) == pytest.approx(35.0)
    assert value(source(x="0 10 20 5 15"), "resets(x[4m])", 240) == 1.0


def test_a_counter_is_not_extrapolated_below_zero() -> None:
    # 1 → 11 within 60 s of a window of 10 min: it reached zero 6 s before, so half a gap at the start would be too much.
    assert value(source(x="_x8 1 11"), "increase(x[10m])", 540) == pytest.approx(11.0)


def test_a_subquery_without_a_step_takes_the_default() -> None:
    assert value(source(x="1x10"), "count_over_time(x[4m:])", 300) == 5.0
    assert value(source(subquery_step=30, x="1x10"), "count_over_time(x[4m:])", 300) == 9.0


def test_histogram_quantile_by_hand() -> None:
    metrics = source({'b{le="1"}': "10", 'b{le="2"}': "30", 'b{le="+Inf"}': "40"})
    assert value(metrics, "histogram_quantile(0.5, b)", 0) == pytest.approx(1.5)
    assert value(metrics, "histogram_quantile(0.125, b)", 0) == pytest.approx(0.5)
    assert value(metrics, "histogram_quantile(0.99, b)", 0) == 2.0


def test_windows_of_one_series_do_not_leak_into_the_next() -> None:
    metrics = source({'x{a="1"}': "NaN Inf 1e300", 'x{a="2"}': "1 2 3", 'x{a="3"}': "-Inf 0 NaN"})
    for function, expected in (("sum", 6.0), ("avg", 2.0), ("min", 1.0), ("max", 3.0), ("stdvar", 2 / 3), ("count", 3.0)):
        batch = metrics.instant(f"{function}_over_time(x[3m])", 120)
        found = {labels["a"]: v for labels, v in zip(batch.labels, batch.values.tolist(), strict=True)}
        assert found["2"] == pytest.approx(expected, rel=1e-15)


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(SourceRejectedError, match="frobnicate") as caught:
        source(x="1").instant("frobnicate(x)", 0)
    assert caught.value.reason == "BadQuery"


@pytest.mark.parametrize(
    "query",
    [
        "histogram_count(x)",
        "sort_by_label(x, 'a')",
        "limitk(1, x)",
        'x{a="1" or b="2"}',
        "x + on(a) fill(0) x",
        "info(x)",
        "mad_over_time(x[1m])",
    ],
)
def test_what_is_not_supported_is_said(query: str) -> None:
    with pytest.raises(SourceRejectedError) as caught:
        source(x="1").instant(query, 0)
    assert caught.value.reason == "BadQuery"


@pytest.mark.parametrize(
    "query",
    [
        "(" * 5000 + "x" + ")" * 5000,
        "x" + " + x" * 10_000,
        "x" + " + x" * 1500,
        "x" + " or x" * 1500,
        "-(" * 99 + "x" + ")" * 99 + " ^ x" * 1500,
        "max_over_time(x[100y:1ms])",
        "x" * 200_000,
        "-" * 50_000 + "x",
        "sum(" * 101 + "x" + ")" * 101,
    ],
)
def test_queries_without_measure_are_refused(query: str) -> None:
    with pytest.raises(SourceRejectedError):
        source(x="1").instant(query, 0)


def test_a_long_range_is_the_same_as_its_parts() -> None:
    metrics = source({'x{a="1"}': "0+1x100", 'x{a="2"}': "_x50 5+1x20"})
    whole = metrics.range("rate(x[5m]) or x", 0, 6000, 1)
    for found in whole.series:
        again = [
            (t, v)
            for start in range(0, 6001, 1500)
            for part in metrics.range("rate(x[5m]) or x", start, min(start + 1499, 6000), 1).series
            if part.labels == found.labels
            for t, v in zip(part.times.tolist(), part.values.tolist(), strict=True)
        ]
        assert again == list(zip(found.times.tolist(), found.values.tolist(), strict=True))


def test_too_many_points_are_refused() -> None:
    with pytest.raises(SourceRejectedError, match="points"):
        source(x="1").range("x", 0, 1e9, 0.001)


def test_answers_are_copies() -> None:
    metrics = source(x="1 2 3")
    batch = metrics.instant("x", 120)
    batch.values[0] = 99
    assert value(metrics, "x", 120) == 3.0

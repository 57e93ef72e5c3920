"""promtool's notation: what it means, and what is said about a wrong one."""

from __future__ import annotations

import math

import pytest

from aiops.adapters.memory_prometheus import STALE, MemoryPrometheus, MemorySeriesStore
from aiops.adapters.memory_prometheus.notation import MAX_SAMPLES, NotationError, fill, series, values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("1 2 3", [1, 2, 3]),
        ("  1\t2 ", [1, 2]),
        ("0+10x3", [0, 10, 20, 30]),
        ("-2-3x4", [-2, -5, -8, -11, -14]),
        ("-2+4x3", [-2, 2, 6, 10]),
        ("1x5", [1, 1, 1, 1, 1, 1]),
        ("1x0", [1]),
        ("1+1x0", [1]),
        ("_", [None]),
        ("_x3 1", [None, None, None, 1]),
        ("1 _ 2", [1, None, 2]),
        ("0.5+0.25x2", [0.5, 0.75, 1.0]),
        ("1e3 1.5e-2 .5 5.", [1000, 0.015, 0.5, 5]),
        ("1e2+1e1x2", [100, 110, 120]),
        ("0x10", [16]),
        ("Inf -Inf +Inf", [math.inf, -math.inf, math.inf]),
        ("+3 -3", [3, -3]),
    ],
)
def test_values(text: str, expected: list[float | None]) -> None:
    assert values(text) == expected


def test_nan_and_stale_are_two_things() -> None:
    store = MemorySeriesStore()
    fill(store, "x", "NaN stale 3", start=0, interval=60)
    source = MemoryPrometheus("m", store)
    assert math.isnan(source.instant("x", 0).values[0])
    assert len(source.instant("x", 60)) == 0
    assert source.instant("x", 120).values.tolist() == [3.0]
    assert values("stale")[0] is STALE


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("1 2 foo", 5),
        ("1+2", 2),
        ("1+x5", 2),
        ("1x", 2),
        ("1x-5", 2),
        ("1x5x6", 4),
        ("0+10x3,", 7),
        ("stales", 6),
        ("__", 2),
        ("_x", 2),
        ("1 -", 3),
        ("--1", 1),
    ],
)
def test_errors_name_the_position_and_what_is_allowed(text: str, position: int) -> None:
    with pytest.raises(NotationError) as caught:
        values(text)
    assert caught.value.position == position
    assert f"character {position}:" in str(caught.value)
    assert "allowed are a number" in str(caught.value)


@pytest.mark.parametrize("text", ["1x99999999", "0+1x1000001", "_x1000001", "1x600000 1x600000", "1x" + "9" * 5000])
def test_more_samples_than_can_be_meant_are_refused(text: str) -> None:
    with pytest.raises(NotationError, match=f"more than {MAX_SAMPLES} samples"):
        values(text)


def test_a_long_wrong_text_is_cut_in_the_message() -> None:
    with pytest.raises(NotationError) as caught:
        values("z" * 10_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("x", {"__name__": "x"}),
        ('x{a="1", b="two\\n"}', {"__name__": "x", "a": "1", "b": "two\n"}),
        ('{__name__="x",a="1"}', {"__name__": "x", "a": "1"}),
        ("job:x:rate5m", {"__name__": "job:x:rate5m"}),
    ],
)
def test_series(text: str, labels: dict[str, str]) -> None:
    assert series(text) == labels


@pytest.mark.parametrize(
    "text", ["", "x{", 'x{a=~"1"}', 'x{a!="1"}', "x[5m]", "x offset 5m", "x @ 5", "sum(x)", "1", 'x{a="1",a="2"}', '{a="1"}', "x y"]
)
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(NotationError):
        series(text)


def test_fill_puts_values_at_their_times() -> None:
    store = MemorySeriesStore()
    fill(store, 'x{a="1"}', "0+10x2 _ 100", start=1000, interval=15)
    (found,) = MemoryPrometheus("m", store).range("timestamp(x)", 1000, 1060, 15).series
    assert found.values.tolist() == [1000, 1015, 1030, 1030, 1060]
    assert found.labels == {"a": "1"}


def test_fill_with_gaps_only_makes_no_sample() -> None:
    store = MemorySeriesStore()
    fill(store, "x", "_x5", start=0, interval=60)
    assert len(MemoryPrometheus("m", store).instant("x", 300)) == 0

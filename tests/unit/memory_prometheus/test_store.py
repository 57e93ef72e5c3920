"""The store: ways in, retention, stale markers, selection."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.adapters.memory_prometheus import STALE, MemoryPrometheus, MemorySeriesStore
from aiops.adapters.memory_prometheus.matchers import Matcher, Op

X = {"__name__": "x", "a": "1"}
Y = {"__name__": "x", "a": "2"}
Z = {"__name__": "x", "a": "9"}
NAME_X = Matcher("__name__", Op.EQUAL, "x")


def answer(store: MemorySeriesStore, query: str, at: float) -> dict[tuple[tuple[str, str], ...], float]:
    batch = MemoryPrometheus("m", store).instant(query, at)
    return {tuple(sorted(labels.items())): value for labels, value in zip(batch.labels, batch.values.tolist(), strict=True)}


def only(store: MemorySeriesStore, query: str, at: float) -> float:
    (value,) = answer(store, query, at).values()
    return value


def test_one_by_one_in_bulk_and_in_rows_are_the_same() -> None:
    times, values = [100.0 + 5 * i for i in range(500)], [float(i * i % 17) for i in range(500)]
    single, bulk, rows, scraped, loaded = (MemorySeriesStore() for _ in range(5))
    columns = rows.columns([X, Y])
    for t, v in zip(times, values, strict=True):
        single.append(X, t, v)
        single.append(Y, t, -v)
        rows.append_row(columns, t, [v, -v])
        scraped.scrape("job", [X, Y], t, [v, -v])
    bulk.append_many(X, times, values)
    bulk.append_many(Y, times, [-v for v in values])
    loaded.load([(X, times, values), (Y, times, [-v for v in values])])
    for query in ("x", "rate(x[1m])", "sum_over_time(x[20m])", "x offset 7m", "deriv(x[3m])"):
        expected = answer(single, query, 2200)
        assert len(expected) == 2
        assert (
            answer(bulk, query, 2200)
            == answer(rows, query, 2200)
            == answer(scraped, query, 2200)
            == answer(loaded, query, 2200)
            == expected
        )


@pytest.mark.parametrize("t", [10.0, 9.0, 10.0004])
def test_time_must_rise(t: float) -> None:
    store = MemorySeriesStore()
    store.append(X, 10.0, 1.0)
    with pytest.raises(ValueError, match="rising order"):
        store.append(X, t, 2.0)
    with pytest.raises(ValueError, match="rising order"):
        store.append_many(Y, [1.0, t, t], [1.0, 2.0, 3.0])
    assert only(store, "x{a='1'}", 11) == 1.0


def test_wrong_shapes_are_refused() -> None:
    store = MemorySeriesStore()
    with pytest.raises(ValueError, match="one time for each value"):
        store.append_many(X, [1.0, 2.0], [1.0])
    columns = store.columns([X, Y])
    with pytest.raises(ValueError, match="1 values for 2 series"):
        store.append_row(columns, 1.0, [1.0])
    with pytest.raises(ValueError, match="are the same"):
        store.columns([X, {"a": "1", "__name__": "x"}])
    with pytest.raises(ValueError, match="are the same"):
        store.scrape("job", [X, X], 1.0, [1.0, 2.0])


def test_an_empty_label_is_no_label() -> None:
    store = MemorySeriesStore()
    store.append({**X, "b": ""}, 1.0, 1.0)
    store.append(X, 2.0, 2.0)
    assert len(store) == 1
    assert only(store, "x", 3) == 2.0


def test_a_series_that_leaves_the_scrape_is_stale_at_once_and_may_return() -> None:
    store = MemorySeriesStore()
    store.scrape("job", [X, Y], 10, [1, 2])
    store.scrape("job", [X], 20, [3])
    assert answer(store, "x", 20) == {tuple(sorted(X.items())): 3.0}
    assert len(answer(store, "x", 19.999)) == 2
    store.scrape("job", [Y, X], 30, [4, 5])
    assert sorted(answer(store, "x", 30).values()) == [4.0, 5.0]
    assert only(store, "count_over_time(x{a='2'}[1m])", 30) == 2.0
    assert only(store, "sum_over_time(x{a='1'}[1m])", 30) == 9.0


def test_a_target_that_gives_nothing_ends_its_series_until_it_gives_again() -> None:
    store = MemorySeriesStore()
    store.scrape("job", [X, Y], 10, [1, 2])
    store.scrape("job", [], 20, [])
    store.scrape("job", [], 30, [])
    assert answer(store, "x", 30) == {}
    store.scrape("job", [X, Y], 40, [3, 4])
    store.scrape("job", [Y], 50, [5])
    store.scrape("job", [], 60, [])
    assert answer(store, "x", 60) == {}
    assert only(store, "sum(sum_over_time(x[1m]))", 60) == 15.0


def test_scrapes_of_different_targets_do_not_end_each_other() -> None:
    store = MemorySeriesStore()
    store.scrape("one", [X], 10, [1])
    store.scrape("two", [Y], 10, [2])
    store.scrape("one", [X], 20, [3])
    assert len(answer(store, "x", 21)) == 2


def test_a_tuple_of_labels_handed_in_again_is_the_same_scrape() -> None:
    store, labels = MemorySeriesStore(), (X, Y)
    for i in range(5):
        store.scrape("job", labels, 10.0 + i, [i, -i])
    assert only(store, "count_over_time(x{a='2'}[1m])", 20) == 5.0


def test_stale_markers_and_nan_are_different() -> None:
    store = MemorySeriesStore()
    store.append(X, 10, math.nan)
    store.append(Y, 10, 1.0)
    store.mark_stale(Y, 11)
    assert [dict(labels) for labels in MemoryPrometheus("m", store).instant("x", 12).labels] == [X]
    assert math.isnan(only(store, "x", 12))
    assert only(store, "sum_over_time(x{a='2'}[1m])", 12) == 1.0
    store.append(Y, 12, 7.0)
    assert only(store, "x{a='2'}", 12) == 7.0


def test_a_stale_marker_may_be_set_between_samples() -> None:
    store = MemorySeriesStore()
    store.append_many(X, [10.0 * i for i in range(64)], [float(i) for i in range(64)])
    store.mark_stale(X, 105)
    store.mark_stale(X, 5)
    store.mark_stale(X, 1000)
    (found,) = MemoryPrometheus("m", store).range("x", 0, 1200, 5).series
    assert [t for t in range(0, 640, 5) if t not in found.times] == [5, 105]
    assert found.times[-1] == 930
    assert only(store, "sum_over_time(x[20m])", 1000) == sum(range(64))
    with pytest.raises(ValueError, match="a sample at that time"):
        store.mark_stale(X, 20)


def test_a_stale_marker_written_in_a_row_ends_only_its_series() -> None:
    store = MemorySeriesStore()
    columns = store.columns([X, Y])
    store.append_row(columns, 10, [1, 2])
    store.append_row(columns, 20, np.array([STALE, 3]))
    assert answer(store, "x", 20) == {tuple(sorted(Y.items())): 3.0}


def test_look_back_is_five_minutes_to_the_millisecond() -> None:
    store = MemorySeriesStore()
    store.append(X, 1000.0, 1.0)
    assert len(answer(store, "x", 1300.0)) == 1
    assert answer(store, "x", 1300.001) == {}
    assert answer(store, "x", 999.999) == {}


def test_what_is_older_than_the_retention_is_forgotten() -> None:
    store = MemorySeriesStore(retention=100)
    store.append(Y, 0.0, 9.0)
    for i in range(5000):
        store.append(X, float(i), float(i))
    assert len(store) == 1
    kept = only(store, "count_over_time(x[2h])", 5000)
    assert 100 <= kept <= 110
    store.append(Y, 6000.0, 1.0)
    assert only(store, "x{a='2'}", 6000) == 1.0


def test_a_series_that_goes_on_after_loading_has_one_history() -> None:
    store = MemorySeriesStore()
    store.load([(X, [1.0, 2.0], [1.0, 2.0]), (Y, [1.0, 2.0], [5.0, 6.0]), ({"__name__": "z"}, [], [])])
    store.append(X, 3.0, 3.0)
    store.mark_stale(Y, 2.5)
    assert only(store, "sum_over_time(x{a='1'}[1m])", 3) == 6.0
    assert answer(store, "x", 3) == {tuple(sorted(X.items())): 3.0}
    assert len(store) == 2


def test_memory_stays_bounded_by_the_retention() -> None:
    store = MemorySeriesStore(retention=100)
    columns = store.columns([X, Y])
    for i in range(20_000):
        store.append_row(columns, float(i), [i, i])
    assert len(columns.block.times) <= 4096


def test_a_handle_whose_rows_all_aged_out_still_writes() -> None:
    store = MemorySeriesStore(retention=100)
    idle = store.columns([Y])
    store.append_row(idle, 1.0, [1.0])
    for i in range(3000):
        store.append(X, float(i), float(i))
    assert len(store) == 1
    store.append_row(idle, 3000.0, [4.0])
    assert only(store, "x{a='2'}", 3000) == 4.0


def test_two_handles_of_one_series_are_merged_in_time() -> None:
    store = MemorySeriesStore()
    first, second = store.columns([X]), store.columns([X, Y])
    store.append_row(first, 1, [1])
    store.append_row(second, 2, [2, 0])
    store.append_row(first, 3, [3])
    store.append_row(second, 4, [4, 0])
    store.append_row(first, 4, [40])
    batch = MemoryPrometheus("m", store).range("x{a='1'}", 1, 4, 1)
    assert batch.series[0].values.tolist() == [1, 2, 3, 4]
    assert only(store, "count_over_time(x{a='1'}[1m])", 4) == 4.0


def test_selection_sees_series_that_come_later() -> None:
    store = MemorySeriesStore()
    store.append(X, 1, 1)
    assert [series.labels for series in store.select((NAME_X,))] == [X]
    store.append(Y, 1, 1)
    assert [series.labels for series in store.select((NAME_X,))] == [X, Y]


@pytest.mark.parametrize(
    ("matcher", "count"),
    [
        (Matcher("a", Op.EQUAL, "1"), 1),
        (Matcher("a", Op.NOT_EQUAL, "1"), 2),
        (Matcher("a", Op.REGEX, "1|2"), 2),
        (Matcher("a", Op.REGEX, ""), 1),
        (Matcher("a", Op.NOT_REGEX, ".+"), 1),
        (Matcher("b", Op.EQUAL, ""), 3),
        (Matcher("b", Op.NOT_EQUAL, ""), 0),
    ],
)
def test_matchers_take_a_missing_label_as_empty(matcher: Matcher, count: int) -> None:
    store = MemorySeriesStore()
    for labels in (X, Y, {"__name__": "x"}):
        store.append(labels, 1, 1)
    assert len(store.select((NAME_X, matcher))) == count


def test_of_a_scrape_that_loses_some_series_the_others_go_on_and_the_lost_ones_may_return() -> None:
    store = MemorySeriesStore()
    x, y = {"__name__": "m", "a": "x"}, {"__name__": "m", "a": "y"}
    store.scrape("t", (x, y), 0, [1.0, 10.0])
    store.scrape("t", (x,), 5, [2.0])
    store.scrape("t", (x,), 10, [3.0])
    store.scrape("t", (x, y), 15, [4.0, 40.0])
    store.scrape("t", (), 20, [])
    source = MemoryPrometheus("p", store)

    def seen(query: str, at: float) -> dict[str, float]:
        batch = source.instant(query, at)
        return {labels["a"]: value for labels, value in zip(batch.labels, batch.values.tolist(), strict=True)}

    assert [seen("m", at) for at in (0, 5, 10, 15, 20, 25)] == [{"x": 1, "y": 10}, {"x": 2}, {"x": 3}, {"x": 4, "y": 40}, {}, {}]
    assert seen("count_over_time(m[20s])", 20) == {"x": 4, "y": 2}
    assert seen("sum_over_time(m[20s])", 20) == {"x": 10, "y": 50}


def filled(*, until: int) -> MemorySeriesStore:
    store = MemorySeriesStore()
    columns = store.columns([X, Y])
    for t in range(0, until, 5):
        store.append_row(columns, float(t), [float(t * t % 97), float(t * 7 % 89)])
    return store


@pytest.mark.parametrize("query", ["max_over_time(sum(rate(x[1m]))[10m:1m])", "max_over_time(sum(x offset -2m)[10m:1m])", "avg_over_time(sum(x @ end())[10m:1m])"])
def test_a_subquery_that_is_asked_again_and_again_tells_what_one_asked_once_tells(query: str) -> None:
    store = MemorySeriesStore()
    columns = store.columns([X, Y])
    for t in range(0, 1500, 5):
        store.append_row(columns, float(t), [float(t * t % 97), float(t * 7 % 89)])
        if t > 700:
            assert answer(store, query, t + 2.5) == answer(filled(until=t + 5), query, t + 2.5)


def test_what_is_written_into_the_past_is_seen_by_a_subquery_that_was_asked_before() -> None:
    store, query = filled(until=1000), "max_over_time(sum by (a) (x)[10m:1m])"
    before = answer(store, query, 1000)
    store.append_many({"__name__": "x", "a": "3"}, [700.0, 720.0], [1e6, 1e6])
    assert answer(store, query, 1000) == before | {(("a", "3"),): 1e6}
    store.mark_stale({"__name__": "x", "a": "3"}, 710.0)
    assert answer(store, "max_over_time(count(x)[10m:1m])", 1000) == {(): 3.0}


@pytest.mark.parametrize("at", [999.0, 1003.0, 1294.0, 1296.0, 1000.0, 640.0, -400.0])
def test_the_newest_sample_is_the_same_alone_and_among_others(at: float) -> None:
    store = filled(until=1000)
    store.append(Z, 400.0, 5.0)
    store.append(Z, 401.0, STALE)
    store.append(Z, 800.0, math.nan)
    series = {tuple(sorted(each.labels.items())): each for each in MemoryPrometheus("m", store).range("x", at, at + 1000, 1000).series}
    expected = {key: float(each.values[0]) for key, each in series.items() if each.times[0] == at}
    found = answer(store, "x", at)
    assert found.keys() == expected.keys()
    assert all(value == expected[key] or (math.isnan(value) and math.isnan(expected[key])) for key, value in found.items())

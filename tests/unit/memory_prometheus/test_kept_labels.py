"""What is worked out from labels is kept with a selection: it must not outlive what it was worked out from."""

from __future__ import annotations

import math

from aiops.adapters.memory_prometheus import MemoryPrometheus

ERRORS = 'sum by (app) (rate(requests_total{code="500"}[1m])) / sum by (app) (rate(requests_total[1m]))'


def answer(source: MemoryPrometheus, query: str, at: float) -> dict[str, float]:
    batch = source.instant(query, at)
    return {labels.get("app", ""): round(value, 6) for labels, value in zip(batch.labels, batch.values.tolist(), strict=True)}


def scrape(source: MemoryPrometheus, pod: str, at: float, app: str = "a") -> None:
    labels = tuple({"__name__": "requests_total", "app": app, "pod": pod, "code": code} for code in ("200", "500"))
    source.store.scrape(pod, labels, at, [3.0 * at, 1.0 * at])


def test_a_pod_that_comes_is_counted_in_a_query_that_was_asked_before() -> None:
    source = MemoryPrometheus("p")
    for at in range(0, 100, 5):
        scrape(source, "one", at)
    for _ in range(3):
        assert answer(source, ERRORS, 95) == {"a": 0.25}
    assert answer(source, "sum by (app) (rate(requests_total[1m]))", 95) == {"a": 4.0}
    for at in range(100, 200, 5):
        scrape(source, "one", at)
        scrape(source, "two", at)
        scrape(source, "other", at + 1, app="b")
    assert answer(source, ERRORS, 196) == {"a": 0.25, "b": 0.25}
    assert answer(source, "sum by (app) (rate(requests_total[1m]))", 195) == {"a": 8.0, "b": 4.0}


def test_a_pod_that_goes_is_left_out_while_it_is_stale_and_after() -> None:
    source = MemoryPrometheus("p")
    for at in range(0, 600, 5):
        scrape(source, "one", at)
        if at < 100:
            scrape(source, "two", at)
    source.store.scrape("two", (), 100, [])
    count = "count by (app) (requests_total)"
    assert [answer(source, count, at)["a"] for at in (50, 99, 100, 105, 300, 599)] == [4.0, 4.0, 2.0, 2.0, 2.0, 2.0]
    assert [answer(source, count, at)["a"] for at in (599, 50, 100)] == [2.0, 4.0, 2.0]


def test_comparisons_that_keep_other_rows_each_time_label_them_rightly() -> None:
    source = MemoryPrometheus("p")
    for at in range(0, 600, 10):
        for i in range(5):
            source.store.append({"__name__": "level", "app": str(i)}, at, float((at // 10 + i) % 5))
    for at in range(0, 600, 10):
        expected = {str(i): float((at // 10 + i) % 5) for i in range(5)}
        assert answer(source, "level > 2", at) == {a: v for a, v in expected.items() if v > 2}
        assert answer(source, "level > 3 or level < 1", at) == {a: v for a, v in expected.items() if v > 3 or v < 1}
        assert answer(source, "(level > 1) + on (app) level", at) == {a: 2 * v for a, v in expected.items() if v > 1}


def test_a_counter_is_not_taken_for_reset_where_a_series_without_samples_stands_beside_it() -> None:
    source = MemoryPrometheus("p")
    for at in range(0, 100, 5):
        scrape(source, "one", at)
    # At the front and at the end of the selection: series that hold nothing but a stale marker in the window.
    for pod in ("aaa", "zzz"):
        scrape(source, pod, 10)
        source.store.scrape(pod, (), 50, [])
    for app in ("0", "a"):
        source.store.append({"__name__": "requests_total", "app": app, "pod": "reset", "code": "200"}, 60.0, 7.0)
        source.store.append({"__name__": "requests_total", "app": app, "pod": "reset", "code": "200"}, 90.0, 1.0)
    found = source.instant("rate(requests_total[50s])", 95)
    assert {(x["app"], x["pod"]) for x in found.labels} == {("a", "one"), ("0", "reset"), ("a", "reset")}
    for labels, value in zip(found.labels, found.values.tolist(), strict=True):
        assert math.isclose(value, 3.0 if labels["code"] == "200" else 1.0) == (labels["pod"] == "one")
        assert value > 0


def test_histograms_with_the_same_buckets_are_as_if_each_were_asked_alone() -> None:
    source = MemoryPrometheus("p")
    for app, shares in {"a": (5, 9, 10), "b": (0, 0, 10), "c": (0, 0, 0)}.items():
        for bound, share in zip(("0.1", "1", "+Inf"), shares, strict=True):
            source.store.append({"__name__": "b_bucket", "app": app, "le": bound}, 10.0, float(share))
    together = source.instant("histogram_quantile(0.6, b_bucket)", 10)
    alone = {app: source.instant(f'histogram_quantile(0.6, b_bucket{{app="{app}"}})', 10).values.tolist() for app in "abc"}
    assert {x["app"]: repr([v]) for x, v in zip(together.labels, together.values.tolist(), strict=True)} == {a: repr(v) for a, v in alone.items()}
    assert alone["b"] == [1.0]
    assert math.isnan(alone["c"][0])


def test_what_a_query_says_twice_is_the_same_and_what_only_looks_alike_is_not() -> None:
    source = MemoryPrometheus("p")
    source.store.append({"__name__": "level", "app": "a"}, 10.0, 4.0)
    assert answer(source, "sum by (app) (level) / sum by (app) (level)", 10) == {"a": 1.0}
    assert answer(source, "sum by (app) (level) / sum by (app) (level offset 1m) or sum by (app) (level) + 1", 10) == {"a": 5.0}
    assert answer(source, "clamp_max(max by (app) (level / 0), 9) + clamp_min(max by (app) (level / -0), -3)", 10) == {"a": 6.0}
    assert answer(source, "count by (app) (level) + avg by (app) (level)", 10) == {"a": 5.0}

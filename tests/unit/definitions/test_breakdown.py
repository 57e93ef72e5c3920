"""A query that sums up, asked again for each part: what comes out is PromQL that means it, or nothing."""

from __future__ import annotations

import pytest

from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.definitions.breakdown import summed
from aiops.definitions.promql import check_promql

SHOP = {"namespace": "shop", "workload": "cart"}


@pytest.mark.parametrize(
    ("query", "broken"),
    [
        ("sum(x)", "sum by (pod) (x{})"),
        ("sum by (namespace) (rate(x[1m]))", 'sum by (namespace, pod) (rate(x{namespace="shop"}[1m]))'),
        ("max by (namespace) (sum by (namespace, pod) (x))", 'max by (namespace, pod) (sum by (namespace, pod) (x{namespace="shop"}))'),
        ("quantile by (namespace) (0.9, x{a='b'})", "quantile by (namespace, pod) (0.9, x{namespace=\"shop\",a='b'})"),
        (
            "histogram_quantile(0.9, sum by (namespace, le) (rate(x_bucket[5m])))",
            'histogram_quantile(0.9, sum by (namespace, le, pod) (rate(x_bucket{namespace="shop"}[5m])))',
        ),
        (
            "sum by (namespace, workload) (rate(a[1m])) / sum by (namespace) (rate(b[1m]))",
            'sum by (namespace, workload, pod) (rate(a{namespace="shop"}[1m])) / sum by (namespace, pod) (rate(b{namespace="shop"}[1m]))',
        ),
        (r'sum(x{a="sum(y{})", b=~"5\\d.", c=`"\.`}) # sum by', r'sum by (pod) (x{a="sum(y{})",b=~"5\\d.",c="\"\\."})'),
    ],
)
def test_each_aggregation_keeps_one_label_more(query: str, broken: str) -> None:
    found = summed(query)
    assert found is not None
    assert found.by("pod", SHOP) == broken
    check_promql(broken)


@pytest.mark.parametrize(
    "query",
    [
        "x", "rate(x[1m])", "sum without (pod) (x)", "sum by (a) (x) / on (a) sum by (a) (y)", "sum by (a) (x) * on (a) group_left (b) y", "topk(3, sum by (a) (x))",
        'sum by (b) (label_replace(x, "b", "$1", "a", "(.*)"))', "scalar(sum(x))", "sum(vector(1))", "absent(sum(x))", "not promql (", "x" * 10_000,
    ],
)
def test_what_cannot_be_told_apart_is_left_alone(query: str) -> None:
    assert summed(query) is None


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "{}", '"}) or vector(1) #', "aiopsString0"])
def test_hostile_labels_stay_strings(value: str) -> None:
    found = summed('sum by (namespace) (x{a="first"})')
    assert found is not None
    store = MemorySeriesStore()
    store.append({"__name__": "x", "namespace": value, "a": "first", "pod": "one"}, 1000.0, 7.0)
    store.append({"__name__": "x", "namespace": "other", "a": "first", "pod": "two"}, 1000.0, 9.0)
    source = MemoryPrometheus("prometheus", store)
    for text in (found.by("pod", {"namespace": value}), found.labels(("pod",), {"namespace": value})):
        answer = source.instant(text, 1000.0)
        assert [labels["pod"] for labels in answer.labels] == ["one"], text

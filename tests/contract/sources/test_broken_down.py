"""Queries broken down by a label are taken by every source, and the parts of a sum are the sum."""

from __future__ import annotations

import math

from aiops.definitions.breakdown import summed
from aiops.ports.sources import MetricSource
from tests.contract.sources.queries import AGREED
from tests.contract.sources.samples import START

AT = START + 1215.5
PARTS = "sum by (namespace, workload) (rate(http_requests_total[5m]))"


def test_the_parts_of_a_sum_are_the_sum(metrics: MetricSource) -> None:
    query = summed(PARTS)
    assert query is not None
    whole = metrics.instant(PARTS, AT)
    assert len(whole) == 2
    for labels, value in zip(whole.labels, whole.values.tolist(), strict=True):
        found = metrics.instant(query.labels(("pod", "code", "node"), labels), AT)
        assert {one["pod"] for one in found.labels} == {f"{labels['workload']}-{pod}" for pod in "abc"}
        assert {one.get("node", "") for one in found.labels} == {""}
        for label in ("pod", "code"):
            parts = metrics.instant(query.by(label, labels), AT)
            assert len(parts) == len({one[label] for one in found.labels})
            assert math.isclose(math.fsum(parts.values.tolist()), value, rel_tol=1e-9)


def test_every_query_that_can_be_broken_down_is_taken(metrics: MetricSource) -> None:
    taken = 0
    for text in AGREED:
        query = summed(text)
        if query is not None:
            labels = {"namespace": "shop", "workload": 'ca"rt\\'}
            metrics.instant(query.by("pod", labels), AT)
            metrics.instant(query.labels(("pod", "code"), labels), AT)
            taken += 1
    assert taken >= 10

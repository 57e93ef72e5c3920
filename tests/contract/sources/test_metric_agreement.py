"""Ours in memory and a real Prometheus 2.42 give the same answers on the same samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.prometheus import PrometheusSource
from aiops.domain.errors import SourceRejectedError
from aiops.domain.series import label_key
from tests.contract.sources.queries import AGREED, INSTANT_ONLY, REFUSED, REFUSED_RANGES, listed
from tests.contract.sources.samples import START

# On a scrape and between two, after a stale marker, within and after a gap, at the edge of the look-back, and before the first sample.
INSTANTS = [START + s for s in (605, 900, 1215.5, 1500, 1799.999, 1802, 2100, 2555.25, 4199, -1)]
RANGE = (START - 60, START + 4300, 47.3)


def close(ours: float, theirs: float) -> bool:
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("query", [*AGREED, *listed(INSTANT_ONLY)])
def test_instant_answers_agree(query: str, memory: MemoryPrometheus, real: PrometheusSource) -> None:
    for at in INSTANTS:
        ours, theirs = memory.instant(query, at), real.instant(query, at)
        ours_by_labels = dict(zip(map(label_key, ours.labels), ours.values.tolist(), strict=True))
        theirs_by_labels = dict(zip(map(label_key, theirs.labels), theirs.values.tolist(), strict=True))
        assert len(ours_by_labels) == len(ours)
        assert ours_by_labels.keys() == theirs_by_labels.keys(), f"at start + {at - START}"
        different = {k: (v, theirs_by_labels[k]) for k, v in ours_by_labels.items() if not close(v, theirs_by_labels[k])}
        assert not different, f"at start + {at - START}"
        assert np.array_equal(np.unique(ours.times), np.unique(theirs.times))


@pytest.mark.parametrize("query", AGREED)
def test_range_answers_agree(query: str, memory: MemoryPrometheus, real: PrometheusSource) -> None:
    ours, theirs = memory.range(query, *RANGE), real.range(query, *RANGE)
    ours_by_labels = {label_key(s.labels): s for s in ours.series}
    theirs_by_labels = {label_key(s.labels): s for s in theirs.series}
    assert ours_by_labels.keys() == theirs_by_labels.keys()
    for key, mine in ours_by_labels.items():
        other = theirs_by_labels[key]
        assert mine.times.tolist() == other.times.tolist(), key
        different = [
            (t - START, a, b)
            for t, a, b in zip(mine.times.tolist(), mine.values.tolist(), other.values.tolist(), strict=True)
            if not close(a, b)
        ]
        assert not different, key


@pytest.mark.parametrize("query", listed(REFUSED_RANGES))
def test_both_refuse_over_a_range(query: str, memory: MemoryPrometheus, real: PrometheusSource) -> None:
    for source in (memory, real):
        with pytest.raises(SourceRejectedError) as caught:
            source.range(query, *RANGE)
        assert caught.value.reason == "BadQuery"


@pytest.mark.parametrize("query", listed(REFUSED))
def test_both_refuse(query: str, memory: MemoryPrometheus, real: PrometheusSource) -> None:
    for source in (memory, real):
        with pytest.raises(SourceRejectedError) as caught:
            source.instant(query, START + 1700)
        assert caught.value.reason == "BadQuery"

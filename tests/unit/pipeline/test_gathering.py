"""The past is asked for in pieces, and kept."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.adapters.history import MemoryHistory
from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.domain.errors import SourceError, SourceThrottledError
from aiops.domain.series import RangeBatch, SampleBatch, SeriesRange
from aiops.pipeline.gathering import PIECE, TRIES, Gathering, rates
from aiops.ports.history import Track
from aiops.ports.telemetry import NullTelemetry

STEP = 3600.0
NOW = 1_700_000_000.0
TRACK = Track("prometheus", "used", STEP)


class Flaky:
    """A MemoryPrometheus that counts questions and fails as told."""

    def __init__(self) -> None:
        store = MemorySeriesStore(retention=100 * 86400.0)
        times = np.arange(NOW - 40 * 86400.0, NOW + 86400.0, 300.0)
        store.append_many({"__name__": "used", "disk": "a"}, times, times - NOW)
        self.inner, self.partial = MemoryPrometheus("prometheus", store), 0
        self.asked: list[tuple[float, float]] = []
        self.failures: list[bool] = []
        self.name = "prometheus"

    def instant(self, query: str, at: float) -> SampleBatch:
        return self.inner.instant(query, at)

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        self.asked.append((start, end))
        if self.failures and self.failures.pop(0):
            raise SourceThrottledError("prometheus", "slow down", 5.0)
        found = self.inner.range(query, start, end, step)
        self.partial -= self.partial > 0
        return RangeBatch(found.source, query, start, end, step, found.series, partial=self.partial > 0)


@pytest.fixture
def source() -> Flaky:
    return Flaky()


def gathering(history: MemoryHistory | None = None) -> Gathering:
    return Gathering(history or MemoryHistory(), VirtualTime(NOW), NullTelemetry(), 400 * 86400.0)


def kept(one: Gathering) -> SeriesRange:
    return one.history.read(TRACK, 0.0, 2 * NOW)[0]


def test_the_past_comes_in_pieces_and_is_even_and_whole(source: Flaky) -> None:
    one = gathering()
    assert one.update(source, TRACK, 30 * 86400.0, NOW)
    assert all((end - start) / STEP < PIECE for start, end in source.asked)
    assert len(source.asked) == 3
    found = kept(one)
    assert len(found.times) == 720
    assert set(np.diff(found.times).tolist()) == {STEP}
    assert NOW - found.times[-1] < STEP + 60.0


def test_later_only_what_is_new_is_asked_for(source: Flaky) -> None:
    one = gathering()
    one.update(source, TRACK, 30 * 86400.0, NOW)
    one.update(source, TRACK, 30 * 86400.0, NOW + 60.0)
    assert len(source.asked) == 3
    one.update(source, TRACK, 30 * 86400.0, NOW + 2 * STEP)
    assert [round((end - start) / STEP) for start, end in source.asked[3:]] == [3]
    assert len(kept(one).times) == 722


def test_what_was_kept_before_a_refusal_stays_and_the_next_call_goes_on(source: Flaky) -> None:
    one = gathering()
    source.failures = [False, True]
    with pytest.raises(SourceThrottledError):
        one.update(source, TRACK, 30 * 86400.0, NOW)
    assert len(kept(one).times) == PIECE
    assert one.update(source, TRACK, 30 * 86400.0, NOW)
    assert len(kept(one).times) == 720


def test_half_an_answer_is_asked_again_and_at_last_taken(source: Flaky) -> None:
    one = gathering()
    source.partial = 100
    for _ in range(TRIES - 1):
        with pytest.raises(SourceError, match="Partial"):
            one.update(source, TRACK, 86400.0, NOW)
    assert one.update(source, TRACK, 86400.0, NOW)


def test_a_clock_that_was_set_back_asks_nothing(source: Flaky) -> None:
    one = gathering()
    one.update(source, TRACK, 86400.0, NOW)
    asked = len(source.asked)
    assert one.update(source, TRACK, 86400.0, NOW - 7200.0)
    assert len(source.asked) == asked


def test_history_outlives_its_source(source: Flaky) -> None:
    one = gathering()
    one.update(source, TRACK, 30 * 86400.0, NOW)
    source.inner = MemoryPrometheus("prometheus", MemorySeriesStore())
    one.update(source, TRACK, 30 * 86400.0, NOW + 86400.0)
    assert len(kept(one).times) == 720


def test_a_counter_that_was_reset_goes_on_and_a_gap_has_its_mean() -> None:
    found = rates(SeriesRange({}, np.array([0.0, 10.0, 20.0, 40.0]), np.array([100.0, 150.0, 20.0, 60.0])))
    assert (found.times.tolist(), found.values.tolist()) == ([10.0, 20.0, 40.0], [5.0, 2.0, 2.0])

"""The circuit breaker, on a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from aiops.adapters.breaker import Breaker, BreakerSettings, BreakerState, GuardedLogSource, GuardedMetricSource
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.domain.errors import SourceError, SourceGarbledError, SourceRejectedError, SourceThrottledError, SourceUnavailableError
from aiops.domain.rule import LogQuery
from aiops.domain.series import LogLine, RangeBatch, SampleBatch, empty_batch

DOWN = SourceUnavailableError("prom", "Refused")
BAD = SourceRejectedError("prom", "BadQuery")
OK = None


class Scripted:
    """A source that does what the script says, answer by answer; then all is well."""

    name = "prom"

    def __init__(self, *script: BaseException | None) -> None:
        self.script = list(script)
        self.asked = 0

    def _next(self) -> None:
        self.asked += 1
        step = self.script.pop(0) if self.script else OK
        if step is not None:
            raise step

    def instant(self, query: str, at: float) -> SampleBatch:
        self._next()
        return empty_batch(self.name, query, at)

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        self._next()
        return RangeBatch(self.name, query, start, end, step, ())

    def counts(self, query: LogQuery, at: float) -> SampleBatch:
        self._next()
        return empty_batch(self.name, query.index, at)

    def samples(self, query: LogQuery, start: float, end: float, limit: int, *, whole: bool = False) -> Sequence[LogLine]:
        self._next()
        return ()


def guarded(*script: BaseException | None, **settings: float) -> tuple[GuardedMetricSource, Scripted, VirtualTime]:
    time, inner = VirtualTime(0.0), Scripted(*script)
    return GuardedMetricSource(inner, Breaker("prom", time, BreakerSettings(**settings))), inner, time  # type: ignore[arg-type]


def ask(source: GuardedMetricSource, times: int = 1) -> list[str]:
    reasons = []
    for _ in range(times):
        try:
            source.instant("up", 0.0)
        except SourceError as error:
            reasons.append(error.reason)
        else:
            reasons.append("ok")
    return reasons


def test_failures_in_a_row_open_it_and_then_nothing_is_asked() -> None:
    source, inner, _ = guarded(*[DOWN] * 9, failures=3)
    assert ask(source, 5) == ["Refused"] * 3 + ["CircuitOpen"] * 2
    assert inner.asked == 3
    assert source.breaker.state is BreakerState.OPEN
    assert (source.breaker.opened, source.breaker.why) == (1, "Refused")


def test_an_answer_between_begins_the_row_anew() -> None:
    source, _, _ = guarded(DOWN, DOWN, OK, DOWN, DOWN, OK, failures=3, window=100)
    assert "CircuitOpen" not in ask(source, 10)


def test_a_share_of_failures_opens_it_too() -> None:
    source, _, _ = guarded(*[DOWN, OK, DOWN, OK, DOWN, OK, DOWN, OK, DOWN, DOWN], failures=3, window=10, share=0.5)
    assert ask(source, 11) == ["Refused", "ok"] * 4 + ["Refused", "Refused", "CircuitOpen"]


def test_a_probe_closes_it() -> None:
    source, inner, time = guarded(*[DOWN] * 3, failures=3, open_seconds=10)
    ask(source, 3)
    time.run_until(9.9)
    assert ask(source) == ["CircuitOpen"]
    time.run_until(10.0)
    assert source.breaker.state.value == BreakerState.HALF_OPEN.value
    assert ask(source, 3) == ["ok"] * 3
    assert inner.asked == 6
    assert source.breaker.state.value == BreakerState.CLOSED.value


def test_failed_probes_make_the_pause_longer_up_to_its_bound() -> None:
    source, inner, time = guarded(*[DOWN] * 100, failures=1, open_seconds=10, max_open_seconds=35)
    ask(source)
    opened_at, pauses = 0.0, []
    for second in range(1, 200):
        time.run_until(float(second))
        if ask(source) == ["Refused"]:
            pauses.append(second - opened_at)
            opened_at = second
    assert pauses[:5] == [10, 20, 35, 35, 35]
    assert inner.asked == 1 + len(pauses)


def test_only_as_many_probes_as_set_pass_at_once() -> None:
    time = VirtualTime(0.0)
    breaker = Breaker("prom", time, BreakerSettings(failures=1, open_seconds=10, probes=2))
    assert breaker.permit()
    breaker.failed("Refused")
    time.run_until(10.0)
    assert [breaker.permit() for _ in range(4)] == [True, True, False, False]
    breaker.abandoned()
    assert breaker.permit()
    breaker.failed("Refused")
    assert breaker.state is BreakerState.OPEN
    time.run_until(30.0)
    assert breaker.permit()
    breaker.succeeded()
    assert [breaker.permit() for _ in range(4)] == [True] * 4


def test_an_answer_that_comes_late_does_not_close_what_opened_meanwhile() -> None:
    time = VirtualTime(0.0)
    breaker = Breaker("prom", time, BreakerSettings(failures=1, open_seconds=10))
    breaker.permit()
    breaker.failed("Refused")
    breaker.succeeded()  # asked before it opened
    assert breaker.state is BreakerState.OPEN


def test_a_rejected_query_never_opens_it() -> None:
    source, inner, _ = guarded(*[BAD] * 50, failures=3, window=10)
    assert ask(source, 50) == ["BadQuery"] * 50
    assert inner.asked == 50


def test_an_answer_too_large_is_the_querys_fault() -> None:
    source, _, _ = guarded(*[SourceGarbledError("prom", "TooLarge")] * 20, failures=3)
    assert ask(source, 20) == ["TooLarge"] * 20


def test_a_server_that_lacks_some_of_its_data_is_there() -> None:
    source, _, _ = guarded(*[SourceUnavailableError("logs", "Partial")] * 20, failures=3)
    assert ask(source, 20) == ["Partial"] * 20


def test_garbage_opens_it() -> None:
    source, _, _ = guarded(*[SourceGarbledError("prom", "Garbled")] * 20, failures=3)
    assert ask(source, 4)[-1] == "CircuitOpen"


def test_throttled_once_is_enough_and_the_servers_word_is_kept_within_bounds() -> None:
    source, _, time = guarded(SourceThrottledError("prom", retry_after=30.0), SourceThrottledError("prom", retry_after=3000.0), max_open_seconds=120)
    assert ask(source, 2) == ["Throttled", "CircuitOpen"]
    time.run_until(29.9)
    assert ask(source) == ["CircuitOpen"]
    time.run_until(30.0)
    assert ask(source) == ["Throttled"]
    assert source.breaker.retry_in() == 120
    source, _, _ = guarded(*[SourceThrottledError("prom")] * 2, failures=5)
    assert ask(source, 3) == ["Throttled", "Throttled", "ok"]


def test_what_is_no_answer_of_the_source_gives_the_probe_back() -> None:
    source, _, time = guarded(DOWN, KeyboardInterrupt(), failures=1, open_seconds=10)
    ask(source)
    time.run_until(10.0)
    with pytest.raises(KeyboardInterrupt):
        source.instant("up", 0.0)
    assert ask(source) == ["ok"]


def test_it_logs_when_it_opens_and_closes_and_at_no_other_time() -> None:
    source, _, time = guarded(*[DOWN] * 4, failures=3, open_seconds=10)
    with capture_logs() as logs:
        ask(source, 8)
        time.run_until(10.0)
        ask(source, 3)
        time.run_until(30.0)
        ask(source, 3)
    assert [entry["event"] for entry in logs] == ["circuit opened", "circuit opened", "circuit closed"]
    assert logs[0]["dependency"] == "prom"


def test_one_breaker_stands_before_all_methods() -> None:
    time, inner = VirtualTime(0.0), Scripted(DOWN, DOWN)
    breaker = Breaker("logs", time, BreakerSettings(failures=2))
    logs = GuardedLogSource(inner, breaker)
    with pytest.raises(SourceUnavailableError, match="Refused"):
        logs.counts(LogQuery("i", 60), 0.0)
    with pytest.raises(SourceUnavailableError, match="Refused"):
        logs.samples(LogQuery("i", 60), 0.0, 1.0, 5)
    with pytest.raises(SourceUnavailableError, match=r"CircuitOpen: next try in 10 s; opened after: Refused"):
        logs.counts(LogQuery("i", 60), 0.0)
    metrics = GuardedMetricSource(inner, breaker)
    with pytest.raises(SourceUnavailableError, match="CircuitOpen"):
        metrics.range("up", 0, 1, 1)


@pytest.mark.parametrize("settings", [{"failures": 0}, {"share": 0.0}, {"share": 1.5}, {"open_seconds": 0.0}, {"open_seconds": 500.0}, {"probes": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        BreakerSettings(**settings)  # type: ignore[arg-type]

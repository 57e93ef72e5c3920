"""A circuit breaker before each dependency, so that one which is down is asked now and then and not by every rule at every tick.

Closed: all pass. Open: all are refused at once, for a while that doubles with each failed probe. Half-open: a few probes pass, the
rest are refused; success closes, failure opens again. (Nygard, "Release It!", 2nd ed., "Circuit Breaker".)
`Breaker` is the decision, `GuardedMetricSource` and `GuardedLogSource` put it round a source. A rejected query says that the
server is well: it never opens. Neighbours: `adapters.prometheus`, `adapters.elasticsearch`; the state is read for metrics and `Sight`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import structlog

from aiops.domain.errors import SourceError, SourceRejectedError, SourceThrottledError, SourceUnavailableError
from aiops.domain.rule import LogQuery
from aiops.domain.series import LogLine, RangeBatch, SampleBatch
from aiops.ports.clock import Clock
from aiops.ports.sources import LogSource, MetricSource

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class BreakerState(StrEnum):
    """In the order of `LEVEL`, which is what the gauge shows."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


LEVEL = {BreakerState.CLOSED: 0.0, BreakerState.HALF_OPEN: 0.5, BreakerState.OPEN: 1.0}


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """Opens after `failures` in a row, or when of the last `window` calls (at least that many) the share `share` failed.

    Stays open `open_seconds`, doubled with each failed probe up to `max_open_seconds`; then `probes` calls at a time are let through.
    """

    failures: int = 5
    share: float = 0.5
    window: int = 20
    open_seconds: float = 10.0
    max_open_seconds: float = 120.0
    probes: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError that names the setting."""
        if min(self.failures, self.window, self.probes) < 1:
            raise ValueError("failures, window, probes: must be at least 1")
        if not 0 < self.share <= 1:
            raise ValueError("share: must be above 0 and at most 1")
        if not 0 < self.open_seconds <= self.max_open_seconds:
            raise ValueError("open_seconds: must be above 0 and at most max_open_seconds")


class Breaker:
    """The state of one dependency. Safe to use from several threads. A caller that got `permit()` True must report `succeeded`, `failed` or `abandoned`."""

    def __init__(self, name: str, clock: Clock, settings: BreakerSettings | None = None) -> None:
        self.name = name
        self._clock, self._settings = clock, settings or BreakerSettings()
        self._lock = threading.Lock()
        self._results: deque[bool] = deque(maxlen=self._settings.window)
        self._row = 0
        self._until: float | None = None
        self._span = self._settings.open_seconds
        self._probing = 0
        self._opened = 0
        self._why = ""

    @property
    def state(self) -> BreakerState:
        """As of now; half-open from the moment on which a probe would be let through."""
        with self._lock:
            return self._state()

    @property
    def opened(self) -> int:
        """How often it opened, for a counter."""
        return self._opened

    @property
    def why(self) -> str:
        """The failure that opened it last; empty if none did."""
        return self._why

    def retry_in(self) -> float:
        """Seconds until a probe is let through; 0 if calls pass now."""
        with self._lock:
            return max(0.0, self._until - self._clock.monotonic()) if self._until is not None else 0.0

    def permit(self) -> bool:
        """Whether the call may be made now."""
        with self._lock:
            state = self._state()
            if state is BreakerState.HALF_OPEN and self._probing < self._settings.probes:
                self._probing += 1
                return True
            return state is BreakerState.CLOSED

    def succeeded(self) -> None:
        """The dependency answered."""
        with self._lock:
            self._results.append(True)
            self._row = 0
            # An answer to a call that was made before it opened proves nothing about now, unless the pause is over.
            closes = self._until is not None and self._state() is BreakerState.HALF_OPEN
            if closes:
                self._until, self._span, self._probing = None, self._settings.open_seconds, 0
                self._results.clear()
        if closes:
            _log.info("circuit closed", dependency=self.name)

    def failed(self, why: str, *, pause: float | None = None) -> None:
        """The dependency did not answer, or badly. `pause`: it said itself for how many seconds to stay away; then one failure is enough."""
        with self._lock:
            state = self._state()
            self._results.append(False)
            self._row += 1
            if state is BreakerState.OPEN or not (state is BreakerState.HALF_OPEN or pause is not None or self._too_many()):
                return
            if state is BreakerState.HALF_OPEN:
                self._span = min(self._span * 2, self._settings.max_open_seconds)
            # A Retry-After is obeyed within bounds: a wrong header must not blind us for an hour.
            wait = self._span if pause is None else min(max(pause, self._span), self._settings.max_open_seconds)
            self._until, self._probing, self._why = self._clock.monotonic() + wait, 0, why
            self._opened += 1
        _log.warning("circuit opened", dependency=self.name, why=why, seconds=wait, failures=self._row)

    def abandoned(self) -> None:
        """The call ended without telling anything about the dependency."""
        with self._lock:
            self._probing = max(0, self._probing - 1)

    def _state(self) -> BreakerState:
        if self._until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock.monotonic() < self._until else BreakerState.HALF_OPEN

    def _too_many(self) -> bool:
        if self._row >= self._settings.failures:
            return True
        full = len(self._results) == self._settings.window
        return full and self._results.count(False) >= self._settings.share * self._settings.window


class _Guarded:
    """Calls through a breaker; an open one is SourceUnavailableError with reason CircuitOpen."""

    def __init__(self, name: str, breaker: Breaker) -> None:
        self._name, self.breaker = name, breaker

    @property
    def name(self) -> str:
        """As rules name it."""
        return self._name

    def _through(self, call: Callable[[], T]) -> T:
        breaker = self.breaker
        if not breaker.permit():
            why = f"next try in {breaker.retry_in():.0f} s; opened after: {breaker.why}"
            raise SourceUnavailableError(self._name, "CircuitOpen", why)
        settled = False
        try:
            answer = call()
        except SourceRejectedError:
            breaker.succeeded()
            settled = True
            raise
        except SourceThrottledError as error:
            breaker.failed(error.reason, pause=error.retry_after)
            settled = True
            raise
        except SourceError as error:
            if error.reason in ("TooLarge", "Partial"):  # the query's fault, or that of some of the data, and no reason to refuse the others
                breaker.succeeded()
            else:
                breaker.failed(error.reason)
            settled = True
            raise
        else:
            breaker.succeeded()
            settled = True
            return answer
        finally:
            if not settled:  # something that is no answer of the source, such as an interrupt: give the probe back
                breaker.abandoned()


class GuardedMetricSource(_Guarded):
    """A `MetricSource` behind a breaker."""

    def __init__(self, inner: MetricSource, breaker: Breaker) -> None:
        super().__init__(inner.name, breaker)
        self.inner = inner

    @property
    def last_skew(self) -> float | None:
        """The inner source's, if it knows one."""
        skew: float | None = getattr(self.inner, "last_skew", None)
        return skew

    def instant(self, query: str, at: float) -> SampleBatch:
        """As the port says."""
        return self._through(lambda: self.inner.instant(query, at))

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        """As the port says."""
        return self._through(lambda: self.inner.range(query, start, end, step))


class GuardedLogSource(_Guarded):
    """A `LogSource` behind a breaker."""

    def __init__(self, inner: LogSource, breaker: Breaker) -> None:
        super().__init__(inner.name, breaker)
        self.inner = inner

    def counts(self, query: LogQuery, at: float) -> SampleBatch:
        """As the port says."""
        return self._through(lambda: self.inner.counts(query, at))

    def samples(self, query: LogQuery, start: float, end: float, limit: int, *, whole: bool = False) -> Sequence[LogLine]:
        """As the port says."""
        return self._through(lambda: self.inner.samples(query, start, end, limit, whole=whole))

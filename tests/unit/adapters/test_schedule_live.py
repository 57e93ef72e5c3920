"""The live schedule: serial for each key, parallel across keys, stops within its grace."""

from __future__ import annotations

import threading

from aiops.adapters.clock import SystemClock
from aiops.adapters.schedule_live import LiveSchedule
from aiops.ports.telemetry import NullTelemetry


def test_work_of_one_key_keeps_its_order_while_other_keys_go_on() -> None:
    schedule = LiveSchedule(SystemClock(), NullTelemetry(), 4)
    schedule.start()
    seen: list[int] = []
    gate, other, done = threading.Event(), threading.Event(), threading.Event()
    schedule.soon("a", lambda: (gate.wait(5), seen.append(1)))
    schedule.soon("a", lambda: (seen.append(2), done.set()))
    schedule.soon("b", other.set)
    assert other.wait(5), "another key must not wait"
    assert seen == []
    gate.set()
    assert done.wait(5)
    assert seen == [1, 2]
    assert schedule.stop(5)


def test_an_exception_ends_only_that_run_and_a_stopped_schedule_takes_nothing() -> None:
    schedule = LiveSchedule(SystemClock(), NullTelemetry(), 2)
    schedule.start()
    ran = threading.Event()
    schedule.soon("k", lambda: 1 / 0)
    schedule.soon("k", ran.set)
    assert ran.wait(5)
    assert schedule.stop(5)
    late = threading.Event()
    schedule.soon("k", late.set)
    assert not late.is_set()


def test_stop_says_when_work_did_not_end_in_time() -> None:
    schedule = LiveSchedule(SystemClock(), NullTelemetry(), 2)
    schedule.start()
    gate, began = threading.Event(), threading.Event()
    schedule.soon("k", lambda: (began.set(), gate.wait(10)))
    assert began.wait(5)
    assert not schedule.stop(0.05)
    gate.set()


def test_periodic_jobs_run_and_can_be_cancelled() -> None:
    schedule = LiveSchedule(SystemClock(), NullTelemetry(), 2)
    ran = threading.Event()
    schedule.every("job", 3600.0, ran.set)
    assert not ran.is_set(), "nothing runs before start"
    schedule.start()
    assert ran.wait(5)
    schedule.cancel("job")
    schedule.cancel("unknown")
    assert schedule.stop(5)


class SetBack(SystemClock):
    """A clock that a person may set."""

    moved = 0.0

    def now(self) -> float:
        """See the port."""
        return super().now() + self.moved


def test_a_clock_that_is_set_back_does_not_put_everything_off() -> None:
    clock = SetBack()
    schedule = LiveSchedule(clock, NullTelemetry(), 2)
    ran, later = threading.Event(), threading.Event()
    schedule.every("job", 3600.0, ran.set, first_after=3600.0)
    schedule.every("later", 3600.0, later.set, first_after=9000.0)
    schedule.start()
    schedule.follow_clock()
    assert not ran.is_set()
    clock.moved = -3600.0
    schedule.follow_clock()
    assert ran.wait(5)
    assert not later.is_set(), "only as far as the clock was set"
    assert schedule.stop(5)

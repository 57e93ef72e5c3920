"""Virtual time keeps order, periods and cancellations."""

from __future__ import annotations

import pytest

from aiops.adapters.schedule_virtual import VirtualTime


def test_events_run_in_order_of_time_and_then_of_asking() -> None:
    time, seen = VirtualTime(100.0), []
    time.at(105.0, "b", lambda: seen.append(("b", time.now())))
    time.at(103.0, "a", lambda: seen.append(("a", time.now())))
    time.soon("now", lambda: seen.append(("now", time.now())))
    time.run_until(110.0)
    assert seen == [("now", 100.0), ("a", 103.0), ("b", 105.0)]
    assert (time.now(), time.monotonic()) == (110.0, 10.0)


def test_a_periodic_job_repeats_until_cancelled_and_is_replaced_by_name() -> None:
    time, seen = VirtualTime(0.0), []
    time.every("job", 10.0, lambda: seen.append("old"))
    time.every("job", 5.0, lambda: seen.append("new"), first_after=5.0)
    time.at(12.0, "stop", lambda: time.cancel("job"))
    time.run_until(100.0)
    assert seen == ["new", "new"]


def test_a_failing_job_ends_only_its_own_run() -> None:
    errors: list[str] = []
    time = VirtualTime(0.0, on_error=lambda name, error: errors.append(f"{name}: {error}"))

    def fail() -> None:
        raise RuntimeError("broken")

    time.every("bad", 1.0, fail)
    time.run_until(2.0)
    assert errors == ["bad: broken"] * 3


def test_without_a_handler_the_error_comes_out() -> None:
    time = VirtualTime(0.0)
    time.soon("x", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        time.run_until(1.0)

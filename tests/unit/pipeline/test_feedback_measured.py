"""Many made-up faults: what is like the one that was marked is damped, what is not is found. `benchmarks.feedback` has the whole table."""

from __future__ import annotations

from benchmarks.feedback import measure, report


def test_the_alike_are_damped_and_the_others_are_told() -> None:
    damped, found = report("seasonalZ", measure("seasonalZ", 4))
    assert damped >= 0.8
    assert found >= 0.95

"""A quarter of an hour of a day on which nothing is wrong, with a release in it: nobody is told anything. Whole days: `make bench-quiet-day`."""

from __future__ import annotations

from tests.scenarios.quiet_day import CLOCKS, deploy_hour, local, quiet_days


def test_nothing_is_said_while_a_release_is_rolled_out() -> None:
    at = deploy_hour("release", seed=1)
    found = quiet_days(1, clocks="forward", begin=at - 0.12, until=at + 0.13)
    assert (found.incidents, found.messages, found.writes, found.signals) == ((), 0, (), {})


def test_the_clocks_are_changed_on_the_last_day() -> None:
    lengths = {clocks: (local(day, 24.0) - local(day, 0.0)) / 3600.0 for clocks, day in CLOCKS.items()}
    assert lengths == {"forward": 23.0, "back": 25.0, "unchanged": 24.0}

"""Room for what is learned: what one rule, all rules and all focus rules may keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from aiops.detect.bank import RuleBank
from aiops.domain.rule import DetectorSpec, Priority, PromQuery, Rule
from aiops.domain.series import Labels, SampleBatch
from aiops.domain.signal import Severity
from aiops.pipeline.observe import identity
from aiops.pipeline.room import Room, RoomPolicy, first_to_go, first_to_return

POLICY = RoomPolicy(rule_series=10, series=14, focus_series=5)


def rule(name: str, detector: str = "fleet", **changes: Any) -> Rule:
    return Rule(name, "s", PromQuery("q"), 60.0, DetectorSpec(detector, {"above": 1.0} if detector == "threshold" else {}), Severity.WARNING, **changes)


def fill(bank: RuleBank, count: int, poll: int = 0) -> int:
    """How many of so many series it has after an answer with all of them."""
    labels: tuple[Labels, ...] = tuple({"pod": str(i)} for i in range(count))
    at = 1_700_000_000.0 + 60.0 * poll
    bank.observe(SampleBatch("s", "q", at, labels, np.full(count, at), np.ones(count)))
    return len(bank)


def test_focus_has_a_number_of_its_own_and_rules_may_say_theirs() -> None:
    room = Room(POLICY)
    banks = [room.bank(rule(*args)) for args in (("a",), ("b",), ("f", "focus"), ("g", "focus"))]
    assert [fill(bank, 20) for bank in banks] == [10, 4, 5, 0]
    assert (room.all.held, room.focus.held, room.held) == (14, 5, 19)
    assert fill(Room(POLICY).bank(rule("many", max_series=12)), 20) == 12


def test_a_rule_that_is_gone_leaves_its_room_to_others() -> None:
    room = Room(POLICY)
    first, second = room.bank(rule("a")), room.bank(rule("b"))
    assert (fill(first, 10), fill(second, 10)) == (10, 4)
    room.keep([rule("b")])
    assert fill(second, 10, 1) == 4  # seen once yet
    assert fill(second, 10, 2) == 10


def test_another_priority_or_number_does_not_make_a_rule_begin_anew() -> None:
    before, after = rule("a", priority=Priority.LOW), rule("a", priority=Priority.HIGH, max_series=3)
    assert identity(before) == identity(after)
    room = Room(POLICY)
    bank = room.bank(before)
    assert fill(bank, 8) == 8
    room.again(bank, after)
    assert room.held == 8
    assert fill(bank, 8, 1) == 3
    assert bank.rule.priority is Priority.HIGH


def test_who_gives_way_and_who_returns_first() -> None:
    room = Room(RoomPolicy())
    banks = {name: room.bank(rule(name, detector, priority=priority)) for name, detector, priority in (
        ("low-small", "fleet", Priority.LOW), ("low-large", "fleet", Priority.LOW), ("high", "fleet", Priority.HIGH),
        ("level", "threshold", Priority.LOW), ("empty", "fleet", Priority.LOW),
    )}
    for name, count in (("low-small", 2), ("low-large", 9), ("high", 50), ("level", 90)):
        fill(banks[name], count)
    order = []
    while (one := first_to_go(banks.values())) is not None:
        order.append(one.rule.name)
        one.shed()
    assert order == ["low-large", "low-small", "high"]
    back = first_to_return(banks.values())
    assert back is not None
    assert back.rule.name == "high"


def test_nothing_to_give_way_is_no_error() -> None:
    assert first_to_go([]) is None
    assert first_to_return([]) is None

"""Who may keep how many series, and who gives way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.detect.budget import HARD, OPEN, SOFT, Budget, Place, protected, rank
from aiops.domain.rule import DetectorSpec, Priority, PromQuery, Rule
from aiops.domain.signal import Severity


def rule(name: str, priority: Priority = Priority.NORMAL, detector: str = "fleet", severity: Severity = Severity.WARNING) -> Rule:
    return Rule(name, "s", PromQuery("q"), 15.0, DetectorSpec(detector), severity, priority=priority)


LOW, NORMAL, HIGH = (rule(p.value, p) for p in (Priority.LOW, Priority.NORMAL, Priority.HIGH))


def test_thresholds_and_what_is_critical_rank_above_every_priority() -> None:
    level, page = rule("level", Priority.LOW, "threshold"), rule("page", Priority.LOW, severity=Severity.CRITICAL)
    assert [protected(r) for r in (LOW, NORMAL, HIGH, level, page)] == [False, False, False, True, True]
    assert rank(LOW) < rank(NORMAL) < rank(HIGH) < rank(level) == rank(page)


def test_a_rule_has_no_more_than_its_own_number_and_all_have_no_more_than_the_sum() -> None:
    budget = Budget(10)
    first, second = budget.place(LOW, 8), budget.place(rule("other", Priority.LOW), 8)
    assert [first.take(0, 20), second.take(0, 20), second.take(2, 20), budget.held] == [8, 2, 0, 10]
    assert (first.surplus(8), second.surplus(2)) == (0, 0)  # among equals nobody gives way


def test_the_lowest_give_way_to_higher_ones_that_wait_and_cannot_take_it_back() -> None:
    budget = Budget(10)
    low, normal, high = (budget.place(r, 10) for r in (LOW, NORMAL, HIGH))
    assert (low.take(0, 4), normal.take(0, 6)) == (4, 6)
    assert high.take(0, 6) == 0
    assert (low.surplus(4), normal.surplus(6), high.surplus(0)) == (4, 2, 0)
    low.settle(0)
    assert low.take(0, 4) == 0  # the place is for who waits above
    assert high.take(0, 6) == 4
    normal.settle(4)
    assert high.take(4, 2) == 2
    assert (budget.held, high.take(6, 0), normal.surplus(4)) == (10, 0, 0)


def test_equals_give_up_in_proportion_to_what_they_hold() -> None:
    budget = Budget(100)
    many, few, high = budget.place(LOW, 100), budget.place(rule("few", Priority.LOW), 100), budget.place(HIGH, 100)
    assert (many.take(0, 80), few.take(0, 20), high.take(0, 10)) == (80, 20, 0)
    assert (many.surplus(80), few.surplus(20)) == (8, 2)


def test_frozen_it_grants_nothing_save_to_what_must_not_go_blind() -> None:
    budget = Budget(100)
    low, level = budget.place(LOW, 100), budget.place(rule("level", detector="threshold"), 100)
    for frozen, granted in ((SOFT, (0, 5)), (HARD, (0, 0)), (OPEN, (5, 5))):
        budget.frozen = frozen
        assert (low.take(0, 5), level.take(0, 5)) == granted


def test_a_rule_that_is_gone_holds_and_waits_for_nothing() -> None:
    budget = Budget(10)
    low, high = budget.place(LOW, 10), budget.place(HIGH, 10)
    assert (low.take(0, 10), high.take(0, 10), low.surplus(10)) == (10, 0, 10)
    budget.keep({LOW.name})
    assert (low.surplus(10), budget.held, high.take(0, 1)) == (0, 10, 0)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=60))
def test_the_sum_is_never_exceeded_and_the_highest_gets_what_it_asks(asked: list[tuple[int, int]]) -> None:
    budget = Budget(40)
    rules = (LOW, NORMAL, HIGH)
    places: list[Place] = [budget.place(r, 25) for r in rules]
    held, wanted = [0, 0, 0], [0, 0, 0]
    for which, want in [*asked, (0, 0), (1, 0), (2, 30), (1, 0), (0, 0), (2, 30)]:
        held[which] -= places[which].surplus(held[which])
        places[which].settle(held[which])
        wanted[which] = max(want, held[which])
        held[which] += places[which].take(held[which], wanted[which] - held[which])
        assert sum(held) == budget.held <= 40
        assert min(held) >= 0
    assert held[2] == 25


@pytest.mark.parametrize("held", [0, 7])
def test_what_a_snapshot_brings_beyond_the_number_is_given_up(held: int) -> None:
    place = Budget(100).place(LOW, 5)
    place.settle(held)
    assert place.surplus(held) == max(0, held - 5)

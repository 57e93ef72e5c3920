"""Who stands out among what was summed up."""

from __future__ import annotations

import math

import pytest

from aiops.correlate.contributors import standing_out, telling
from aiops.domain.signal import Contributors, Part

CALM = {f"cart-{n}": 0.1 for n in range(40)}


def test_three_of_forty_pods() -> None:
    found = standing_out("pod", CALM | {"cart-7": 0.9, "cart-3": 0.95, "cart-9": 0.6}, CALM, 1.0)
    assert found is not None
    assert str(found) == "3 of 40 pods: cart-3 0.95 (before 0.1), cart-7 0.9 (before 0.1), cart-9 0.6 (before 0.1)"


def test_too_little_has_the_other_side() -> None:
    found = standing_out("pod", CALM | {"cart-7": 0.0, "cart-3": 5.0}, CALM, -1.0)
    assert found is not None
    assert [p.name for p in found.parts] == ["cart-7"]


def test_all_of_them_is_an_answer_too() -> None:
    found = standing_out("status", {"a": 2.0, "b": 2.1}, {"a": 1.0, "b": 1.0}, 1.0)
    assert str(found) == "2 of 2 statuses: b 2.1 (before 1), a 2 (before 1)"


def test_a_new_part_is_compared_with_the_others_before() -> None:
    found = standing_out("pod", {"a": 1.0, "b": 1.0, "new": 9.0}, {"a": 1.0, "b": 1.0}, 1.0)
    assert found is not None
    assert str(found) == "1 of 3 pods: new 9 (new)"
    quiet = standing_out("pod", {"a": 3.0, "b": 1.0, "new": 1.0}, {"a": 1.0, "b": 1.0}, 1.0)
    assert quiet is not None
    assert [p.name for p in quiet.parts] == ["a"]


@pytest.mark.parametrize(("now", "before"), [({}, {}), ({"a": 9.0}, {"a": 1.0}), ({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 1.0}), ({"a": math.nan, "b": 5.0}, {}), ({"a": 0.5, "b": 0.4}, {"a": 1.0, "b": 1.0})])
def test_nobody(now: dict[str, float], before: dict[str, float]) -> None:
    assert standing_out("pod", now, before, 1.0) is None


def test_few_are_named_and_more_are_counted() -> None:
    found = standing_out("pod", dict.fromkeys(CALM, 2.0), CALM, 1.0)
    assert found is not None
    assert (found.count, len(found.parts)) == (40, 5)
    assert str(found).endswith(", …")


def test_the_labels_that_narrow_it_down_are_shown() -> None:
    wide, half, narrow = Contributors("node", 9, 10), Contributors("zone", 1, 2, (Part("a", 1.0),)), Contributors("pod", 1, 40)
    assert telling([wide, half, narrow], 2) == (narrow, half)
    assert telling([wide], 2) == (wide,)
    assert telling([], 2) == ()

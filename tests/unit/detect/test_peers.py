"""Siblings: the one that is unlike the others is found, whatever all of them do."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.detect.bank import RuleBank
from aiops.detect.peers import Peers
from aiops.domain.rule import DetectorSpec, Direction, PromQuery, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Severity

T0, EVERY = 1_700_000_000.0, 15.0
RNG = np.random.default_rng(1)


def pods(workload: str, count: int, first: int = 0) -> list[dict[str, str]]:
    return [{"workload": workload, "pod": f"{workload}-{i}"} for i in range(first, first + count)]


def told(bank: RuleBank, poll: int, values: list[tuple[dict[str, str], float]]) -> list[tuple[str, str, str]]:
    at = T0 + EVERY * poll
    labels, numbers = tuple(one for one, _ in values), np.array([v for _, v in values])
    found = bank.observe(SampleBatch("s", "q", at, labels, np.full(len(values), at), numbers)).findings
    return [(f.labels["pod"], f.state.value, f.reason) for f in found]


def bank(**parameters: object) -> RuleBank:
    rule = Rule("r", "s", PromQuery("q"), EVERY, DetectorSpec("peers", {"by": ["workload"], **parameters}), Severity.WARNING, direction=Direction.BOTH)
    return RuleBank(rule)


def around(labels: list[dict[str, str]], level: float) -> list[tuple[dict[str, str], float]]:
    return [(one, level * (1.0 + 0.02 * float(x))) for one, x in zip(labels, RNG.normal(size=len(labels)), strict=True)]


def test_the_bad_pod_is_found_while_all_of_them_are_busy() -> None:
    one, shop, cart = bank(), pods("shop", 6), pods("cart", 7)
    for poll in range(60):
        # Traffic triples and goes; carts live on another level.
        level = 300.0 if 20 <= poll < 40 else 100.0
        assert told(one, poll, around(shop, level) + around(cart, 5.0)) == []
    values = around(shop, 300.0) + around(cart, 5.0)
    values[2] = (shop[2], 100.0)
    assert told(one, 60, values) == [("shop-2", "firing", "UnlikeItsPeers")]
    assert told(one, 61, around(shop, 300.0) + around(cart, 5.0)) == [("shop-2", "cleared", "Recovered")]


def test_fewer_than_five_say_nothing_and_members_may_change() -> None:
    one = bank()
    for poll in range(40):
        shop = pods("shop", 6, first=poll // 10)
        assert told(one, poll, around(shop, 100.0)) == []
    four = pods("shop", 4, first=3)
    assert told(one, 40, [(four[0], 900.0), *around(four[1:], 100.0)]) == []
    six = pods("shop", 6, first=3)
    assert told(one, 41, [(six[0], 900.0), *around(six[1:], 100.0)]) == [("shop-3", "firing", "UnlikeItsPeers")]


def test_a_pod_that_was_always_different_is_no_news() -> None:
    one, shop = bank(), pods("shop", 6)
    for poll in range(400):
        values = around(shop, 100.0)
        values[0] = (shop[0], values[0][1] + 8.0)
        assert told(one, poll, values) == []
    values[0] = (shop[0], 60.0)
    assert told(one, 401, values)[0][0] == "shop-0"


def test_a_restart_knows_the_siblings() -> None:
    first, shop, cart = bank(), pods("shop", 5), pods("cart", 5)
    for poll in range(30):
        told(first, poll, around(shop, 100.0) + around(cart, 5.0))
    second = bank()
    second.restore(first.snapshot())
    values = around(shop, 100.0) + around(cart, 5.0)
    values[7] = (cart[2], 100.0)
    assert told(second, 30, values) == [("cart-2", "firing", "UnlikeItsPeers")]


def test_with_a_rate_the_factor_is_learnt_and_survives_a_restart() -> None:
    rows, rng = np.arange(6), np.random.default_rng(3)
    first, second = Peers(false_alarms=7200.0), Peers(false_alarms=7200.0)
    for poll in range(300):
        first.score_and_learn(rows, np.full(6, T0 + EVERY * poll), rng.normal(100.0, 8.0, 6))
    second.restore(first.snapshot())
    values = np.array([100.0, 101.0, 99.0, 102.0, 98.0, 190.0])
    one, other = (d.score_and_learn(rows, np.full(6, T0 + EVERY * 300), values) for d in (first, second))
    np.testing.assert_array_equal(one.score, other.score)
    assert one.breach.tolist() == [False] * 5 + [True]
    assert one.upper[5] < 190.0
    assert first.snapshot() == second.snapshot()


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="peers: z"):
        Peers(z=0.0)
    week = Peers(false_alarms=604_800.0)
    with pytest.raises(ValueError, match="another rate"):
        Peers().restore(week.snapshot())

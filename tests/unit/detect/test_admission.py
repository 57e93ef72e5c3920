"""Which series are kept, whatever comes: churn, too many, memory that is short."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops.detect.bank import RuleBank
from aiops.detect.budget import Budget
from aiops.detect.peers import Peers
from aiops.domain.rule import OBJECTIVE_LABEL, BurnAlert, DetectorSpec, MetricKind, MissingData, Priority, PromQuery, Rule
from aiops.domain.series import Labels, SampleBatch
from aiops.domain.signal import Severity, SignalState

T0, EVERY = 1_700_000_000.0, 60.0


ALERTS = (BurnAlert(3600.0, 300.0, 14.4),)
PARAMETERS: dict[str, dict[str, Any]] = {"threshold": {"above": 10.0}, "peers": {"by": ["workload"]}}


def rule(detector: str = "fleet", **changes: Any) -> Rule:
    parameters = PARAMETERS.get(detector, {})
    base: dict[str, Any] = {
        "name": detector, "source": "s", "query": PromQuery("q"), "every": EVERY, "detector": DetectorSpec(detector, parameters), "severity": Severity.WARNING,
    }
    return Rule(**(base | changes))


def answer(poll: int, names: list[str], value: float = 1.0, **changes: Any) -> SampleBatch:
    at = T0 + EVERY * poll
    labels: tuple[Labels, ...] = tuple({"pod": name} for name in names)
    return SampleBatch("s", "q", at, labels, np.full(len(names), at), np.full(len(names), value), **changes)


def known(bank: RuleBank) -> set[str]:
    return {labels["pod"] for _, labels in bank.subjects()}


def test_a_new_series_is_taken_when_it_is_seen_twice_but_all_of_the_first_answer_are() -> None:
    bank = RuleBank(rule())
    assert bank.observe(answer(0, ["a", "b"])).dropped == {}
    assert bank.observe(answer(1, ["a", "b", "c"])).dropped == {"SeenOnce": 1}
    assert known(bank) == {"a", "b"}
    assert bank.observe(answer(2, ["a", "b", "c", "d"])).dropped == {"SeenOnce": 1}
    assert known(bank) == {"a", "b", "c"}
    for poll in range(3, 15):
        bank.observe(answer(poll, ["a"]))
    assert bank.observe(answer(15, ["a", "d"])).dropped == {"SeenOnce": 1}  # too long ago


def test_it_is_remembered_over_a_restart_that_it_was_seen_once() -> None:
    bank, again = RuleBank(rule()), RuleBank(rule())
    bank.observe(answer(0, ["a"]))
    bank.observe(answer(1, ["a", "b"]))
    again.restore(bank.snapshot())
    assert again.observe(answer(2, ["a", "b"])).dropped == {}
    assert known(again) == {"a", "b"}


@pytest.mark.parametrize("detector", ["threshold", "logErrorRate"])
def test_what_judges_from_the_first_sample_takes_it(detector: str) -> None:
    bank = RuleBank(rule(detector))
    bank.observe(answer(0, ["a"]))
    assert bank.observe(answer(1, ["a", "b"], 11.0)).dropped == {}
    assert known(bank) == {"a", "b"}


def test_only_as_many_of_the_gone_make_room_as_are_needed_longest_gone_first() -> None:
    bank = RuleBank(rule("threshold"), max_series=4)
    bank.observe(answer(0, ["a", "b", "c", "d"]))
    bank.observe(answer(1, ["b", "c", "d"]))
    bank.observe(answer(2, ["c", "d"]))
    assert bank.observe(answer(3, ["c", "d", "e"])).dropped == {}
    assert known(bank) == {"b", "c", "d", "e"}
    # One that is back keeps its place, though it was gone a poll ago; who is missing for the first time may come back.
    assert bank.observe(answer(4, ["b", "c", "d", "f"])).dropped == {"SeriesLimit": 1}
    assert bank.observe(answer(5, ["b", "c", "d", "f"])).dropped == {}
    assert known(bank) == {"b", "c", "d", "f"}


def test_who_is_taken_does_not_depend_on_the_order_of_an_answer() -> None:
    names = [f"p{i}" for i in range(20)]
    banks = RuleBank(rule("threshold"), max_series=7), RuleBank(rule("threshold"), max_series=7)
    for bank, order in zip(banks, (names, names[::-1]), strict=True):
        seen = bank.observe(answer(0, order))
        assert (seen.dropped, seen.states["shed"]) == ({"SeriesLimit": 13}, 13)
    assert known(banks[0]) == known(banks[1])


def test_a_rule_of_higher_priority_gets_the_room_of_a_lower_one_but_not_of_what_fires() -> None:
    budget = Budget(6)
    low = RuleBank(rule("threshold", name="low", priority=Priority.LOW), budget=budget)
    high = RuleBank(rule("threshold", name="high", priority=Priority.HIGH), budget=budget)
    low.observe(answer(0, ["calm1", "calm2", "calm3", "calm4", "calm5"]))
    low.observe(SampleBatch("s", "q", T0 + 60, ({"pod": "bad"},), np.array([T0 + 60]), np.array([11.0])))
    assert high.observe(answer(2, ["x", "y", "z"])).states["shed"] == 3
    assert low.observe(answer(3, ["calm1", "calm2", "calm3", "calm4", "calm5", "bad"], 11.0)).states["shed"] == 3
    assert "bad" in known(low)
    assert high.observe(answer(4, ["x", "y", "z"])).states["shed"] == 0
    assert (len(low), len(high), budget.held) == (3, 3, 6)


@pytest.mark.parametrize("detector", ["threshold", "fleet", "peers"])
def test_pods_that_are_renamed_again_and_again_for_a_day_cost_no_more_than_the_limit(detector: str) -> None:
    """1,440 polls of 20 pods. 18 of them have a new name each three minutes, 8,640 names in all; two stay."""
    bank = RuleBank(rule(detector), max_series=200)
    sizes = []
    for poll in range(1440):
        names = ["stays1", "stays2", *(f"pod-{(poll + i) // 3:03}-{i:02}" for i in range(18))]
        labels: tuple[Labels, ...] = tuple({"pod": name, "workload": name[:-3]} for name in names)
        at = T0 + EVERY * poll
        bank.observe(SampleBatch("s", "q", at, labels, np.full(20, at), np.full(20, 5.0)))
        assert bank._known.table.rows <= 200
        if poll % 360 == 359:
            sizes.append(len(bank.snapshot()))
    assert len(bank) == 200
    assert {"stays1", "stays2"} <= known(bank)
    # All there is was there after a quarter of the day; names that came and went left nothing behind.
    assert max(sizes) <= sizes[0] * 1.01, sizes
    learned = bank._known.learned
    if isinstance(learned, Peers):
        assert len(learned._groups) == len(learned._keys) == len(learned._members) <= 200


def test_pods_that_are_seen_once_cost_no_place() -> None:
    bank = RuleBank(rule())
    for poll in range(60):
        bank.observe(answer(poll, ["stays", *(f"pod-{poll}-{i}" for i in range(50))]))
    # Those of the first answer had a place.
    assert (len(bank), len(bank._known.waiting)) == (51, 550)


@pytest.mark.parametrize("detector", ["drift", "burnRate"])
def test_subjects_without_room_leave_nothing_in_a_detector_of_whole_answers(detector: str) -> None:
    parameters: dict[str, Any] = {"drift": {"over": ["pod"], "reference": 600.0, "window": 300.0}, "burnRate": {"target": 0.99, "alerts": ALERTS}}[detector]
    bank = RuleBank(Rule("r", "s", PromQuery("q"), EVERY, DetectorSpec(detector, parameters), Severity.WARNING), max_series=3)
    sizes = []
    for poll in range(60):
        at = T0 + EVERY * poll
        workloads = ["a", "b", "c", *(f"w{poll}-{i}" for i in range(5 if poll else 0))]
        kinds = ("bad 1h", "total 1h", "bad 5m", "total 5m", "covered 1h", "bad 30d", "total 30d") if detector == "burnRate" else ("",)
        labels: tuple[Labels, ...] = tuple({"workload": w, OBJECTIVE_LABEL: kind} if kind else {"workload": w, "pod": w} for w in workloads for kind in kinds)
        seen = bank.observe(SampleBatch("s", "q", at, labels, np.full(len(labels), at), np.full(len(labels), 500.0)))
        assert seen.states["shed"] == (5 if poll else 0)
        sizes.append(len(bank._known.learned.snapshot()))
    assert known_workloads(bank) == {"a", "b", "c"}
    assert sizes[-1] <= 4 * sizes[0] + 20_000


def known_workloads(bank: RuleBank) -> set[str]:
    return {labels["workload"] for _, labels in bank.subjects()}


def test_an_answer_of_a_million_series_is_not_looked_at_and_nothing_is_lost() -> None:
    bank = RuleBank(rule("threshold"), max_series=100)
    bank.observe(answer(0, ["a"], 11.0))
    labels: tuple[Labels, ...] = ({"pod": "new"},) * 1_000_000
    huge = SampleBatch("s", "q", T0 + 60, labels, np.full(len(labels), T0 + 60), np.zeros(len(labels)))
    seen = bank.observe(huge)
    assert (seen.findings, seen.dropped, seen.states["shed"], len(bank)) == ((), {"AnswerTooLarge": 1_000_000}, 1_000_000, 1)
    assert [f.reason for f in bank.observe(answer(2, ["a"])).findings] == ["Recovered"]


def test_what_is_let_go_of_says_so_once_and_judges_nothing() -> None:
    bank = RuleBank(rule("threshold", missing_data=MissingData.SIGNAL, kind=MetricKind.COUNT))
    bank.observe(answer(0, ["a"], 11.0))
    bank.observe(answer(1, ["a", "b"], 11.0))
    held = bank.memory
    bank.shed()
    assert (bank.memory, bank.shed_memory, bank.is_shed) == (0, held, True)
    first, second = bank.observe(answer(2, ["a", "b"], 11.0)), bank.observe(answer(3, ["a"], 11.0))
    assert sorted((f.labels["pod"], f.state, f.reason) for f in first.findings) == [("a", SignalState.EXPIRED, "Shed"), ("b", SignalState.EXPIRED, "Shed")]
    assert (second.findings, second.states) == ((), {"warming": 0, "ready": 0, "blind": 0, "shed": 1})
    assert bank.firing() == ()

"""Memory that is short: nothing new is taken in, then rules give way, least important first; each is said once, and undone when there is memory again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from aiops.detect.budget import HARD, OPEN, SOFT
from aiops.pipeline.memory import CALM, LOOK_EVERY, SETTLE, MemoryPolicy, level
from tests.scenarios.stage import RULES, RUNBOOK, Stage

MIB = 2.0**20
WATCHING = RUNBOOK.replace("mode: auto", "mode: observe")
HEAD, BUSY = RULES.split("rules:\n")
LEARNING = """
  - {name: NAME, query: load, every: 5s, severity: warning, priority: PRIORITY, backfill: 0s, detector: {type: fleet}}
"""


def learning(name: str, priority: str) -> str:
    return LEARNING.replace("NAME", name).replace("PRIORITY", priority)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    rules = HEAD + "rules:\n" + BUSY + learning("low", "low") + learning("normal", "normal") + learning("high", "high")
    return Stage(tmp_path, rules=rules, runbooks=(WATCHING,)).run(30.0)


def shed(stage: Stage) -> set[str]:
    return {bank.rule.name for bank in stage.core.flow.parts.observer.banks() if bank.is_shed}


def series(stage: Stage) -> dict[str, int]:
    return {bank.rule.name: len(bank) for bank in stage.core.flow.parts.observer.banks()}


def said(stage: Stage, *reasons: str) -> list[tuple[str, str]]:
    return [(d.subject, d.reason) for d in reversed(stage.store.decisions(limit=5000)) if d.reason in reasons]


def incidents(stage: Stage) -> list[tuple[str, str, str]]:
    return [(i.state.value, s.state.value, s.severity.value) for i in stage.store.incidents(limit=10) for s in i.signals.values() if s.rule == "Memory"]


@pytest.mark.parametrize(
    ("before", "share", "after"),
    [(OPEN, 0.74, OPEN), (OPEN, 0.75, SOFT), (OPEN, 0.9, HARD), (SOFT, 0.71, SOFT), (SOFT, 0.7, OPEN), (HARD, 0.86, HARD), (HARD, 0.85, SOFT), (HARD, 0.1, OPEN)],
)
def test_a_step_is_left_only_when_clearly_less_is_used(before: int, share: float, after: int) -> None:
    assert level(before, share, MemoryPolicy(0.75, 0.9)) == after


def test_soft_takes_in_nothing_new_save_for_thresholds_and_says_so_once(stage: Stage) -> None:
    stage.memory.used = 800.0 * MIB
    stage.run(LOOK_EVERY)
    stage.load["payment"] = 40.0
    stage.run(30.0)
    assert series(stage) == {"busy": 3, "low": 2, "normal": 2, "high": 2}
    assert sorted(said(stage, "SeriesLimit")) == [(name, "SeriesLimit") for name in ("high", "low", "normal")]
    assert incidents(stage) == [("open", "firing", "warning")]
    stage.memory.used = 100.0 * MIB
    stage.run(30.0)
    assert series(stage) == {"busy": 3, "low": 3, "normal": 3, "high": 3}
    assert len(said(stage, "RoomAgain")) == 3
    stage.run(120.0)
    assert [state for _, state, _ in incidents(stage)] == ["cleared"]


def test_hard_lets_go_of_the_lowest_priority_first_and_never_of_thresholds(stage: Stage) -> None:
    stage.memory.used = 950.0 * MIB
    stage.run(5 * (SETTLE + LOOK_EVERY))
    assert shed(stage) == {"low", "normal", "high"}
    asked = [d for d in reversed(stage.store.decisions(limit=5000)) if d.reason == "Shed" and "it held about" in d.detail]
    assert [d.subject for d in asked] == ["low", "normal", "high"]
    assert all(b.at - a.at >= SETTLE for a, b in pairwise(asked))
    assert series(stage) == {"busy": 2, "low": 0, "normal": 0, "high": 0}
    assert stage.memory.trimmed == 3
    assert incidents(stage) == [("open", "firing", "critical")]
    # Thresholds judge on.
    stage.load["checkout"] = 95.0
    stage.run(20.0)
    assert ("busy", "ThresholdCrossed") in said(stage, "ThresholdCrossed")


def test_they_begin_anew_one_after_the_other_the_highest_priority_first(stage: Stage) -> None:
    stage.memory.used = 950.0 * MIB
    stage.run(5 * (SETTLE + LOOK_EVERY))
    assert shed(stage) == {"low", "normal", "high"}
    stage.memory.used = 300.0 * MIB
    stage.run(CALM - 30.0)
    assert shed(stage) == {"low", "normal", "high"}
    stage.run(60.0)
    assert shed(stage) == {"low", "normal"}
    stage.run(2 * CALM + 60.0)
    assert shed(stage) == set()
    assert [subject for subject, _ in said(stage, "BeginsAnew")] == ["high", "normal", "low"]
    assert set(series(stage).values()) == {2}


def test_what_was_let_go_of_leaves_its_last_snapshot_as_it_was(stage: Stage) -> None:
    observer = stage.core.flow.parts.observer
    observer.save()
    before = dict(stage.snapshots._data)
    for bank in observer.banks():
        bank.shed()
    observer.save()
    assert stage.snapshots._data == before
    observer.renew("low")
    assert series(stage)["low"] == 2


def test_an_incident_about_memory_ends_after_a_restart_with_memory_enough(stage: Stage) -> None:
    stage.memory.used = 800.0 * MIB
    stage.run(LOOK_EVERY)
    stage.memory.used = 100.0 * MIB
    stage.restart().run(120.0)
    assert [state for _, state, _ in incidents(stage)] == ["cleared"]

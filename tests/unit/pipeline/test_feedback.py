"""A person calls an alarm none: the next like it is damped, what is otherwise is told; kept, listed, taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aiops.app.desk import plain
from aiops.app.whys import sort_of
from aiops.detect.likeness import pattern_of
from aiops.domain.command import CommandKind
from aiops.domain.feedback import Feedback
from aiops.pipeline.damping import NAME, stored_feedback
from aiops.ports.storage import Changes
from tests.scenarios.stage import RULES, RUNBOOK, Stage

WATCHING = RUNBOOK.replace("mode: auto", "mode: observe")
LEARNED = RULES.replace("detector: {type: threshold, above: 80}", "direction: both\n    detector: {type: seasonalZ, minimumSamples: 10, window: 20}")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """One incident: checkout was at 60 where 40 is usual, for a minute; it is over."""
    stage = Stage(tmp_path, rules=LEARNED, runbooks=(WATCHING,)).run(70)
    return episode(stage, 60.0, 60.0)


def episode(stage: Stage, load: float, seconds: float, back: float = 90.0) -> Stage:
    stage.load["checkout"] = load
    stage.run(seconds)
    stage.load["checkout"] = 40.0
    return stage.run(back)


def words(stage: Stage) -> list[Feedback]:
    return list(stored_feedback(stage.store.real.value(NAME)))


def opened(stage: Stage) -> int:
    return sum(1 for i in stage.incidents for t in i.transitions if t.reason in ("Opened", "Reopened", "FiringAgain"))


def marked(stage: Stage, **arguments: object) -> Feedback:
    answer = stage.ask(CommandKind.NOT_AN_ANOMALY, stage.incidents[0].id, **arguments)
    assert answer.accepted, answer.result
    return words(stage)[-1]


def test_what_is_said_is_kept_with_who_when_and_why(stage: Stage) -> None:
    assert [i.state.value for i in stage.incidents] == ["resolved"]
    word = marked(stage, why="the nightly export")
    assert (word.rule, word.by, word.why, word.target) == ("busy", "ann", "the nightly export", "shop/deployment/checkout")
    assert (word.pattern.direction, word.pattern.sudden, round(word.pattern.departure)) == ("up", True, 20)
    assert word.expires_at - word.at == pytest.approx(30 * 86400.0)
    assert word.pattern.lasted == pytest.approx(60.0, abs=15.0)


def test_the_next_like_it_is_damped_and_why_says_so(stage: Stage) -> None:
    word = marked(stage, why="the nightly export")
    episode(stage, 62.0, 60.0)
    assert opened(stage) == 1, stage.told()
    reasons = [(d.passed, d.reason, d.detail) for d in stage.store.decisions(target="shop/deployment/checkout") if d.stage.value == "observe"]
    assert (False, "NotAnAnomaly", f"like {word.id}, of which ann says it is no anomaly: the nightly export") in reasons
    assert {sort_of(d) for d in stage.store.decisions(limit=1000) if d.reason in ("NotAnAnomaly", "DampedIsOver")} == {"suppressed"}
    assert (words(stage)[0].count, words(stage)[0].since) == (1, None)


@pytest.mark.parametrize(("load", "why"), [(20.0, "down, not up"), (140.0, "from what is expected, not")])
def test_another_fault_of_the_same_series_is_told(stage: Stage, load: float, why: str) -> None:
    marked(stage)
    episode(stage, load, 60.0)
    assert opened(stage) == 2, stage.told()
    assert any(d.reason == "UnlikeFeedback" and why in d.detail for d in stage.store.decisions(limit=1000)), stage.told()


def test_another_series_of_the_rule_is_told(stage: Stage) -> None:
    marked(stage)
    stage.load["search"] = 60.0
    stage.run(60.0)
    assert [i.target.name for i in stage.incidents] == ["checkout", "search"]


def test_one_that_begins_alike_and_grows_is_told_then(stage: Stage) -> None:
    marked(stage)
    stage.load["checkout"] = 60.0
    stage.run(20.0)
    assert opened(stage) == 1
    stage.load["checkout"] = 120.0
    stage.run(20.0)
    assert opened(stage) == 2, stage.told()


def test_one_that_lasts_much_longer_is_told(tmp_path: Path) -> None:
    rules = LEARNED.replace("window: 20", "window: 60")
    stage = episode(Stage(tmp_path, rules=rules, runbooks=(WATCHING,)).run(300), 60.0, 60.0)
    marked(stage)
    stage.load["checkout"] = 60.0
    stage.run(90.0)
    assert opened(stage) == 1, stage.told()
    stage.run(120.0)
    assert opened(stage) == 2, stage.told()


def test_it_counts_after_a_restart_and_so_does_what_it_damps_just_then(stage: Stage) -> None:
    marked(stage)
    stage.load["checkout"] = 60.0
    stage.run(20.0)
    stage.core.flow.parts.observer.save()
    stage.restart().run(20.0)
    assert opened(stage) == 1, stage.told()
    stage.load["checkout"] = 40.0
    stage.run(70.0)
    assert (opened(stage), words(stage)[0].since) == (1, None)


def test_what_still_fires_is_over_by_that_word_and_its_length_is_learned(tmp_path: Path) -> None:
    stage = Stage(tmp_path, rules=LEARNED, runbooks=(WATCHING,)).run(70)
    stage.load["checkout"] = 60.0
    stage.run(30.0)
    word = marked(stage, why="a load test")
    assert word.pattern.lasted is None
    incident = stage.incidents[0]
    assert (incident.state.value, incident.transitions[-1].by) == ("resolved", "ann")
    assert "not an anomaly: a load test" in incident.transitions[-1].reason
    stage.run(30.0)
    stage.load["checkout"] = 40.0
    stage.run(70.0)
    assert opened(stage) == 1
    assert words(stage)[0].pattern.lasted == pytest.approx(60.0, abs=20.0)


def test_after_that_word_a_worse_turn_opens_it_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, rules=LEARNED, runbooks=(WATCHING,)).run(70)
    stage.load["checkout"] = 60.0
    stage.run(30.0)
    marked(stage)
    stage.load["checkout"] = 160.0
    stage.run(15.0)
    assert (opened(stage), stage.incidents[-1].state.value) == (2, "open"), stage.told()


def test_taken_back_it_counts_no_more_and_what_it_damped_is_told(stage: Stage) -> None:
    word = marked(stage)
    stage.load["checkout"] = 60.0
    stage.run(20.0)
    assert stage.ask(CommandKind.FORGET_FEEDBACK, word.id).accepted
    stage.run(10.0)
    assert opened(stage) == 2, stage.told()
    assert (words(stage)[0].undone_by, words(stage)[0].since) == ("ann", None)
    assert not stage.ask(CommandKind.FORGET_FEEDBACK, word.id).accepted


def test_it_expires(stage: Stage) -> None:
    marked(stage, days=0.01)
    stage.run(900.0)
    episode(stage, 60.0, 60.0)
    assert opened(stage) == 2


def test_only_about_the_same_time_of_day_if_asked(stage: Stage) -> None:
    word = marked(stage, sameTime=True)
    assert word.around is not None
    stage.store.real.write(Changes(values={NAME: [plain(replace(word, around=(word.at + 3 * 3600.0) % 86400.0))]}))
    stage.core.flow.parts.damping.load()
    episode(stage, 60.0, 60.0)
    assert opened(stage) == 2
    assert any("another time of the day" in d.detail for d in stage.store.decisions(limit=1000))


def test_what_people_set_is_never_damped(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(WATCHING,)).run(60)
    stage.load["checkout"] = 95.0
    stage.run(20.0)
    answer = stage.ask(CommandKind.NOT_AN_ANOMALY, stage.incidents[0].id)
    assert (answer.accepted, "what people set" in answer.result) == (False, True)
    assert stage.incidents[0].state.value == "open"


def test_nor_is_it_by_words_that_came_into_the_store_otherwise(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(WATCHING,)).run(60)
    stage.load["checkout"] = 95.0
    stage.run(20.0)
    (claim,) = stage.incidents[0].signals.values()
    pattern = pattern_of(claim.evidence, claim.evidence.note, claim.severity, lasted=60.0)
    word = Feedback("fb-1", claim.rule, claim.series, {}, "", "inc", pattern, "ann", stage.time.now(), stage.time.now() + 1e6)
    stage.store.real.write(Changes(values={NAME: [plain(word)]}))
    stage.core.flow.parts.damping.load()
    stage.load["checkout"] = 40.0
    stage.run(100.0)
    stage.load["checkout"] = 95.0
    stage.run(20.0)
    assert opened(stage) == 2, stage.told()


def test_in_dry_run_it_is_the_same(tmp_path: Path) -> None:
    stage = episode(Stage(tmp_path, act=False, rules=LEARNED, runbooks=(WATCHING,)).run(70), 60.0, 60.0)
    marked(stage)
    episode(stage, 61.0, 60.0)
    assert (opened(stage), words(stage)[0].count) == (1, 1)


@pytest.mark.parametrize("arguments", [{"days": 0}, {"days": 1e9}, {"days": "7"}, {"days": True}, {"rule": "none"}])
def test_what_cannot_be_meant_is_refused_in_words(stage: Stage, arguments: dict[str, object]) -> None:
    answer = stage.ask(CommandKind.NOT_AN_ANOMALY, stage.incidents[0].id, **arguments)
    assert (answer.accepted, bool(answer.result), words(stage)) == (False, True, [])


def test_a_store_that_fails_damps_nothing_and_the_command_waits(stage: Stage) -> None:
    stage.store.broken = "write"
    with pytest.raises(AssertionError):
        stage.ask(CommandKind.NOT_AN_ANOMALY, stage.incidents[0].id)
    assert stage.core.flow.parts.damping._held == {}
    stage.store.broken = ""
    stage.errors.clear()
    stage.run(5.0)
    assert len(words(stage)) == 1

"""What stands round the pipeline: the desk, the narrator's words, sources from settings, starting and stopping."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.adapters.clock import SystemClock
from aiops.app.compose import guard_limits, kill_switch
from aiops.app.desk import Desk
from aiops.app.live import Daemon
from aiops.app.narrate import Narrator, summarise
from aiops.app.sources import build_sources, http_options
from aiops.domain.command import CommandKind
from aiops.domain.errors import CommandError, DefinitionError, StoreError
from aiops.domain.execution import ReviewVerdict
from aiops.lifecycle import Lifecycle, ShutdownError
from aiops.settings import Auth, GuardSettings, Settings, SourceSettings, WebSettings
from tests.scenarios.stage import RULES, START, Stage


class Hand:
    """A clock moved by hand."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


# Lifecycle

def test_stopped_in_reverse_under_one_deadline_and_every_failure_is_told() -> None:
    hand, seen = Hand(), []
    life = Lifecycle(hand)

    def slow(left: float) -> None:
        seen.append(("slow", left))
        hand.at += 15.0

    def broken(left: float) -> None:
        seen.append(("broken", left))
        raise RuntimeError("stuck")

    life.add("first", lambda left: seen.append(("first", left)))
    life.add("broken", broken)
    life.add("slow", slow)
    with pytest.raises(ShutdownError, match="broken: stuck"):
        life.stop(10.0)
    assert seen == [("slow", 10.0), ("broken", 0.0), ("first", 0.0)]
    life.stop(10.0)
    assert len(seen) == 3


# Desk

@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path, act=False).run(60)
    stage.load["checkout"] = 95.0
    return stage.run(60)


def test_the_desk_reads_asks_and_marks(stage: Stage) -> None:
    desk = Desk(stage.store.real, stage.time)
    incident = desk.incidents(everything=False)[0]
    found = desk.incident(incident.id)
    run = found.executions[0]
    assert found.signals
    assert found.decisions
    assert found.journals[run.id]
    assert [e.id for e, _ in desk.reviews(unmarked=True)] == [run.id]
    desk.mark(run.id, ReviewVerdict.RIGHT, "")
    assert desk.reviews(unmarked=True) == []
    command = desk.ask(CommandKind.ACKNOWLEDGE, incident.id)
    assert desk.answer(command) is None
    stage.run(3)
    answer = desk.answer(command)
    assert answer is not None
    assert answer.accepted


def test_the_desk_says_what_it_does_not_know(stage: Stage) -> None:
    desk = Desk(stage.store.real, stage.time)
    for ask in (
        lambda: desk.incident("inc-no"), lambda: desk.execution("run-no"), lambda: desk.mark("run-no", ReviewVerdict.WRONG, ""),
        lambda: desk.why("nonsense", since=1.0), lambda: desk.ask(CommandKind.UNDO, "run-no"), lambda: desk.ask(CommandKind.RESOLVE, "inc-no"),
    ):
        with pytest.raises(CommandError):
            ask()
    assert desk.why("shop/deployment/nobody", since=3600.0) == []
    assert desk.why("shop/deployment/checkout", since=3600.0)


# Narrator

def test_a_story_is_told_once_and_in_the_order_of_the_flow(stage: Stage) -> None:
    narrator = Narrator(stage.store.real, stage.notifier)
    lines = list(narrator.look(stage.time.now()))
    stages = [line.stage for line in lines]
    assert [s for s in dict.fromkeys(stages) if s != "verify"] == ["signal", "incident", "plan", "act", "outcome", "announce"]
    assert "replicas" in next(line.body for line in lines if line.stage == "act")
    assert list(narrator.look(stage.time.now())) == []
    stage.load["checkout"] = 20.0
    stage.run(120)
    later = list(narrator.look(stage.time.now()))
    assert any("cleared" in line.text for line in later)
    assert any("resolved" in line.text for line in later)
    assert "plan" not in [line.stage for line in later]


def test_the_summary_counts(stage: Stage) -> None:
    summary = summarise(stage.store.real, stage.notifier, (START, stage.time.now()), ("boom",))
    assert (summary.incidents, summary.resolved, summary.runs, summary.errors) == (1, 0, 1, ("boom",))
    row = summary.rows[0]
    assert (row["would do"], row["outcome"]) == ("grow", "simulated")
    assert row["stood"].endswith("still open")


# Sources and switches

def test_sources_of_each_kind_by_name(tmp_path: Path) -> None:
    one = SourceSettings(type="prometheus", url="http://127.0.0.1:1", timeout=4.0, auth=Auth(bearer_token_file=str(tmp_path / "token")))
    settings = Settings(sources={
        "prometheus": one, "slowly": one.model_copy(update={"client": "prometheus-api-client"}),
        "elasticsearch": SourceSettings(type="elasticsearch", url="http://127.0.0.1:1"),
    })
    built = build_sources(settings, SystemClock())
    assert (sorted(built.metrics), sorted(built.logs), sorted(built.raw)) == (["prometheus", "slowly"], ["elasticsearch"], ["prometheus", "slowly"])
    assert sorted(built.breakers) == ["elasticsearch", "prometheus", "slowly"]
    assert built.skews["prometheus"]() is None
    assert http_options(one).deadline == 6.0
    for close in built.closers:
        close()


def test_the_pause_file_stops_acting_and_a_place_that_cannot_be_looked_at_too(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "pause"
    paused = kill_switch(Settings(pause_file=str(file)), stage.core.outside, None)
    assert not paused()
    file.touch()
    stage.store.broken = "all"
    assert paused()
    file.unlink()
    with pytest.raises(StoreError):
        paused()
    too_long = kill_switch(Settings(pause_file="/" + "x" * 5000), stage.core.outside, None)
    assert too_long()


def test_every_limit_of_the_settings_reaches_the_guards() -> None:
    limits = guard_limits(Settings(guards=GuardSettings(maximum_pods=3, maximum_per_hour=7, maximum_share=0.25, require_opt_in=True, circuit_failures=2)))
    assert (limits.maximum_pods, limits.maximum_per_hour, limits.maximum_share, limits.opt_in, limits.breaker_failures) == (3, 7, 0.25, True, 2)


# The daemon

def test_a_daemon_that_cannot_start_leaves_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bad.yaml").write_text("apiVersion: aiops/v1\nkind: RuleSet\nrules: 5\n", encoding="utf-8")
    daemon = Daemon(Settings(rules=(str(tmp_path / "rules"),), runbooks=(), state_dir=str(tmp_path / "state")), act=False)
    with pytest.raises(DefinitionError):
        daemon.start()
    assert daemon.ready() == "starting or stopping"
    assert not (tmp_path / "state").exists()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "aiops.db").write_bytes(b"no database" * 500)
    daemon = Daemon(Settings(rules=(), runbooks=(), state_dir=str(tmp_path / "state")), act=False)
    with pytest.raises(StoreError):
        daemon.start()


def test_a_daemon_without_sources_starts_reloads_and_stops(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    file = tmp_path / "rules" / "rules.yaml"
    file.write_text(RULES, encoding="utf-8")
    daemon = Daemon(Settings(rules=(str(tmp_path / "rules"),), runbooks=(), state_dir=str(tmp_path / "state"), web=WebSettings(port=0)), act=False)
    daemon.start()
    try:
        assert daemon.ready() == ""
        assert daemon.core is not None
        assert daemon.core.resting == ("busy",)
        assert daemon.reload() == "unchanged"
        file.write_text("kind: nonsense\n", encoding="utf-8")
        assert daemon.reload().startswith("refused: ")
        assert daemon.core.resting == ("busy",), "the last good set stays"
        file.write_text(RULES.replace("name: busy", "name: other"), encoding="utf-8")
        assert daemon.reload() == "1 rules and 0 runbooks in force"
        assert daemon.core.resting == ("other",)
    finally:
        assert daemon.stop() == ""
    assert daemon.ready() == "starting or stopping"

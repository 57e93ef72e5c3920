"""What people ask, each kind, accepted and refused; and a command that breaks does not keep the others waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiops.correlate.incident_flow import Flow, acknowledge
from aiops.domain.command import Command, CommandKind
from aiops.domain.errors import StoreError
from aiops.domain.incident import Incident
from aiops.pipeline.commands import Commands
from aiops.ports.storage import Changes
from aiops.ports.telemetry import NullTelemetry
from tests.scenarios.stage import RUNBOOK, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """One incident, and a run that waits for approval."""
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", "mode: approve"),)).run(60)
    stage.load["checkout"] = 95.0
    stage.until("awaiting-approval")
    return stage


def test_acknowledge_once(stage: Stage) -> None:
    incident = stage.incidents[0].id
    assert stage.ask(CommandKind.ACKNOWLEDGE, incident).accepted
    assert stage.incidents[0].state.value == "acknowledged"
    again = stage.ask(CommandKind.ACKNOWLEDGE, incident)
    assert (again.accepted, again.result) == (False, "NotOpen")


def test_resolve_by_hand_stays_resolved_while_the_same_claim_stands(stage: Stage) -> None:
    assert stage.ask(CommandKind.RESOLVE, stage.incidents[0].id, reason="known").accepted
    stage.run(120)
    assert [i.state.value for i in stage.incidents] == ["resolved"]
    assert not stage.ask(CommandKind.RESOLVE, stage.incidents[0].id).accepted


@pytest.mark.parametrize("kind", [CommandKind.ACKNOWLEDGE, CommandKind.RESOLVE, CommandKind.APPROVE, CommandKind.REJECT, CommandKind.UNDO])
def test_what_is_not_there_is_refused_in_words(stage: Stage, kind: CommandKind) -> None:
    answer = stage.ask(kind, "inc-or-run-that-never-was")
    assert (answer.done, answer.accepted) == (True, False)
    assert answer.result


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"matchers": {}}, {"matchers": {"a": "b"}}, {"matchers": {"a": "b"}, "seconds": 0}, {"matchers": {"a": "b"}, "seconds": -1},
        {"matchers": {"a": "b"}, "seconds": 8 * 86400}, {"matchers": {"a": "b"}, "seconds": "60"}, {"matchers": ["a=b"], "seconds": 60},
    ],
)
def test_a_silence_without_bounds_is_refused(stage: Stage, arguments: dict[str, Any]) -> None:
    assert not stage.ask(CommandKind.SILENCE, **arguments).accepted
    assert stage.store.real.silences(stage.time.now()) == []


def test_a_silence_ends(stage: Stage) -> None:
    assert stage.ask(CommandKind.SILENCE, matchers={"workload": "checkout"}, seconds=60).accepted
    stage.run(10)
    assert stage.incidents[0].silenced_by
    stage.run(60)
    assert not stage.incidents[0].silenced_by


def test_pause_and_resume_are_kept_over_a_restart(stage: Stage) -> None:
    assert stage.ask(CommandKind.PAUSE, reason="storm").accepted
    assert stage.restart().core.paused()
    assert stage.store.real.value("paused")["by"] == "ann"
    assert stage.ask(CommandKind.RESUME).accepted
    assert not stage.core.paused()


def test_reload_answers_in_words(stage: Stage) -> None:
    answer = stage.ask(CommandKind.RELOAD)
    assert answer.accepted


def other(stage: Stage, reload: Any) -> Commands:
    return Commands(stage.store, stage.core.flow, stage.core.executor.commands, reload, stage.time, NullTelemetry())


def put(stage: Stage, number: int, kind: CommandKind) -> None:
    stage.store.real.write(Changes(commands=(Command(f"cmd-{number}", kind, "", "ann", stage.time.now() + number, {}),)))


def test_one_that_breaks_is_answered_and_the_next_is_carried_out(stage: Stage) -> None:
    def broken() -> str:
        raise RuntimeError("a fault of ours")

    put(stage, 1, CommandKind.RELOAD)
    put(stage, 2, CommandKind.PAUSE)
    other(stage, broken).run()
    first, second = stage.store.real.commands(pending=False)[-2:]
    assert (first.done, first.accepted) == (True, False)
    assert second.accepted
    assert stage.store.real.commands(pending=True) == []


def test_a_store_that_fails_leaves_the_command_waiting(stage: Stage) -> None:
    put(stage, 1, CommandKind.PAUSE)
    stage.store.broken = "write"
    with pytest.raises(StoreError):
        other(stage, str).run()
    stage.store.broken = ""
    other(stage, str).run()
    assert stage.core.paused()


def test_a_claim_that_comes_in_while_a_person_acknowledges_is_not_lost(stage: Stage) -> None:
    flow, incident = stage.core.flow, stage.incidents[0]

    def slowly(current: Incident, now: float) -> Flow:
        assert flow._lock._is_owned()  # type: ignore[attr-defined]
        return acknowledge(current, "ann", now)

    assert flow.apply(incident.id, slowly) is not None
    assert flow.apply("inc-no", slowly) is None
    assert stage.incidents[0].state.value == "acknowledged"


def test_an_asking_that_the_store_could_not_keep_is_told_later(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", "mode: approve"),)).run(60)
    real = stage.store.real.write

    def forgetful(changes: Changes, **more: Any) -> None:
        if any(m.kind.value == "ask" for m in changes.messages) and not lost:
            lost.append(stage.time.now())
            raise StoreError("store: disk full")
        real(changes, **more)

    lost: list[float] = []
    stage.store.write = forgetful  # type: ignore[attr-defined]
    stage.load["checkout"] = 95.0
    stage.run(40, errors=True)
    assert lost
    assert [p.message.kind.value for p in stage.notifier.posts].count("ask") == 1, stage.told()

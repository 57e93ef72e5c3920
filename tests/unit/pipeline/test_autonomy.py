"""A runbook that fails goes down by itself and says so; one that helps is suggested for more, and a person decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.app.compose import autonomy_policy
from aiops.app.desk import Desk
from aiops.domain.command import CommandKind
from aiops.domain.execution import ReviewVerdict
from aiops.domain.runbook import Mode
from aiops.pipeline.autonomy import Standing, value_name
from aiops.ports.storage import Changes
from aiops.settings import AutonomySettings
from tests.scenarios.stage import RUNBOOK, Stage

QUICK = RUNBOOK.replace("within: 2m", "within: 20s").replace("guards: {cooldown: 1m}", "guards: {cooldown: 1s, maximumPerIncident: 9}")
KIND = RUNBOOK.replace("guards: {cooldown: 1m}", "guards: {cooldown: 1s}")


def staged(folder: Path, runbook: str, **settings: object) -> Stage:
    return Stage(folder, runbooks=(runbook,), settings={"autonomy": AutonomySettings.model_validate({"failures": 2, "successes": 2, "reviews": 2, **settings})}).run(60)


def standing(stage: Stage) -> Standing:
    desk = Desk(stage.store, stage.time)
    return desk.autonomy(stage.core.flow.parts.decider._runbooks, autonomy_policy(stage.settings))[0]


def heal(stage: Stage) -> None:
    """One fault that its run cures."""
    stage.load["checkout"] = 95.0
    run = stage.until("verifying") if standing(stage).mode is Mode.AUTO else stage.until("awaiting-approval")
    if run.state == "awaiting-approval":
        assert stage.ask(CommandKind.APPROVE, run.id, hash=run.plan.hash).accepted
    stage.load["checkout"] = 40.0
    stage.run(200)


def test_two_failures_take_a_rung_and_people_are_told_why(tmp_path: Path) -> None:
    stage = staged(tmp_path, QUICK)
    stage.load["checkout"] = 95.0
    run = stage.until("awaiting-approval", 600)
    assert [r.result.reason for r in stage.runs if r.result] == ["NoEffect", "NoEffect"], stage.told()
    assert run.plan.mode is Mode.APPROVE
    told = [p.message.text for p in stage.notifier.posts if "goes down to approve" in p.message.text]
    assert len(told) == 1
    assert "2 failed or inconclusive" in told[0]
    assert {"Demoted", "AutonomyLowered"} <= stage.reasons()
    why = [d.detail for d in stage.store.decisions(target=run.target) if d.reason == "AutonomyLowered"]
    assert "approve instead of auto" in why[0]
    # It is kept: a new process knows it too.
    assert standing(stage.restart()).mode is Mode.APPROVE


def test_what_helps_is_suggested_and_a_person_accepts(tmp_path: Path) -> None:
    stage = staged(tmp_path, KIND, start="approve")
    refused = stage.ask(CommandKind.PROMOTE, "grow")
    assert (refused.accepted, refused.result) == (False, "grow has not earned auto yet: 2 more verified successes; --anyway does it all the same")
    heal(stage)
    heal(stage)
    assert standing(stage).suggests is Mode.AUTO, (standing(stage), stage.told())
    told = [p.message.text for p in stage.notifier.posts if "has earned auto" in p.message.text]
    assert len(told) == 1
    assert "aiops autonomy promote grow" in told[0]
    assert standing(stage).mode is Mode.APPROVE
    answer = stage.ask(CommandKind.PROMOTE, "grow")
    assert (answer.accepted, answer.result) == (True, "grow is at auto now")
    stage.load["checkout"] = 95.0
    assert stage.until("verifying").plan.mode is Mode.AUTO
    assert not stage.ask(CommandKind.PROMOTE, "grow").accepted


def test_marks_of_plans_that_were_shown_suggest_approval(tmp_path: Path) -> None:
    stage = staged(tmp_path, KIND, start="suggest")
    for _ in range(2):
        stage.load["checkout"] = 95.0
        stage.run(60)
        stage.load["checkout"] = 40.0
        stage.run(1200)
    assert [r.result.reason for r in stage.runs if r.result] == ["Suggested", "Suggested"], stage.told()
    assert stage.writes() == []
    for run in stage.runs:
        Desk(stage.store, stage.time).mark(run.id, ReviewVerdict.RIGHT, "")
    stage.run(120)
    assert standing(stage).suggests is Mode.APPROVE
    assert [p for p in stage.notifier.posts if "has earned approve" in p.message.text]
    Desk(stage.store, stage.time).mark(stage.runs[0].id, ReviewVerdict.WRONG, "")
    assert standing(stage).suggests is None


def test_a_person_may_lower_and_raise_anyway(tmp_path: Path) -> None:
    stage = staged(tmp_path, KIND)
    assert stage.ask(CommandKind.DEMOTE, "grow", reason="new on this cluster").accepted
    assert (standing(stage).mode, standing(stage).level.by) == (Mode.APPROVE, "ann")
    assert stage.ask(CommandKind.PROMOTE, "grow", anyway=True).accepted
    assert standing(stage).mode is Mode.AUTO
    assert not stage.ask(CommandKind.PROMOTE, "nothing").accepted


@pytest.mark.parametrize("document", [{"mode": "everything"}, {}, 5, {"mode": "auto", "at": "x", "by": "", "reason": ""}])
def test_a_level_that_cannot_be_read_is_no_leave_to_act(tmp_path: Path, document: object) -> None:
    stage = staged(tmp_path, KIND)
    stage.store.real.write(Changes(values={value_name("grow"): document}))
    stage.restart()
    stage.load["checkout"] = 95.0
    stage.run(60)
    assert stage.writes() == []
    assert standing(stage).mode is Mode.SUGGEST

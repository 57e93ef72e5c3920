"""`aiops why`: each decision in its place, and what is missing said in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.app.check import load
from aiops.app.config import read_settings
from aiops.app.desk import Desk
from aiops.app.whys import explained, sort_of
from aiops.domain.command import CommandKind
from aiops.domain.decision import Decision, Stage
from aiops.domain.target import TargetRef
from aiops.settings import ClusterSettings, GuardSettings, SourceSettings
from tests.scenarios.stage import CHECKOUT, RUNBOOK
from tests.scenarios.stage import Stage as Scene


@pytest.mark.parametrize(
    ("stage", "subject", "passed", "reason", "place"),
    [
        (Stage.OBSERVE, "busy", True, "ThresholdCrossed", "claims"),
        (Stage.TRIAGE, "busy", False, "Duplicate", "suppressed"),
        (Stage.DECIDE, "grow", True, "Planned", "matched"),
        (Stage.DECIDE, "grow/cooldown", False, "Cooldown", "refused"),
        (Stage.DECIDE, "grow", False, "NoMatch", "unfit"),
        (Stage.DECIDE, "grow", False, "FailedBefore", "suppressed"),
        (Stage.DECIDE, "flow", False, "Silenced", "suppressed"),
        (Stage.ACT, "grow", True, "Completed", "done"),
        (Stage.VERIFY, "grow", False, "NoEffect", "done"),
    ],
)
def test_each_has_its_place(stage: Stage, subject: str, passed: bool, reason: str, place: str) -> None:
    assert sort_of(Decision(1.0, stage, subject, passed, reason)) == place


def test_a_target_that_was_worked_on_and_one_that_nobody_speaks_of(tmp_path: Path) -> None:
    stage = Scene(tmp_path, runbooks=(RUNBOOK,), settings={"guards": GuardSettings(protected_namespaces=("shop",))}).run(60)
    stage.load["checkout"] = 95.0
    stage.run(30)
    stage.ask(CommandKind.PAUSE, reason="migration")
    desk, definitions = Desk(stage.store, stage.time), load(stage.settings)
    settings = stage.settings.model_copy(update={"clusters": (ClusterSettings(),)})
    found = desk.explain(str(CHECKOUT), settings, definitions, since=3600)
    assert {d.reason for d in found.refused} >= {"ProtectedNamespace"}
    assert found.claims
    assert found.missing == ("leave to act: paused by ann: migration", "a runbook whose match holds: grow could work on a Deployment")
    nobody = desk.explain("shop/deployment/search", settings, definitions, since=3600)
    assert nobody.claims == ()
    assert "a claim: 1 rules may make one about a Deployment, and none did: busy" in nobody.missing
    node = desk.explain("node/a", stage.settings, definitions, since=3600)
    assert "a cluster: the settings name none, so no object is seen" in node.missing
    assert "a rule: none of 1 makes claims about a Node" in node.missing
    assert "a runbook: none of 1 works on a Node" in node.missing


def test_what_rests_for_want_of_a_source_is_said() -> None:
    settings = read_settings(None).model_copy(update={"sources": {"search": SourceSettings(type="elasticsearch", url="http://127.0.0.1:9")}})
    missing = explained(TargetRef("Deployment", "shop", "checkout"), (), load(settings), clusters=True, paused="").missing
    assert any(words.startswith("a source: ") and "left out" in words for words in missing), missing

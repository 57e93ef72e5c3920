"""A run that a person asks for by name: judged like any other, never begun without an approval, whatever the file's mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.app.desk import Desk
from aiops.domain.command import CommandKind
from aiops.domain.errors import CommandError
from aiops.domain.runbook import Mode
from aiops.domain.target import TargetRef
from aiops.settings import GuardSettings
from tests.scenarios.stage import CHECKOUT, RUNBOOK, Stage

GREAT = RUNBOOK.replace("steps:", "parameters: {by: {type: string, default: '+1'}}\nsteps:").replace('by: "+1"', 'by: "{{ parameters.by }}"')


@pytest.mark.parametrize("mode", ["observe", "suggest", "approve", "auto"])
def test_it_waits_for_a_person_and_then_acts(tmp_path: Path, mode: str) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", f"mode: {mode}"),)).run(60)
    stage.load["checkout"] = 85.0
    command, run_id = Desk(stage.store, stage.time).order("grow", CHECKOUT, {})
    stage.run(3)
    done = next(c for c in stage.store.real.commands(pending=False) if c.id == command.id)
    assert (done.accepted, done.result) == (True, f"{run_id} waits for approval"), stage.told()
    run = stage.run_of(run_id)
    assert (run.state.value, run.plan.mode) == ("awaiting-approval", Mode.APPROVE)
    assert run.plan.changes[0].diff
    assert stage.writes() == []
    assert stage.ask(CommandKind.APPROVE, run_id, hash=run.plan.hash).accepted
    stage.run(15)
    assert stage.replicas() == 3, stage.told()
    # The order stood for an incident, which is over with it.
    stage.load["checkout"] = 40.0
    stage.run(200)
    assert [i.state.value for i in stage.incidents] == ["resolved"], stage.told()


def test_for_an_incident_that_is_open_it_is_that_ones_run(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", "mode: observe"),)).run(60)
    stage.load["checkout"] = 95.0
    stage.run(30)
    assert stage.ask(CommandKind.RUN, "grow", target=str(CHECKOUT)).accepted
    assert [r.plan.incident for r in stage.runs] == [stage.incidents[0].id]
    assert [s.rule for s in stage.incidents[0].firing] == ["busy"]


def test_parameters_are_typed_and_asked_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(GREAT,)).run(60)
    answer = stage.ask(CommandKind.RUN, "grow", target=str(CHECKOUT), parameters={"by": "+4"})
    assert answer.accepted, answer.result
    assert stage.runs[0].plan.steps[0].arguments == {"by": "+4"}
    wrong = stage.ask(CommandKind.RUN, "grow", target=str(CHECKOUT), parameters={"bye": "+4"})
    assert not wrong.accepted
    assert "takes no such parameter" in wrong.result


def test_a_guard_refuses_it_like_any_other(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK,), settings={"guards": GuardSettings(protected_namespaces=("shop",))}).run(60)
    answer = stage.ask(CommandKind.RUN, "grow", target=str(CHECKOUT))
    assert not answer.accepted
    assert answer.result.startswith("refused: protected-namespace: ProtectedNamespace")
    assert (stage.runs, stage.writes()) == ([], [])


@pytest.mark.parametrize(
    ("subject", "arguments", "words"),
    [
        ("grwo", {"target": str(CHECKOUT)}, "no runbook 'grwo' is in force; there are: grow"),
        ("grow", {"target": "nonsense"}, "is no target"),
        ("grow", {}, "is no target"),
        ("grow", {"target": f"moon:{CHECKOUT}"}, "the settings have no cluster 'moon'"),
        ("grow", {"target": str(CHECKOUT), "parameters": "by=1"}, "parameters must be a map"),
        ("grow", {"target": "shop/deployment/nobody"}, "refused: "),
    ],
)
def test_what_cannot_be_planned_is_said(tmp_path: Path, subject: str, arguments: dict[str, object], words: str) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK,)).run(60)
    answer = stage.ask(CommandKind.RUN, subject, **arguments)
    assert not answer.accepted
    assert words in answer.result
    assert stage.runs == []


def test_a_daemon_that_runs_dry_simulates_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, act=False, runbooks=(RUNBOOK,)).run(60)
    answer = stage.ask(CommandKind.RUN, "grow", target=str(CHECKOUT))
    assert answer.accepted
    assert "is simulated: the daemon runs dry" in answer.result
    assert stage.writes() == []


LISTED = RUNBOOK.replace("steps:", 'parameters: {words: {type: strings, default: [a]}}\nsteps:\n  - {name: tell, action: notify, arguments: {message: "{{ parameters.words | join }}"}}')


def test_a_list_is_given_with_commas(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(LISTED,)).run(60)
    plan = stage.core.orders.plan("grow", CHECKOUT, {"words": "x, y ,z"}, "ada", "key")
    assert plan.steps[0].arguments["message"] == "x, y, z"


def test_an_object_of_a_kind_that_the_action_does_not_take_is_told_at_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK,)).run(60)
    with pytest.raises(CommandError, match=r"step scale: scale takes Deployment, StatefulSet, not Pod \(shop/pod/x\)"):
        stage.core.orders.plan("grow", TargetRef("Pod", "shop", "x"), {}, "ada", "key")
    assert stage.ask(CommandKind.RUN, "grow", target="deployment/checkout").result == (
        "'deployment/checkout' is no target: a Deployment stands in a namespace: write NAMESPACE/deployment/checkout"
    )
    assert stage.ask(CommandKind.RUN, "grow", target="shop/node/n").result == "'shop/node/n' is no target: a Node stands in no namespace: write node/n"

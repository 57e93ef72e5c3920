"""An incident that nothing helps: each runbook within its limit, then a person, once, with what was tried."""

from __future__ import annotations

from pathlib import Path

from aiops.app.check import load
from aiops.app.config import read_settings
from aiops.domain.runbook import PERSON
from tests.scenarios.stage import RUNBOOK, Stage

QUICK = RUNBOOK.replace("within: 2m", "within: 20s").replace("guards: {cooldown: 1m}", "guards: {cooldown: 1s}")
SECOND = QUICK.replace("name: grow", "name: second").replace("mode: auto", "mode: auto\npriority: 200")


def busy(folder: Path, *runbooks: str, seconds: float = 900) -> Stage:
    stage = Stage(folder, runbooks=runbooks).run(60)
    stage.load["checkout"] = 95.0
    return stage.run(seconds)


def order(stage: Stage) -> list[str]:
    return [r.plan.runbook for r in stage.runs]


def test_each_is_tried_once_then_a_person_is_told_all_of_it_once(tmp_path: Path) -> None:
    stage = busy(tmp_path, QUICK, SECOND)
    assert order(stage) == ["grow", "second", PERSON], stage.told()
    page = [p.message.text for p in stage.notifier.posts if "A person is needed" in p.message.text]
    assert len(page) == 1
    assert all(f"{r.plan.runbook} [{r.id}] failed NoEffect" in page[0] for r in stage.runs[:2]), page
    assert {"FailedBefore", "Escalated"} <= stage.reasons()
    # Whatever else comes, the incident is not begun anew.
    assert order(stage.run(7200)) == ["grow", "second", PERSON], stage.told()


def test_its_own_limit_lets_it_go_again(tmp_path: Path) -> None:
    stage = busy(tmp_path, QUICK.replace("guards: {", "guards: {maximumPerIncident: 2, "))
    assert order(stage) == ["grow", "grow", PERSON], stage.told()


def test_escalates_to_is_followed(tmp_path: Path) -> None:
    third = SECOND.replace("name: second", "name: third").replace("priority: 200", "priority: 300")
    stage = busy(tmp_path, QUICK.replace("guards: {", "escalatesTo: [third]\nguards: {"), SECOND, third)
    assert order(stage) == ["grow", "third", PERSON], stage.told()
    assert "NotEscalatedTo" in stage.reasons()


def test_a_persons_own_runbook_is_used_where_there_is_one(tmp_path: Path) -> None:
    own = """
apiVersion: aiops/v1
kind: Runbook
metadata: {name: page-a-person}
mode: auto
match: incident.severity == "critical"
steps: [{name: tell, action: notify, arguments: {message: "wake up: {{ incident.tried | join }}"}}]
"""
    stage = busy(tmp_path, QUICK, own)
    assert order(stage) == ["grow", PERSON]
    assert [p for p in stage.notifier.posts if p.message.text.startswith("wake up: grow [")]


def test_what_helped_needs_nobody(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(QUICK,)).run(60)
    stage.load["checkout"] = 95.0
    stage.until("verifying")
    stage.load["checkout"] = 40.0
    assert order(stage.run(900)) == ["grow"], stage.told()


def test_names_and_circles_are_found_when_files_are_read(tmp_path: Path) -> None:
    one = QUICK.replace("guards: {", "escalatesTo: [secnd]\nguards: {")
    (tmp_path / "one.yaml").write_text(one)
    (tmp_path / "two.yaml").write_text(SECOND)
    settings = read_settings(None).model_copy(update={"rules": (), "runbooks": (str(tmp_path),)})
    found = load(settings)
    line = one.splitlines().index("escalatesTo: [secnd]") + 1
    assert [str(p) for p in found.problems] == [
        f"{tmp_path}/one.yaml:{line}: escalatesTo[0]: no runbook 'secnd' is loaded; did you mean 'second'? allowed: grow, page-a-person, second",
    ]
    assert [r.name for r in found.runbooks] == ["second"]
    (tmp_path / "one.yaml").write_text(one.replace("secnd", "second"))
    (tmp_path / "two.yaml").write_text(SECOND.replace("guards: {", "escalatesTo: [page-a-person, grow]\nguards: {"))
    assert "comes back to itself: grow → second → grow" in str(load(settings).problems[0])

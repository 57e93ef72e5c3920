"""Each way a decision ends, and the reason that is stored for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiops.domain.errors import StoreError
from aiops.domain.outcome import GuardMode, Verdict
from aiops.domain.target import TargetRef
from aiops.pipeline.guarding import Guarding
from aiops.remediate.objects import gather
from aiops.settings import GuardSettings
from tests.scenarios.stage import RULES, RUNBOOK, Stage


def staged(folder: Path, *runbooks: str, rules: str = RULES, guards: GuardSettings | None = None) -> Stage:
    settings = {"guards": guards} if guards is not None else {}
    stage = Stage(folder, rules=rules, runbooks=runbooks or (RUNBOOK,), settings=settings).run(60)
    stage.load["checkout"] = 95.0
    return stage.run(30)


SECOND = RUNBOOK.replace("name: grow", "name: later").replace("mode: auto", "mode: auto\npriority: 999")
GREEDY = RUNBOOK.replace('by: "+1"', "to: 40")


@pytest.mark.parametrize(
    ("runbook", "reason"),
    [
        (RUNBOOK.replace("mode: auto", "mode: observe"), "ObserveOnly"),
        (RUNBOOK.replace("incident.symptoms'", "incident.symptoms && incident.ageSeconds > 1e9'"), "NoMatch"),
        (RUNBOOK.replace('"saturation" in', '"errors" in'), "NoRunbook"),
        (RUNBOOK.replace('action: scale, arguments: {by: "+1"}', "action: scale, arguments: {by: '{{ incident.labels.nothing }}'}"), "PlanFailed"),
        (GREEDY, "AboveMaximum"),
    ],
)
def test_nothing_is_done_and_the_reason_is_stored(tmp_path: Path, runbook: str, reason: str) -> None:
    stage = staged(tmp_path, runbook, guards=GuardSettings(maximum_replicas=10))
    assert (stage.runs, stage.writes()) == ([], []), stage.told()
    assert reason in stage.reasons(), stage.told()


def test_a_claim_about_nobody_is_told_and_nothing_is_looked_for(tmp_path: Path) -> None:
    bare = "\n".join(line for line in RULES.splitlines() if "target:" not in line)
    stage = staged(tmp_path, rules=bare)
    assert stage.reasons() == {"NoTarget"}
    assert stage.notifier.posts


@pytest.mark.parametrize("name", ["../etc", "A b", "x" * 300, "{{ 7 * 7 }}", "a;rm -rf /", "shop/other", "", "\x1b[2J"])
def test_a_name_that_the_api_could_not_hold_is_no_target(tmp_path: Path, name: str) -> None:
    stage = Stage(tmp_path).run(30)
    stage.load[name] = 95.0
    stage.run(30)
    assert [i.target for i in stage.incidents] == [None], stage.told()
    assert stage.writes() == []
    assert stage.reasons("observe") & {"TargetNameInvalid", "TargetLabelsMissing"}, stage.reasons("observe")


def test_a_summary_that_cannot_be_made_is_replaced_and_the_claim_stands(tmp_path: Path) -> None:
    stage = staged(tmp_path, rules=RULES.replace('"{{ labels.workload }} is busy"', '"{{ labels.nothing }} is busy"'))
    assert len(stage.incidents) == 1
    assert "busy on shop/deployment/checkout" in stage.incidents[0].firing[0].summary
    assert any(r.startswith("SummaryFailed") for r in stage.reasons("observe"))


def test_a_cluster_that_the_settings_lack(tmp_path: Path) -> None:
    stage = staged(tmp_path, RUNBOOK.replace("mode: auto", "mode: observe"))
    incident = stage.incidents[0]
    elsewhere = incident.__class__(**{
        **{f: getattr(incident, f) for f in incident.__dataclass_fields__}, "target": TargetRef("Deployment", "shop", "checkout", "moon"),
    })
    decided = stage.core.flow.parts.decider.decide(elsewhere, {}, stage.time.now())
    assert [d.reason for d in decided.decisions] == ["NoCluster"]


def test_a_refusal_that_passes_by_itself_is_waited_for_and_another_one_gives_way_to_the_next_runbook(tmp_path: Path) -> None:
    # Two runbooks: the first is refused for good by its own bound, so the second is tried.
    stage = staged(tmp_path, RUNBOOK.replace("guards: {", "guards: {maximumReplicas: 2, "), SECOND)
    assert [r.plan.runbook for r in stage.runs] == ["later"], stage.told()


def test_while_one_cools_down_the_next_is_not_tried(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("within: 2m", "within: 15s"), SECOND)).run(60)
    stage.load["checkout"] = 95.0
    stage.until("done")
    stage.run(20)
    assert {r.plan.runbook for r in stage.runs} == {"grow"}, stage.told()
    assert "Cooldown" in stage.reasons()


def test_a_run_that_finds_nothing_to_do_is_not_made_anew_at_once_even_without_the_guard(tmp_path: Path) -> None:
    # The level is good already (`passes: "true"`), and no cooldown stands between one run and the next.
    idle = re.sub(r"passes: [^,}\n]+", 'passes: "true"', RUNBOOK)
    stage = staged(tmp_path, idle, guards=GuardSettings(modes=dict.fromkeys(("cooldown", "rate", "runbook-rate", "cluster-rate", "loop", "attempts"), GuardMode.OFF)))
    assert {r.result.reason for r in stage.runs if r.result} == {"LevelIsGood"}, stage.told()
    assert 1 <= len(stage.runs) <= 7
    assert "JustEnded" in stage.reasons()


def test_what_waits_is_written_down_once_and_counted(tmp_path: Path) -> None:
    stage = staged(tmp_path, RUNBOOK.replace('"saturation" in', '"errors" in'))
    stage.run(600)
    rows = [d for d in stage.store.real.decisions(limit=10_000) if d.reason == "NoRunbook"]
    assert len(rows) == 1
    assert rows[0].count > 100


def test_a_store_that_cannot_be_read_lets_nothing_pass(tmp_path: Path) -> None:
    stage = staged(tmp_path, RUNBOOK.replace("mode: auto", "mode: approve"))
    run, flow = stage.runs[0], stage.core.flow.parts
    guarding: Guarding = flow.decider._parts.guarding
    runbook = flow.decider._runbooks[0]
    view = flow.views["default"]
    objects = gather(run.plan.target, view.find, view.objects)
    stage.store.broken = "all"
    verdicts = guarding.judge(run.plan, runbook, stage.core.board.by_id(run.plan.incident) or stage.incidents[0], objects, stage.time.now())
    refusals = {v.guard: v.reason for v in verdicts if v.refuses}
    assert {"paused", "cooldown", "silenced"} <= set(refusals), refusals
    permit = guarding.permit(run)
    assert permit is not None
    assert permit.refuses
    with pytest.raises(StoreError):
        stage.store.value("x")


def test_which_refusals_pass_by_themselves() -> None:
    def verdict(reason: str) -> Verdict:
        return Verdict("guard", GuardMode.ENFORCE, allowed=False, reason=reason)

    assert all(Guarding.passing(verdict(r)) for r in ("Cooldown", "TargetBusy", "RolloutUnderWay", "ClusterNotSynced"))
    assert not any(Guarding.passing(verdict(r)) for r in ("OptedOut", "Paused", "CircuitOpen", "ReversedByPerson", ""))


@pytest.mark.parametrize("mode", ["approve", "suggest", "auto"])
def test_no_request_to_the_cluster_is_waited_for_under_the_lock(tmp_path: Path, mode: str) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", f"mode: {mode}"),)).run(60)
    asked: list[str] = []
    held: list[str] = []

    def seen(name: str) -> None:
        asked.append(name)
        if stage.core.flow._lock._is_owned():  # type: ignore[attr-defined]
            held.append(name)

    stage.reader.seen = seen
    stage.load["checkout"] = 95.0
    stage.run(60)
    assert stage.runs, stage.told()
    assert asked
    assert held == []

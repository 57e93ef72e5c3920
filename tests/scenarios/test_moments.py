"""What happens in the middle of things: the store or a source goes away, the process ends, a person steps in. Each on a small stage."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from aiops.adapters.alertmanager import parse_webhook
from aiops.app.check import load_or_raise
from aiops.app.compose import take
from aiops.app.desk import Desk
from aiops.domain.command import CommandKind
from aiops.settings import IncidentSettings
from tests.scenarios.stage import CHECKOUT, RULES, RUNBOOK, SEARCH, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Two minutes in which nothing is wrong."""
    return Stage(tmp_path).run(120)


def test_a_busy_workload_is_scaled_measured_and_told(stage: Stage) -> None:
    stage.load["checkout"] = 95.0
    run = stage.until("verifying")
    stage.load["checkout"] = 60.0
    stage.run(150)
    assert stage.replicas(CHECKOUT) == 3, stage.told()
    assert [(r.id, r.state.value, r.result.outcome.value) for r in stage.runs if r.result] == [(run.id, "done", "succeeded")]
    assert [i.state.value for i in stage.incidents] == ["resolved"]
    roots = [p for p in stage.notifier.posts if p.reference == p.root]
    assert len(roots) == 1
    assert "resolved" in roots[0].message.text


def test_a_claim_that_the_store_could_not_take_is_told_again(stage: Stage) -> None:
    stage.load["checkout"] = 95.0
    stage.store.broken = "write"
    stage.run(60, errors=True)
    assert stage.errors
    assert stage.incidents == []
    stage.errors.clear()
    stage.store.broken = ""
    stage.run(20)
    assert [i.title for i in stage.incidents] == ["shop/deployment/checkout: saturation"], stage.told()
    stage.until("verifying")


def test_what_began_and_ended_while_the_store_was_down_opens_nothing(stage: Stage) -> None:
    stage.store.broken = "all"
    stage.load["checkout"] = 95.0
    stage.run(30, errors=True)
    stage.load["checkout"] = 40.0
    stage.run(60, errors=True)
    stage.store.broken = ""
    stage.errors.clear()
    stage.run(60)
    assert (stage.incidents, stage.runs, stage.writes()) == ([], [], [])


def test_the_end_of_a_claim_is_not_lost_with_the_store(stage: Stage) -> None:
    stage.load["checkout"] = 95.0
    stage.until("verifying")
    stage.store.broken = "all"
    stage.load["checkout"] = 40.0
    stage.run(60, errors=True)
    stage.store.broken = ""
    stage.errors.clear()
    stage.run(200)
    assert [i.state.value for i in stage.incidents] == ["resolved"], stage.told()
    assert [r.state.value for r in stage.runs] == ["done"]
    assert stage.replicas() == 3


def test_a_source_that_goes_dark_while_the_store_is_down_is_an_incident_afterwards(stage: Stage) -> None:
    stage.store.broken = "all"
    stage.metrics.dark = True
    stage.run(120, errors=True)
    stage.store.broken = ""
    stage.errors.clear()
    stage.run(5)
    assert [i.firing[0].rule for i in stage.incidents] == ["SourceDark"], stage.told()


def test_nothing_is_done_while_prometheus_is_dark_and_the_rest_when_it_is_back(stage: Stage) -> None:
    stage.load["checkout"] = 95.0
    stage.metrics.dark = True
    stage.run(90)
    assert stage.writes() == []
    assert any("SourceDark" in i.title or any(s.rule == "SourceDark" for s in i.signals.values()) for i in stage.incidents), stage.told()
    stage.metrics.dark = False
    stage.until("verifying")
    assert stage.replicas() == 3


def test_prometheus_goes_dark_after_the_claim_and_before_the_act(tmp_path: Path) -> None:
    slow = RUNBOOK.replace("incident.symptoms'", "incident.symptoms && incident.ageSeconds > 40.0'")
    stage = Stage(tmp_path, runbooks=(slow,)).run(120)
    stage.load["checkout"] = 95.0
    stage.run(15)
    assert len(stage.incidents) == 1
    stage.metrics.dark = True
    stage.run(120)
    assert stage.writes() == [], stage.told()
    refused = {d.reason for d in stage.store.real.decisions(target=str(CHECKOUT), limit=1000) if d.stage.value == "decide"}
    assert refused & {"SourceDark", "SourceFailing", "NoSight"}, refused
    stage.metrics.dark = False
    stage.until("verifying")
    assert stage.replicas() == 3


def test_a_target_that_vanishes_between_plan_and_act(tmp_path: Path) -> None:
    waits = RUNBOOK.replace("steps:\n", "steps:\n  - {name: breathe, action: wait, arguments: {for: 10s}}\n").replace(
        "name: scale, action", "name: scale, needs: [breathe], action"
    )
    stage = Stage(tmp_path, runbooks=(waits,)).run(120)
    stage.load["checkout"] = 95.0
    run = stage.until("running")
    stage.cluster.remove(CHECKOUT)
    stage.run(120)
    done = stage.run_of(run.id)
    assert done.state.value == "done", stage.told()
    assert done.result is not None
    assert (done.result.outcome.value, done.result.reason) == ("error", "TargetVanished"), done.result
    assert stage.writes() == []


def test_the_count_belongs_to_an_autoscaler_and_why_says_so(stage: Stage) -> None:
    stage.cluster.apply({
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}, "minReplicas": 2, "maxReplicas": 2},
    })
    stage.load["checkout"] = 95.0
    stage.run(60)
    assert stage.writes() == [], stage.told()
    assert stage.runs == []
    told = Desk(stage.store.real, stage.time).why("shop/deployment/checkout", since=3600)
    refusals = [d for d in told if d.subject.startswith("grow/") and not d.passed]
    assert refusals, stage.told()
    assert any("HorizontalPodAutoscaler" in d.detail or "autoscaler" in d.detail.lower() for d in refusals), refusals


def test_who_puts_back_what_we_set_is_left_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("guards: {", "guards: {maximumPerIncident: 3, "),)).run(60)
    stage.load["checkout"] = 95.0
    stage.until("verifying")
    stage.cluster.writer("ann", "kubectl").patch(CHECKOUT, {"spec": {"replicas": 2}})
    stage.run(400)
    assert stage.replicas() == 2, stage.told()
    assert len(stage.writes()) == 1
    assert "ReversedByPerson" in stage.reasons() or any("Revers" in r for r in stage.reasons()), stage.reasons()


def test_a_namespace_that_opts_out_is_watched_and_not_touched(stage: Stage) -> None:
    stage.cluster.apply({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"aiops/automation": "disabled"}}})
    stage.load["checkout"] = 95.0
    stage.run(60)
    assert stage.writes() == []
    assert len(stage.incidents) == 1
    assert "OptedOut" in stage.reasons()
    assert stage.notifier.posts


def test_two_workloads_at_once_are_both_looked_after(stage: Stage) -> None:
    stage.load |= {"checkout": 95.0, "search": 90.0}
    stage.run(25)
    stage.load |= {"checkout": 50.0, "search": 50.0}
    stage.run(150)
    assert (stage.replicas(CHECKOUT), stage.replicas(SEARCH)) == (3, 3), stage.told()
    assert [i.state.value for i in stage.incidents] == ["resolved", "resolved"]
    assert len({p.root for p in stage.notifier.posts}) == 2


@pytest.mark.parametrize("after", [2, 7, 12, 14, 20, 33])
def test_a_restart_in_the_middle_does_nothing_twice_and_tells_nothing_twice(stage: Stage, after: int) -> None:
    stage.load["checkout"] = 95.0
    stage.run(after)
    stage.restart()
    stage.run(28)
    stage.load["checkout"] = 60.0
    stage.run(200)
    assert len(stage.writes()) == 1, stage.told()
    assert stage.replicas() == 3
    assert [r.result.outcome.value for r in stage.runs if r.result] == ["succeeded"], stage.told()
    assert [i.state.value for i in stage.incidents] == ["resolved"]
    keys = [p.message.key for p in stage.notifier.posts]
    assert len(keys) == len(set(keys))
    texts = [p.message.text for p in stage.notifier.posts if p.reference != p.root]
    assert len(texts) == len(set(texts)), texts
    assert {t.split(" ")[1] for t in texts} >= {"started", "ended:"}, texts
    assert len([p for p in stage.notifier.posts if p.reference == p.root]) == 1


def test_a_restart_alone_tells_nothing(stage: Stage) -> None:
    stage.cluster.apply({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"aiops/automation": "disabled"}}})
    stage.load["checkout"] = 95.0
    stage.run(60)
    tries = stage.notifier.tries
    stage.restart().run(60)
    assert stage.notifier.tries == tries, stage.told()


def test_what_another_incident_explains_stays_muted_over_a_restart(stage: Stage) -> None:
    """Neither told nor acted on, in the first second of the new process too."""
    cause = RULES.partition("rules:\n")[2].replace("name: busy", "name: crowded").replace("query: load", "query: 'load{workload=\"search\"}'")
    cause = cause.replace('{kind: Deployment, namespace: "{{ labels.namespace }}", name: "{{ labels.workload }}"}', '{kind: Namespace, name: "{{ labels.namespace }}"}')
    stage.write_rules(RULES + cause.replace("symptom: saturation", "symptom: crowd") + "    inhibits: [{symptom: saturation}]\n")
    take(stage.core, load_or_raise(stage.settings))
    stage.load["search"] = 95.0
    stage.run(30)
    stage.load["checkout"] = 95.0
    stage.run(30)
    muted = {str(i.target): bool(i.inhibited_by) for i in stage.incidents}
    assert muted == {"namespace/shop": False, "shop/deployment/search": True, "shop/deployment/checkout": True}, stage.told()
    tries = stage.notifier.tries
    stage.restart().run(60)
    assert {str(i.target): bool(i.inhibited_by) for i in stage.incidents} == muted
    assert (stage.notifier.tries, stage.writes(), stage.runs) == (tries, [], []), stage.told()


def test_a_claim_of_a_rule_that_was_changed_does_not_stand_for_ever(stage: Stage) -> None:
    stage.cluster.apply({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"aiops/automation": "disabled"}}})
    stage.load["checkout"] = 85.0
    stage.run(30)
    assert [i.state.value for i in stage.incidents] == ["open"]
    stage.write_rules(RULES.replace("above: 80", "above: 90"))
    take(stage.core, load_or_raise(stage.settings))
    stage.run(150)
    assert [(i.state.value, i.transitions[-1].reason) for i in stage.incidents] == [("resolved", "NoLongerSeen")], stage.told()


def test_a_rule_that_is_gone_takes_its_claims_with_it_even_if_the_store_was_down_just_then(stage: Stage) -> None:
    stage.cluster.apply({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"aiops/automation": "disabled"}}})
    stage.load["checkout"] = 85.0
    stage.run(30)
    stage.write_rules(RULES.replace("name: busy", "name: other").replace("above: 80", "above: 200"))
    stage.store.broken = "write"
    take(stage.core, load_or_raise(stage.settings))
    assert stage.core.flow.rules == ("other",)
    stage.run(10, errors=True)
    stage.store.broken = ""
    stage.errors.clear()
    stage.run(90)
    assert [i.state.value for i in stage.incidents] == ["resolved"], stage.told()


def test_a_reload_leaves_the_banks_of_unchanged_rules_alone(stage: Stage) -> None:
    held = RULES.replace("for: 5s", "for: 40s")
    stage.write_rules(held)
    take(stage.core, load_or_raise(stage.settings))
    stage.load["checkout"] = 95.0
    stage.run(30)
    stage.write_rules(held + held.partition("rules:\n")[2].replace("name: busy", "name: second").replace("above: 80", "above: 500"))
    take(stage.core, load_or_raise(stage.settings))
    stage.run(20)
    assert len(stage.incidents) == 1, stage.told()
    assert set(stage.core.flow.rules) == {"busy", "second"}


def test_approve_mode_waits_and_acts_once_approved(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", "mode: approve"),)).run(120)
    stage.load["checkout"] = 95.0
    run = stage.until("awaiting-approval")
    stage.run(60)
    assert stage.writes() == []
    assert [p.message.kind.value for p in stage.notifier.posts].count("ask") == 1
    assert stage.ask(CommandKind.APPROVE, run.id).accepted
    stage.until("verifying")
    assert stage.replicas() == 3


def test_what_a_person_rejects_is_not_asked_again_for_this_incident(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", "mode: approve"),)).run(120)
    stage.load["checkout"] = 95.0
    run = stage.until("awaiting-approval")
    answer = stage.ask(CommandKind.REJECT, run.id)
    assert answer.accepted, answer
    stage.run(900)
    assert stage.writes() == []
    assert len(stage.runs) == 1, stage.told()
    assert "Rejected" in stage.reasons()
    assert not stage.ask(CommandKind.APPROVE, run.id).accepted


def test_an_approval_that_nobody_gives_lapses_and_nothing_is_done(tmp_path: Path) -> None:
    settings = {"incidents": IncidentSettings(approval_expires=60.0)}
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", "mode: approve"),), settings=settings).run(120)
    stage.load["checkout"] = 95.0
    run = stage.until("awaiting-approval")
    stage.run(70)
    done = stage.run_of(run.id)
    assert (done.state.value, done.result and done.result.reason) == ("done", "ApprovalExpired")
    assert not stage.ask(CommandKind.APPROVE, run.id).accepted
    assert stage.writes() == []


def test_who_does_not_answer_is_asked_less_and_less_often(tmp_path: Path) -> None:
    settings = {"incidents": IncidentSettings(approval_expires=60.0)}
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", "mode: approve"),), settings=settings).run(120)
    stage.load["checkout"] = 95.0
    stage.until("awaiting-approval")
    stage.run(1800)
    asked = sorted(r.created_at for r in stage.runs)
    pauses = [later - earlier - 60.0 for earlier, later in itertools.pairwise(asked)]
    assert len(asked) >= 3, stage.told()
    for i, pause in enumerate(pauses):
        assert pause >= 60.0 * 2**i, pauses
    assert "NobodyAnswered" in stage.reasons()
    assert stage.writes() == []


def test_suggest_mode_shows_and_never_acts(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK.replace("mode: auto", "mode: suggest"),)).run(120)
    stage.load["checkout"] = 95.0
    stage.run(400)
    assert stage.writes() == []
    shown = Desk(stage.store.real, stage.time).reviews(unmarked=False)
    assert len(shown) == 1, stage.told()
    assert "replicas" in shown[0][0].plan.changes[0].diff


@pytest.mark.parametrize("way", ["command", "file"])
def test_pause_stops_acting_and_not_detecting(tmp_path: Path, way: str) -> None:
    switch = tmp_path / "pause"
    stage = Stage(tmp_path, settings={"pause_file": str(switch)}).run(120)
    if way == "command":
        assert stage.ask(CommandKind.PAUSE, reason="a test").accepted
    else:
        switch.touch()
    stage.load["checkout"] = 95.0
    stage.run(60)
    assert (len(stage.incidents), stage.writes()) == (1, []), stage.told()
    assert "Paused" in stage.reasons()
    if way == "command":
        assert stage.ask(CommandKind.RESUME).accepted
    else:
        switch.unlink()
    stage.until("verifying")
    assert stage.replicas() == 3


def test_hostile_labels_of_an_alert_name_no_target_and_bring_no_markup(stage: Stage) -> None:
    evil = "x'; DROP TABLE outbox;--\x1b[31m<!channel> [bold]/../../\u202e"
    body = json.dumps({
        "version": "4", "receiver": "aiops", "groupKey": "g", "status": "firing",
        "alerts": [{
            "status": "firing", "startsAt": "2026-01-01T00:00:00Z", "labels": {"alertname": evil, "namespace": evil, "deployment": evil, "severity": evil},
            "annotations": {"summary": evil},
        }],
    }).encode()
    stage.core.flow.take(parse_webhook(body, received_at=stage.time.now()))
    stage.run(30)
    assert [i.target for i in stage.incidents] == [None]
    assert (stage.runs, stage.writes()) == ([], [])
    assert "NoTarget" in stage.reasons()
    for post in stage.notifier.posts:
        assert all(c.isprintable() for c in post.message.text), post.message.text


def test_dry_run_writes_nothing_and_shows_what_it_would_have_sent(tmp_path: Path) -> None:
    stage = Stage(tmp_path, act=False).run(120)
    stage.load["checkout"] = 95.0
    stage.run(90)
    assert stage.writes() == []
    (run, mark), = Desk(stage.store.real, stage.time).reviews(unmarked=True)
    assert (run.simulated, mark, run.result and run.result.outcome.value) == (True, None, "simulated")
    assert "replicas" in run.plan.changes[0].diff


def test_a_silence_mutes_acting_and_telling_and_not_recording(stage: Stage) -> None:
    assert stage.ask(CommandKind.SILENCE, matchers={"workload": "checkout"}, seconds=300).accepted
    stage.load["checkout"] = 95.0
    stage.run(60)
    assert (len(stage.incidents), stage.runs, stage.notifier.posts) == (1, [], ()), stage.told()
    stage.run(300)
    assert stage.writes()
    assert stage.notifier.posts


def test_what_was_told_is_told_to_be_over_even_if_it_was_silenced_meanwhile(stage: Stage) -> None:
    stage.cluster.apply({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"aiops/automation": "disabled"}}})
    stage.load["checkout"] = 95.0
    stage.run(30)
    assert len(stage.notifier.posts) == 1
    assert stage.ask(CommandKind.SILENCE, matchers={"workload": "checkout"}, seconds=3600).accepted
    stage.load["checkout"] = 40.0
    stage.run(120)
    assert stage.incidents[0].state.value == "resolved"
    assert "resolved" in stage.notifier.posts[0].message.text


def test_a_run_that_ended_while_the_store_was_failing_leaves_no_incident_under_repair(stage: Stage) -> None:
    stage.load["checkout"] = 95.0
    run = stage.until("verifying")
    stage.load["checkout"] = 79.0
    stage.core.listeners.clear()  # as if the process had ended between the run's transaction and that of its incident
    stage.until("done")
    assert [i.state.value for i in stage.store.real.active_incidents()] in ([], ["mitigating"])
    stage.load["checkout"] = 95.0
    stage.restart().run(20)
    assert run.id in {r.id for r in stage.runs}
    assert not [i for i in stage.store.real.active_incidents() if i.state.value == "mitigating" and i.id == run.plan.incident and
                not [r for r in stage.store.real.unfinished() if r.plan.incident == i.id]], stage.told()

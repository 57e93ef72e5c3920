"""Dry-run: the same run through hands that only record; nothing is written, and what would be is shown."""

from __future__ import annotations

import pytest

from aiops.adapters.memory_cache import MemoryCache
from aiops.domain.command import CommandKind
from aiops.domain.outcome import Outcome
from aiops.domain.runbook import Mode
from tests.unit.execution.stage import CHECKOUT, VERIFY, Stage, make_plan, scale, step


@pytest.fixture
def stage():
    stage = Stage()
    stage.caches["catalog"] = MemoryCache("catalog", [f"item:{n}" for n in range(5)] + ["session:1"])
    stage.restart()
    return stage


def test_a_simulated_run_changes_nothing_and_shows_everything(stage):
    before = stage.checkout()
    done = stage.run(
        stage.submit(
            scale(), step("restart", needs=("scale",)), step("redis-flush", arguments={"cache": "catalog", "pattern": "item:*"}),
            step("wait", arguments={"for": 600}), step("notify", arguments={"message": "m"}), verify=VERIFY, simulated=True,
        ),
        seconds=2,
    )
    assert (done.result.outcome, done.simulated) == (Outcome.SIMULATED, True)
    assert stage.checkout() == before
    assert len(stage.caches["catalog"].keys) == 6
    assert stage.store.messages() == []
    assert {run.result.outcome for run in done.steps} == {Outcome.SIMULATED}
    assert all(write.dry_run for write in stage.memory.write_log)
    changes = {change.step: change for change in done.plan.changes}
    assert "-  replicas: 2\n+  replicas: 4" in changes["scale"].diff
    assert changes["scale"].origin == "server"
    assert changes["redis-flush"].note == "5 keys of catalog match 'item:*', 0 removed"
    assert done.verification.detail == "would be measured: level now 0.1, passes already: value < 0.5"
    assert stage.store.leases() == []


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_is_rehearsed(stage, mode):
    done = stage.run(stage.submit(scale(), mode=mode, simulated=True), seconds=2)
    assert done.result.outcome is Outcome.SIMULATED


def test_a_rehearsal_that_would_fail_says_so(stage):
    done = stage.run(stage.submit(step("rollback"), simulated=True), seconds=2)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "NoOlderRevision")


def test_a_rehearsal_stands_in_nobodys_way(stage):
    real = stage.submit(scale())
    stage.executor.advance(real.id)
    assert stage.run(stage.submit(scale(), simulated=True), seconds=2).result.outcome is Outcome.SIMULATED
    assert stage.run(real).result.outcome is Outcome.SUCCEEDED


def test_a_simulated_run_stays_simulated_when_acting_is_switched_on(stage):
    stage.dry = True
    stage.restart()
    execution = stage.submit(scale(), simulated=True)
    stage.dry = False
    stage.restart()
    assert stage.run(execution, seconds=2).result.outcome is Outcome.SIMULATED
    assert stage.replicas == 2


def test_a_real_run_makes_no_further_effect_when_acting_is_switched_off(stage):
    execution = stage.submit(scale("+1", name="a"), scale("+1", name="b", needs=("a",)))
    stage.executor.advance(execution.id)
    stage.dry = True
    stage.restart()
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "ActingSwitchedOff")
    assert done.step("a").result.outcome is Outcome.SUCCEEDED
    assert stage.replicas == 3


def test_a_simulated_run_cannot_be_undone(stage):
    done = stage.run(stage.submit(scale(), simulated=True), seconds=2)
    assert stage.command(CommandKind.UNDO, done).result == "the run was simulated, nothing was changed"


def test_a_dark_source_does_not_stop_a_rehearsal(stage):
    stage.source.levels = lambda _at: None
    done = stage.run(stage.submit(scale(), verify=VERIFY, simulated=True), seconds=2)
    assert done.result.outcome is Outcome.SIMULATED
    assert "would be measured, but now: prometheus: Timeout" in done.verification.detail


def test_a_preview_writes_nothing_and_explains_what_it_cannot_show(stage):
    plan = make_plan(
        scale(when="target.replicas > 1"), step("rollback"), step("scale", "there", arguments={"to": 2}), step("redis-flush", arguments={"cache": "none", "pattern": "x*"}),
    )
    changes = stage.executor.preview(plan)
    assert [change.step for change in changes] == ["scale", "rollback", "there", "redis-flush"]
    assert "+  replicas: 4" in changes[0].diff
    assert changes[0].note == "only when target.replicas > 1"
    assert changes[1].note.startswith("would fail: NoOlderRevision")
    assert changes[2].note.startswith("nothing to do: AlreadyThere")
    assert changes[3].note == "would fail: UnknownCache: no cache 'none' in the settings; there are: catalog"
    assert stage.replicas == 2
    stage.memory.remove(CHECKOUT)
    assert stage.executor.preview(make_plan(scale()))[0].note.startswith("cannot be foreseen: TargetVanished")

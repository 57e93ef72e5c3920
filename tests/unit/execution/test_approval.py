"""An approval is bound to the plan and to the state that was shown; everything else is refused with words."""

from __future__ import annotations

import pytest

from aiops.domain.command import Command, CommandKind
from aiops.domain.errors import CommandError
from aiops.domain.execution import ExecutionState
from aiops.domain.outcome import Outcome
from aiops.domain.runbook import Mode
from tests.unit.execution.stage import CHECKOUT, Stage, deployment, scale, step


@pytest.fixture
def stage():
    return Stage()


def asked(stage, *steps):
    execution = stage.submit(*(steps or (scale(),)), mode=Mode.APPROVE)
    assert execution.state is ExecutionState.AWAITING_APPROVAL
    return execution


def test_nothing_happens_without_approval(stage):
    execution = asked(stage)
    assert stage.run(execution, seconds=60).state is ExecutionState.AWAITING_APPROVAL
    assert not stage.memory.write_log
    assert stage.store.leases() == []


def test_approved_it_runs_and_says_who_approved(stage):
    execution = asked(stage)
    answer = stage.command(CommandKind.APPROVE, execution, hash="hash-of-plan")
    assert (answer.done, answer.accepted) == (True, True)
    done = stage.run(execution)
    assert (done.result.outcome, done.approved_by, stage.replicas) == (Outcome.SUCCEEDED, "ada", 4)
    assert stage.journal(execution)[:2] == ["created", "approved"]


def test_an_approval_is_used_once(stage):
    execution = asked(stage)
    stage.command(CommandKind.APPROVE, execution)
    assert stage.command(CommandKind.APPROVE, execution).result == "the run does not wait for approval, it is running"
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert stage.replicas == 4


def test_an_approval_of_another_plan_is_refused(stage):
    execution = asked(stage)
    answer = stage.command(CommandKind.APPROVE, execution, hash="another")
    assert not answer.accepted
    assert "another plan" in answer.result
    assert stage.get(execution).state is ExecutionState.AWAITING_APPROVAL


def test_an_approval_is_void_when_the_target_changed(stage):
    execution = asked(stage)
    stage.patch_by("hpa", {"spec": {"replicas": 3}})
    answer = stage.command(CommandKind.APPROVE, execution)
    assert not answer.accepted
    assert "replicas was 2, is 3" in answer.result
    # It is over, so that a new plan can be shown; the old one cannot be approved any more, even if the target is as it was.
    assert (stage.get(execution).state, stage.get(execution).result.reason) == (ExecutionState.DONE, "ApprovalVoid")
    stage.patch_by("hpa", {"spec": {"replicas": 2}})
    assert not stage.command(CommandKind.APPROVE, execution).accepted
    assert not stage.writes
    assert stage.store.leases() == []


def test_an_approval_is_void_when_the_runbook_changed(stage):
    execution = asked(stage)
    stage.in_force = False
    answer = stage.command(CommandKind.APPROVE, execution)
    assert (answer.accepted, stage.get(execution).result.reason) == (False, "ApprovalVoid")
    assert "surge is not what it was" in answer.result


def test_an_approval_is_void_when_the_target_is_another_object(stage):
    execution = asked(stage, step("restart"))
    stage.memory.remove(CHECKOUT)
    stage.pass_time(5)
    assert "cannot be read" in stage.command(CommandKind.APPROVE, execution).result
    stage.memory.apply(deployment())
    assert "uid was" in stage.command(CommandKind.APPROVE, execution).result


def test_an_approval_expires(stage):
    execution = asked(stage)
    stage.pass_time(stage.settings.approval_ttl)
    assert stage.command(CommandKind.APPROVE, execution).result == "the time for approval has run out"
    done = stage.run(execution, seconds=5)
    assert (done.result.outcome, done.result.reason) == (Outcome.SKIPPED, "ApprovalExpired")
    assert not stage.memory.write_log


def test_rejected_it_never_runs(stage):
    execution = asked(stage)
    assert stage.command(CommandKind.REJECT, execution).accepted
    assert stage.get(execution).result.reason == "Rejected"
    assert not stage.command(CommandKind.APPROVE, execution).accepted
    stage.run(execution, seconds=10)
    assert not stage.memory.write_log
    assert stage.store.leases() == []


def test_what_waits_cannot_be_undone(stage):
    assert stage.command(CommandKind.UNDO, asked(stage)).result == "nothing was done yet: reject it instead"


def test_unknown_runs_and_unknown_kinds(stage):
    answer = stage.executor.commands(Command("c", CommandKind.APPROVE, "run-unknown", "ada", 0.0))
    assert (answer.done, answer.accepted, answer.result) == (True, False, "there is no run 'run-unknown'")
    with pytest.raises(CommandError, match="takes approve, reject, undo"):
        stage.executor.commands(Command("c", CommandKind.PAUSE, "", "ada", 0.0))


def test_a_command_is_stored_with_its_answer_and_carried_out_once(stage):
    execution = asked(stage)
    answer = stage.command(CommandKind.APPROVE, execution)
    assert stage.store.commands(pending=False)[0] == answer
    assert stage.executor.commands(answer) is answer


def test_a_command_waits_while_another_owner_is_at_the_run(stage):
    execution = asked(stage)
    lease = stage.store.acquire("target/default/shop/deployment/checkout", "somebody", 30, stage.time.now())
    answer = stage.command(CommandKind.APPROVE, execution)
    assert not answer.done
    stage.store.release(lease)
    assert stage.command(CommandKind.APPROVE, execution).accepted

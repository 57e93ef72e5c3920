"""Taking back: only what is still as we left it, last first, and as safely as it was done."""

from __future__ import annotations

import pytest

from aiops.adapters.memory_cluster import READ_ONLY
from aiops.domain.command import CommandKind
from aiops.domain.execution import StepState
from aiops.domain.outcome import Outcome
from aiops.domain.runbook import OnFailure
from aiops.execution.actions.contract import STAMP
from tests.unit.execution.stage import CHECKOUT, VERIFY, Stage, deployment, scale, step


@pytest.fixture
def stage():
    return Stage()


def test_a_person_may_undo_a_finished_run(stage):
    done = stage.run(stage.submit(scale()))
    answer = stage.command(CommandKind.UNDO, done)
    assert (answer.accepted, answer.result) == (True, "being undone")
    after = stage.run(done)
    assert (after.result.reason, stage.replicas) == ("UndoAsked", 2)
    assert "asked for by ada; before: succeeded Completed" in after.result.detail
    assert stage.journal(done)[-4:] == ["undo-intent", "undo-effect", "step-done", "finished"]
    assert stage.store.leases() == []


def test_a_persons_change_is_respected(stage):
    done = stage.run(stage.submit(scale()))
    stage.patch_by("ada", {"spec": {"replicas": 5}})
    stage.command(CommandKind.UNDO, done)
    after = stage.run(done)
    assert stage.replicas == 5
    assert after.steps[0].undo.reason == "ChangedByOther"
    assert "replicas is 5 now, we had left 4" in after.result.detail
    assert len(stage.writes) == 1


def test_what_a_person_changed_and_set_back_is_theirs(stage):
    """The value and our stamp stand as we left them; that it is somebody else's now, managedFields alone tell."""
    done = stage.run(stage.submit(scale()))
    stage.patch_by("ada", {"spec": {"replicas": 5}})
    stage.patch_by("ada", {"spec": {"replicas": 4}})
    stage.command(CommandKind.UNDO, done)
    after = stage.run(done)
    assert (after.steps[0].undo.reason, stage.replicas) == ("ChangedByOther", 4)
    assert "spec.replicas was written by ada since" in after.result.detail
    assert len(stage.writes) == 1


def test_what_a_person_writes_elsewhere_on_the_object_is_no_hindrance(stage):
    done = stage.run(stage.submit(scale()))
    stage.patch_by("ada", {"metadata": {"labels": {"team": "shop"}}, "spec": {"minReadySeconds": 3}})
    stage.command(CommandKind.UNDO, done)
    assert stage.run(done).steps[0].state is StepState.UNDONE
    assert stage.replicas == 2


def test_a_release_that_is_rolled_back_and_touched_by_a_person_stays(stage):
    """Of the template's many fields only those that an undo would change are asked about."""
    stage.patch_by("ada", {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "shop/checkout:2"}]}}}})
    stage.pass_time(30)
    touched = stage.run(stage.submit(step("rollback")))
    assert touched.result.outcome is Outcome.SUCCEEDED, touched.result
    for image in ("shop/checkout:3", "shop/checkout:1"):
        stage.patch_by("ben", {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}})
    stage.command(CommandKind.UNDO, touched)
    after = stage.run(touched)
    assert after.steps[0].undo.reason == "ChangedByOther"
    assert "ben" in after.result.detail


def test_another_run_of_ours_in_between_is_respected_too(stage):
    first = stage.run(stage.submit(scale("+2")))
    stage.run(stage.submit(step("restart"), id="plan-2"))
    stage.command(CommandKind.UNDO, first)
    assert stage.run(first).steps[0].undo.reason == "ChangedByOther"
    assert stage.replicas == 4


def test_a_wiped_stamp_is_no_longer_ours(stage):
    done = stage.run(stage.submit(scale()))
    stage.patch_by("ada", {"metadata": {"annotations": {STAMP: None}}})
    stage.command(CommandKind.UNDO, done)
    assert stage.run(done).steps[0].undo.reason == "ChangedByOther"
    assert stage.replicas == 4


def test_an_object_made_anew_is_another_object(stage):
    done = stage.run(stage.submit(scale()))
    stage.memory.remove(CHECKOUT)
    stage.pass_time(10)
    stage.memory.apply(deployment(replicas=4))
    stage.command(CommandKind.UNDO, done)
    assert stage.run(done).steps[0].undo.reason == "TargetReplaced"
    assert stage.replicas == 4


def test_what_was_put_back_already_counts_as_undone(stage):
    done = stage.run(stage.submit(scale()))
    stage.patch_by("ada", {"spec": {"replicas": 2}})
    stage.command(CommandKind.UNDO, done)
    assert stage.run(done).steps[0].state is StepState.UNDONE
    assert len(stage.writes) == 1


def test_a_rollback_is_undone_to_the_release_before_it(stage):
    stage.memory.apply(deployment(image="shop/checkout:2"))
    stage.pass_time(20)
    done = stage.run(stage.submit(step("rollback")))
    assert stage.image == "shop/checkout:1"
    stage.command(CommandKind.UNDO, done)
    stage.run(done)
    assert stage.image == "shop/checkout:2"


def test_several_steps_are_undone_last_first(stage):
    done = stage.run(stage.submit(scale("+1", name="a"), scale("+1", name="b", needs=("a",))))
    stage.command(CommandKind.UNDO, done)
    stage.run(done)
    assert stage.replicas == 2
    stamps = [write.body[-1]["value"].split(".")[1] for write in stage.writes]
    assert stamps == ["a", "b", "b~undo", "a~undo"]


def test_on_failure_undo_takes_back_what_was_done_before(stage):
    done = stage.run(stage.submit(scale(), step("rollback", needs=("scale",), on_failure=OnFailure.UNDO)))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "NoOlderRevision")
    assert "scale: undone" in done.result.detail
    assert stage.replicas == 2


def test_verification_that_fails_does_not_undo_what_the_runbook_wants_kept(stage):
    stage.source.levels = lambda _at: [0.9]
    done = stage.run(stage.submit(scale(), verify=VERIFY, undo_on_failure=False))
    assert (done.result.reason, stage.replicas) == ("NoEffect", 4)


def test_harm_undoes(stage):
    began = stage.time.now()
    stage.source.levels = lambda at: [0.6] if at <= began else [2.0]
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (done.result.reason, stage.replicas) == ("Harmed", 2)


def test_a_restart_cannot_be_undone_and_says_so(stage):
    stage.source.levels = lambda _at: [0.9]
    done = stage.run(stage.submit(step("restart"), verify=VERIFY))
    assert done.result.reason == "NoEffect"
    answer = stage.command(CommandKind.UNDO, done)
    assert (answer.done, answer.accepted, answer.result) == (True, False, "nothing of it can be undone")


def test_undo_asked_for_in_the_middle_of_a_check(stage):
    execution = stage.submit(scale(), step("restart", needs=("scale",)))
    stage.executor.advance(execution.id)
    stage.command(CommandKind.UNDO, execution)
    done = stage.run(execution)
    assert (done.step("scale").state, stage.replicas) == (StepState.UNDONE, 2)
    assert done.step("restart").result.reason == "NotReached"
    assert len(stage.writes) == 2


def test_undo_asked_for_while_nobody_knows_whether_it_happened(stage):
    real = stage.memory.writer()

    class Deaf:
        def patch(self, *args, **kwargs):
            real.patch(*args, **kwargs)
            raise SystemExit

    stage.writer = Deaf()
    stage.restart()
    execution = stage.submit(scale())
    with pytest.raises(SystemExit):
        stage.executor.advance(execution.id)
    stage.writer = real
    stage.restart()
    assert stage.command(CommandKind.UNDO, execution).accepted
    done = stage.run(execution)
    assert (done.step("scale").state, stage.replicas) == (StepState.UNDONE, 2)


def test_an_undo_that_is_refused_can_be_asked_for_again(stage):
    done = stage.run(stage.submit(scale()))
    stage.writer = stage.memory.writer(rules=READ_ONLY)
    stage.restart()
    stage.command(CommandKind.UNDO, done)
    done = stage.run(done)
    assert done.steps[0].undo.reason == "Forbidden"
    assert stage.replicas == 4
    stage.writer = stage.memory.writer()
    stage.restart()
    assert stage.command(CommandKind.UNDO, done).accepted
    stage.run(done)
    assert stage.replicas == 2
    assert not stage.command(CommandKind.UNDO, done).accepted

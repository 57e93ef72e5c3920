"""The deadline of a whole run: whatever it is at is ended safely, and undone or not as the runbook says."""

from __future__ import annotations

import pytest

from aiops.domain.errors import ClusterUnavailableError
from aiops.domain.execution import ExecutionState, StepState
from aiops.domain.outcome import Judgement, Outcome
from aiops.domain.plan import PlannedUndo
from aiops.domain.runbook import Mode, UndoMode
from tests.unit.execution.stage import VERIFY, Stage, scale, step


@pytest.fixture
def stage():
    return Stage()


def slow(*needs):
    return step("wait", arguments={"for": 600}, needs=needs)


def test_what_is_under_way_is_not_waited_for_and_what_was_done_is_undone(stage):
    execution = stage.submit(scale("+2"), slow("scale"), scale("+1", name="later", needs=("wait",)), deadline=60)
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "DeadlineReached")
    assert done.result.detail.startswith("not done 60 s after it began; wait is started")
    assert done.step("scale").state is StepState.UNDONE
    assert done.step("wait").result.reason == "Interrupted"
    assert done.step("later").result.outcome is Outcome.SKIPPED
    assert (stage.replicas, len(stage.writes)) == (2, 2)
    assert done.updated_at <= done.created_at + 65
    assert stage.store.leases() == []


def test_it_is_left_as_it_is_if_the_runbook_says_so(stage):
    done = stage.run(stage.submit(scale("+2"), slow("scale"), deadline=60, undo_on_failure=False))
    assert (done.result.reason, stage.replicas, len(stage.writes)) == ("DeadlineReached", 4, 1)
    assert done.step("wait").result.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("undone", [True, False])
def test_whether_an_effect_happened_is_found_out_before_the_end(stage, undone):
    """No answer came, and the server cannot be asked until after the deadline."""
    reader = stage.memory.reader
    dark = [True]

    class Silent:
        list = reader.list

        def get(self, ref):
            if stage.writes and dark[0]:
                raise ClusterUnavailableError("Timeout", "no answer")
            return reader.get(ref)

    stage.reader = Silent()
    stage.writer = FirstAnswerLost(stage.memory.writer())
    stage.restart()
    execution = stage.submit(scale("+2"), deadline=30, undo_on_failure=undone)
    stage.run(execution, seconds=60)
    assert stage.get(execution).state is not ExecutionState.DONE
    dark[0] = False
    done = stage.run(execution)
    assert done.result.reason == "DeadlineReached"
    assert done.step("scale").effect
    assert stage.replicas == (2 if undone else 4)


class FirstAnswerLost:
    def __init__(self, writer):
        self.writer, self.lost = writer, False

    def patch(self, *args, **options):
        result = self.writer.patch(*args, **options)
        if not self.lost:
            self.lost = True
            raise ClusterUnavailableError("Timeout", "no answer")
        return result


def test_a_run_that_is_through_in_time_knows_nothing_of_it(stage):
    done = stage.run(stage.submit(scale("+2"), deadline=60))
    assert done.result.outcome is Outcome.SUCCEEDED


def test_verification_ends_with_it_too(stage):
    stage.source.levels = lambda _at: None if stage.writes else [0.9]
    done = stage.run(stage.submit(scale("+2"), verify=VERIFY, deadline=40))
    assert done.verification.judgement is Judgement.INCONCLUSIVE
    assert (done.result.outcome, stage.replicas) == (Outcome.INCONCLUSIVE, 4)
    assert done.updated_at <= done.created_at + 45


def test_waiting_for_an_approval_does_not_count(stage):
    execution = stage.submit(scale("+2"), slow("scale"), deadline=60, mode=Mode.APPROVE)
    stage.pass_time(300)
    assert stage.command("approve", execution).accepted
    approved = stage.time.now()
    done = stage.run(execution)
    assert done.result.reason == "DeadlineReached"
    assert approved + 60 <= done.updated_at <= approved + 70


def test_a_step_is_taken_back_by_its_own_action_if_the_runbook_names_one(stage):
    undo = PlannedUndo(UndoMode.OWN, "scale", {"to": "{{ steps.scale.output.from }}", "minimum": 1}, ("to",))
    tell = PlannedUndo(UndoMode.OWN, "notify", {"message": "taken back"})
    done = stage.run(
        stage.submit(scale("+2", undo=undo), step("notify", arguments={"message": "hello"}, needs=("scale",), undo=tell), slow("notify"), deadline=30)
    )
    assert [run.state for run in done.steps] == [StepState.UNDONE, StepState.UNDONE, StepState.DONE]
    assert stage.replicas == 2
    assert stage.stamp == f"{done.id}.scale~undo.2"
    assert [message.text for message, _state in stage.store.messages()] == ["taken back", "hello"]


def test_the_own_action_respects_what_a_person_changed(stage):
    undo = PlannedUndo(UndoMode.OWN, "scale", {"to": 1})
    execution = stage.submit(scale("+2", undo=undo), slow("scale"), deadline=30)
    stage.run(execution, seconds=5)
    stage.patch_by("ada", {"spec": {"replicas": 9}})
    done = stage.run(execution)
    assert done.step("scale").undo.reason == "ChangedByOther"
    assert stage.replicas == 9


def test_a_step_that_is_not_to_be_undone_is_not(stage):
    done = stage.run(stage.submit(scale("+2", undo=PlannedUndo(UndoMode.NONE)), slow("scale"), deadline=30))
    assert (done.result.reason, stage.replicas) == ("DeadlineReached", 4)
    assert stage.command("undo", done).result == "nothing of it can be undone"


def test_two_waits_that_do_not_need_each_other_overlap_and_no_thread_is_held(stage):
    waits = [step("wait", name=f"wait-{n}", arguments={"for": 60}) for n in range(5)]
    execution = stage.submit(*waits, step("notify", arguments={"message": "all"}, needs=tuple(w.name for w in waits)))
    stage.run(execution, seconds=5)
    assert {run.state for run in stage.get(execution).steps[:5]} == {StepState.STARTED}
    done = stage.run(execution)
    assert done.result.outcome is Outcome.SUCCEEDED
    assert done.updated_at - done.created_at < 2 * 60

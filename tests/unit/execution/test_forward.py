"""A run from plan to outcome, as the cluster sees it."""

from __future__ import annotations

import math

import pytest

from aiops.adapters.memory_cluster import READ_ONLY
from aiops.domain.execution import ExecutionState, StepState
from aiops.domain.outcome import GuardMode, Outcome, Verdict
from aiops.domain.runbook import Mode, OnFailure, Retry
from tests.unit.execution.stage import CHECKOUT, VERIFY, Stage, deployment, make_plan, scale, step


@pytest.fixture
def stage():
    return Stage()


def test_a_scale_is_sent_once_checked_and_done(stage):
    done = stage.run(stage.submit(scale("+2")))
    assert (done.state, done.result.outcome, done.result.reason) == (ExecutionState.DONE, Outcome.SUCCEEDED, "Completed")
    assert stage.replicas == 4
    assert len(stage.writes) == 1
    assert stage.stamp == f"{done.id}.scale.1"
    assert stage.journal(done) == ["created", "intent", "effect", "step-done", "finished"]
    assert stage.store.leases() == []


def test_the_intent_is_durable_before_anything_is_sent(stage):
    seen: list[list[str]] = []
    execution = stage.submit(scale())
    send = stage.writer.patch

    class Spy:
        def patch(self, *args, **kwargs):
            seen.append(stage.journal(execution))
            return send(*args, **kwargs)

    stage.writer = Spy()
    stage.restart()
    stage.run(execution)
    assert seen == [["created", "intent"]]


def test_the_diff_shows_the_change_and_withholds_secrets(stage):
    done = stage.run(stage.submit(step("rollback")))
    assert done.result.reason == "NoOlderRevision"
    stage.memory.apply(deployment(image="shop/checkout:2"))
    stage.pass_time(20)
    done = stage.run(stage.submit(step("rollback"), id="plan-2"))
    change = done.plan.changes[0]
    lines = [line.split() for line in change.diff.splitlines() if "image:" in line]
    assert lines == [["-", "image:", "shop/checkout:2"], ["+", "image:", "shop/checkout:1"]]
    assert "hunter2" not in repr(stage.store.journal(done.id)) + repr(done)
    assert change.origin == "server"
    assert stage.image == "shop/checkout:1"


def test_a_restart_replaces_every_pod(stage):
    before = {pod["metadata"]["uid"] for pod in stage.memory.reader.list("Pod", "shop").items}
    done = stage.run(stage.submit(step("restart")))
    stage.pass_time(5)
    after = {pod["metadata"]["uid"] for pod in stage.memory.reader.list("Pod", "shop").items}
    assert done.result.outcome is Outcome.SUCCEEDED
    assert len(after) == 2
    assert not before & after


def test_a_rollback_passes_over_revisions_that_only_restarted(stage):
    stage.memory.apply(deployment(image="shop/checkout:2"))
    stage.pass_time(20)
    stage.run(stage.submit(step("restart")))
    done = stage.run(stage.submit(step("rollback"), id="plan-2"))
    assert (done.result.outcome, stage.image) == (Outcome.SUCCEEDED, "shop/checkout:1")


def test_an_unknown_revision_says_which_are_kept(stage):
    done = stage.run(stage.submit(step("rollback", arguments={"toRevision": 9})))
    assert done.result.reason == "RevisionNotFound"
    assert "there are: 1" in done.result.detail


@pytest.mark.parametrize("action", ["restart", "rollback"])
def test_a_paused_deployment_is_left_alone(stage, action):
    stage.memory.apply(deployment(paused=True))
    done = stage.run(stage.submit(step(action)))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "RolloutPaused")
    assert not stage.writes


def test_nothing_to_do_is_skipped_without_a_write(stage):
    done = stage.run(stage.submit(step("scale", arguments={"to": 2})))
    assert (done.result.outcome, done.result.reason) == (Outcome.SKIPPED, "NothingToDo")
    assert done.steps[0].result.reason == "AlreadyThere"
    assert not stage.memory.write_log


def test_suggest_and_observe_make_no_run(stage):
    for mode in (Mode.SUGGEST, Mode.OBSERVE):
        assert stage.executor.submit(make_plan(scale(), mode=mode), simulated=False) is None
    assert stage.store.executions() == []


def test_the_same_plan_is_the_same_run(stage):
    first, second = stage.submit(scale()), stage.submit(scale())
    assert first == second
    stage.run(first)
    assert stage.submit(scale()).state is ExecutionState.DONE
    assert stage.replicas == 4


def test_forbidden_is_an_error_with_its_reason(stage):
    stage.writer = stage.memory.writer(rules=READ_ONLY)
    stage.restart()
    done = stage.run(stage.submit(scale()))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "Forbidden")
    assert stage.replicas == 2


def test_a_vanished_target_is_a_failure_with_its_reason(stage):
    execution = stage.submit(scale())
    stage.memory.remove(CHECKOUT)
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "TargetVanished")


def test_a_target_that_vanishes_while_it_is_watched(stage):
    execution = stage.submit(scale())
    stage.executor.advance(execution.id)
    stage.memory.remove(CHECKOUT)
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "TargetVanished")


def test_somebody_elses_change_during_the_check_is_not_taken_for_ours(stage):
    execution = stage.submit(scale())
    stage.executor.advance(execution.id)
    stage.patch_by("hpa", {"spec": {"replicas": 7}})
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "Superseded")
    assert stage.replicas == 7


def test_a_precondition_that_fails_is_tried_again_only_as_retry_allows(stage):
    real = stage.memory.writer()

    class Raced:
        """Another writer gets in between our read and our write, the first `times` times."""

        def __init__(self, times):
            self.left = times

        def patch(self, ref, body, **kwargs):
            if self.left:
                self.left -= 1
                stage.patch_by("hpa", {"spec": {"replicas": stage.replicas + 1}})
            return real.patch(ref, body, **kwargs)

    stage.writer = Raced(1)
    stage.restart()
    done = stage.run(stage.submit(scale()))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "PreconditionFailed")
    stage.writer = Raced(1)
    stage.restart()
    done = stage.run(stage.submit(scale(retry=Retry(limit=1, initial=5)), id="plan-2"))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert (done.steps[0].attempt, stage.replicas) == (2, 6)  # 2, raced to 3 and to 4, then our +2 on what was read anew


def test_steps_follow_their_needs_and_conditions(stage):
    done = stage.run(
        stage.submit(
            step("wait", "later", arguments={"for": 30}, needs=("more",)),
            scale("+1", name="more"),
            scale("+1", name="never", when="steps.more.outcome == 'failed'", needs=("more",)),
            scale("+1", name="again", when="int(steps.more.output.to) == 3", needs=("later",)),
        )
    )
    assert done.result.outcome is Outcome.SUCCEEDED
    assert stage.replicas == 4
    assert done.step("never").result.reason == "ConditionFalse"
    more, again = done.step("more"), done.step("again")
    assert again.started_at - more.started_at >= 30


def test_a_condition_that_cannot_be_evaluated_is_no_permission(stage):
    done = stage.run(stage.submit(scale("+1", when="steps.nobody.outcome == 'failed'")))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "ConditionUnknown")
    assert not stage.writes


def test_a_failed_step_stops_what_comes_after(stage):
    done = stage.run(stage.submit(step("rollback"), scale(needs=("rollback",))))
    assert done.result.reason == "NoOlderRevision"
    assert done.step("scale").result.reason == "NotReached"
    assert not stage.writes


def test_on_failure_continue_goes_on_and_says_so(stage):
    done = stage.run(stage.submit(step("rollback", on_failure=OnFailure.CONTINUE), scale(needs=("rollback",))))
    assert (done.result.outcome, done.result.detail) == (Outcome.SUCCEEDED, "rollback ended with NoOlderRevision")
    assert stage.replicas == 4


def test_pods_that_never_get_ready_time_the_step_out(stage):
    stage.memory.apply(deployment(replicas=2, image="shop/broken:1"))
    execution = stage.submit(scale("+2", timeout=30))
    stage.executor.advance(execution.id)
    for pod in stage.memory.reader.list("Pod", "shop").items:
        ref = type(CHECKOUT)("Pod", "shop", pod["metadata"]["name"])
        stage.memory.fail(ref, "ImagePullBackOff")
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "TimedOut")
    assert done.updated_at - done.steps[0].started_at <= 31


def test_the_kill_switch_stops_a_run_before_its_effect(stage):
    stage.verdict = Verdict("paused", GuardMode.ENFORCE, False, "Paused", "the pause file exists")
    done = stage.run(stage.submit(scale()))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "Paused")
    assert not stage.memory.write_log


def test_two_runs_on_one_target_do_not_mix(stage):
    first = stage.submit(scale("+1"))
    second = stage.submit(scale("+5"), id="plan-2")
    stage.executor.advance(first.id)
    done = stage.run(second)
    assert (done.result.outcome, done.result.reason) == (Outcome.SKIPPED, "TargetBusy")
    assert stage.run(first).result.outcome is Outcome.SUCCEEDED
    assert stage.replicas == 3


def test_waiting_holds_no_lease_and_no_thread(stage):
    execution = stage.submit(step("wait", arguments={"for": 3600}))
    stage.run(execution, seconds=5)
    assert stage.store.leases() == []
    assert stage.get(execution).due_at == pytest.approx(stage.get(execution).steps[0].started_at + 3600)
    assert stage.run(execution, seconds=4000).result.outcome is Outcome.SUCCEEDED


def test_verification_passes_on_the_level(stage):
    began = stage.time.now()
    stage.source.levels = lambda at: [0.9, 0.2] if at < began + 30 else [0.3, math.nan]
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (done.result.outcome, done.result.reason) == (Outcome.SUCCEEDED, "Verified")
    assert done.verification.baseline == 0.9
    assert stage.source.asked[0] == began


def test_no_effect_undoes(stage):
    stage.source.levels = lambda _at: [0.9]
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "NoEffect")
    assert "scale: undone" in done.result.detail
    assert (stage.replicas, len(stage.writes)) == (2, 2)
    assert done.steps[0].state is StepState.UNDONE
    assert stage.stamp == f"{done.id}.scale~undo.2"


@pytest.mark.parametrize("levels", [lambda _at: [], lambda _at: [math.nan]])
def test_what_cannot_be_measured_is_no_success_and_no_reason_to_undo(stage, levels):
    began = stage.time.now()
    stage.source.levels = lambda at: [0.9] if at < began + 3 else levels(at)
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (done.result.outcome, done.result.reason) == (Outcome.INCONCLUSIVE, "NotMeasured")
    assert stage.replicas == 4


@pytest.mark.parametrize("levels", [lambda _at: [], lambda _at: [math.nan]])
def test_where_there_is_no_level_before_acting_nothing_is_done(stage, levels):
    stage.source.levels = levels
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "LossOfSight")
    assert not stage.memory.write_log


def test_a_source_that_goes_dark_after_acting_is_inconclusive(stage):
    began = stage.time.now()
    stage.source.levels = lambda at: [0.9] if at < began + 3 else None
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert done.result.outcome is Outcome.INCONCLUSIVE


def test_nothing_is_done_while_the_baseline_cannot_be_measured(stage):
    stage.source.levels = lambda _at: None
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "LossOfSight")
    assert not stage.memory.write_log


def test_a_partial_answer_is_no_baseline(stage):
    stage.source.partial = True
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert done.result.reason == "LossOfSight"


def test_notify_is_in_the_outbox_once(stage):
    done = stage.run(stage.submit(step("notify", arguments={"message": "look at <checkout>", "severity": "critical"})))
    assert done.result.outcome is Outcome.SUCCEEDED
    ((message, state),) = stage.store.messages()
    assert (message.channel, message.text, state) == ("#critical", "look at <checkout>", "pending")


def test_stopping_gives_leases_back_and_begins_nothing(stage):
    execution = stage.submit(scale())
    stage.executor.advance(execution.id)
    assert [lease.name for lease in stage.store.leases()] == ["target/default/shop/deployment/checkout"]
    stage.executor.stop()
    assert stage.store.leases() == []
    assert stage.executor.advance(execution.id) is None
    stage.restart("another")
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert "taken-over" in stage.journal(execution)


def test_nothing_is_sent_where_the_level_is_good_already(stage):
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (done.result.outcome, done.result.reason) == (Outcome.SKIPPED, "LevelIsGood")
    assert stage.writes == []
    assert stage.journal(done) == ["created", "finished"]

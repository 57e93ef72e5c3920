"""Trying again: how often, after what, how long between, and never where a second effect would add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from aiops.domain.errors import ConflictError, ForbiddenError, NotFoundError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, Retry
from aiops.execution.actions.contract import Done, Effect, Failed, Looked, Prepared, Seen, Waiting
from aiops.execution.actions.registry import REGISTRY
from aiops.execution.executor import Executor
from aiops.execution.retrying import pause, wanted
from tests.unit.execution.stage import Stage, scale, step


class Scripted:
    """An action whose checks are told beforehand."""

    def __init__(self, *answers, effect=EffectClass.NONE):
        self.spec = ActionSpec("scripted", "as told", effect, undoable=True)
        self.answers = list(answers)
        self.keys: list[str] = []
        self.times: list[float] = []

    def prepare(self, context, arguments):
        return Prepared(request={}, inverse=dict(arguments))

    def start(self, context, prepared):
        self.keys.append(context.key)
        self.times.append(context.now)
        return Effect(applied=True)

    def look(self, context, prepared):
        return Seen(Looked.NOT)

    def check(self, context, prepared, started_at):
        return self.answers.pop(0)


@pytest.fixture
def stage():
    return Stage()


def failed(reason="Broken"):
    return Failed(Result(Outcome.FAILED, reason, "told so"))


def play(stage, action, retry, **fields):
    make: Callable[..., Executor] = stage.restart

    def with_action(*args, **kwargs) -> Executor:
        executor = make(*args, **kwargs)
        executor._desk = replace(executor._desk, actions={**REGISTRY, "scripted": action})
        return executor

    stage.restart = with_action
    stage.restart()
    return stage.run(stage.submit(step("scripted", retry=retry, **fields)))


def test_work_that_failed_is_begun_anew_with_a_new_key(stage):
    action = Scripted(failed(), failed(), Done())
    done = play(stage, action, Retry(limit=2, initial=10, on=("failed",)))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert action.keys == [f"{done.id}.scripted.{n}" for n in (1, 2, 3)]
    first, second = (b - a for a, b in pairwise(action.times))
    assert 5 <= first <= 11
    assert 10 <= second <= 21


def test_the_limit_ends_it_with_the_last_reason(stage):
    action = Scripted(failed(), failed("Worse"))
    done = play(stage, action, Retry(limit=1, on=("failed",)))
    assert (done.result.reason, len(action.keys)) == ("Worse", 2)


def test_only_the_errors_that_were_named_are_tried_again(stage):
    action = Scripted(failed("Broken"), failed("Other"))
    done = play(stage, action, Retry(limit=5, on=("Broken",)))
    assert (done.result.reason, len(action.keys)) == ("Other", 2)


def test_work_that_is_late_may_be_begun_anew_with_its_whole_time(stage):
    action = Scripted(*[Waiting(10)] * 4, Done())
    done = play(stage, action, Retry(limit=1, initial=1, on=("timeout",)), timeout=25)
    assert (done.result.outcome, len(action.keys)) == (Outcome.SUCCEEDED, 2)


@pytest.mark.parametrize("effect", [EffectClass.STAMPED, EffectClass.NAMED, EffectClass.UID, EffectClass.AT_MOST_ONCE])
def test_an_effect_that_would_add_up_is_never_repeated(stage, effect):
    action = Scripted(failed(), Done(), effect=effect)
    done = play(stage, action, Retry(limit=5, on=("failed", "error", "timeout", "Broken")))
    assert (done.result.reason, len(action.keys)) == ("Broken", 1)


def test_what_is_refused_before_it_is_sent_is_tried_again_only_if_that_is_asked_for(stage):
    stage.writer = stage.memory.writer()
    asked = []

    class Shy:
        list = stage.memory.reader.list

        def get(self, ref):
            asked.append(stage.time.now())
            if len(asked) < 3:
                raise NotFoundError("NotFound", "not yet", 404)
            return stage.memory.reader.get(ref)

    stage.reader = Shy()
    stage.restart()
    assert stage.run(stage.submit(scale())).result.reason == "TargetVanished"
    asked.clear()
    done = stage.run(stage.submit(scale(retry=Retry(limit=2, initial=2, on=("TargetVanished",))), id="plan-2"))
    assert (done.result.outcome, len(stage.writes)) == (Outcome.SUCCEEDED, 1)


def test_the_waits_are_the_same_after_a_crash(stage):
    """Drawn by chance, but from the names of run, step and try."""
    assert pause(Retry(initial=8), 1, "run", "step") == pause(Retry(initial=8), 1, "run", "step")
    waits = {pause(Retry(initial=8), 1, f"run-{n}", "step") for n in range(50)}
    assert len(waits) == 50
    assert 4 <= min(waits) < 5 < 7 < max(waits) <= 8


def test_what_is_wanted():
    conflict = Result(Outcome.FAILED, "Conflict")
    assert wanted(Retry(limit=1), conflict, transient=True)
    assert not wanted(Retry(limit=1), Result(Outcome.ERROR, "Forbidden"), transient=False)
    assert wanted(Retry(on=("error",)), Result(Outcome.ERROR, "Forbidden"), transient=False)
    assert wanted(Retry(on=("Conflict",)), conflict, transient=True)
    assert not wanted(Retry(on=("timeout",)), conflict, transient=True)
    assert not wanted(Retry(on=("error", "failed", "transient")), Result(Outcome.INCONCLUSIVE, "EffectUnknown"), transient=True)


@pytest.mark.parametrize(("error", "writes"), [(ConflictError, 3), (ForbiddenError, 1)])
def test_a_refusal_that_may_pass_is_tried_again_by_default(stage, error, writes):
    sent = []

    class Refusing:
        def patch(self, ref, body, **options):
            sent.append(body)
            raise error("No", "refused", 409)

    stage.writer = Refusing()
    stage.restart()
    done = stage.run(stage.submit(scale(retry=Retry(limit=2))))
    assert (done.result.outcome in (Outcome.FAILED, Outcome.ERROR), len(sent)) == (True, writes)

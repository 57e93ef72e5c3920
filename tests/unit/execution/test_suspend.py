"""A person is asked, and the run waits: holding nothing, through restarts, for one typed answer or until the time is over."""

from __future__ import annotations

import pytest

from aiops.domain.command import CommandKind
from aiops.domain.execution import ExecutionState, StepState
from aiops.domain.outcome import Outcome
from aiops.execution.actions.suspend import typed_answer
from tests.unit.execution.stage import Stage, scale, step


@pytest.fixture
def stage():
    return Stage()


def ask(**arguments):
    return step("suspend", name="ask", arguments={"question": "How many?", "type": "int", "minimum": 1, "maximum": 9, "for": 600.0, **arguments})


def asked(stage, *steps, seconds=5, **plan):
    execution = stage.submit(*(steps or (ask(),)), **plan)
    return stage.run(execution, seconds=seconds)


def answer(stage, execution, value, name="ask"):
    return stage.command(CommandKind.ANSWER, execution, step=name, value=value)


def test_the_answer_becomes_the_output_and_an_argument_of_the_next_step(stage):
    grow = step("scale", arguments={"to": "{{ steps.ask.output.answer }}"}, needs=("ask",), late=("to",))
    execution = asked(stage, ask(), grow)
    assert execution.state is ExecutionState.RUNNING
    assert stage.store.leases() == []
    ((message, _),) = stage.store.messages()
    assert message.text == f"How many?\n(a whole number from 1 up to 9; answer within 10m, then the step has failed: aiops answer {execution.id} ask VALUE)"
    stage.restart()
    stage.executor.recover()
    command = answer(stage, execution, " 5 ")
    assert (command.accepted, command.result) == (True, "answered 5")
    done = stage.run(execution)
    assert (done.result.outcome, stage.replicas) == (Outcome.SUCCEEDED, 5)
    assert (done.step("ask").output["answer"], done.step("ask").output["by"]) == (5, "ada")
    assert stage.journal(done)[:4] == ["created", "intent", "effect", "answered"]
    assert len(stage.store.messages()) == 1


def test_it_is_due_when_the_time_is_over_and_not_before(stage):
    execution = asked(stage)
    assert execution.due_at == execution.step("ask").started_at + 600


@pytest.mark.parametrize(
    ("value", "words"),
    [("ten", "'ten' is no answer; allowed: a whole number from 1 up to 9"), ("10", "'10' is out of bounds; allowed: a whole number from 1 up to 9")],
)
def test_what_is_no_answer_is_refused_and_waiting_goes_on(stage, value, words):
    execution = asked(stage)
    command = answer(stage, execution, value)
    assert (command.done, command.accepted, command.result) == (True, False, words)
    assert stage.get(execution).step("ask").state is StepState.STARTED
    assert answer(stage, execution, "3").accepted


def test_the_first_answer_counts(stage):
    execution = asked(stage)
    assert answer(stage, execution, "3").accepted
    assert answer(stage, execution, "4").result == "it was answered already: 3 by ada"
    done = stage.run(execution)
    assert done.step("ask").output["answer"] == 3
    assert answer(stage, done, "4").result == "no step 'ask' of the run waits for an answer"


def test_only_a_step_that_asks_can_be_answered(stage):
    execution = asked(stage, ask(), scale(needs=("ask",)))
    assert answer(stage, execution, "3", "scale").result == "no step 'scale' of the run waits for an answer; these do: ask"
    assert stage.command(CommandKind.ANSWER, execution).result == "no step '' of the run waits for an answer; these do: ask"


def test_without_an_answer_the_step_has_failed(stage):
    done = stage.run(asked(stage, ask(), scale(needs=("ask",))), seconds=700)
    assert (done.result.outcome, done.result.reason, stage.writes) == (Outcome.FAILED, "NotAnswered", [])


def test_without_an_answer_the_default_holds(stage):
    done = stage.run(asked(stage, ask(default="2")), seconds=700)
    assert (done.result.outcome, done.step("ask").output["answer"], done.step("ask").output["by"]) == (Outcome.SUCCEEDED, 2, "")


def test_an_answer_that_comes_too_late_is_refused(stage):
    execution = asked(stage, ask(default="2"))
    stage.pass_time(700)
    assert answer(stage, execution, "3").result == "the time for an answer has run out"


@pytest.mark.parametrize("arguments", [{"default": "many"}, {"type": "string", "choices": ("a", "b"), "default": "c"}, {"choices": ("1", "x")}])
def test_a_default_that_is_no_answer_is_refused_before_anybody_is_asked(stage, arguments):
    done = stage.run(asked(stage, ask(**arguments)))
    assert (done.result.outcome, done.result.reason, stage.store.messages()) == (Outcome.ERROR, "InvalidArguments", [])


def test_a_rehearsal_asks_nobody(stage):
    done = asked(stage, ask(), simulated=True)
    assert (done.result.outcome, stage.store.messages()) == (Outcome.SIMULATED, [])


def test_a_deadline_ends_the_waiting(stage):
    done = stage.run(asked(stage, ask(), deadline=60))
    assert (done.result.reason, done.step("ask").result.reason) == ("DeadlineReached", "Interrupted")
    assert answer(stage, done, "3").result == "no step 'ask' of the run waits for an answer"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("bool", "Yes", True), ("bool", "false", False), ("int", "-3", -3), ("float", "2.5", 2.5), ("string", "go on", "go on"), ("duration", "5m", 300.0)],
)
def test_answers_are_typed(kind, text, value):
    assert typed_answer({"type": kind}, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [("bool", "maybe"), ("int", "1e9"), ("int", "1.5"), ("int", "٣"), ("float", "nan"), ("string", ""), ("string", "x" * 501), ("string", "a\x1b[2J"), ("duration", "soon")],
)
def test_what_is_of_another_type_is_no_answer(kind, text):
    with pytest.raises(ValueError, match="is no answer; allowed: "):
        typed_answer({"type": kind}, text)


def test_choices_bind():
    assert typed_answer({"type": "string", "choices": ["left", "right"]}, "left") == "left"
    with pytest.raises(ValueError, match="'up' is no answer; allowed: left, right"):
        typed_answer({"type": "string", "choices": ["left", "right"]}, "up")

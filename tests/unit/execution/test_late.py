"""Arguments that speak of other steps' outputs: rendered and typed when the step begins, once, and never from what is not there."""

from __future__ import annotations

import pytest

from aiops.domain.outcome import Outcome
from aiops.domain.plan import Bound
from aiops.domain.runbook import Mode
from tests.unit.execution.stage import Stage, scale, step


@pytest.fixture
def stage():
    return Stage()


def second(text="{{ steps.first.output.to }}", **fields):
    return step("scale", name="second", arguments={"to": text}, needs=("first",), late=("to",), **fields)


def test_an_output_becomes_a_typed_argument_when_the_step_begins(stage):
    done = stage.run(stage.submit(scale("+1", name="first"), second("{{ steps.first.output.from }}")))
    assert (done.result.outcome, stage.replicas) == (Outcome.SUCCEEDED, 2)
    assert [run.output for run in done.steps] == [{"from": 2, "to": 3}, {"from": 3, "to": 2}]


def test_the_name_of_a_step_may_have_hyphens_and_the_text_goes_on_about_the_plans_facts(stage):
    text = "{{ target.name }} has {{ steps.scale-it.output.to }}"
    tell = step("notify", arguments={"message": text}, needs=("scale-it",), late=("message",))
    stage.run(stage.submit(scale("+1", name="scale-it"), tell, facts={"target.name": "checkout"}))
    assert [message.text for message, _state in stage.store.messages()] == ["checkout has 3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ steps.first.output.nope }}", "'nope' is undefined"),
        ("{{ steps.third.output.to }}", "'third' is undefined"),
        ("x{{ steps.first.output.to }}", "must be a whole number"),
        ("{{ steps.first.output.to * 100000 }}", "out of bounds"),
        ("{{ steps.first.output }}", "is no text or number"),
    ],
)
def test_what_is_not_there_or_not_of_the_type_ends_the_step_before_anything_is_sent(stage, text, words):
    done = stage.run(stage.submit(scale("+1", name="first"), second(text)))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "ArgumentsUnknown")
    assert words in done.result.detail
    assert len(stage.writes) == 1


def test_what_an_output_holds_is_not_rendered_again(stage):
    hostile = "{{ steps.first.output.from }}"
    tell = step("notify", name="first", arguments={"message": hostile})  # as planned: rendered, whatever it looks like
    done = stage.run(stage.submit(tell))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert [message.text for message, _state in stage.store.messages()] == [hostile]


def test_a_rehearsal_says_where_foresight_ends(stage):
    done = stage.run(stage.submit(scale("+1", name="first"), second("{{ steps.first.output.ready }}"), simulated=True))
    assert done.result.outcome is Outcome.SIMULATED
    assert done.step("second").result.detail == "cannot be foreseen: it needs the output of first"
    (_, change) = stage.executor.preview(done.plan)
    assert change.note == "decided when the step begins: to"


def test_an_approval_does_not_stand_on_what_is_not_known_yet(stage):
    execution = stage.submit(scale("+1", name="first"), second(), mode=Mode.APPROVE)
    assert execution.step("second").pre_state == {}
    assert stage.command("approve", execution).accepted


def test_a_crash_before_the_step_began_gives_the_same_arguments_again(stage):
    execution = stage.submit(scale("+1", name="first"), second("{{ steps.first.output.from }}"))
    while stage.get(execution).step("second").attempt == 0:
        stage.run(execution, seconds=0)
        stage.restart()
        stage.pass_time(1)
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert (stage.replicas, len(stage.writes)) == (2, 2)


@pytest.mark.parametrize(("more", "outcome", "replicas"), [(2, Outcome.SUCCEEDED, 4), (3, Outcome.ERROR, 3)])
def test_what_is_outside_of_what_the_plan_said_is_not_sent_and_the_verdict_is_kept(stage, more, outcome, replicas):
    text = f"{{{{ steps.first.output.from + {more} }}}}"
    execution = stage.submit(scale("+1", name="first"), second(text, bounds={"to": Bound(1, 4)}), mode=Mode.APPROVE)
    assert stage.command("approve", execution).accepted
    done = stage.run(execution)
    assert (done.result.outcome, stage.replicas) == (outcome, replicas)
    if outcome is Outcome.ERROR:
        assert (done.result.reason, done.result.detail) == ("OutsideBounds", "step second: to: 5 is not from 1 up to 4")
        assert [(v.guard, v.reason) for v in done.plan.verdicts] == [("approval", "OutsideBounds")]
        assert [e.data["guard"] for e in stage.store.journal(done.id) if "guard" in e.data] == ["approval"]
        assert len(stage.writes) == 1


def test_what_bounds_an_answer_does_not_bind_the_way_back(stage):
    execution = stage.submit(scale("+1", name="first"), second("{{ steps.first.output.from }}", bounds={"to": Bound(2, 2)}), step("wait", arguments={"for": 600.0}, needs=("second",)))
    stage.run(execution, seconds=60)
    assert stage.replicas == 2
    assert stage.command("undo", execution).accepted
    done = stage.run(execution)
    assert [run.state.value for run in done.steps] == ["undone", "undone", "done"], done
    assert stage.replicas == 2

"""A step for each item, and runbooks within runbooks: planned as their parts, run as far side by side as is allowed, gathered at the end."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from aiops.app.compose import convert
from aiops.definitions.arguments import retyped
from aiops.definitions.cel import compile_expression
from aiops.definitions.templates import render
from aiops.domain.errors import ExpressionError
from aiops.domain.execution import StepState
from aiops.domain.outcome import Outcome
from aiops.domain.runbook import ForEach, Mode, OnFailure, Parameter, ParamSpec, Runbook, StepSpec, TargetSpec
from aiops.domain.target import TargetRef
from aiops.remediate.expansion import Binder, Place, parameters_of
from tests.unit.execution.stage import CHECKOUT, Stage, deployment

FACTS = {"incident.severity": "critical", "target.name": "checkout", "incident.rules": ["a", "b"], "parameters": {}}


@pytest.fixture
def stage():
    return Stage()


def spec(name: str, action: str = "notify", **fields: Any) -> StepSpec:
    when = fields.pop("when", None)
    arguments = fields.pop("arguments", {"message": name, "severity": "info"} if action == "notify" else {})
    return StepSpec(name, action, arguments, when=compile_expression(when, "step") if when else None, **fields)


def each(text: str = "", *items: Any, **fields: Any) -> ForEach:
    return ForEach(items, compile_expression(text, "list") if text else None, **fields)


def runbook(*steps: StepSpec, **parameters: ParamSpec) -> Runbook:
    given = {name: Parameter(p, partial(retyped, p)) for name, p in parameters.items()}
    return Runbook("child", Mode.AUTO, compile_expression("false", "match"), steps, parameters=given)


def bind(*specs: StepSpec):
    return Binder(FACTS, render, convert).steps(specs, Place(CHECKOUT))


def play(stage: Stage, *specs: StepSpec, seconds: float = 600, **plan: Any):
    return stage.run(stage.submit(*bind(*specs), facts=FACTS, **plan), seconds=seconds)


def texts(stage: Stage) -> list[str]:
    return sorted(message.text for message, _state in stage.store.messages())


def result(done, name):
    return done.step(name).result.outcome.value


def test_a_literal_list_is_written_out_in_the_plan():
    steps = bind(
        spec("first"),
        spec("tell", for_each=each("", "x", {"to": "y"}, concurrency=2), arguments={"message": "{{ item.to | default(item) }}"}, needs=("first",)),
        spec("last", needs=("tell",)),
    )
    assert [(s.name, s.action, s.needs, s.part_of) for s in steps] == [
        ("first", "notify", (), ""),
        ("tell[0]", "notify", ("first",), "tell"),
        ("tell[1]", "notify", ("first",), "tell"),
        ("tell", "collect", ("tell[0]", "tell[1]"), ""),
        ("last", "notify", ("tell",), ""),
    ]
    assert [s.arguments.get("message") for s in steps[1:3]] == ["x", "y"]
    assert steps[3].parallel == 2


def test_each_item_may_have_its_own_target_and_condition(stage):
    stage.memory.apply(deployment("cart"))
    stage.pass_time(10)
    scale = spec("grow", "scale", arguments={"by": "+1"}, for_each=each("", "checkout", "cart"), target=TargetSpec(name="{{ item }}"), when='item != "checkout"')
    execution = stage.submit(*bind(scale), facts=FACTS)
    assert execution.plan.targets == (CHECKOUT, TargetRef("Deployment", "shop", "cart"))
    done = stage.run(execution)
    assert (result(done, "grow[0]"), result(done, "grow[1]"), done.result.outcome) == ("skipped", "succeeded", Outcome.SUCCEEDED)
    assert stage.memory.reader.get(TargetRef("Deployment", "shop", "cart"))["metadata"]["annotations"]["aiops/operation"] == f"{done.id}.grow[1].1"
    assert done.step("grow").output == {"count": 2, "outputs": [{}, {"from": 2, "to": 3}], "outcomes": ["skipped", "succeeded"]}


def test_the_outputs_are_a_list_for_the_steps_after(stage):
    text = "{{ steps.rest.output.count }}: {{ steps.rest.output.outcomes | join }}"
    play(
        stage,
        spec("rest", "wait", arguments={"for": 1.0}, for_each=each("incident.rules")),
        spec("tell", arguments={"message": text, "severity": "info"}, needs=("rest",)),
    )
    assert texts(stage) == ["2: succeeded, succeeded"]


@pytest.mark.parametrize(("concurrency", "at_once"), [(1, 1), (2, 2), (5, 4)])
def test_no_more_items_are_at_work_than_allowed(stage, concurrency, at_once):
    waits = spec("rest", "wait", arguments={"for": 20.0}, for_each=each("", *"abcd", concurrency=concurrency))
    execution = stage.submit(*bind(waits), facts=FACTS)
    most = 0
    while stage.get(execution).state == "running":
        stage.run(execution, seconds=0)
        most = max(most, sum(run.state is StepState.STARTED for run in stage.get(execution).steps))
        stage.pass_time(1)
    assert most == at_once
    assert stage.get(execution).result.outcome is Outcome.SUCCEEDED



@pytest.mark.parametrize(
    ("policy", "outcome", "later", "after"),
    [(OnFailure.STOP, Outcome.ERROR, "skipped", "skipped"), (OnFailure.CONTINUE, Outcome.SUCCEEDED, "succeeded", "succeeded")],
)
def test_an_item_that_fails_ends_the_others_or_not(stage, policy, outcome, later, after):
    """The second is sent to an object that there is not."""
    scale = spec("grow", "scale", arguments={"by": "+1"}, for_each=each("", "checkout", "gone", "checkout"), target=TargetSpec(name="{{ item }}"), on_failure=policy)
    done = play(stage, scale, spec("after", needs=("grow",)))
    assert [result(done, f"grow[{n}]") for n in range(3)] == ["succeeded", "failed", later]
    assert result(done, "after") == after
    assert done.result.outcome is (Outcome.FAILED if policy is OnFailure.STOP else outcome)
    assert stage.replicas == (3 if policy is OnFailure.STOP else 4)


def test_undo_takes_back_every_item_that_was_done(stage):
    scale = spec("grow", "scale", arguments={"by": "+1"}, for_each=each("", "checkout", "gone"), target=TargetSpec(name="{{ item }}"), on_failure=OnFailure.UNDO)
    done = play(stage, scale)
    assert (done.result.reason, stage.replicas, done.step("grow[0]").state) == ("TargetVanished", 2, StepState.UNDONE)


def test_a_list_that_another_step_gives_is_known_when_the_step_begins(stage):
    find = spec("find-it", "wait", arguments={"for": 1.0})
    told = spec(
        "tell", for_each=each('["x", "y"].filter(n, steps.find-it.output["for"] > 0.5)', limit=4, concurrency=4),
        arguments={"message": "to {{ item }}", "severity": "info"}, needs=("find-it",),
    )
    steps = bind(find, told)
    assert [s.name for s in steps] == ["find-it", "tell[0]", "tell[1]", "tell[2]", "tell[3]", "tell"]
    assert steps[1].late == ("message",)
    done = stage.run(stage.submit(*steps, facts=FACTS))
    assert texts(stage) == ["to x", "to y"]
    assert [result(done, f"tell[{n}]") for n in range(4)] == ["succeeded", "succeeded", "skipped", "skipped"]
    assert done.step("tell").output["count"] == 2


@pytest.mark.parametrize(("text", "words"), [('["a", "b", "c"]', "3 items; at most 2 are allowed by its limit"), ("[1]", "is no text and no map")])
def test_a_late_list_beyond_its_bound_begins_nothing(stage, text, words):
    late = each(f"steps.find-it.outcome == 'x' ? [] : {text}", limit=2)
    done = play(stage, spec("find-it", "wait", arguments={"for": 1.0}), spec("tell", for_each=late, needs=("find-it",)))
    assert (done.result.outcome, texts(stage)) == (Outcome.ERROR, [])
    assert words in done.result.detail


@pytest.mark.parametrize(("text", "words"), [('["a", "b", "c"]', "step tell, forEach: 3 items; at most 2"), ("[1]", "1 is no text and no map"), ("target.labels.x.split(',')", "step tell, forEach: target.labels.x")])
def test_an_early_list_beyond_its_bound_is_no_plan(text, words):
    with pytest.raises(ExpressionError, match=words):
        bind(spec("tell", for_each=each(text, limit=2)))


def test_an_empty_list_is_nothing_to_do(stage):
    done = play(stage, spec("tell", for_each=each("incident.rules.filter(r, r == 'z')")), spec("after", needs=("tell",)))
    assert (result(done, "tell"), done.step("tell").result.detail, texts(stage)) == ("skipped", "there are no items", ["after"])


def child(**parameters: ParamSpec) -> Runbook:
    return runbook(
        spec("grow", "scale", arguments={"by": "{{ parameters.by }}"}),
        spec("tell", arguments={"message": "{{ steps.grow.output.to }} of {{ parameters.by }}", "severity": "info"}, needs=("grow",), when="parameters.loud"),
        by=ParamSpec("quantity-change", "", default="+1"), loud=ParamSpec("bool", "", default=True), **parameters,
    )


def test_a_runbook_in_a_runbook_is_written_out_with_its_own_names_and_parameters(stage):
    steps = bind(
        spec("before", "wait", arguments={"for": 1.0}),
        StepSpec("fix", "", runbook=child(), given={"by": "+2"}, needs=("before",)),
        spec("after", needs=("fix",), arguments={"message": "now {{ steps.fix.output.grow.to }}", "severity": "info"}),
    )
    assert [(s.name, s.needs, s.scope) for s in steps] == [
        ("before", (), ""),
        ("fix/grow", ("before",), "fix/"),
        ("fix/tell", ("fix/grow",), "fix/"),
        ("fix", ("fix/grow", "fix/tell"), ""),
        ("after", ("fix",), ""),
    ]
    done = stage.run(stage.submit(*steps, facts=FACTS))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert texts(stage) == ["4 of +2", "now 4"]


def test_conditions_hold_for_all_that_is_within(stage):
    done = play(stage, StepSpec("fix", "", runbook=child(), when=compile_expression('target.name == "other"', "step")), spec("after", needs=("fix",)))
    assert [result(done, name) for name in ("fix/grow", "fix/tell", "fix", "after")] == ["skipped", "skipped", "skipped", "succeeded"]
    assert stage.replicas == 2


def test_runbooks_for_each_item_do_not_begin_all_at_once(stage):
    one = runbook(spec("rest", "wait", arguments={"for": 10.0}), spec("tell", arguments={"message": "{{ parameters.who }}"}, needs=("rest",)), who=ParamSpec("string", ""))
    execution = stage.submit(*bind(StepSpec("each", "", runbook=one, given={"who": "{{ item }}"}, for_each=each("", "x", "y", "z"))), facts=FACTS)
    seen = []
    while stage.get(execution).state == "running":
        stage.run(execution, seconds=0)
        seen.append([run.name for run in stage.get(execution).steps if run.state is StepState.STARTED])
        stage.pass_time(1)
    assert all(len(names) <= 1 for names in seen)
    assert texts(stage) == ["x", "y", "z"]
    assert stage.get(execution).result.outcome is Outcome.SUCCEEDED


def test_a_failure_within_stays_within_if_it_is_to_be_passed_over(stage):
    broken = runbook(spec("grow", "scale", arguments={"by": "+1"}, target=TargetSpec(name="gone")), spec("never", needs=("grow",)))
    done = play(stage, StepSpec("fix", "", runbook=broken, on_failure=OnFailure.CONTINUE), spec("after", needs=("fix",)))
    assert [result(done, name) for name in ("fix/grow", "fix/never", "fix", "after")] == ["failed", "skipped", "failed", "succeeded"]
    assert (done.result.outcome, done.result.detail) == (Outcome.SUCCEEDED, "fix ended with TargetVanished")
    assert texts(stage) == ["after"]


def test_parameters_are_typed_and_known():
    assert parameters_of(child(), {"loud": "false"}) == {"by": "+1", "loud": False}
    for given, words in (({"lod": "x"}, "takes no such parameter; it takes by, loud"), ({"loud": "maybe"}, "must be true or false")):
        with pytest.raises(ExpressionError, match=words):
            parameters_of(child(), given)
    with pytest.raises(ExpressionError, match="needs it: its name"):
        parameters_of(runbook(name=ParamSpec("string", "its name", required=True)), {})


def test_a_plan_has_a_bound():
    with pytest.raises(ExpressionError, match="more than 300 steps"):
        bind(*(spec(f"s{n}", for_each=each("", *map(str, range(100)), limit=100)) for n in range(3)))


def test_a_rehearsal_goes_through_all_of_it(stage):
    done = play(stage, StepSpec("fix", "", runbook=child()), spec("each", for_each=each("", "x", "y"), needs=("fix",)), simulated=True)
    assert (done.result.outcome, stage.writes, texts(stage)) == (Outcome.SIMULATED, [], [])
    assert [change.step for change in stage.executor.preview(done.plan)] == ["fix/grow", "fix/tell", "each[0]", "each[1]"]

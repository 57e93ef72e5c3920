"""Plans: rendered with the real templates, typed by the real action specs, the same again for the same input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aiops.definitions.arguments import retyped
from aiops.definitions.cel import compile_expression
from aiops.definitions.templates import render
from aiops.domain.errors import ExpressionError
from aiops.domain.plan import Plan, PlannedUndo
from aiops.domain.runbook import GuardSpec, Mode, Parameter, ParamSpec, Retry, Runbook, StepSpec, TargetSpec, UndoMode, UndoSpec, VerifySpec
from aiops.domain.target import TargetRef
from aiops.domain.templated import PromqlText
from aiops.execution.actions.registry import SPECS
from aiops.remediate.facts import target_facts
from aiops.remediate.guards.traits import acted_on
from aiops.remediate.objects import ClusterObjects
from aiops.remediate.planner import make_plan
from tests.unit.remediate.shop import CHECKOUT, START, make_incident


def convert(action: str, name: str, value: Any) -> Any:
    return retyped(SPECS[action].parameters[name], value)


RUNBOOK = Runbook(
    "scale-out",
    Mode.APPROVE,
    compile_expression("true", "match"),
    (
        StepSpec("scale", "scale", {"by": "+{{ incident.signals }}", "maximum": 9}, when=compile_expression("target.exists", "step")),
        StepSpec("tell", "notify", {"message": "{{ target.name }} in {{ target.namespace }}", "severity": "warning"}, needs=("scale",)),
    ),
    verify=VerifySpec("prometheus", 'latency{workload="{{ target.name }}"}', compile_expression("value < 0.5", "verify")),
    guards=GuardSpec(cooldown=60.0),
    hash="abc",
)


def plan(runbook: Runbook = RUNBOOK, target: TargetRef = CHECKOUT, attempt: int = 1, now: float = START) -> Plan:
    incident = make_incident()
    facts = target_facts(target, ClusterObjects(None), incident, now)
    return make_plan(runbook, incident, target, facts, render, now, attempt, convert=convert)


def test_everything_is_rendered_and_typed() -> None:
    made = plan()
    assert [dict(s.arguments) for s in made.steps] == [{"by": "+1", "maximum": 9}, {"message": "checkout in shop", "severity": "warning"}]
    assert (made.steps[0].when, made.steps[1].needs) == ("target.exists", ("scale",))
    assert made.verify is not None
    assert (made.verify.query, made.verify.passes) == ('latency{workload="checkout"}', "value < 0.5")
    assert (made.mode, made.runbook_hash, made.cooldown, made.incident) == (Mode.APPROVE, "abc", 60.0, "inc-1")
    assert made.facts["target.name"] == "checkout"
    assert plan(replace(RUNBOOK, guards=GuardSpec())).cooldown == 300.0


def test_hostile_values_stay_values_in_promql() -> None:
    hostile = 'x"} or vector(0) # \\ \n'
    made = plan(target=replace(CHECKOUT, name=hostile))
    assert made.verify is not None
    assert made.verify.query == 'latency{workload="x\\"} or vector(0) # \\\\ \\n"}'


def test_hostile_values_stay_values_in_a_steps_query() -> None:
    step = StepSpec("ask", "query", {"promql": PromqlText('up{workload="{{ target.name }}"}')})
    made = plan(replace(RUNBOOK, steps=(step,)), target=replace(CHECKOUT, name='x"} or vector(0) #'))
    assert made.steps[0].arguments["promql"] == 'up{workload="x\\"} or vector(0) #"}'


def test_identity_and_hash() -> None:
    assert plan() == plan()
    assert plan(now=START + 5).hash == plan().hash
    assert plan(attempt=2).id != plan().id
    assert plan(attempt=2).hash == plan().hash
    others = [
        plan(replace(RUNBOOK, hash="other")),
        plan(target=replace(CHECKOUT, name="cart")),
        plan(target=replace(CHECKOUT, context="west")),
        plan(replace(RUNBOOK, steps=RUNBOOK.steps[:1])),
        plan(replace(RUNBOOK, verify=None)),
    ]
    assert len({plan().hash, *(p.hash for p in others)}) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"by": "+{{ incident.labels.absent }}"}, "step scale, argument by"),
        ({"by": "{{ target.name }}"}, r"step scale, argument by.*\+2"),
    ],
)
def test_what_cannot_be_rendered_or_is_of_the_wrong_type_names_step_and_argument(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        plan(replace(RUNBOOK, steps=(StepSpec("scale", "scale", arguments),)))


def test_a_query_that_cannot_be_rendered_is_named() -> None:
    assert RUNBOOK.verify is not None
    with pytest.raises(ExpressionError, match="verify, query"):
        plan(replace(RUNBOOK, verify=replace(RUNBOOK.verify, query='up{x="{{ incident.labels.absent }}"}')))


def with_target(**fields: str) -> Plan:
    return plan(replace(RUNBOOK, steps=(replace(RUNBOOK.steps[0], target=TargetSpec(**fields)),)))


def test_a_step_may_have_its_own_target_rendered_from_the_facts() -> None:
    made = with_target(kind="HorizontalPodAutoscaler", name="{{ target.name }}-hpa")
    assert made.steps[0].target == TargetRef("HorizontalPodAutoscaler", "shop", "checkout-hpa")
    assert made.targets == (CHECKOUT, TargetRef("HorizontalPodAutoscaler", "shop", "checkout-hpa"))
    assert made.target_of(made.steps[0]) == made.targets[1]
    assert with_target(kind="Node", name="n1", context="west").steps[0].target == TargetRef("Node", "", "n1", "west")
    assert plan().targets == (CHECKOUT,)
    assert made.hash != with_target(kind="HorizontalPodAutoscaler", name="{{ target.name }}-other").hash


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "{{ target.name }}"}, "step scale, target.kind: 'checkout' is no kind"),
        ({"name": "{{ target.kind }}"}, "step scale, target.name: no object can be named 'Deployment'"),
        ({"namespace": "{{ target.kind }}"}, "step scale, target.namespace: no namespace can be named 'Deployment'"),
        ({"name": "{{ target.labels.nope }}"}, "step scale, target.name: "),
        ({"name": "{% if target.exists %}x{% endif %}"}, "step scale, target.name: it is empty"),
    ],
)
def test_a_target_that_cannot_be_is_no_plan(fields: dict[str, str], words: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        with_target(**fields)
    assert str(raised.value).startswith(words)


def test_what_speaks_of_other_steps_stays_a_template_and_the_hash_covers_it() -> None:
    tell = replace(RUNBOOK.steps[1], arguments={"message": "{{ target.name }}: {{ steps.scale.output.to }}", "severity": "warning"})
    made = plan(replace(RUNBOOK, steps=(RUNBOOK.steps[0], tell)))
    assert made.steps[1].late == ("message",)
    assert made.steps[1].arguments["message"] == "{{ target.name }}: {{ steps.scale.output.to }}"
    other = replace(tell, arguments={**tell.arguments, "message": "{{ steps.scale.output.from }}"})
    assert made.hash != plan(replace(RUNBOOK, steps=(RUNBOOK.steps[0], other))).hash


def test_a_number_may_come_from_a_template() -> None:
    steps = (StepSpec("scale", "scale", {"to": "{{ incident.signals }}"}),)
    assert plan(replace(RUNBOOK, steps=steps)).steps[0].arguments == {"to": 1}
    with pytest.raises(ExpressionError, match=r"step scale, argument to: must be a whole number .*, not 'checkout'"):
        plan(replace(RUNBOOK, steps=(StepSpec("scale", "scale", {"to": "{{ target.name }}"}),)))


@pytest.mark.parametrize(("limits", "limit"), [({"critical": 5, "default": 1}, 5), ({"warning": 2, "default": 1}, 1), ({"warning": 2}, 0), ({}, 3)])
def test_the_number_of_tries_follows_the_severity(limits: dict[str, int], limit: int) -> None:
    made = plan(replace(RUNBOOK, steps=(replace(RUNBOOK.steps[0], retry=Retry(3, limits=limits)),)))
    assert made.facts["incident.severity"] == "critical"
    assert (made.steps[0].retry.limit, made.steps[0].retry.limits) == (limit, {})


def test_what_takes_a_step_back_is_rendered_too() -> None:
    undo = UndoSpec(UndoMode.OWN, "notify", {"message": "{{ target.name }} put back", "severity": "info"}, TargetSpec(name="{{ target.name }}-2"))
    made = plan(replace(RUNBOOK, steps=(replace(RUNBOOK.steps[0], undo=undo),), deadline=60.0))
    assert made.steps[0].undo.arguments["message"] == "checkout put back"
    assert made.targets == (CHECKOUT, TargetRef("Deployment", "shop", "checkout-2"))
    assert made.deadline == 60.0
    bad = replace(undo, arguments={"message": "{{ target.labels.nope }}"})
    with pytest.raises(ExpressionError, match=r"^step scale, undo, argument message: "):
        plan(replace(RUNBOOK, steps=(replace(RUNBOOK.steps[0], undo=bad),)))


def test_parameters_are_part_of_what_is_approved_even_where_only_a_condition_speaks_of_them() -> None:
    step = StepSpec("tell", "notify", {"message": "hello"}, when=compile_expression("parameters.loud", "step"))
    book = replace(RUNBOOK, steps=(step,), parameters={"loud": Parameter(ParamSpec("bool", "", default=True))})
    incident = make_incident()
    facts = target_facts(CHECKOUT, ClusterObjects(None), incident, START)
    made = [make_plan(book, incident, CHECKOUT, facts, render, START, 1, convert=convert, parameters=p) for p in ({}, {"loud": True}, {"loud": False})]
    assert made[0].id == made[1].id != made[2].id
    assert made[0].hash == made[1].hash != made[2].hash


@pytest.mark.parametrize(
    ("asked", "text", "words"),
    [
        ({"type": "int", "minimum": 1.0, "maximum": 9.0}, "{{ steps.how-many.output.answer }}", "to from 1 up to 9"),
        ({"type": "int", "maximum": 9.0}, "{{steps.how-many.output.answer}}", "to up to 9"),
        ({"type": "string", "choices": ("2", "4")}, "{{ steps.how-many.output.answer }}", "to one of 2, 4"),
        ({"type": "int"}, "{{ steps.how-many.output.answer }}", "to"),
        ({"type": "int", "minimum": 1.0, "maximum": 9.0}, "{{ steps.how-many.output.answer * 100 }}", "to"),
        ({"type": "duration", "minimum": 1.0}, "{{ steps.how-many.output.answer }}", "to"),
    ],
)
def test_the_plan_says_within_what_an_answer_is_to_be(asked: dict[str, Any], text: str, words: str) -> None:
    steps = (StepSpec("how-many", "suspend", {"question": "?", **asked}), StepSpec("set", "scale", {"to": text}, needs=("how-many",)))
    made = plan(replace(RUNBOOK, steps=steps))
    assert made.steps[1].open_words == words


@pytest.mark.parametrize(
    ("action", "arguments", "kind", "left"),
    [
        ("set-config", {"configMap": "{{ target.name }}-flags", "key": "mode", "value": "slow"}, "ConfigMap", {"key": "mode", "value": "slow"}),
        ("delete-job", {"job": "checkout-flags"}, "Job", {}),
        ("run-job", {"cronJob": "checkout-flags"}, "CronJob", {}),
    ],
)
def test_what_a_step_names_beside_a_workload_is_its_target(action: str, arguments: dict[str, Any], kind: str, left: dict[str, Any]) -> None:
    made = plan(replace(RUNBOOK, steps=(StepSpec("do", action, arguments),)))
    named = TargetRef(kind, "shop", "checkout-flags")
    (step,) = made.steps
    assert (step.target, step.beside, dict(step.arguments)) == (named, CHECKOUT, left)
    assert made.targets == (CHECKOUT, named)
    assert acted_on(made) == (named, CHECKOUT)


def test_what_takes_a_step_back_on_the_same_object_asks_what_was_left_and_elsewhere_it_has_a_target() -> None:
    def undone(name: str) -> PlannedUndo:
        undo = UndoSpec(UndoMode.OWN, "set-config", {"configMap": name, "key": "mode", "value": "fast"})
        step = StepSpec("do", "set-config", {"configMap": "flags", "key": "mode", "value": "slow"}, undo=undo)
        return plan(replace(RUNBOOK, steps=(step,))).steps[0].undo

    assert (undone("flags").target, dict(undone("flags").arguments)) == (None, {"key": "mode", "value": "fast"})
    assert undone("others").target == TargetRef("ConfigMap", "shop", "others")


def test_a_name_that_no_object_can_have_is_an_error_of_the_plan() -> None:
    with pytest.raises(ExpressionError, match="step do, argument job: no object can be named 'Not A Name'"):
        plan(replace(RUNBOOK, steps=(StepSpec("do", "delete-job", {"job": "Not A Name"}),)))

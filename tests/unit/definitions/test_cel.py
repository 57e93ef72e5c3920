"""CEL: unknown names and type errors are found at load; an evaluation that cannot be had is never true."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from aiops.definitions.cel import MATCH, VOCABULARIES, compile_expression
from aiops.domain.errors import ExpressionError

FACTS: dict[str, Any] = {
    "incident.severity": "critical",
    "incident.labels": {"app": "x"},
    "incident.rules": ("latency", "errors"),
    "incident.symptoms": ("latency",),
    "incident.ageSeconds": 31.0,
    "incident.openSeconds": 31.0,
    "incident.signals": 2,
    "incident.tried": [],
    "incident.summaries": [],
    "incident.forecast": False,
    "target.kind": "Deployment",
    "target.namespace": "shop",
    "target.name": "checkout",
    "target.labels": MappingProxyType({"team": "a"}),
    "target.replicas": 3,
    "target.readyReplicas": 3,
    "target.availableReplicas": 2,
    "target.revision": 4,
    "target.previousRevision": 3,
    "target.revisionAgeSeconds": 120.0,
    "target.rolling": False,
    "target.settledSeconds": 3600.0,
    "target.ownedBy": "",
    "target.crashes": [],
    "target.crashCauses": [],
    "target.configChanges": [],
    "target.probeChanged": False,
    "target.exists": True,
    "cluster.unreadyNodes": 0,
}


def test_the_facts_here_are_the_vocabulary() -> None:
    assert set(FACTS) == set(MATCH)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('incident.severity == "critical" && "latency" in incident.symptoms', True),
        ('target.labels["team"] == "a" && has(incident.labels.app)', True),
        ("incident.labels[?'nope'].orValue('-') == '-'", True),
        ("target.availableReplicas < target.replicas && target.revisionAgeSeconds < 1800.0", True),
        ('target.name.startsWith("check") && target.kind in ["Deployment"] && incident.rules.exists(r, r.matches("^err"))', True),
        ("target.rolling || cluster.unreadyNodes > 0", False),
        ('has(incident.labels.nope) && incident.labels.nope == "x"', False),
    ],
)
def test_matches(text: str, value: bool) -> None:
    assert compile_expression(text, "match").evaluate(FACTS) is value


@pytest.mark.parametrize(
    ("text", "vocabulary", "words"),
    [
        ('incident.severty == "x"', "match", "1:9: undeclared reference to 'incident.severty'; allowed: incident.severity"),
        ('target == "x"', "match", "undeclared reference to 'target'"),
        ("steps.a.ok", "match", "undeclared reference"),
        ("1 +", "match", "Syntax error"),
        ('"a\nb" == target.name', "match", "Syntax error"),
        ("target.replicas", "match", "gives int; it must give bool"),
        ("target.replicas > 1.5", "match", "no matching overload"),
        ("incident.ageSeconds > 30", "match", "write 30.0, not 30"),
        ('target.labels["a"] == 5', "match", "no matching overload"),
        ("object.a", "verify", "undeclared reference"),
        ("value * 2.0", "verify", "gives double; it must give bool"),
        ('"text"', "object", "gives string; it must give a number or bool"),
        ("", "match", "is empty"),
        ("  \n", "match", "is empty"),
        ("true || " * 1000 + "true", "match", "at most 4096"),
        ("true", "nothing", "no vocabulary"),
    ],
)
def test_what_is_wrong_is_found_at_load(text: str, vocabulary: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_expression(text, vocabulary)
    assert words in str(caught.value)


def test_steps_speak_of_steps_before() -> None:
    facts = {**FACTS, "steps": {"scale": {"outcome": "succeeded", "output": {"replicas": 4}, "list": (1, 2)}}}
    assert compile_expression('steps.scale.outcome == "succeeded" && steps.scale.output.replicas >= 4', "step").evaluate(facts) is True
    assert compile_expression("steps.scale.list.size() == 2", "step").evaluate(facts) is True


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ('incident.labels.nope == "x"', FACTS),
        ('incident.labels.app == "x"', {}),
        ("target.replicas > 1", {"target.replicas": None}),
        ("target.replicas > 1", {"target.replicas": "3"}),
        ("target.replicas > 1", {"target.replicas": 2**70}),
        ("target.replicas / 0 > 1", FACTS),
        ('target.name.contains("a")', {"target.name": "\ud800"}),
        ('"a" in incident.rules', {"incident.rules": ["b", 5]}),
    ],
)
def test_what_cannot_be_evaluated_is_an_error(text: str, facts: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, "match").evaluate(facts)


def test_a_step_result_of_another_type_is_an_error() -> None:
    expression = compile_expression("steps.a.value", "step")
    assert expression.evaluate({**FACTS, "steps": {"a": {"value": True}}}) is True
    with pytest.raises(ExpressionError):
        expression.evaluate({**FACTS, "steps": {"a": {"value": 1}}})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("object.status.replicas", 3.0),
        ('object.status.conditions.exists(c, c.type == "Ready" && c.status != "True")', 1.0),
        ("now - double(int(timestamp(object.metadata.creationTimestamp)))", 60.0),
        ("size(object.tuple)", 2.0),
    ],
)
def test_objects_give_numbers(text: str, value: float) -> None:
    item = {
        "metadata": {"creationTimestamp": "2024-01-01T00:00:00Z"},
        "status": {"replicas": 3, "conditions": [{"type": "Ready", "status": "False"}]},
        "tuple": (1, 2),
    }
    result = compile_expression(text, "object").evaluate({"object": item, "now": 1704067260.0})
    assert result == value
    assert isinstance(result, float)


@pytest.mark.parametrize("text", ["object.nope.deeper", "object.status", "object.name"])
def test_objects_without_the_field_or_with_a_text_in_it(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, "object").evaluate({"object": {"status": {}, "name": "x"}, "now": 0.0})


@pytest.mark.parametrize(("value", "baseline", "passes"), [(0.5, 1.0, True), (float("nan"), 1.0, False), (float("inf"), 1.0, False)])
def test_verification_on_numbers_that_are_none(value: float, baseline: float, passes: bool) -> None:
    assert compile_expression("value < 0.9 * baseline", "verify").evaluate({"value": value, "baseline": baseline, "count": 1}) is passes


def test_equal_texts_are_equal_expressions() -> None:
    first, second = compile_expression("value < 1.0", "verify"), compile_expression("value < 1.0", "verify")
    assert first == second
    assert hash(first) == hash(second)
    assert first != compile_expression("value < 2.0", "verify")
    assert first.text == "value < 1.0"


def test_every_name_of_every_vocabulary_can_be_spoken() -> None:
    tests = {"string": '!= ""', "int": ">= 0", "double": ">= 0.0", "bool": "|| true", "list(string)": ".size() >= 0"}
    for vocabulary, names in VOCABULARIES.items():
        for name, kind in names.items():
            text = f"{name} {tests[kind]}" if kind in tests else f"size({name}) >= 0"
            text = f"[{text}]" if vocabulary == "list" else text
            assert compile_expression(text, vocabulary).text == text

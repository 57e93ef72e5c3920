"""What an expression surely needs, by its text; and that ruling out by it says what the evaluation says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.definitions.cel import compile_expression
from aiops.domain.errors import ExpressionError
from aiops.remediate.conjuncts import plain_parts
from aiops.remediate.facts import target_facts
from aiops.remediate.objects import ClusterObjects
from tests.unit.remediate.shop import CHECKOUT, START, make_incident

FACTS = target_facts(CHECKOUT, ClusterObjects(None), make_incident(), START + 10)


@pytest.mark.parametrize(
    ("text", "symptoms", "kinds"),
    [
        ('"latency" in incident.symptoms', {"latency"}, {}),
        ("'latency' in incident.symptoms && target.kind == 'Pod'", {"latency"}, {"Pod"}),
        ('"Pod" == target.kind && target.exists && ("a" in incident.symptoms || true) && "b" in incident.symptoms', {"b"}, {"Pod"}),
        ('"a" in incident.symptoms && "b" in incident.symptoms', {"a", "b"}, {}),
        ('"a && b" in incident.symptoms', {"a && b"}, {}),
        ('"a" in incident.symptoms && incident.labels["x || y"] == "z"', {"a"}, {}),
        ('"a" in incident.symptoms || target.exists', {}, {}),
        ('"a" in incident.symptoms && target.exists || true', {}, {}),
        ('"a" in incident.symptoms ? true : false', {}, {}),
        ('!("a" in incident.symptoms)', {}, {}),
        ('!"a" in incident.symptoms', {}, {}),
        ('"a" in incident.symptoms == false', {}, {}),
        ('("a" in incident.symptoms && target.exists)', {}, {}),
        ('"\\x61" in incident.symptoms', {}, {}),
        ('r"a" in incident.symptoms', {}, {}),
        ('"a" in incident.symptoms // && "b" in incident.symptoms', {}, {}),
        ("'''a''' in incident.symptoms", {}, {}),
        ('target.kind == "Pod" && target.kind == "Node"', {}, {"Pod", "Node"}),
        ('target.kind != "Pod"', {}, {}),
        ("true", {}, {}),
    ],
)
def test_what_is_surely_needed(text: str, symptoms: set[str], kinds: set[str]) -> None:
    assert plain_parts(text) == (frozenset(symptoms), frozenset(kinds))


words = st.sampled_from(["latency", "errors", "Deployment", "Pod", "a && b", "x || y"]).flatmap(lambda w: st.sampled_from([f'"{w}"', f"'{w}'"]))
atoms = st.one_of(
    words.map("{} in incident.symptoms".format), words.map("target.kind == {}".format), words.map("{} == target.kind".format),
    words.map("incident.labels[{}] == 'x'".format), st.sampled_from(["true", "false", "target.exists", "incident.signals > 0"]),
)
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" && ", "&&", " || ", " == "]), inner).map("".join), inner.map("({})".format), inner.map("!({})".format),
        st.tuples(inner, inner, inner).map(lambda t: f"{t[0]} ? {t[1]} : {t[2]}"),
    ),
    max_leaves=8,
)


@given(expressions)
def test_what_is_ruled_out_is_false_for_the_evaluation_too(text: str) -> None:
    """Or is no expression, or cannot be said; never true."""
    try:
        compiled = compile_expression(text, "match")
    except ValueError:
        return
    symptoms, kinds = plain_parts(text)
    if not symptoms.issubset(FACTS["incident.symptoms"]) or not kinds.issubset((FACTS["target.kind"],)):
        try:
            assert compiled.evaluate(FACTS) is False
        except ExpressionError as error:
            raise AssertionError(f"{text} was ruled out, and cannot be evaluated: {error}") from error

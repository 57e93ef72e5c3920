"""Templates: sandboxed, bounded, strict; hostile label values cannot leave their quotes in PromQL."""

from __future__ import annotations

import re
from typing import Any

import promql_parser
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiops.definitions.filters import escape_label_value
from aiops.definitions.promql import check_promql
from aiops.definitions.templates import MAX_OUTPUT, check_template, render, sample_of
from aiops.domain.errors import ExpressionError

# Whatever a label value may hold: every character but halves of surrogate pairs.
HOSTILE = st.text(alphabet=st.characters(codec="utf-8"), max_size=60) | st.text(alphabet="\\\"'`{}[]()#\n\r\t,=~!x|.*+$^%0", max_size=40)


def test_plain_rendering() -> None:
    facts = {"labels": {"workload": "shop", "items": "I", "a.b": "dots"}, "value": 0.1234, "expected": None}
    text = "{{ labels.workload | upper }} {{ labels.items }} {{ labels['a.b'] }} {{ value | percent }} {{ expected | number }}"
    assert render(text, facts) == "SHOP I dots 12.3 % unknown"


def test_dotted_facts_are_fields() -> None:
    facts = {"target.name": "shop", "target.labels": {"team": "a"}, "incident.symptoms": ("errors", "latency"), "target.replicas": 3}
    assert render("{{ target.name }}/{{ target.labels.team }}/{{ target.replicas }}: {{ incident.symptoms | join }}", facts) == "shop/a/3: errors, latency"


def test_conditions_and_defaults() -> None:
    text = "{% if 'x' in incident.symptoms %}yes{% elif value > 1 %}more{% else %}no{% endif %} {{ labels.nope | default('-') }}"
    assert render(text, {"incident.symptoms": ["x"], "value": 0, "labels": {}}) == "yes -"
    assert render(text, {"incident.symptoms": [], "value": 2, "labels": {}}) == "more -"


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("{{ v | duration }}", 0.25, "250ms"),
        ("{{ v | duration }}", 150.2, "2m30s"),
        ("{{ v | bytes }}", 1536 * 1024 * 1024, "1.5 GiB"),
        ("{{ v | number(2) }}", 3.14159, "3.1"),
        ("{{ v | number }}", float("nan"), "unknown"),
        ("{{ v }}", 3.0, "3"),
        ("{{ v }}", True, "true"),
        ("{{ v | truncate(3) }}", "abcdef", "abc"),
        ("{{ v * 2 + 1 }}", 3, "7"),
    ],
)
def test_filters(text: str, value: object, shown: str) -> None:
    assert render(text, {"v": value}) == shown


@pytest.mark.parametrize(
    "template",
    [
        "{{ nope }}",
        "{{ labels.nope }}",
        "{{ labels.nope.deeper }}",
        "{{ value.real }}",
        "{{ labels }}",
        "{{ list }}",
        "{{ none }}",
        "{{ labels.text * 3 }}",
        "{{ labels.text + labels.text }}",
        "{{ 1 / 0 }}",
        "{{ labels.text | join }}",
        "{{ value | truncate('x') }}",
    ],
)
def test_what_cannot_be_rendered_is_an_error(template: str) -> None:
    with pytest.raises(ExpressionError):
        render(template, {"labels": {"text": "abc"}, "value": 1.5, "list": ["a"], "none": None})


@pytest.mark.parametrize(
    "template",
    [
        "{% for x in labels %}{{ x }}{% endfor %}",
        "{{ labels.get('x') }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ labels.__class__ }}",
        "{{ _x }}",
        "{% set x = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{{ range(10) }}",
        "{{ 10 ** 10 }}",
        "{{ '%s' % labels }}",
        "{{ [1] * 5 }}",
        "{{ {'a': 1} }}",
        "{{ labels.x | attr('y') }}",
        "{{ labels | tojson }}",
        "{{ labels is callable }}",
        "{{ labels",
        "{% if x %}",
        "{{ 'a' }}" * 1000,
    ],
)
def test_what_templates_may_not_do(template: str) -> None:
    with pytest.raises(ValueError):
        check_template(template, ("labels", "x"))


def test_unknown_names_are_found_at_load() -> None:
    check_template("{{ labels.x }} {% if value %}{% endif %}", ("labels", "value"))
    with pytest.raises(ValueError, match="unknown name 'lables' in the template; allowed: labels, value"):
        check_template("{{ lables.x }}", ("value", "labels"))


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{{ " + "[" * 3000 + "]" * 3000 + " }}", "{{ " + "not " * 1900 + "1 }}", "{{ a" + ".b" * 3900 + " }}",
        "{{ 1" + " | default(1)" * 500 + " }}", "{% if 1 %}" * 350 + "{% endif %}" * 350, "{% if 1 %}" * 120 + "{% endif %}" * 120, "{{ " + "-" * 60 + "1 }}",
    ],
    ids=["brackets", "lists", "not", "fields", "filters", "conditions", "indentation", "minus"],
)  # fmt: skip
def test_what_is_nested_without_end_is_refused_and_breaks_nothing(template: str) -> None:
    with pytest.raises(ValueError, match=r"nested deeper than 30 levels|is not allowed"):
        check_template(template, ["a"])


def test_what_is_nested_as_people_do_is_taken() -> None:
    check_template("{% if a %}" * 10 + "{{ ((a.b.c | default(1))) | default(2) }}" + "{% endif %}" * 10, ["a"])


def test_output_is_bounded() -> None:
    with pytest.raises(ExpressionError, match="longer than"):
        render("{{ v }}{{ v }}", {"v": "x" * (MAX_OUTPUT // 2 + 1)})
    assert len(render("{{ v }}", {"v": "x" * MAX_OUTPUT})) == MAX_OUTPUT


@given(HOSTILE)
@example('"} or vector(1) #')
@example('\\"} or up{a="')
@example("\\")
@example("a\nb")
@example("{{ 7 * 7 }}")
@example("\x00\r\t\x7f\u2028")
def test_hostile_values_stay_in_their_quotes(value: str) -> None:
    template = 'sum(rate(up{job="api", name="{{ labels.v }}", pod=~"{{ labels.v | regex }}-.*"}[1m])) > 0'
    tree: Any = promql_parser.parse(render(template, {"labels": {"v": value}}, promql=True))
    selector = tree.lhs.expr.args[0].vector_selector
    found = {m.name: m for m in selector.matchers.matchers}
    assert set(found) == {"job", "name", "pod"}
    assert found["name"].value == value
    # The parser and RE2 read the pattern; Python's reading of it agrees for escaped characters.
    pattern = found["pod"].value
    assert re.fullmatch(pattern, f"{value}-abc", re.DOTALL)
    assert not re.fullmatch(pattern, f"{value}x-abc", re.DOTALL)


@given(HOSTILE)
def test_hostile_values_are_data_in_texts(value: str) -> None:
    assert render("<{{ labels.v }}>", {"labels": {"v": value}}) == f"<{value}>"


def test_what_no_label_can_hold() -> None:
    with pytest.raises(ExpressionError):
        escape_label_value("\ud800")
    with pytest.raises(ExpressionError):
        render('up{a="{{ v }}"}', {"v": "\udfff"}, promql=True)


@pytest.mark.parametrize(
    "template",
    [
        "up{a='{{ v }}'}",
        "up{a=`{{ v }}`}",
        "up{{ v }}",
        "rate(up[{{ v }}])",
        'up{a="x"} > {{ v }}',
        'up # "{{ v }}"',
        'up{a="\\{{ v }}"}',
        'up{a="{{ v }}',
        'up{a="{% if v %}x"{% else %}y{% endif %}}',
        'up{{ "{" }}',
    ],
)
def test_in_promql_outputs_stand_only_within_double_quotes(template: str) -> None:
    with pytest.raises(ValueError):
        check_template(template, ("v",), promql=True)


@pytest.mark.parametrize(
    "template",
    [
        'up{a="it\'s {{ v }}", b=\'"\', c=`\\`, d="\\"{{ v }}"} # {comment} "',
        'up{a="{% if v %}x-{{ v }}{% else %}y{% endif %}"}',
        '# a "comment\nup{a="{{ v }}"}',
    ],
)
def test_promql_templates_that_are_fine(template: str) -> None:
    check_template(template, ("v",), promql=True)
    check_promql(sample_of(template))
    check_promql(render(template, {"v": 'h"\\\n'}, promql=True))

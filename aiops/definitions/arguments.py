"""A step's arguments against what its action declares: names, types, bounds; templates where text is taken.

Neighbours: `step_checks` calls it at load; what is still a template is rendered by `remediate.planner` or, late, by `execution.late`, and typed by `retyped`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from aiops.definitions.cel import compile_expression
from aiops.definitions.fields import RUNBOOK_NAMES
from aiops.definitions.problems import suggestion
from aiops.definitions.promql import check_promql
from aiops.definitions.templates import check_template, sample_of
from aiops.domain.duration import parse_duration
from aiops.domain.runbook import ActionSpec, ParamSpec
from aiops.domain.templated import PromqlText, templated

MAX_TEXT = 4000
MAX_OBJECT = 16_000

_CHANGE = re.compile(r"[+-][0-9]{1,6}(\.[0-9]{1,6})?%?")
_TEXTUAL = ("string", "quantity-change")
_SCALAR = (*_TEXTUAL, "int", "float", "bool", "duration")
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def check_arguments(
    action: ActionSpec, given: Mapping[str, Any], names: Collection[str] = RUNBOOK_NAMES
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Typed arguments with the defaults filled in (durations in seconds), and what is wrong as (name, message) pairs.

    `names`: what templates may speak of.
    """
    typed_arguments: dict[str, Any] = {name: p.default for name, p in action.parameters.items() if p.default is not None}
    wrong = [(name, suggestion(f"the action {action.name} takes no {name!r}", name, list(action.parameters))) for name in given if name not in action.parameters]
    for name, parameter in action.parameters.items():
        if name in given:
            try:
                typed_arguments[name] = typed(parameter, given[name], templates=names)
            except ValueError as error:
                wrong.append((name, str(error)))
        elif parameter.required:
            wrong.append((name, f"the action {action.name} needs it: {parameter.doc} ({wanted(parameter)})"))
    wrong.extend(_choices(action, given))
    if not wrong and action.objection is not None and not any(map(templated, given.values())) and (objection := action.objection(typed_arguments)):
        wrong.append(objection)
    return typed_arguments, wrong


def _choices(action: ActionSpec, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for group in action.one_of:
        found = [name for name in group if name in given]
        if len(found) != 1:
            yield group[0], f"the action {action.name} needs exactly one of {', '.join(group)} (now: {', '.join(found) or 'none'})"


def typed(parameter: ParamSpec, value: Any, *, templates: Collection[str] = ()) -> Any:
    """The value in the parameter's type: durations become seconds, a whole float an int. Raises ValueError with what is allowed.

    `templates`: the names that a template in place of the value may speak of; it stays as it is. Empty: none is taken.
    """
    if templates and isinstance(value, str) and templated(value):
        if parameter.type == "promql":
            check_template(value, templates, promql=True)
            check_promql(sample_of(value))
            return PromqlText(value)
        if parameter.type not in _SCALAR:
            raise ValueError(f"a template stands only in place of a text or number; this must be {wanted(parameter)}")
        check_template(value, templates)
        return value
    if parameter.type == "strings":
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"must be {wanted(parameter)}")
        element = ParamSpec("string", parameter.doc, choices=parameter.choices)
        return tuple(typed(element, item, templates=templates) for item in value)
    if parameter.type == "object":
        return _object(parameter, value)
    result = _converted(parameter, value)
    if parameter.choices and result not in parameter.choices:
        raise ValueError(suggestion(f"{value!r} is not allowed", str(value), list(parameter.choices)))
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        low, high = parameter.minimum, parameter.maximum
        if (low is not None and result < low) or (high is not None and result > high):
            raise ValueError(f"{value!r} is out of bounds; it must be {wanted(parameter)}")
    return result


def _object(parameter: ParamSpec, value: Any) -> dict[str, Any]:
    """A mapping of plain JSON values. No templates within: what is made from a label must not become structure. Raises ValueError."""
    try:
        text = json.dumps(value, allow_nan=False) if isinstance(value, Mapping) else ""
    except (TypeError, ValueError) as error:
        raise ValueError(f"must be {wanted(parameter)}: {error}") from None
    if not text:
        raise ValueError(f"must be {wanted(parameter)}, not {str(value)[:40]!r}")
    if len(text) > MAX_OBJECT:
        raise ValueError(f"must not be longer than {MAX_OBJECT} characters as JSON, it is {len(text)}")
    if templated(text):
        raise ValueError("no template may stand within an object")
    found: dict[str, Any] = json.loads(text)
    return found


def retyped(parameter: ParamSpec, value: Any) -> Any:
    """What a template came to, in the parameter's type: a number, a truth value or a duration is read from its text. Raises ValueError."""
    if not isinstance(value, str) or parameter.type in (*_TEXTUAL, *_CHECKED):
        return typed(parameter, value)
    text = value.strip()
    number = {"int": (_WHOLE, int), "float": (_DECIMAL, float)}.get(parameter.type)
    if number is not None and number[0].fullmatch(text):
        return typed(parameter, number[1](text))
    if parameter.type == "bool" and text in ("true", "false"):
        return typed(parameter, text == "true")
    if parameter.type == "strings":  # as people give it on a command line
        return typed(parameter, [part.strip() for part in text.split(",") if part.strip()])
    if parameter.type == "duration" and _DECIMAL.fullmatch(text):  # a duration that was typed before is shown as its seconds
        return typed(parameter, f"{text}s")
    return typed(parameter, text)


def _converted(parameter: ParamSpec, value: Any) -> Any:
    kind = parameter.type
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    if isinstance(value, str) and _is_text(kind, value):
        return value
    if kind == "duration" and not isinstance(value, bool) and (isinstance(value, str) or value == 0):
        return parse_duration(str(value))
    raise ValueError(f"must be {wanted(parameter)}, not {str(value)[:40]!r}")


def _is_text(kind: str, value: str) -> bool:
    """Whether it is one of the kinds that are texts. Raises ValueError for an expression that does not parse."""
    if kind in _CHECKED and value.strip():
        _CHECKED[kind](value)
        return True
    return (kind == "string" and len(value) <= MAX_TEXT) or (kind == "quantity-change" and _CHANGE.fullmatch(value) is not None)


_CHECKED: Mapping[str, Callable[[str], object]] = {
    "promql": check_promql, "verify-cel": lambda text: compile_expression(text, "verify"), "object-cel": lambda text: compile_expression(text, "object"),
}  # fmt: skip
_WORDS = {
    "string": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "strings": "a list of texts", "object": "a mapping",
    "promql": "PromQL", "verify-cel": "CEL over value and count", "object-cel": "CEL over object and now", "duration": "a duration such as 30s", "quantity-change": 'a change such as "+2", "-1" or "+50%", in quotes',
}  # fmt: skip


def wanted(parameter: ParamSpec) -> str:
    """In words, with the bounds."""
    words = _WORDS.get(parameter.type, parameter.type)
    if parameter.choices:
        return f"one of {', '.join(parameter.choices)}"
    unit = " s" if parameter.type == "duration" else ""
    low = f" from {parameter.minimum:g}{unit}" if parameter.minimum is not None else ""
    high = f" up to {parameter.maximum:g}{unit}" if parameter.maximum is not None else ""
    return f"{words}{low}{high}"

"""Which values of a runbook are templates, and which of them can only be rendered while it runs. Texts as the author wrote them, never rendered ones.

Neighbours: `definitions` checks templates, `remediate.planner` renders the early ones, `execution.late` the late ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_BLOCK = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_STEPS = re.compile(r"(?<![\w.])steps\b")
_ITEM = re.compile(r"(?<![\w.])item\b")
_PARAMETERS = re.compile(r"(?<![\w.])parameters\b")
_PARAMETER = re.compile(r"(?<![\w.])parameters\.([A-Za-z0-9_]+)")
_KEBAB = re.compile(r"(?<![\w.])steps\.([a-z0-9]+(?:-[a-z0-9]+)+)(?=\.)")
_ANSWER = re.compile(r"\s*\{\{\s*steps\.([a-z0-9]+(?:-[a-z0-9]+)*)\.output\.answer\s*\}\}\s*")
_NAMED = re.compile(r"(?<![\w.])steps(?:\.([A-Za-z0-9_]+)|\[\s*(?:\"([^\"]*)\"|'([^']*)')\s*\])")


class PromqlText(str):
    """A query as the author wrote it: what templates give in it is escaped as PromQL."""

    __slots__ = ()


def templated(value: Any) -> bool:
    """Whether anything in a text, or in a list or map of texts, is to be rendered."""
    return any("{{" in text or "{%" in text for text in _texts(value))


def is_late(value: Any) -> bool:
    """Whether a template speaks of other steps: they must have run before it can be rendered."""
    return any(_STEPS.search(block) for text in _texts(value) for block in _BLOCK.findall(text))


def indexed(template: str) -> str:
    """`steps.tell-people.output` as `steps["tell-people"].output` within the template's blocks: a hyphen would be a minus."""
    return _BLOCK.sub(lambda block: indexed_expression(block.group()), template)


def indexed_expression(text: str) -> str:
    """The same for an expression."""
    return _KEBAB.sub(r'steps["\1"]', text)


def answer_of(value: Any) -> str:
    """The step whose answer a text is, wholly and unchanged; empty if it is anything else."""
    found = _ANSWER.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else ""


def step_names(value: Any) -> tuple[str, ...]:
    """The steps that the templates in a value speak of, each once; an empty name where it speaks of all of them."""
    return tuple(dict.fromkeys(name for text in _texts(value) for block in _BLOCK.findall(text) for name in step_names_of(block)))


def step_names_of(expression: str) -> tuple[str, ...]:
    """The steps that an expression speaks of, each once; an empty name where it speaks of `steps` otherwise than `steps.NAME` or `steps["NAME"]`."""
    text = indexed_expression(expression)
    named = [next(filter(None, found.groups()), "") for found in _NAMED.finditer(text)]
    return tuple(dict.fromkeys([*named, *([""] if len(_STEPS.findall(text)) > len(named) else [])]))


def parameter_names(value: Any) -> tuple[str, ...]:
    """The parameters that the templates in a value speak of, each once."""
    return tuple(dict.fromkeys(name for text in _texts(value) for block in _BLOCK.findall(text) for name in parameter_names_of(block)))


def parameter_names_of(expression: str) -> tuple[str, ...]:
    """The parameters that an expression speaks of, each once; an empty name where it speaks of all of them."""
    named = _PARAMETER.findall(expression)
    return tuple(dict.fromkeys([*named, *([""] if len(_PARAMETERS.findall(expression)) > len(named) else [])]))


def speaks_of_item(value: Any) -> bool:
    """Whether a template speaks of the item that a step is done for."""
    return any(_ITEM.search(block) for text in _texts(value) for block in _BLOCK.findall(text))


def item_spoken_of(expression: str) -> bool:
    """The same for an expression."""
    return _ITEM.search(expression) is not None


def speaks_of_steps(expression: str) -> bool:
    """Whether an expression speaks of other steps."""
    return _STEPS.search(expression) is not None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    return []

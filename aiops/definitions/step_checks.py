"""What is wrong with a runbook's steps beyond the schema: names, order, actions, arguments, targets, items, sub-runbooks.

It reads the plain data, so that an error in one place hides none in another. Neighbours: `loader` calls it before `compile_runbooks`;
`references` says which names each part of a step may speak of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from aiops.definitions.arguments import check_arguments
from aiops.definitions.problems import suggestion
from aiops.definitions.references import Step, Wrong, check_references, list_of, read, template_names
from aiops.definitions.step_targets import check_target
from aiops.definitions.yaml_tree import Path
from aiops.domain.runbook import REPEATABLE, ActionSpec
from aiops.domain.templated import is_late, speaks_of_item, speaks_of_steps

_OF_ACTIONS = ("arguments", "undo", "retry", "timeout")


def check_steps(data: Any, actions: Mapping[str, ActionSpec], parameters: Collection[str] = ()) -> Iterator[Wrong]:
    """(path, message) for what is wrong with a runbook's steps beyond the schema. `data`: the plain list; `parameters`: those that the runbook declares."""
    steps = [read(step) for step in list_of(data)]
    names = [step.name for step in steps]
    needs: dict[str, list[str]] = {}
    for step in steps:
        needs.setdefault(step.name, []).extend(step.needs)
    for index, step in enumerate(steps):
        base: Path = ("steps", index)
        if step.name and names.index(step.name) != index:
            yield (*base, "name"), f"a step {step.name!r} stands here a second time; names of steps must differ"
        for place, need in enumerate(step.needs):
            if need not in names:
                yield (*base, "needs", place), suggestion(f"no step {need!r} in this runbook", need, names)
        before = waited_for(step.name, needs)
        for path, message in (*_check_calls(step, actions), *_check_items(step), *check_references(step, before, names, parameters)):
            yield (*base, *path), message
    if cycle := find_cycle(needs):
        yield ("steps", names.index(cycle[0]), "needs"), f"the steps wait for each other: {' → '.join(cycle)}; break the circle"


def waited_for(name: str, needs: Mapping[str, Collection[str]]) -> frozenset[str]:
    """All steps that are done before this one begins."""
    found: set[str] = set()
    todo = list(needs.get(name, ()))
    while todo:
        need = todo.pop()
        if need not in found:
            found.add(need)
            todo.extend(needs.get(need, ()))
    return frozenset(found)


def _check_calls(step: Step, actions: Mapping[str, ActionSpec]) -> Iterator[Wrong]:
    """The step's own call, or the runbook that it calls, and what takes it back; paths within the step."""
    data, action = step.data, actions.get(step.action or "")
    if "runbook" in data:
        yield from _check_runbook(step)
        return
    if "action" not in data:
        yield ("action",), "is missing and must be given, or a runbook"
    if "with" in data:
        yield ("with",), "gives a runbook its parameters; an action has arguments"
    names = template_names(step)
    yield from _check_call(data, action, actions, names)
    undo = data.get("undo")
    if isinstance(undo, dict):
        yield from ((("undo", *path), words) for path, words in _check_call(undo, actions.get(str(undo.get("action"))), actions, names))
    retry = data.get("retry")
    if isinstance(retry, dict) and action is not None and action.effect not in REPEATABLE and "timeout" in list_of(retry.get("on")):
        effects = ", ".join(effect.value for effect in REPEATABLE)
        yield ("retry", "on"), f"{action.name} may have had its effect by then, and a second would add up; timeout is for actions whose effect is {effects}"


def _check_runbook(step: Step) -> Iterator[Wrong]:
    data = step.data
    if "action" in data:
        yield ("action",), "a step has an action or a runbook, not both"
    for key in _OF_ACTIONS:
        if key in data:
            yield (key,), "is for a step with an action; the steps of the runbook have their own"
    given = data.get("with")
    for key, value in given.items() if isinstance(given, dict) else ():
        if is_late(value):
            yield ("with", key), "speaks of other steps; what a runbook is given must be known before the run begins"
    yield from ((("target", key), words) for key, words in check_target(data.get("target"), None, [n for n in template_names(step) if n != "steps"]))


def _check_call(data: Mapping[str, Any], action: ActionSpec | None, actions: Mapping[str, ActionSpec], names: Collection[str]) -> Iterator[Wrong]:
    """An action, what it is given, and what it works on."""
    name, arguments = data.get("action"), data.get("arguments")
    if action is not None:
        given = arguments if isinstance(arguments, dict) else {}
        yield from ((("arguments", key), words) for key, words in check_arguments(action, given, names)[1])
    elif isinstance(name, str):
        yield ("action",), suggestion(f"no action {name!r}", name, sorted(actions))
    yield from ((("target", key), words) for key, words in check_target(data.get("target"), action, [n for n in names if n != "steps"]))


def _check_items(step: Step) -> Iterator[Wrong]:
    """What a list asks of the step: known before, it may decide everything; known only then, no targets and no other runbook's steps."""
    each = step.data.get("forEach")
    given, limit = (each.get("in"), each.get("limit", 20)) if isinstance(each, dict) else (None, 20)
    if isinstance(given, list) and isinstance(limit, int) and len(given) > limit:
        yield ("forEach", "in"), f"{len(given)} items; at most {limit} are allowed by its limit"
    if not isinstance(given, str) or not speaks_of_steps(given):
        return
    undo = step.data.get("undo")
    for path, data in (((), step.data), (("undo",), undo if isinstance(undo, dict) else {})):
        target = data.get("target")
        for key, text in target.items() if isinstance(target, dict) else ():
            if speaks_of_item(text):
                yield (*path, "target", key), "the items are known only when the step begins, and targets must be known before"
    if "runbook" in step.data:
        yield ("forEach", "in"), "speaks of other steps; the items for a runbook must be known before the run begins"


def find_cycle(needs: Mapping[str, Collection[str]]) -> list[str]:
    """The first circle as names that begin and end alike, or nothing. Depth-first with colours; names that are not there are ignored."""
    done: set[str] = set()

    def walk(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done or name not in needs:
            return []
        for need in needs[name]:
            if circle := walk(need, [*trail, name]):
                return circle
        done.add(name)
        return []

    for start in needs:
        if circle := walk(start, []):
            return circle
    return []

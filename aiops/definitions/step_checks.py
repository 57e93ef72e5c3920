"""What is wrong with a runbook's steps beyond the schema: names, order, actions, arguments, targets.

It reads the plain data, so that an error in one place hides none in another. Neighbours: `loader` calls it before `compile_runbooks`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.definitions.arguments import check_arguments
from aiops.definitions.fields import RUNBOOK_NAMES
from aiops.definitions.problems import suggestion
from aiops.definitions.step_targets import check_target
from aiops.definitions.yaml_tree import Path
from aiops.domain.runbook import REPEATABLE, ActionSpec
from aiops.domain.templated import step_names, step_names_of

Wrong = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class _Step:
    """What the checks need of a step, also of one that has errors of its own: so those hide nothing."""

    name: str
    action: str | None
    needs: tuple[str, ...]
    data: Mapping[str, Any]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _read(data: Any) -> _Step:
    given = data if isinstance(data, dict) else {}
    needs, action = given.get("needs"), given.get("action")
    return _Step(
        str(given.get("name", "")), action if isinstance(action, str) else None, tuple(map(str, _list(needs))), given,
    )


def check_steps(data: Any, actions: Mapping[str, ActionSpec]) -> Iterator[Wrong]:
    """(path, message) for what is wrong with a runbook's steps beyond the schema: names, order, actions and their arguments. `data`: the plain list."""
    steps = [_read(step) for step in _list(data)]
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
        for path, message in (*_check_calls(step, actions), *_check_references(step, waited_for(step.name, needs), names)):
            yield (*base, *path), message
    if cycle := find_cycle(needs):
        yield ("steps", names.index(cycle[0]), "needs"), f"the steps wait for each other: {' → '.join(cycle)}; break the circle"


def _check_references(step: _Step, before: Collection[str], names: list[str]) -> Iterator[Wrong]:
    """Templates and conditions speak only of steps that are surely done by then; paths within the step."""
    for path, found in _spoken_of(step):
        for name in found:
            if not name:
                yield path, "a step is named as steps.NAME.output.KEY"
            elif name not in names:
                yield path, suggestion(f"no step {name!r} in this runbook", name, names)
            elif name not in before and not (name == step.name and path[0] == "undo"):  # what takes a step back may speak of it
                yield path, f"the step {step.name!r} does not wait for {name!r}, so there may be no output yet; add it to needs"


def _spoken_of(step: _Step) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The steps that each part of a step speaks of."""
    undo = step.data.get("undo")
    calls: tuple[tuple[Path, Any], ...] = (((), step.data), (("undo",), undo if isinstance(undo, dict) else {}))
    for path, call in calls:
        arguments = call.get("arguments")
        for key, value in arguments.items() if isinstance(arguments, dict) else ():
            yield (*path, "arguments", key), step_names(value)
    when = step.data.get("when")
    yield ("when",), step_names_of(when) if isinstance(when, str) else ()


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


def _check_calls(step: _Step, actions: Mapping[str, ActionSpec]) -> Iterator[Wrong]:
    """The step's own call and the one that takes it back; paths within the step."""
    action = actions.get(step.action or "")
    yield from _check_call(step.data, action, actions)
    undo = step.data.get("undo")
    if isinstance(undo, dict):
        yield from ((("undo", *path), words) for path, words in _check_call(undo, actions.get(str(undo.get("action"))), actions))
    retry = step.data.get("retry")
    if isinstance(retry, dict) and action is not None and action.effect not in REPEATABLE and "timeout" in _list(retry.get("on")):
        effects = ", ".join(effect.value for effect in REPEATABLE)
        yield ("retry", "on"), f"{action.name} may have had its effect by then, and a second would add up; timeout is for actions whose effect is {effects}"


def _check_call(data: Mapping[str, Any], action: ActionSpec | None, actions: Mapping[str, ActionSpec]) -> Iterator[Wrong]:
    """An action, what it is given, and what it works on."""
    name, arguments = data.get("action"), data.get("arguments")
    if action is not None:
        given = arguments if isinstance(arguments, dict) else {}
        yield from ((("arguments", key), words) for key, words in check_arguments(action, given, (*RUNBOOK_NAMES, "steps"))[1])
    elif isinstance(name, str):
        yield ("action",), suggestion(f"no action {name!r}", name, sorted(actions))
    yield from ((("target", key), words) for key, words in check_target(data.get("target"), action, RUNBOOK_NAMES))


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

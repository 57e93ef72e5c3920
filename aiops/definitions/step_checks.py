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
from aiops.domain.runbook import ActionSpec
from aiops.domain.templated import step_names, step_names_of

Wrong = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class _Step:
    """What the checks need of a step, also of one that has errors of its own: so those hide nothing."""

    name: str
    action: str | None
    needs: tuple[str, ...]
    arguments: Mapping[str, Any]
    target: Any
    when: str


def _read(data: Any) -> _Step:
    given = data if isinstance(data, dict) else {}
    needs, arguments, action, when = (given.get(key) for key in ("needs", "arguments", "action", "when"))
    return _Step(
        str(given.get("name", "")),
        action if isinstance(action, str) else None,
        tuple(map(str, needs)) if isinstance(needs, list) else (),
        arguments if isinstance(arguments, dict) else {},
        given.get("target"),
        when if isinstance(when, str) else "",
    )


def check_steps(data: Any, actions: Mapping[str, ActionSpec]) -> Iterator[Wrong]:
    """(path, message) for what is wrong with a runbook's steps beyond the schema: names, order, actions and their arguments. `data`: the plain list."""
    steps = [_read(step) for step in data] if isinstance(data, list) else []
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
        for path, message in (*_check_action(step, actions), *_check_references(step, waited_for(step.name, needs), names)):
            yield (*base, *path), message
    if cycle := find_cycle(needs):
        yield ("steps", names.index(cycle[0]), "needs"), f"the steps wait for each other: {' → '.join(cycle)}; break the circle"


def _check_references(step: _Step, before: Collection[str], names: list[str]) -> Iterator[Wrong]:
    """Templates and conditions speak only of steps that are surely done by then; paths within the step."""
    spoken: list[tuple[Path, tuple[str, ...]]] = [(("arguments", name), step_names(value)) for name, value in step.arguments.items()]
    spoken.append((("when",), step_names_of(step.when)))
    for path, found in spoken:
        for name in found:
            if not name:
                yield path, "a step is named as steps.NAME.output.KEY"
            elif name not in names:
                yield path, suggestion(f"no step {name!r} in this runbook", name, names)
            elif name not in before:
                yield path, f"the step {step.name!r} does not wait for {name!r}, so there may be no output yet; add it to needs"


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


def _check_action(step: _Step, actions: Mapping[str, ActionSpec]) -> Iterator[Wrong]:
    """The action, what it is given, and what it works on; paths within the step."""
    action = actions.get(step.action) if step.action is not None else None
    if action is not None:
        for name, message in check_arguments(action, step.arguments, (*RUNBOOK_NAMES, "steps"))[1]:
            yield ("arguments", name), message
    elif step.action is not None:
        yield ("action",), suggestion(f"no action {step.action!r}", step.action, sorted(actions))
    for key, message in check_target(step.target, action, RUNBOOK_NAMES):
        yield ("target", key), message


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

"""What each part of a step may speak of: steps that are done by then, parameters that the runbook has, an item where there is one.

Neighbours: `step_checks` asks about each step, `loader` about the query of `verify`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.definitions.fields import RUNBOOK_NAMES
from aiops.definitions.problems import suggestion
from aiops.definitions.yaml_tree import Path
from aiops.domain.templated import item_spoken_of, parameter_names, parameter_names_of, step_names, step_names_of

Wrong = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class Step:
    """What the checks need of a step, also of one that has errors of its own: so those hide nothing."""

    name: str
    action: str | None
    needs: tuple[str, ...]
    data: Mapping[str, Any]


def list_of(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def read(data: Any) -> Step:
    """A step of the plain data."""
    given = data if isinstance(data, dict) else {}
    needs, action = given.get("needs"), given.get("action")
    return Step(str(given.get("name", "")), action if isinstance(action, str) else None, tuple(map(str, list_of(needs))), given)


def template_names(step: Step) -> tuple[str, ...]:
    """What the templates of a step's arguments may speak of."""
    return (*RUNBOOK_NAMES, "steps", *(("item",) if "forEach" in step.data else ()))


def check_references(step: Step, before: Collection[str], names: list[str], parameters: Collection[str]) -> Iterator[Wrong]:
    """Templates and expressions speak only of steps that are surely done by then and of parameters that there are; paths within the step."""
    for path, value in _templates(step):
        yield from _steps(step, path, step_names(value) if "target" not in path else (), before, names)
        yield from check_parameters(path, parameter_names(value), parameters)
    for path, text in _expressions(step):
        yield from _steps(step, path, step_names_of(text), before, names)
        yield from check_parameters(path, parameter_names_of(text), parameters)
        if item_spoken_of(text) and ("forEach" not in step.data or path[0] == "forEach"):
            yield path, "speaks of item, but there is none here: item is what a step with forEach is done for"


def check_parameters(path: Path, spoken: Collection[str], parameters: Collection[str]) -> Iterator[Wrong]:
    """Those that the runbook does not declare."""
    for name in spoken:
        if not name:
            yield path, "a parameter is named as parameters.NAME"
        elif name not in parameters:
            yield path, suggestion(f"the runbook has no parameter {name!r}", name, sorted(parameters))


def _steps(step: Step, path: Path, spoken: Collection[str], before: Collection[str], names: list[str]) -> Iterator[Wrong]:
    for name in spoken:
        if not name:
            yield path, "a step is named as steps.NAME.output.KEY"
        elif name not in names:
            yield path, suggestion(f"no step {name!r} in this runbook", name, names)
        elif name not in before and not (name == step.name and path[0] == "undo"):  # what takes a step back may speak of it
            yield path, f"the step {step.name!r} does not wait for {name!r}, so there may be no output yet; add it to needs"


def _templates(step: Step) -> Iterator[tuple[Path, Any]]:
    undo = step.data.get("undo")
    calls: tuple[tuple[Path, Any], ...] = (((), step.data), (("undo",), undo if isinstance(undo, dict) else {}))
    for path, call in calls:
        for part in ("arguments", "with", "target"):
            given = call.get(part)
            for key, value in given.items() if isinstance(given, dict) else ():
                yield (*path, part, key), value


def _expressions(step: Step) -> Iterator[tuple[Path, str]]:
    each = step.data.get("forEach")
    given = each.get("in") if isinstance(each, dict) else None
    for path, text in ((("when",), step.data.get("when")), (("forEach", "in"), given)):
        if isinstance(text, str):
            yield path, text

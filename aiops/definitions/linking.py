"""Runbooks that call runbooks: found by name, checked together, compiled from the inside out.

Neighbours: `loader` gathers them from all files first; `compile_runbooks` makes each one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.definitions.compile_runbooks import Named, compile_runbook
from aiops.definitions.parameters import check_given, parameters_of
from aiops.definitions.problems import suggestion
from aiops.definitions.references import Wrong, list_of
from aiops.definitions.schema_runbooks import RunbookModel
from aiops.definitions.step_checks import find_cycle
from aiops.definitions.yaml_tree import Document, dotted
from aiops.domain.errors import Problem
from aiops.domain.runbook import ActionSpec, Runbook

MAX_DEPTH = 5
"""Runbooks within each other, the outermost counted."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A runbook as it was read; `model` and `names` are None if it has mistakes of its own."""

    data: Any
    document: Document
    file: str
    model: RunbookModel | None
    names: Named | None


@dataclass(slots=True)
class Linked:
    """What came of linking, in the order of reading."""

    runbooks: list[Runbook] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)


def link(pending: Mapping[str, Pending], actions: Mapping[str, ActionSpec], digest: Callable[[Any], str]) -> Linked:
    """Compile what has no mistakes; `digest` makes the hash of a content, and a runbook's covers those that it calls."""
    linked = Linked()
    calls = {name: _called(one) for name, one in pending.items()}
    made: dict[str, Runbook | None] = {}
    for name in pending:
        _make(name, pending, calls, actions, digest, made, linked)
    linked.runbooks = [runbook for name in pending if (runbook := made[name]) is not None]
    return linked


def _called(one: Pending) -> tuple[str, ...]:
    steps = one.model.steps if one.model is not None else ()
    return tuple(dict.fromkeys(step.runbook for step in steps if step.runbook is not None))


def _make(
    name: str, pending: Mapping[str, Pending], calls: Mapping[str, tuple[str, ...]], actions: Mapping[str, ActionSpec],
    digest: Callable[[Any], str], made: dict[str, Runbook | None], linked: Linked,
) -> None:
    """Compile one and, before it, those that it calls; None in `made` where it is left out."""
    if name in made or name not in pending:
        return
    made[name] = None  # should it come back to itself: then it stays left out
    one = pending[name]
    if one.model is None or one.names is None:
        linked.problems.extend(Problem(one.file, one.document.line(path), dotted(path), words) for path, words in _unknown(one.data, pending))
        return
    wrong = list(_circles(name, one.model, calls))
    if not wrong:
        for child in calls[name]:
            _make(child, pending, calls, actions, digest, made, linked)
        wrong = list(_calls(one.model, pending, made))
    linked.problems.extend(Problem(one.file, one.document.line(path), dotted(path), words) for path, words in wrong)
    if wrong:
        return
    line = one.document.line(())
    absent = [(path, words) for path, words in one.names.absent]
    absent += [(("steps", i, "runbook"), f"the runbook {s.runbook} is left out") for i, s in enumerate(one.model.steps) if s.runbook and made[s.runbook] is None]
    if absent:
        linked.notes.append(Problem(one.file, line, dotted(absent[0][0]), f"the runbook {name} is left out: {absent[0][1]}"))
        return
    called = {child: runbook for child in calls[name] if (runbook := made[child]) is not None}
    content = digest([one.data, *(runbook.hash for runbook in called.values())]) if called else digest(one.data)
    made[name] = compile_runbook(one.model, one.names, actions=actions, called=called, content_hash=content, file=one.file, line=line)


def _circles(name: str, model: RunbookModel, calls: Mapping[str, tuple[str, ...]]) -> Iterator[Wrong]:
    """A runbook that calls itself, by whatever way, and calls that go too deep."""
    circle = find_cycle({name: calls[name], **{n: c for n, c in calls.items() if n != name}})
    for index, step in enumerate(model.steps):
        if step.runbook is None:
            continue
        if name in circle and step.runbook in circle:
            yield ("steps", index, "runbook"), f"the runbooks call each other: {' → '.join(circle)}; break the circle"
        elif not circle and 1 + _depth(step.runbook, calls) > MAX_DEPTH:
            yield ("steps", index, "runbook"), f"more than {MAX_DEPTH} runbooks stand within each other here"


def _depth(name: str, calls: Mapping[str, tuple[str, ...]]) -> int:
    return 1 + max((_depth(child, calls) for child in calls.get(name, ())), default=0)


def _unknown(data: Any, pending: Mapping[str, Pending]) -> Iterator[Wrong]:
    """Calls of what there is not, in the plain data of a runbook that has other mistakes."""
    for index, step in enumerate(list_of(data.get("steps"))):
        name = step.get("runbook") if isinstance(step, dict) else None
        if isinstance(name, str) and name not in pending:
            yield ("steps", index, "runbook"), suggestion(f"no runbook {name!r}", name, sorted(pending))


def _calls(model: RunbookModel, pending: Mapping[str, Pending], made: Mapping[str, Runbook | None]) -> Iterator[Wrong]:
    """Calls of what there is not, of what has mistakes, and with what it does not take."""
    for index, step in enumerate(model.steps):
        if step.runbook is None:
            continue
        child = pending.get(step.runbook)
        if child is None:
            yield ("steps", index, "runbook"), suggestion(f"no runbook {step.runbook!r}", step.runbook, sorted(pending))
        elif child.model is None:
            yield ("steps", index, "runbook"), f"the runbook {step.runbook} has mistakes of its own"
        else:
            compiled = made.get(step.runbook)
            parameters = compiled.parameters if compiled is not None else parameters_of(child.model)
            for key, words in check_given(step.runbook, parameters, step.given, item=step.for_each is not None):
                yield ("steps", index, "with", key), words

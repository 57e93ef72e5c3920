"""Runbook models to `domain.runbook.Runbook`, with what can only be known together: actions, step order, sources.

Neighbours: `loader` calls `check_steps`, `named` and, if nothing is wrong, `compile_runbook`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.definitions.arguments import check_arguments
from aiops.definitions.cel import compile_expression
from aiops.definitions.problems import suggestion
from aiops.definitions.schema_runbooks import RunbookModel, StepModel, VerifyModel
from aiops.definitions.source_names import Meant, meant, sighted
from aiops.definitions.yaml_tree import Path
from aiops.domain.outcome import GuardMode
from aiops.domain.runbook import ActionSpec, GuardSpec, Mode, OnFailure, Retry, Runbook, StepSpec, VerifySpec

Wrong = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class _Step:
    """What the checks need of a step, also of one that has errors of its own: so those hide nothing."""

    name: str
    action: str | None
    needs: tuple[str, ...]
    arguments: Mapping[str, Any]


def _read(data: Any) -> _Step:
    given = data if isinstance(data, dict) else {}
    needs, arguments, action = given.get("needs"), given.get("arguments"), given.get("action")
    return _Step(
        str(given.get("name", "")),
        action if isinstance(action, str) else None,
        tuple(map(str, needs)) if isinstance(needs, list) else (),
        arguments if isinstance(arguments, dict) else {},
    )


def check_steps(data: Any, actions: Mapping[str, ActionSpec]) -> Iterator[Wrong]:
    """(path, message) for what is wrong with a runbook's steps beyond the schema: names, order, actions and their arguments. `data`: the plain list."""
    steps = [_read(step) for step in data] if isinstance(data, list) else []
    names = [step.name for step in steps]
    for index, step in enumerate(steps):
        base: Path = ("steps", index)
        if step.name and names.index(step.name) != index:
            yield (*base, "name"), f"a step {step.name!r} stands here a second time; names of steps must differ"
        for place, need in enumerate(step.needs):
            if need not in names:
                yield (*base, "needs", place), suggestion(f"no step {need!r} in this runbook", need, names)
        if step.action is not None and step.action in actions:
            for name, message in check_arguments(actions[step.action], step.arguments)[1]:
                yield (*base, "arguments", name), message
        elif step.action is not None:
            yield (*base, "action"), suggestion(f"no action {step.action!r}", step.action, sorted(actions))
    needs: dict[str, list[str]] = {}
    for step in steps:
        needs.setdefault(step.name, []).extend(step.needs)
    if cycle := find_cycle(needs):
        yield ("steps", names.index(cycle[0]), "needs"), f"the steps wait for each other: {' → '.join(cycle)}; break the circle"


@dataclass(frozen=True, slots=True)
class Named:
    """The sources a runbook asks, under their configured names; what is wrong with the names it uses; why it is left out, if it is."""

    verify_source: str
    needs_sight: tuple[str, ...]
    wrong: tuple[Wrong, ...]
    absent: tuple[Wrong, ...]


def named(model: RunbookModel, sources: Mapping[str, str] | None, guards: Collection[str] | None) -> Named:
    """Find the sources and guards that the runbook names. None: nothing is known, names are taken as they are."""
    verify = meant(model.verify.source, "prometheus", sources) if model.verify else Meant()
    places: list[tuple[Path, Meant]] = [(("verify", "source"), verify)]
    places += [(("needsSight", index), sighted(name, sources)) for index, name in enumerate(model.needs_sight)]
    wrong: list[Wrong] = [(path, found.wrong) for path, found in places if found.wrong]
    if guards is not None:
        known = sorted(guards)
        wrong += [(("guards", "modes", name), suggestion(f"no guard {name!r}", name, known)) for name in model.guards.modes if name not in known]
    sights = tuple(dict.fromkeys(found.name for _, found in places[1:] if found.name))
    return Named(verify.name, sights, tuple(wrong), tuple((path, found.absent) for path, found in places if found.absent))


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


def compile_runbook(model: RunbookModel, names: Named, *, actions: Mapping[str, ActionSpec], content_hash: str, file: str, line: int) -> Runbook:
    """The domain's runbook, expressions compiled and arguments typed."""
    guards = model.guards
    return Runbook(
        name=model.metadata.name,
        mode=Mode(model.mode),
        match=compile_expression(model.match, "match"),
        steps=tuple(_step(step, actions[step.action]) for step in model.steps),
        description=model.description,
        priority=model.priority,
        needs_sight=names.needs_sight,
        verify=_verify(model.verify, names.verify_source) if model.verify else None,
        undo_on_failure=model.undo_on_failure,
        guards=GuardSpec(
            cooldown=guards.cooldown,
            minimum_replicas=guards.minimum_replicas,
            maximum_replicas=guards.maximum_replicas,
            maximum_pods=guards.maximum_pods,
            maximum_share=guards.maximum_share,
            maximum_per_hour=guards.maximum_per_hour,
            maximum_per_incident=guards.maximum_per_incident,
            modes={name: GuardMode(mode) for name, mode in guards.modes.items()},
        ),
        labels=model.metadata.labels,
        hash=content_hash,
        file=file,
        line=line,
    )


def _step(model: StepModel, action: ActionSpec) -> StepSpec:
    return StepSpec(
        name=model.name,
        action=model.action,
        arguments=check_arguments(action, model.arguments)[0],
        needs=tuple(model.needs),
        when=compile_expression(model.when, "step") if model.when is not None else None,
        timeout=model.timeout,
        retry=Retry(model.retry.limit, model.retry.initial, model.retry.factor, model.retry.maximum),
        on_failure=OnFailure(model.on_failure),
    )


def _verify(model: VerifyModel, source: str) -> VerifySpec:
    return VerifySpec(
        source=source,
        query=model.query,
        passes=compile_expression(model.passes, "verify"),
        after=model.after,
        within=model.within,
        every=model.every,
        hold=model.hold,
        worst=model.worst,
    )

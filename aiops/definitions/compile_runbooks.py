"""Runbook models to `domain.runbook.Runbook`, with what can only be known together: actions, step order, sources.

Neighbours: `loader` calls `step_checks`, `named` and, if nothing is wrong, `compile_runbook`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import Any

from aiops.definitions.arguments import check_arguments, typed
from aiops.definitions.cel import compile_expression
from aiops.definitions.fields import RUNBOOK_NAMES
from aiops.definitions.parameters import parameters_of
from aiops.definitions.problems import suggestion
from aiops.definitions.references import Wrong
from aiops.definitions.schema_runbooks import ForEachModel, RetryModel, RunbookModel, StepModel, UndoModel, VerifyModel
from aiops.definitions.source_names import Meant, meant, sighted
from aiops.definitions.step_targets import target_spec
from aiops.definitions.yaml_tree import Path
from aiops.domain.outcome import GuardMode
from aiops.domain.runbook import ActionSpec, ForEach, GuardSpec, Mode, OnFailure, Retry, Runbook, StepSpec, UndoMode, UndoSpec, VerifySpec


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


def compile_runbook(
    model: RunbookModel, names: Named, *, actions: Mapping[str, ActionSpec], called: Mapping[str, Runbook], content_hash: str, file: str, line: int
) -> Runbook:
    """The domain's runbook, expressions compiled and arguments typed. `called`: the runbooks that its steps call; their limits and sights hold for it too."""
    guards = model.guards
    children = [called[name] for name in dict.fromkeys(step.runbook for step in model.steps) if name is not None]
    return Runbook(
        name=model.metadata.name,
        mode=Mode(model.mode),
        match=compile_expression(model.match, "match"),
        steps=tuple(_step(step, actions, called) for step in model.steps),
        description=model.description,
        priority=model.priority,
        needs_sight=tuple(dict.fromkeys([*names.needs_sight, *(name for child in children for name in child.needs_sight)])),
        verify=_verify(model.verify, names.verify_source) if model.verify else None,
        undo_on_failure=model.undo_on_failure,
        guards=reduce(stricter, (child.guards for child in children), GuardSpec(
            cooldown=guards.cooldown,
            minimum_replicas=guards.minimum_replicas,
            maximum_replicas=guards.maximum_replicas,
            maximum_pods=guards.maximum_pods,
            maximum_share=guards.maximum_share,
            maximum_per_hour=guards.maximum_per_hour,
            maximum_per_incident=guards.maximum_per_incident,
            modes={name: GuardMode(mode) for name, mode in guards.modes.items()},
        )),
        labels=model.metadata.labels,
        escalates_to=tuple(model.escalates_to),
        hash=content_hash,
        file=file,
        line=line,
        deadline=model.deadline,
        parameters=parameters_of(model),
    )


def _step(model: StepModel, actions: Mapping[str, ActionSpec], called: Mapping[str, Runbook]) -> StepSpec:
    names = (*RUNBOOK_NAMES, "steps", *(("item",) if model.for_each is not None else ()))
    child = called[model.runbook] if model.runbook is not None else None
    return StepSpec(
        name=model.name,
        action=model.action or "",
        arguments=check_arguments(actions[model.action], model.arguments, names)[0] if model.action else {},
        needs=tuple(model.needs),
        when=compile_expression(model.when, "step") if model.when is not None else None,
        timeout=model.timeout,
        retry=_retry(model.retry),
        on_failure=OnFailure(model.on_failure),
        target=target_spec(model.target),
        undo=_undo(model.undo, actions, names),
        for_each=_for_each(model.for_each),
        runbook=child,
        given={key: typed(child.parameters[key].spec, value, templates=names) for key, value in model.given.items()} if child else {},
    )


def _for_each(model: ForEachModel | None) -> ForEach | None:
    if model is None:
        return None
    literal = () if isinstance(model.source, str) else tuple(model.source)
    return ForEach(literal, compile_expression(model.source, "list") if isinstance(model.source, str) else None, model.concurrency, model.limit)


def stricter(own: GuardSpec, other: GuardSpec) -> GuardSpec:
    """The limits of a runbook and of one that it calls together: of each pair the one that allows less. Modes are the caller's."""
    limits: dict[str, Any] = {}
    for one in fields(GuardSpec):
        pair = [value for value in (getattr(own, one.name), getattr(other, one.name)) if isinstance(value, int | float)]
        if pair:
            limits[one.name] = (min if one.name.startswith("maximum") else max)(pair)
    return replace(own, **limits)


def _retry(model: RetryModel) -> Retry:
    given = model.limit
    by_severity = {} if isinstance(given, int) else {name: tries for name, tries in given.model_dump().items() if tries is not None}
    return Retry(given if isinstance(given, int) else 0, model.initial, model.factor, model.maximum, tuple(model.on or ()), by_severity)


def _undo(model: UndoModel | str, actions: Mapping[str, ActionSpec], names: Collection[str]) -> UndoSpec:
    if isinstance(model, str):
        return UndoSpec(UndoMode(model))
    arguments = check_arguments(actions[model.action], model.arguments, names)[0]
    return UndoSpec(UndoMode.OWN, model.action, arguments, target_spec(model.target))


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
        before=model.before,
    )

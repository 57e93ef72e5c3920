"""Runbook models to `domain.runbook.Runbook`, with what can only be known together: actions, step order, sources.

Neighbours: `loader` calls `step_checks`, `named` and, if nothing is wrong, `compile_runbook`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aiops.definitions.arguments import check_arguments
from aiops.definitions.cel import compile_expression
from aiops.definitions.fields import RUNBOOK_NAMES
from aiops.definitions.problems import suggestion
from aiops.definitions.schema_runbooks import RetryModel, RunbookModel, StepModel, UndoModel, VerifyModel
from aiops.definitions.source_names import Meant, meant, sighted
from aiops.definitions.step_checks import Wrong
from aiops.definitions.step_targets import target_spec
from aiops.definitions.yaml_tree import Path
from aiops.domain.outcome import GuardMode
from aiops.domain.runbook import ActionSpec, GuardSpec, Mode, OnFailure, Retry, Runbook, StepSpec, UndoMode, UndoSpec, VerifySpec


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


def compile_runbook(model: RunbookModel, names: Named, *, actions: Mapping[str, ActionSpec], content_hash: str, file: str, line: int) -> Runbook:
    """The domain's runbook, expressions compiled and arguments typed."""
    guards = model.guards
    return Runbook(
        name=model.metadata.name,
        mode=Mode(model.mode),
        match=compile_expression(model.match, "match"),
        steps=tuple(_step(step, actions) for step in model.steps),
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
        escalates_to=tuple(model.escalates_to),
        hash=content_hash,
        file=file,
        line=line,
        deadline=model.deadline,
    )


def _step(model: StepModel, actions: Mapping[str, ActionSpec]) -> StepSpec:
    return StepSpec(
        name=model.name,
        action=model.action,
        arguments=check_arguments(actions[model.action], model.arguments, (*RUNBOOK_NAMES, "steps"))[0],
        needs=tuple(model.needs),
        when=compile_expression(model.when, "step") if model.when is not None else None,
        timeout=model.timeout,
        retry=_retry(model.retry),
        on_failure=OnFailure(model.on_failure),
        target=target_spec(model.target),
        undo=_undo(model.undo, actions),
    )


def _retry(model: RetryModel) -> Retry:
    given = model.limit
    by_severity = {} if isinstance(given, int) else {name: tries for name, tries in given.model_dump().items() if tries is not None}
    return Retry(given if isinstance(given, int) else 0, model.initial, model.factor, model.maximum, tuple(model.on or ()), by_severity)


def _undo(model: UndoModel | str, actions: Mapping[str, ActionSpec]) -> UndoSpec:
    if isinstance(model, str):
        return UndoSpec(UndoMode(model))
    arguments = check_arguments(actions[model.action], model.arguments, (*RUNBOOK_NAMES, "steps"))[0]
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

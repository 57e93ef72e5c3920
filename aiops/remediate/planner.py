"""Binds a runbook to an incident: every template rendered and typed, nothing left to decide but the guards and a person.

Neighbours: `matching` chooses the runbook, guards judge the plan, `execution` carries it out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from aiops.domain.errors import ExpressionError, trimmed
from aiops.domain.expression import Renderer
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident
from aiops.domain.plan import Plan, PlannedStep, PlannedUndo, PlannedVerify
from aiops.domain.runbook import Retry, Runbook, StepSpec, TargetSpec, UndoMode, VerifySpec
from aiops.domain.target import KINDS, TargetRef, valid_name
from aiops.domain.templated import PromqlText, is_late, templated

Convert = Callable[[str, str, Any], Any]
"""Action, argument and rendered text in, typed value out; raises ValueError saying what is allowed."""

DEFAULT_COOLDOWN = 300.0


def make_plan(
    runbook: Runbook,
    incident: Incident,
    target: TargetRef,
    facts: Mapping[str, Any],
    render: Renderer,
    now: float,
    attempt: int,
    *,
    convert: Convert,
    cooldown: float = DEFAULT_COOLDOWN,
) -> Plan:
    """The plan of the `attempt`-th run (1, 2, …) of this runbook for this incident: the same arguments give the same id and hash.

    `cooldown` (seconds) is the default for runbooks that name none. Raises ExpressionError, naming step and argument, when a template cannot
    be rendered or what it gives is not of the argument's type.
    """
    steps = tuple(_step(step, facts, target, render, convert) for step in runbook.steps)
    verify = _verify(runbook.verify, facts, render) if runbook.verify is not None else None
    return Plan(
        id=make_id("plan", runbook.name, runbook.hash, incident.id, str(target), attempt),
        incident=incident.id,
        runbook=runbook.name,
        runbook_hash=runbook.hash,
        mode=runbook.mode,
        target=target,
        steps=steps,
        created_at=now,
        hash=plan_hash(runbook.hash, target, steps, verify),
        verify=verify,
        undo_on_failure=runbook.undo_on_failure,
        facts=dict(facts),
        deadline=runbook.deadline,
        cooldown=cooldown if runbook.guards.cooldown is None else runbook.guards.cooldown,
    )


def plan_hash(runbook_hash: str, target: TargetRef, steps: tuple[PlannedStep, ...], verify: PlannedVerify | None) -> str:
    """32 hex digits over what an approval is bound to, as canonical JSON: runbook content, targets, steps, verification."""
    content = {
        "runbook": runbook_hash,
        "target": [target.context, target.kind, target.namespace, target.name],
        "steps": [asdict(step) for step in steps],
        "verify": None if verify is None else asdict(verify),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()[:32]


def _step(step: StepSpec, facts: Mapping[str, Any], target: TargetRef, render: Renderer, convert: Convert) -> PlannedStep:
    arguments, late = _arguments(f"step {step.name}", step.action, step.arguments, facts, render, convert)
    return PlannedStep(
        name=step.name,
        action=step.action,
        arguments=arguments,
        needs=step.needs,
        when=step.when.text if step.when is not None else "",
        timeout=step.timeout,
        retry=_retry(step.retry, str(facts.get("incident.severity", ""))),
        on_failure=step.on_failure,
        late=late,
        target=None if step.target is None else _target(f"step {step.name}, target", step.target, target, facts, render),
        undo=_undo(step, facts, target, render, convert),
    )


def _retry(retry: Retry, severity: str) -> Retry:
    """With the limit of the incident's severity."""
    return replace(retry, limit=retry.limits.get(severity, retry.limits.get("default", 0)), limits={}) if retry.limits else retry


def _undo(step: StepSpec, facts: Mapping[str, Any], target: TargetRef, render: Renderer, convert: Convert) -> PlannedUndo:
    undo, place = step.undo, f"step {step.name}, undo"
    if undo.mode is not UndoMode.OWN:
        return PlannedUndo(undo.mode)
    arguments, late = _arguments(place, undo.action, undo.arguments, facts, render, convert)
    own = None if undo.target is None else _target(f"{place}.target", undo.target, target, facts, render)
    return PlannedUndo(undo.mode, undo.action, arguments, late, own)


def _arguments(
    place: str, action: str, given: Mapping[str, Any], facts: Mapping[str, Any], render: Renderer, convert: Convert
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Arguments rendered and typed, and the names of those that can only be rendered when the step begins."""
    late = tuple(name for name, value in given.items() if is_late(value))
    return {n: v if n in late else _argument(place, action, n, v, facts, render, convert) for n, v in given.items()}, late


def _argument(place: str, action: str, name: str, value: Any, facts: Mapping[str, Any], render: Renderer, convert: Convert) -> Any:
    """What is a template is rendered and typed again; the rest was typed when the file was loaded."""
    if not templated(value):
        return value
    try:
        promql = isinstance(value, PromqlText)
        rendered = render(value, facts, promql=promql) if isinstance(value, str) else tuple(render(v, facts) if templated(v) else v for v in value)
        return convert(action, name, rendered)
    except (ExpressionError, ValueError) as error:
        raise ExpressionError(f"{place}, argument {name}: {error}") from error


def _target(place: str, spec: TargetSpec, main: TargetRef, facts: Mapping[str, Any], render: Renderer) -> TargetRef:
    """What is not given is the incident's target's. A name that no object can have is an error now, not a request later."""
    given = {}
    for name, text in (("kind", spec.kind), ("namespace", spec.namespace), ("name", spec.name), ("context", spec.context)):
        try:
            given[name] = render(text, facts) if templated(text) else text
        except ExpressionError as error:
            raise ExpressionError(f"{place}.{name}: {error}") from error
        if text and not given[name]:
            raise ExpressionError(f"{place}.{name}: it is empty")
    kind = given["kind"] or main.kind
    if kind not in KINDS:
        raise ExpressionError(f"{place}.kind: {trimmed(kind, 80)!r} is no kind; there are {', '.join(KINDS)}")
    namespace = (given["namespace"] or main.namespace) if KINDS[kind].namespaced else ""
    name = given["name"] or main.name
    if not valid_name(name):
        raise ExpressionError(f"{place}.name: no object can be named {trimmed(name, 80)!r}")
    if KINDS[kind].namespaced and not valid_name(namespace):
        raise ExpressionError(f"{place}.namespace: no namespace can be named {trimmed(namespace, 80)!r}")
    return TargetRef(kind, namespace, name, given["context"] or main.context)


def _verify(spec: VerifySpec, facts: Mapping[str, Any], render: Renderer) -> PlannedVerify:
    try:
        query = render(spec.query, facts, promql=True)
    except ExpressionError as error:
        raise ExpressionError(f"verify, query: {error}") from error
    return PlannedVerify(spec.source, query, spec.passes.text, spec.after, spec.within, spec.every, spec.hold, spec.worst, spec.before)

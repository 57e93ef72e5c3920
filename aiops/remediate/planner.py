"""Binds a runbook to an incident: every template rendered and typed, nothing left to decide but the guards and a person.

Neighbours: `matching` chooses the runbook, guards judge the plan, `execution` carries it out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiops.domain.errors import ExpressionError
from aiops.domain.expression import Renderer
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident
from aiops.domain.plan import Plan, PlannedStep, PlannedVerify
from aiops.domain.runbook import Runbook, VerifySpec
from aiops.domain.target import TargetRef
from aiops.remediate.expansion import Binder, Convert, Place, parameters_of

__all__ = ["Convert", "make_plan", "plan_hash"]

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
    parameters: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan of the `attempt`-th run (1, 2, …) of this runbook for this incident: the same arguments give the same id and hash.

    `cooldown` (seconds) is the default for runbooks that name none; `parameters` are the runbook's, typed or as text. Raises ExpressionError, naming step and argument, when a template cannot
    be rendered or what it gives is not of the argument's type.
    """
    bound = parameters_of(runbook, parameters or {})
    facts = {**facts, "parameters": bound}
    steps = Binder(facts, render, convert).steps(runbook.steps, Place(target))
    verify = _verify(runbook.verify, facts, render) if runbook.verify is not None else None
    return Plan(
        id=make_id("plan", runbook.name, runbook.hash, incident.id, str(target), attempt, *([_canonical(bound)] if bound else [])),
        incident=incident.id,
        runbook=runbook.name,
        runbook_hash=runbook.hash,
        mode=runbook.mode,
        target=target,
        steps=steps,
        created_at=now,
        hash=plan_hash(runbook.hash, target, steps, verify, bound),
        verify=verify,
        undo_on_failure=runbook.undo_on_failure,
        facts=facts,
        deadline=runbook.deadline,
        cooldown=cooldown if runbook.guards.cooldown is None else runbook.guards.cooldown,
    )


def plan_hash(
    runbook_hash: str, target: TargetRef, steps: tuple[PlannedStep, ...], verify: PlannedVerify | None, parameters: Mapping[str, Any] | None = None,
) -> str:
    """32 hex digits over what an approval is bound to, as canonical JSON: runbook content, targets, steps, verification, and parameters (conditions
    and late arguments speak of them).
    """
    content = {
        "runbook": runbook_hash,
        "target": [target.context, target.kind, target.namespace, target.name],
        "steps": [asdict(step) for step in steps],
        "verify": None if verify is None else asdict(verify),
        "parameters": dict(parameters or {}),
    }
    return hashlib.sha256(_canonical(content).encode()).hexdigest()[:32]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _verify(spec: VerifySpec, facts: Mapping[str, Any], render: Renderer) -> PlannedVerify:
    try:
        query = render(spec.query, facts, promql=True)
    except ExpressionError as error:
        raise ExpressionError(f"verify, query: {error}") from error
    return PlannedVerify(spec.source, query, spec.passes.text, spec.after, spec.within, spec.every, spec.hold, spec.worst, spec.before)

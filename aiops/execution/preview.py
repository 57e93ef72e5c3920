"""What a plan would send now, through hands that only record: for suggestions, approvals, the review list.

Neighbours: `approval` binds an approval to the state that was read here; `effects` sends for real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiops.domain.ids import operation_key
from aiops.domain.outcome import Outcome
from aiops.domain.plan import COLLECT, Change, Plan, PlannedStep
from aiops.execution.actions.contract import ActionRefusedError, Effect, Prepared
from aiops.execution.changes import change_of
from aiops.execution.desk import Desk
from aiops.execution.failures import MALFORMED, OUTSIDE, result_of


def preview(desk: Desk, plan: Plan) -> tuple[Change, ...]:
    """One change for each step, in order, all on the present state. What cannot be foreseen says why in its note. Never raises ClusterError."""
    return tuple(_preview(desk, plan, step) for step in plan.steps if step.action != COLLECT)


def _preview(desk: Desk, plan: Plan, step: PlannedStep) -> Change:
    target = plan.target_of(step)
    nothing = Change(step.name, step.action, str(target), "", "", "none")
    if step.late:
        return replace(nothing, note=f"decided when the step begins: {step.open_words}")
    if target.context not in desk.rehearsal.clusters:
        return replace(nothing, note=f"cannot be foreseen: UnknownCluster: no cluster {target.context!r} in the settings")
    try:
        context = desk.plan_context(plan, plan.target_of(step), desk.rehearsal, operation_key(plan.id, step.name, 0))
        action = desk.actions[step.action]
        prepared = action.prepare(context, step.arguments)
        if prepared.skip is not None:
            verb = "nothing to do" if prepared.skip.outcome is Outcome.SKIPPED else "would fail"
            return replace(nothing, note=f"{verb}: {prepared.skip.reason}: {prepared.skip.detail}")
        effect: Effect = action.start(context, prepared)
    except (*OUTSIDE, ActionRefusedError, *MALFORMED) as error:
        result = result_of(error)[0]
        return replace(nothing, note=f"cannot be foreseen: {result.reason}: {result.detail}")
    change = change_of(step.name, step.action, str(target), prepared.request, effect)
    return replace(change, note="; ".join(filter(None, (change.note, f"only when {step.when}" if step.when else "")))) if step.when else change


def pre_states(desk: Desk, plan: Plan) -> Mapping[str, Mapping[str, Any]]:
    """What each step would rely on now: an approval holds only while it stays so. Unreadable is a state too, and equals nothing readable."""
    return {step.name: _pre_state(desk, plan, step) for step in plan.steps}


def _pre_state(desk: Desk, plan: Plan, step: PlannedStep) -> Mapping[str, Any]:
    if step.late or step.action == COLLECT:
        return {}  # not known yet, and so not what the approval stands on
    try:
        context = desk.plan_context(plan, plan.target_of(step), desk.rehearsal, operation_key(plan.id, step.name, 0))
        prepared: Prepared = desk.actions[step.action].prepare(context, step.arguments)
    except (*OUTSIDE, *MALFORMED) as error:
        return {"unreadable": result_of(error)[0].reason}
    return dict(prepared.pre_state)

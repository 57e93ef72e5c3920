"""What a step can only know when it begins: whether its conditions hold, its item, and the arguments that speak of other steps' outputs.

An output that is not there is an error, never an empty text. What these texts came to is not rendered again. Neighbours: `effects` asks
before it prepares; `remediate.planner` renders everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.errors import ExpressionError, trimmed
from aiops.domain.execution import Execution
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import PlannedStep
from aiops.domain.templated import step_names, step_names_of, templated
from aiops.execution.desk import Desk
from aiops.execution.parts import NO_ITEM
from aiops.execution.progress import step_facts


class NoItemError(Exception):
    """The list has fewer items than there may be: this step has none."""


def facts_of(desk: Desk, execution: Execution, step: PlannedStep) -> Mapping[str, Any]:
    """What a step's conditions and late arguments speak of, its item among it. Raises ExpressionError, NoItemError."""
    facts = step_facts(execution, step.scope, step.facts)
    if step.late_item is None:
        return facts
    late = step.late_item
    try:
        items = desk.compile(late.expression, "list").evaluate(facts)
    except ValueError as error:
        raise ExpressionError(f"forEach: {error}") from error
    if len(items) > late.limit:
        raise ExpressionError(f"forEach: {len(items)} items; at most {late.limit} are allowed by its limit")
    if late.index >= len(items):
        raise NoItemError
    if not isinstance(items[late.index], str | Mapping):
        raise ExpressionError(f"forEach: {trimmed(repr(items[late.index]), 60)} is no text and no map")
    return {**facts, "item": items[late.index]}


def arguments_of(desk: Desk, execution: Execution, step: PlannedStep) -> Mapping[str, Any]:
    """All arguments of the step, typed. Raises ExpressionError naming the argument."""
    if not step.late:
        return step.arguments
    facts = facts_of(desk, execution, step)
    return {name: _rendered(desk, step, name, value, facts) if name in step.late else value for name, value in step.arguments.items()}


def _rendered(desk: Desk, step: PlannedStep, name: str, value: Any, facts: Mapping[str, Any]) -> Any:
    try:
        parameter = desk.actions[step.action].spec.parameters.get(name)
        promql = parameter is not None and parameter.type == "promql"
        text = desk.render(value, facts, promql=promql) if isinstance(value, str) else tuple(desk.render(v, facts) if templated(v) else v for v in value)
        return desk.convert(step.action, name, text)
    except (ExpressionError, ValueError) as error:
        raise ExpressionError(f"argument {name}: {error}") from error


def outside_bounds(step: PlannedStep, arguments: Mapping[str, Any]) -> str:
    """Which late argument came to something outside of what the plan said, as it was shown and approved; empty if none did."""
    found = ((name, bound.objection(arguments[name])) for name, bound in step.bounds.items() if name in step.late and name in arguments)
    return "; ".join(f"{name}: {words}" for name, words in found if words)


def condition(desk: Desk, execution: Execution, step: PlannedStep) -> Result | None:
    """Why the step is not to be carried out, judged by the conditions of what it is part of and by its own; None if it is."""
    try:
        for gate in step.gates:
            if not _holds(desk, gate.when, step_facts(execution, gate.scope, gate.facts)):
                return Result(Outcome.SKIPPED, "ConditionFalse", gate.when)
        if step.when or step.late_item is not None:
            facts = facts_of(desk, execution, step)
            if step.when and not _holds(desk, step.when, facts):
                return Result(Outcome.SKIPPED, "ConditionFalse", step.when)
    except NoItemError:
        return Result(Outcome.SKIPPED, NO_ITEM, "the list has no more items")
    except ExpressionError as error:
        return unknown(execution, step, "ConditionUnknown", error)
    return None


def _holds(desk: Desk, when: str, facts: Mapping[str, Any]) -> bool:
    try:
        return bool(desk.compile(when, "step").evaluate(facts))
    except (ExpressionError, ValueError) as error:
        raise ExpressionError(f"{when}: {error}") from error


def unknown(execution: Execution, step: PlannedStep, reason: str, error: ExpressionError) -> Result:
    """What cannot be had is an error. A rehearsal that stops where the outputs of simulated steps would be needed has not failed."""
    if execution.simulated and (missing := _simulated(execution, step)):
        return Result(Outcome.SIMULATED, "DryRun", f"cannot be foreseen: it needs the output of {', '.join(missing)}")
    return Result(Outcome.ERROR, reason, str(error))


def _simulated(execution: Execution, step: PlannedStep) -> tuple[str, ...]:
    """The steps that were only simulated and whose outputs this one speaks of; what they would give is not known."""
    spoken = [*step_names([step.arguments[name] for name in step.late]), *step_names_of(step.when)]
    spoken += step_names_of(step.late_item.expression) if step.late_item is not None else ()
    needed = {step.scope + name for name in spoken} | {gate.scope + name for gate in step.gates for name in step_names_of(gate.when)}
    return tuple(r.name for r in execution.steps if r.name in needed and r.result is not None and r.result.outcome is Outcome.SIMULATED)

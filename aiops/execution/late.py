"""What a step can only know when it begins: the arguments that speak of other steps' outputs, rendered and typed then.

An output that is not there is an error, never an empty text. What these texts came to is not rendered again. Neighbours: `effects` asks
before it prepares; `remediate.planner` renders everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.errors import ExpressionError
from aiops.domain.execution import Execution
from aiops.domain.outcome import Outcome
from aiops.domain.plan import PlannedStep
from aiops.domain.templated import step_names, templated
from aiops.execution.desk import Desk
from aiops.execution.progress import step_facts


def arguments_of(desk: Desk, execution: Execution, step: PlannedStep) -> Mapping[str, Any]:
    """All arguments of the step, typed. Raises ExpressionError naming the argument."""
    if not step.late:
        return step.arguments
    facts = step_facts(execution)
    return {name: _rendered(desk, step, name, value, facts) if name in step.late else value for name, value in step.arguments.items()}


def _rendered(desk: Desk, step: PlannedStep, name: str, value: Any, facts: Mapping[str, Any]) -> Any:
    try:
        parameter = desk.actions[step.action].spec.parameters.get(name)
        promql = parameter is not None and parameter.type == "promql"
        text = desk.render(value, facts, promql=promql) if isinstance(value, str) else tuple(desk.render(v, facts) if templated(v) else v for v in value)
        return desk.convert(step.action, name, text)
    except (ExpressionError, ValueError) as error:
        raise ExpressionError(f"argument {name}: {error}") from error


def unforeseen(execution: Execution, step: PlannedStep) -> tuple[str, ...]:
    """In a rehearsal: the steps that were only simulated and whose outputs this one needs; what they would give is not known."""
    needed = set(step_names([step.arguments[name] for name in step.late]))
    return tuple(r.name for r in execution.steps if r.name in needed and r.result is not None and r.result.outcome is Outcome.SIMULATED)

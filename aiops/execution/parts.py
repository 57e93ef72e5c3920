"""Steps that are made of others: which parts may be at work, which end with one that failed, and what all of them come to. Pure.

Neighbours: `progress` asks which steps are open, `settling` what ends with a failure, `forward` gathers the outputs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from aiops.domain.execution import Execution, StepRun, StepState
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.runbook import OnFailure

BAD = frozenset((Outcome.FAILED, Outcome.ERROR, Outcome.INCONCLUSIVE))


def within(plan: Plan, name: str) -> frozenset[str]:
    """All parts of the step of this name, and the parts of those."""
    found = {name}
    for step in reversed(plan.steps):  # parts stand before what collects them
        if step.part_of in found:
            found.add(step.name)
    return frozenset(found - {name})


class Room:
    """How many items of each step are at work: a part of a step that is full may go on, but not begin."""

    def __init__(self, execution: Execution) -> None:
        steps = {step.name: step for step in execution.plan.steps}
        self._limits = {step.name: step.parallel for step in execution.plan.steps if step.parallel}
        self._units: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._active: dict[str, set[str]] = defaultdict(set)
        if not self._limits:
            return
        done = {run.name for run in execution.steps if run.state is StepState.DONE}
        for run in execution.steps:
            unit = run.name
            while unit and (holder := steps[unit].part_of):
                if holder in self._limits:
                    self._units[run.name].append((holder, unit))
                    if _begun(run) and unit not in done:
                        self._active[holder].add(unit)
                unit = holder

    def for_part(self, name: str) -> bool:
        """Whether the step of this name may begin."""
        return all(unit in self._active[holder] or len(self._active[holder]) < self._limits[holder] for holder, unit in self._units[name])


def _begun(run: StepRun) -> bool:
    return run.state is not StepState.PENDING or run.attempt > 0 or run.started_at > 0


def collected(execution: Execution, step: PlannedStep) -> tuple[Mapping[str, Any], Result]:
    """The outputs of all parts, and what they come to: a part whose failure is not to be passed over decides, else one success is enough."""
    policies = {planned.name: planned.on_failure for planned in execution.plan.steps}
    runs = [execution.step(name) for name in step.collects]
    results = [(run.name, run.result) for run in runs if run.result is not None]
    for name, result in results:
        if result.outcome in BAD and policies[name] is not OnFailure.CONTINUE:
            return _outputs(step, runs), Result(result.outcome, result.reason, f"{name}: {result.detail}")
    told = "; ".join(f"{name} ended with {result.reason}" for name, result in results if result.outcome in BAD or result.outcome is Outcome.SKIPPED)
    outcomes = {result.outcome for _, result in results}
    for outcome, reason in ((Outcome.SUCCEEDED, "Completed"), (Outcome.SIMULATED, "DryRun")):
        if outcome in outcomes:
            return _outputs(step, runs), Result(outcome, reason, told)
    if outcomes & BAD:
        return _outputs(step, runs), Result(Outcome.FAILED, "AllStepsFailed", told)
    return _outputs(step, runs), Result(Outcome.SKIPPED, "NothingToDo", told or "there are no items")


def _outputs(step: PlannedStep, runs: list[StepRun]) -> Mapping[str, Any]:
    """Of items: lists in their order, without those that there were not. Of a sub-runbook: by the names of its steps."""
    inner = f"{step.name}/"
    if all(name.startswith(inner) for name in step.collects) and step.collects:
        return {run.name.removeprefix(inner): dict(run.output) for run in runs}
    found = [run for run in runs if run.result is None or run.result.reason != NO_ITEM]
    outcomes = [run.result.outcome.value if run.result else "" for run in found]
    return {"count": len(found), "outputs": [dict(run.output) for run in found], "outcomes": outcomes}


NO_ITEM = "NoItem"
"""The reason of a part for which the list had no item."""

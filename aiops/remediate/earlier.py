"""What a run has taken away by its earlier steps, put back in thought: a count that is known only when its step begins is judged with them.

Otherwise a runbook could take half of a workload, and then half of what is left. Pure. Neighbours: `pipeline.guarding` judges late counts on this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from aiops.domain.execution import Execution, StepState
from aiops.domain.plan import PlannedStep
from aiops.domain.target import JsonObject, TargetRef
from aiops.remediate.guards.traits import Disrupts, scaled, traits
from aiops.remediate.objects import ClusterObjects, wanted_replicas
from aiops.remediate.picture import Picture

Taken = Mapping[TargetRef, int]


def taken_by(execution: Execution) -> Taken:
    """Pods by which steps of the run have lowered counts, by target; where an autoscaler sets the count, it is not for us to add up."""
    found: Counter[TargetRef] = Counter()
    steps = {step.name: step for step in execution.plan.steps}
    for run in execution.steps:
        step, output = steps[run.name], run.output
        if run.effect and run.state is not StepState.UNDONE and traits(step.action).disrupts is Disrupts.CHANGE and "autoscaler" not in output:
            found[execution.plan.target_of(step)] += max(0, int(output.get("from", 0)) - int(output.get("to", 0)))
    return {target: count for target, count in found.items() if count}


def settled(step: PlannedStep, target: TargetRef, obj: JsonObject | None, taken: Taken) -> PlannedStep:
    """The step with the count that it comes to on what is there now, so that it means the same with the count put back. Raises ValueError."""
    if target not in taken or obj is None:
        return step
    return replace(step, arguments={"to": scaled(wanted_replicas(obj), step.arguments)})


def put_back(objects: ClusterObjects, target: TargetRef, taken: Taken) -> ClusterObjects:
    """The target with its earlier count."""
    if target not in taken or objects.target is None:
        return objects
    return replace(objects, target=_with_more(objects.target, taken[target]))


def picture_with(picture: Picture, taken: Taken) -> Picture:
    """The cluster in which as many are wanted as before."""
    back = {uid: _with_more(obj, taken[ref]) for uid, obj in picture.owners.items() if (ref := picture.ref(obj)) in taken}
    return replace(picture, owners={**picture.owners, **back}) if back else picture


def _with_more(obj: JsonObject, count: int) -> JsonObject:
    return {**obj, "spec": {**(obj.get("spec") or {}), "replicas": wanted_replicas(obj) + count}}

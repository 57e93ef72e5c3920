"""What each action does to the world, for the guards. An action that is not listed is taken to do the worst.

Neighbours: `execution.actions.registry` holds the actions; a test compares the names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiops.domain.plan import COLLECT, Plan, PlannedStep
from aiops.domain.runbook import UndoMode
from aiops.domain.target import TargetRef


class Disrupts(StrEnum):
    """How many pods of the target it takes away: none, by the size of a change, as the update strategy allows, all.

    Of a Pod all is itself, of a Node the pods that a drain moves; both go by eviction.
    """

    NONE = "none"
    CHANGE = "change"
    ROLLING = "rolling"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Traits:
    """`acts`: it changes something beyond telling people. `writes`: fields of the target it sets. `withdraws`: it takes its Node out of service."""

    acts: bool = True
    writes: frozenset[str] = frozenset()
    disrupts: Disrupts = Disrupts.NONE
    withdraws: bool = False


BLIND = frozenset({
    "LossOfSight", "SourceUnknown", "SourceFailing", "SourcePartial", "SourceStale", "SourceDark", "TargetDark", "ClusterNotSynced", "ClusterStale",
    "ClusterPartial",
})  # fmt: skip
"""Reasons of a run that ended because something could not be seen. Before it did anything, that says nothing against its runbook."""

REPLICAS, RESTART, TEMPLATE, RESOURCES, PAUSED, UNSCHEDULABLE = "replicas", "restart", "template", "resources", "paused", "unschedulable"
CONFIG = "config"

_ROLLS = Traits(writes=frozenset({TEMPLATE}), disrupts=Disrupts.ROLLING)
_TELLS = Traits(acts=False)
_OUTSIDE = Traits()
"""It writes no field of a workload and takes no pod away."""

TRAITS: Mapping[str, Traits] = {
    "scale": Traits(writes=frozenset({REPLICAS}), disrupts=Disrupts.CHANGE),
    "restart": Traits(writes=frozenset({RESTART}), disrupts=Disrupts.ROLLING),
    "restart-pod": Traits(disrupts=Disrupts.ALL),
    "rollback": _ROLLS,
    "pause-rollout": Traits(writes=frozenset({PAUSED})),
    "resume-rollout": Traits(writes=frozenset({PAUSED}), disrupts=Disrupts.ROLLING),
    "set-resources": Traits(writes=frozenset({TEMPLATE, RESOURCES}), disrupts=Disrupts.ROLLING),
    "set-image": _ROLLS,
    "set-env": _ROLLS,
    "set-config": Traits(writes=frozenset({CONFIG})),
    "run-job": _OUTSIDE,
    "delete-job": _OUTSIDE,
    "cordon": Traits(writes=frozenset({UNSCHEDULABLE}), withdraws=True),
    "uncordon": Traits(writes=frozenset({UNSCHEDULABLE})),
    "drain": Traits(writes=frozenset({UNSCHEDULABLE}), disrupts=Disrupts.ALL, withdraws=True),
    "redis-flush": _OUTSIDE,
    "warm-cache": _OUTSIDE,
    "scheduler-fallback": _ROLLS,
    "scheduler-restore": _ROLLS,
    "set-scheduler-parameter": Traits(writes=frozenset({CONFIG})),
    "shift-traffic": _OUTSIDE,
    "failback-traffic": _OUTSIDE,
    "http-request": _OUTSIDE,
    "silence": _OUTSIDE,
    "retrain": _OUTSIDE,
    "suspend": _TELLS,
    "notify": _TELLS,
    "wait": _TELLS,
    "wait-for": _TELLS,
    "query": _TELLS,
}
_WORST = Traits(writes=frozenset({REPLICAS, RESTART, TEMPLATE, PAUSED, UNSCHEDULABLE}), disrupts=Disrupts.ALL, withdraws=True)


def traits(action: str) -> Traits:
    """Of one action; what only gathers the outputs of others does nothing."""
    if action == COLLECT:
        return Traits(acts=False)
    return TRAITS.get(action, _WORST)


def acts(plan: Plan) -> bool:
    """False if the plan only waits and tells."""
    return any(traits(action).acts for action, _ in plan.calls)


def writes(plan: Plan, target: TargetRef | None = None) -> frozenset[str]:
    """All fields of its targets (or of one of them) that the plan sets."""
    return frozenset().union(*(traits(action).writes for action, on in plan.calls if target is None or on == target))


def acted_on(plan: Plan) -> tuple[TargetRef, ...]:
    """The targets of what does more than tell, steps and what takes them back, each once; in the plan's order."""
    beside = (s.beside for s in plan.steps if s.beside is not None and traits(s.action).acts)
    return tuple(dict.fromkeys((*(on for action, on in plan.calls if traits(action).acts), *beside)))


def disruptive(plan: Plan) -> bool:
    """Whether any step takes pods away or a node out of service."""
    undone = (traits(step.undo.action) for step in plan.steps if step.undo.mode is UndoMode.OWN)
    return any(map(takes, plan.steps)) or any(t.disrupts is not Disrupts.NONE or t.withdraws for t in undone)


def takes(step: PlannedStep) -> bool:
    """Whether one step may. A count that only grows takes nothing away."""
    mine = traits(step.action)
    if mine.disrupts is Disrupts.CHANGE and str(step.arguments.get("by", "")).strip().startswith("+"):
        return mine.withdraws
    return mine.disrupts is not Disrupts.NONE or mine.withdraws


_COUNT = ("to", "by", "minimum", "maximum")


def late_count(step: PlannedStep) -> bool:
    """Whether the count that a step sets is known only when it begins. Then guards judge it: before that there is nothing that they could."""
    return traits(step.action).disrupts is Disrupts.CHANGE and not set(step.late).isdisjoint(_COUNT)


def deferred(plan: Plan) -> str:
    """Which steps' counts are decided only when they begin; empty if there is none."""
    return "; ".join(f"step {s.name}: decided when the step begins ({s.open_words})" for s in plan.steps if late_count(s))


def related(one: Plan, other: Plan) -> bool:
    """Whether two plans have a target in common."""
    return one.target == other.target or not set(one.targets).isdisjoint(other.targets)


_CHANGE = re.compile(r"([+-])(\d{1,6}(?:\.\d{1,6})?)(%?)")


def scaled(present: int, arguments: Mapping[str, Any]) -> int:
    """The count that a scale step with these arguments leaves: as `execution.actions.scale` works it out. Raises ValueError if it cannot."""
    low = arguments.get("minimum")
    high = arguments.get("maximum")
    to, by = arguments.get("to"), arguments.get("by")
    if (to is None) == (by is None):
        raise ValueError("scale takes exactly one of `to` and `by`")
    asked = int(to) if to is not None else _changed(present, str(by))
    if asked == present:
        return present
    count = max(asked, int(low)) if low is not None else asked
    count = min(count, int(high)) if high is not None else count
    # A bound never turns a change round; a relative change of nothing stays nothing.
    turned = asked > present >= count or asked < present <= count
    return present if turned or (by is not None and present == 0) else count


def _changed(present: int, by: str) -> int:
    match = _CHANGE.fullmatch(by.strip())
    if match is None:
        raise ValueError(f"{by!r} is no change of a quantity")
    sign, number, percent = match.groups()
    amount = round(float(number) * (present / 100 if percent else 1), 9)
    return max(0, present + (math.ceil(amount) if sign == "+" else -math.floor(amount)))

"""The lever of a HorizontalPodAutoscaler: which bounds make it hold a count. Pure.

A rise lifts `minReplicas`, so the count is at least what is wanted and the autoscaler still goes further by its metrics. A fall only gives back what
holds the count up; whether fewer pods are enough is the autoscaler's to say. `maxReplicas` is a limit that people set: it is lifted only if the step
says so. Neighbours: `ownership` (may the lever be moved), `execution.actions.scale` (moves it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops.domain.target import JsonObject


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of an autoscaler. `count`: what they hold; `rise`: whether pods are added."""

    minimum: int
    maximum: int
    count: int
    rise: bool


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why the bounds are not moved: a CamelCase code and words."""

    reason: str
    detail: str


def bounds_of(autoscaler: JsonObject) -> tuple[int, int]:
    """`minReplicas` (1 if it is not given) and `maxReplicas`."""
    spec = autoscaler.get("spec") or {}
    minimum = spec.get("minReplicas")
    return 1 if minimum is None else int(minimum), int(spec.get("maxReplicas") or 0)


def moved(autoscaler: JsonObject, present: int, count: int, arguments: Mapping[str, Any]) -> Bounds | Stuck:
    """The bounds that make `count` of `present` pods. `arguments` are those of the scale step."""
    low, high = bounds_of(autoscaler)
    if count < present:
        wanted = max(1, min(low, count))
        if wanted == low:
            return Stuck("AutoscalerDecides", f"minReplicas is {low}: the autoscaler may go down from {present} by itself, when its metrics say so")
        return Bounds(wanted, high, wanted, rise=False)
    if count > high and not arguments.get("liftMaximum"):
        count = high
    if count <= present:
        return Stuck("AtMaximum", f"{present} replicas, and the autoscaler's maxReplicas is {high}; `liftMaximum` would lift it")
    if count <= low:
        return Stuck("AlreadyThere", f"minReplicas is {low} already, the autoscaler is on its way from {present}")
    return Bounds(count, max(high, count), count, rise=True)

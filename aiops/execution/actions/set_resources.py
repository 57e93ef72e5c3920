"""Set requests and limits of a container, to a quantity or by a share, within bounds; a limit never ends below its request.

Neighbours: `quantities` reads and writes the numbers, `template` does the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from aiops.domain.errors import ForbiddenError, NotFoundError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject
from aiops.execution.actions import quantities
from aiops.execution.actions.contract import Context
from aiops.execution.actions.template import CONTAINER, KINDS, PERMISSIONS, TemplateAction, Wanted, invalid
from aiops.remediate.ownership import Owner, vertical_owner

_TEXT: Mapping[str, Callable[[Fraction], str]] = {"cpu": quantities.cores, "memory": quantities.size}
_PARTS = {"Request": "requests", "Limit": "limits"}


def _parameters() -> dict[str, ParamSpec]:
    found = {"container": CONTAINER}
    for resource, example in (("cpu", "500m"), ("memory", "512Mi")):
        for part in _PARTS:
            found[f"{resource}{part}"] = ParamSpec("string", f"the {resource} {part.lower()}: a quantity such as {example}, or a change such as +25%")
        found[f"{resource}Minimum"] = ParamSpec("string", f"never below this quantity of {resource}; a fall by a share needs it")
        found[f"{resource}Maximum"] = ParamSpec("string", f"never above this quantity of {resource}; a rise by a share needs it")
    return found


class SetResources(TemplateAction):
    """See `contract.Action`."""

    spec = ActionSpec(
        name="set-resources",
        doc="Set CPU and memory requests and limits of a container, to a quantity or by a share, within bounds, and wait for the roll-out.",
        effect=EffectClass.STAMPED,
        parameters=_parameters(),
        permissions=(*PERMISSIONS, Permission("autoscaling.k8s.io", "verticalpodautoscalers", ("list",))),
        target_kinds=KINDS,
        undoable=True,
    )

    def owner(self, context: Context) -> Owner | None:
        """A VerticalPodAutoscaler: a cluster without them has no such kind, and an account may not be allowed to read them."""
        try:
            found = context.cluster.reader.list("VerticalPodAutoscaler", context.target.namespace).items
        except (NotFoundError, ForbiddenError):
            return None
        return vertical_owner(found, context.target.kind, context.target.name)

    def wanted(self, container: JsonObject, arguments: Mapping[str, Any]) -> Wanted | Result:
        """New `resources`; claims and other resources stay as they are."""
        before: JsonObject = container.get("resources") or {}
        if "restore" in arguments:
            return _whole(container, arguments["restore"], before)
        after = copy.deepcopy(before)
        reached: list[str] = []
        named = [(resource, part) for resource in _TEXT for part in _PARTS if arguments.get(f"{resource}{part}")]
        if not named:
            return invalid("at least one of cpuRequest, cpuLimit, memoryRequest, memoryLimit is to be given")
        for resource, part in named:
            value = _value(resource, part, before, arguments)
            if not isinstance(value, Result):
                after.setdefault(_PARTS[part], {})[resource] = value
            elif value.outcome is Outcome.SKIPPED:
                reached.append(value.detail)
            else:
                return value
        if after == before and reached:
            return Result(Outcome.SKIPPED, "AtBound", "; ".join(reached))
        if crossed := _crossed(after):
            return Result(Outcome.FAILED, "LimitBelowRequest", crossed)
        return _whole(container, after, before)


def _whole(container: JsonObject, after: Any, before: JsonObject) -> Wanted:
    return Wanted({**container, "resources": after}, {"restore": before}, {"before": before, "after": after})


def _value(resource: str, part: str, before: JsonObject, arguments: Mapping[str, Any]) -> str | Result:
    """The quantity to set as text. SKIPPED: a bound is reached."""
    try:
        return _bounded(resource, part, before, arguments)
    except ValueError as error:
        return invalid(f"{resource}{part}: {error}")


def _bounded(resource: str, part: str, before: JsonObject, arguments: Mapping[str, Any]) -> str | Result:
    asked, old = str(arguments[f"{resource}{part}"]), (before.get(_PARTS[part]) or {}).get(resource)
    low, high = (None if arguments.get(f"{resource}{end}") is None else quantities.parse(str(arguments[f"{resource}{end}"])) for end in ("Minimum", "Maximum"))
    if low is not None and high is not None and low > high:
        raise ValueError("the minimum is above the maximum")
    present = None if old is None else quantities.parse(str(old))
    if quantities.is_change(asked):
        if present is None:
            return Result(Outcome.FAILED, "NothingToChange", f"the container has no {resource} {part.lower()}; a share has nothing to start from")
        needed = "Maximum" if asked.strip().startswith("+") else "Minimum"
        if (high if needed == "Maximum" else low) is None:
            raise ValueError(f"a change by a share needs {resource}{needed}, or it would go on without end")
        value = quantities.changed(present, asked)
    else:
        value = quantities.parse(asked)
    if value == present:
        return str(old)
    bounded = value if low is None else max(value, low)
    bounded = bounded if high is None else min(bounded, high)
    if present is not None and (value > present >= bounded or value < present <= bounded):
        # A bound never turns a change round.
        return Result(Outcome.SKIPPED, "AtBound", f"{resource} {part.lower()} is {old}, the bound is {_TEXT[resource](bounded)}")
    if bounded <= 0:
        raise ValueError("nothing would be left")
    return _TEXT[resource](bounded)


def _crossed(resources: JsonObject) -> str:
    """Which limit is below its request; empty if none is."""
    for resource, limit in (resources.get("limits") or {}).items():
        request = (resources.get("requests") or {}).get(resource)
        if request is not None and resource in _TEXT and quantities.parse(str(limit)) < quantities.parse(str(request)):
            return f"the {resource} limit would be {limit}, below the request of {request}"
    return ""

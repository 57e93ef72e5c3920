"""Change the replica count of a Deployment or StatefulSet, on the object itself: an annotation sent through `/scale` would be dropped.

Neighbours: `stamped` sends and looks, `registry` names it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject
from aiops.execution.actions import stamped
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Failed, Prepared, Seen, Waiting

_CHANGE = re.compile(r"([+-])(\d{1,6}(?:\.\d{1,6})?)(%?)", re.ASCII)
MAXIMUM = 10_000
"""No workload is scaled beyond this, whatever a runbook says."""


def changed(present: int, by: str) -> int:
    """`present` changed by `+2`, `-1`, `+50%` or `-25%`. A rise is rounded up, a fall takes away at most the share. Raises ValueError."""
    match = _CHANGE.fullmatch(by.strip())
    if not match:
        raise ValueError(f"{by!r} is no change of a quantity: write for example +2, -1, +50%")
    sign, number, percent = match.groups()
    amount = float(number) * (present / 100 if percent else 1)
    steps = math.ceil(round(amount, 9)) if sign == "+" else -math.floor(round(amount, 9))
    return max(0, present + steps)


def wanted(present: int, arguments: Mapping[str, Any]) -> int | Result:
    """The replica count to set, or the result that ends the step."""
    to, by = arguments.get("to"), arguments.get("by")
    low = int(arguments["minimum"]) if arguments.get("minimum") is not None else 0
    high = min(int(arguments["maximum"]) if arguments.get("maximum") is not None else MAXIMUM, MAXIMUM)
    try:
        if (to is None) == (by is None):
            raise ValueError("scale takes exactly one of `to` and `by`")  # noqa: TRY301 (one place makes the result)
        if low > high:
            raise ValueError(f"minimum {low} is above maximum {high}")  # noqa: TRY301
        asked = changed(present, str(by)) if to is None else int(to)
    except ValueError as error:
        return Result(Outcome.ERROR, "InvalidArguments", str(error))
    if by is not None and present == 0:
        return Result(Outcome.SKIPPED, "ScaledToZero", "somebody scaled it to zero; a relative change has nothing to start from")
    return _bounded(present, asked, low, high)


def _bounded(present: int, asked: int, low: int, high: int) -> int | Result:
    """A bound never turns a change round: what is above the maximum is not scaled down by a rise."""
    count = present if asked == present else min(max(asked, low), high)
    if asked > present >= count:
        return Result(Outcome.SKIPPED, "AtMaximum", f"{present} replicas, at most {high} are allowed")
    if asked < present <= count:
        return Result(Outcome.SKIPPED, "AtMinimum", f"{present} replicas, at least {low} are to stay")
    if count == present:
        return Result(Outcome.SKIPPED, "AlreadyThere", f"it has {present} replicas already")
    return count


def relied(obj: JsonObject) -> dict[str, Any]:
    """What scaling relies on."""
    return {**stamped.identity(obj), "replicas": _replicas(obj)}


def _replicas(obj: JsonObject) -> int:
    return int(obj["spec"].get("replicas", 1))


def request(obj: JsonObject, replicas: int, key: str) -> list[JsonObject]:
    """The patch: tests first, then the count and the stamp."""
    tests = [*stamped.guards(obj), {"op": "test", "path": "/spec/replicas", "value": _replicas(obj)}]
    return [*tests, {"op": "replace", "path": "/spec/replicas", "value": replicas}, stamped.stamping(obj, key)]


class Scale:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="scale",
        doc="Set the replica count of a Deployment or StatefulSet, by a change (`by`) or to a number (`to`), within bounds.",
        effect=EffectClass.STAMPED,
        parameters={
            "by": ParamSpec("quantity-change", "change of the count: +2, -1, +50%; a rise is rounded up"),
            "to": ParamSpec("int", "the count to set", minimum=0, maximum=MAXIMUM),
            "minimum": ParamSpec("int", "never below", minimum=0, maximum=MAXIMUM),
            "maximum": ParamSpec("int", "never above", minimum=0, maximum=MAXIMUM),
        },
        permissions=(Permission("apps", "deployments", ("get", "patch")), Permission("apps", "statefulsets", ("get", "patch"))),
        target_kinds=("Deployment", "StatefulSet"),
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the workload; the count is worked out by `wanted`."""
        obj = context.cluster.reader.get(context.target)
        pre_state = relied(obj)
        present = _replicas(obj)
        count = wanted(present, arguments)
        if isinstance(count, Result):
            return Prepared(pre_state=pre_state, skip=count)
        return Prepared(
            pre_state=pre_state,
            leaves={**pre_state, "replicas": count, "stamp": context.key},
            inverse={"to": present},
            request=request(obj, count, context.key),
            before=obj,
            output={"from": present, "to": count},
        )

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One JSON patch."""
        return stamped.send(context, prepared, relied)

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the stamp."""
        return stamped.look(context, prepared, relied)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """All wanted replicas are ready and none is over."""
        obj = context.cluster.reader.get(context.target)
        count, present = int(prepared.output["to"]), _replicas(obj)
        if present != count:
            return Failed(Result(Outcome.FAILED, "Superseded", f"{present} replicas are asked for now, we had set {count}"))
        status = obj.get("status") or {}
        if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
            return Waiting(stamped.POLL, "the controller has not seen the change yet")
        ready, total = status.get("readyReplicas", 0), status.get("replicas", 0)
        if ready < count or total > count:
            return Waiting(stamped.POLL, f"{ready} of {count} replicas are ready, {total} exist")
        return Done(detail=f"{count} replicas are ready")

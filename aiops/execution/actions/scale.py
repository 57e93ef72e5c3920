"""Change the replica count of a Deployment or StatefulSet: on the object itself, since an annotation sent through `/scale` would be dropped, or where
a HorizontalPodAutoscaler owns the count by its bounds, on that.

Neighbours: `stamped` sends and looks, `remediate.autoscaling` works out bounds, `registry` names it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions import stamped
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Failed, Prepared, Seen, Waiting
from aiops.remediate.autoscaling import Bounds, Stuck, bounds_of, moved
from aiops.remediate.objects import scales
from aiops.remediate.ownership import lever_owner

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


def bounds_relied(autoscaler: JsonObject) -> dict[str, Any]:
    """What moving an autoscaler's bounds relies on."""
    low, high = bounds_of(autoscaler)
    return {**stamped.identity(autoscaler), "autoscaler": autoscaler["metadata"]["name"], "minReplicas": low, "maxReplicas": high}


def bounds_request(autoscaler: JsonObject, low: int, high: int, key: str) -> list[JsonObject]:
    """The patch of an autoscaler: tests first, then the bounds and the stamp."""
    spec = autoscaler["spec"]
    tests = [*stamped.guards(autoscaler), *({"op": "test", "path": f"/spec/{name}", "value": spec.get(name)} for name in ("minReplicas", "maxReplicas", "scaleTargetRef"))]
    changes = [{"op": "add", "path": "/spec/minReplicas", "value": low}, {"op": "add", "path": "/spec/maxReplicas", "value": high}]
    return [*tests, *changes, stamped.stamping(autoscaler, key)]


def _objection(arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    low, high = arguments.get("minimum"), arguments.get("maximum")
    return ("minimum", "is above maximum") if low is not None and high is not None and low > high else None


class Scale:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="scale",
        doc=(
            "Set the replica count of a Deployment or StatefulSet, by a change (`by`) or to a number (`to`), within bounds. Where a HorizontalPodAutoscaler owns the count, "
            "its `minReplicas` is moved in its place; its `maxReplicas` only with `liftMaximum`."
        ),
        effect=EffectClass.STAMPED,
        parameters={
            "by": ParamSpec("quantity-change", "change of the count: +2, -1, +50%; a rise is rounded up"),
            "to": ParamSpec("int", "the count to set", minimum=0, maximum=MAXIMUM),
            "minimum": ParamSpec("int", "never below", minimum=0, maximum=MAXIMUM),
            "maximum": ParamSpec("int", "never above", minimum=0, maximum=MAXIMUM),
            "liftMaximum": ParamSpec("bool", "an autoscaler's maxReplicas may be lifted, up to `maximum`"),
        },
        permissions=(
            Permission("apps", "deployments", ("get", "patch")), Permission("apps", "statefulsets", ("get", "patch")),
            Permission("autoscaling", "horizontalpodautoscalers", ("get", "list", "patch")),
        ),
        target_kinds=("Deployment", "StatefulSet"),
        undoable=True,
        one_of=(("by", "to"),),
        objection=_objection,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the workload and the autoscalers of its namespace; the count is worked out by `wanted`."""
        if "bounds" in arguments:
            return _restored(context, arguments)
        obj = context.cluster.reader.get(context.target)
        autoscalers = [a for a in context.cluster.reader.list("HorizontalPodAutoscaler", context.target.namespace).items if scales(a, context.target)]
        pre_state = bounds_relied(autoscalers[0]) if len(autoscalers) == 1 else relied(obj)
        present = _replicas(obj)
        count = wanted(present, arguments)
        if isinstance(count, Result):
            return Prepared(pre_state=pre_state, skip=count)
        if autoscalers:
            return _by_bounds(context, autoscalers, present, count, arguments)
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
        if name := prepared.pre_state.get("autoscaler"):
            return stamped.send(context, prepared, bounds_relied, _autoscaler(context, name))
        return stamped.send(context, prepared, relied)

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the stamp."""
        if name := prepared.pre_state.get("autoscaler"):
            return stamped.look(context, prepared, bounds_relied, _autoscaler(context, name))
        return stamped.look(context, prepared, relied)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """All wanted replicas are ready and none is over. With an autoscaler: at least so many; a fall is its own to make."""
        obj = context.cluster.reader.get(context.target)
        count, present = int(prepared.output["to"]), _replicas(obj)
        status = obj.get("status") or {}
        ready, total = status.get("readyReplicas", 0), status.get("replicas", 0)
        if name := prepared.pre_state.get("autoscaler"):
            return _held(prepared, bounds_of(context.cluster.reader.get(_autoscaler(context, name))), present, ready)
        if present != count:
            return Failed(Result(Outcome.FAILED, "Superseded", f"{present} replicas are asked for now, we had set {count}"))
        if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
            return Waiting(stamped.POLL, "the controller has not seen the change yet")
        if ready < count or total > count:
            return Waiting(stamped.POLL, f"{ready} of {count} replicas are ready, {total} exist")
        return Done(detail=f"{count} replicas are ready")


def _held(prepared: Prepared, bounds: tuple[int, int], present: int, ready: int) -> Checked:
    """Whether an autoscaler's bounds hold the count."""
    ours, count = (prepared.leaves.get("minReplicas"), prepared.leaves.get("maxReplicas")), int(prepared.output["to"])
    if bounds != ours:
        return Failed(Result(Outcome.FAILED, "Superseded", f"the bounds are {bounds[0]} and {bounds[1]} now, we had set {ours[0]} and {ours[1]}"))
    if not prepared.output["rise"]:
        return Done(detail=f"the autoscaler may go down to {bounds[0]}")
    if present < count or ready < count:
        return Waiting(stamped.POLL, f"{present} replicas are asked for, {ready} are ready, {count} are to be")
    return Done(detail=f"{ready} replicas are ready")


def _autoscaler(context: Context, name: str) -> TargetRef:
    return TargetRef("HorizontalPodAutoscaler", context.target.namespace, name, context.target.context)


def _by_bounds(context: Context, autoscalers: list[JsonObject], present: int, count: int, arguments: Mapping[str, Any]) -> Prepared:
    """The autoscaler's bounds in place of the count."""
    if owner := lever_owner(autoscalers):
        return Prepared(pre_state=bounds_relied(autoscalers[0]), skip=Result(Outcome.FAILED, owner.reason, owner.detail))
    (autoscaler,) = autoscalers
    bounds = moved(autoscaler, present, count, arguments)
    if isinstance(bounds, Stuck):
        return Prepared(pre_state=bounds_relied(autoscaler), skip=Result(Outcome.SKIPPED, bounds.reason, bounds.detail))
    low, high = bounds_of(autoscaler)
    inverse = {"autoscaler": autoscaler["metadata"]["name"], "bounds": [low, high]}
    return _set(context, autoscaler, bounds, inverse, {"from": present})


def _set(context: Context, autoscaler: JsonObject, bounds: Bounds, inverse: Mapping[str, Any], output: Mapping[str, Any]) -> Prepared:
    pre_state = bounds_relied(autoscaler)
    return Prepared(
        pre_state=pre_state,
        leaves={**pre_state, "minReplicas": bounds.minimum, "maxReplicas": bounds.maximum, "stamp": context.key},
        inverse=inverse,
        request=bounds_request(autoscaler, bounds.minimum, bounds.maximum, context.key),
        before=autoscaler,
        output={**output, "to": bounds.count, "rise": bounds.rise, "autoscaler": autoscaler["metadata"]["name"]},
    )


def _restored(context: Context, arguments: Mapping[str, Any]) -> Prepared:
    """The bounds as they were; the count follows by the autoscaler's own judgement."""
    autoscaler = context.cluster.reader.get(_autoscaler(context, str(arguments["autoscaler"])))
    low, high = (int(bound) for bound in arguments["bounds"])
    if bounds_of(autoscaler) == (low, high):
        return Prepared(pre_state=bounds_relied(autoscaler), skip=Result(Outcome.SKIPPED, "AlreadyThere", f"its bounds are {low} and {high} already"))
    return _set(context, autoscaler, Bounds(low, high, low, rise=False), {}, {})

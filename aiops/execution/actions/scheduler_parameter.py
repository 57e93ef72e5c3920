"""Set a number in a scheduler's ConfigMap, within bounds. Neighbours: `scheduler` has the override, `levers` makes the patch, `quantities` counts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.execution.actions import scheduler
from aiops.execution.actions.contract import Context, Prepared
from aiops.execution.actions.levers import Book, Lever, Pulling, prepared, relied

_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?", re.ASCII)
_CHANGE = re.compile(r"([+-])(\d{1,6}(?:\.\d{1,6})?)(%?)", re.ASCII)


def shown(value: float, present: str) -> str:
    """A number as text, written as the present one is."""
    if "." in present and value == round(value):
        return f"{value:.1f}"
    return f"{value:.6f}".rstrip("0").rstrip(".")


def wanted(present: str, arguments: Mapping[str, Any]) -> float | Result:
    """The number to set, or the result that ends the step."""
    to, by = arguments.get("to"), arguments.get("by")
    low, high = float(arguments["minimum"]), float(arguments["maximum"])
    if (to is None) == (by is None):
        return Result(Outcome.ERROR, "InvalidArguments", "exactly one of `to` and `by` is to be given")
    if low > high:
        return Result(Outcome.ERROR, "InvalidArguments", f"minimum {low:g} is above maximum {high:g}")
    if not _NUMBER.fullmatch(present.strip()):
        return Result(Outcome.FAILED, "NotANumber", f"it is {present[:80]!r} now, which is no number")
    now = float(present)
    if to is not None:
        inside = low <= float(to) <= high
        return float(to) if inside else Result(Outcome.ERROR, "OutOfBounds", f"{float(to):g} is not between {low:g} and {high:g}")
    return _changed(now, now + _amount(now, str(by)), low, high, whole="." not in present)


def _changed(now: float, asked: float, low: float, high: float, *, whole: bool) -> float | Result:
    """A relative change within the bounds, which never turn it round; a whole number stays one."""
    bounded = min(max(asked, low), high) if asked != now else now
    if (asked > now >= bounded) or (asked < now <= bounded):
        return Result(Outcome.SKIPPED, "AtMaximum" if asked > now else "AtMinimum", f"it is {now:g}; {low:g} to {high:g} are allowed")
    if not whole:
        return bounded
    return float(math.floor(bounded) if bounded > now else math.ceil(bounded))


def _amount(now: float, by: str) -> float:
    found = _CHANGE.fullmatch(by.strip())
    if found is None:
        raise ValueError(f"{by!r} is no change of a quantity: write for example +2, -1, +50%")
    sign, number, percent = found.groups()
    size = float(number) * (abs(now) / 100 if percent else 1)
    return size if sign == "+" else -size


class SetSchedulerParameter(Pulling):
    """See `contract.Action`. The inverse is `{"key": …, "text": …}`: the text as it stood."""

    book = Book("aiops/scheduler-parameters")
    spec = ActionSpec(
        name="set-scheduler-parameter",
        doc="Set a number in a scheduler's ConfigMap to a value (`to`) or by a change (`by`), within bounds. Skipped where a person set `aiops/scheduler-override` on the object "
        "or its namespace.",
        effect=EffectClass.STAMPED,
        parameters={
            "key": ParamSpec("string", "key of the ConfigMap", required=True),
            "to": ParamSpec("float", "the number to set"),
            "by": ParamSpec("quantity-change", "change of the number: +2, -1, +50%"),
            "minimum": ParamSpec("float", "never below", required=True),
            "maximum": ParamSpec("float", "never above", required=True),
        },
        permissions=(Permission("", "configmaps", ("get", "patch")), Permission("", "namespaces", ("get",))),
        target_kinds=("ConfigMap",),
        undoable=True,
        one_of=(("to", "by"),),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the ConfigMap and its namespace."""
        lever = Lever("data", str(arguments["key"]))
        obj = context.cluster.reader.get(context.target)
        state, present = relied(lever, self.book)(obj), lever.read(obj)
        if stop := scheduler.overridden(context, obj):
            return Prepared(pre_state=state, skip=stop)
        if present is None:
            return Prepared(pre_state=state, skip=Result(Outcome.FAILED, "NoSuchKey", f"{context.target} has no {lever.name}"))
        if "text" in arguments:
            return prepared(obj, lever, self.book, context.key, arguments["text"], None, inverse={}, output={})
        number = wanted(present, arguments)
        if isinstance(number, Result):
            return Prepared(pre_state=state, skip=number)
        text = shown(number, present)
        if text == present:
            return Prepared(pre_state=state, skip=Result(Outcome.SKIPPED, "AlreadyThere", f"{lever.name} is {present} already"))
        return prepared(obj, lever, self.book, context.key, text, None, inverse={"key": lever.key, "text": present}, output={})

"""Traffic away from a zone or cluster that is sick, by one patch of what directs it: the far side is looked at first.

Neighbours: `traffic` looks, `levers` makes the patch, `failback_traffic` is the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.domain.target import JsonObject
from aiops.execution.actions import traffic
from aiops.execution.actions.contract import Checked, Context, Done, Failed, Prepared
from aiops.execution.actions.levers import Lever, Pulling, Record, prepared, relied
from aiops.execution.actions.query import fields


class ShiftTraffic(Pulling):
    """See `contract.Action`. The inverse puts back what stood there, whatever became of that side: it is what was before."""

    book = traffic.BOOK
    spec = ActionSpec(
        name="shift-traffic",
        doc="Direct traffic elsewhere: by the selector of a Service, by the Service that an EndpointSlice belongs to, or by a key of a ConfigMap (of another cluster too: "
        "`target.context`). Refused if the far side has too few ready endpoints, if its level does not pass, or if either cannot be seen.",
        effect=EffectClass.STAMPED,
        parameters={
            "selector": ParamSpec("strings", "labels `name=value` to set in a Service's selector; the others stay"),
            "service": ParamSpec("string", "the Service that an EndpointSlice is to belong to"),
            "key": traffic.KEY,
            "to": ParamSpec("string", "value of `key`"),
            **traffic.SIDE,
            "promql": ParamSpec("promql", "level of the far side, such as its error ratio"),
            "passes": ParamSpec("verify-cel", "when that level is good"),
        },
        permissions=traffic.PERMISSIONS,
        target_kinds=traffic.KINDS,
        undoable=True,
        one_of=(("selector", "service", "key"),),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads what directs the traffic, and the far side."""
        found = traffic.lever(context.target, arguments)
        obj = context.cluster.reader.get(context.target)
        if arguments.get("undo"):
            return back(context, obj, found, again={})
        state, value = relied(found, self.book)(obj), self._wanted(found, obj, arguments)
        side = traffic.side_of(found, arguments, value)
        stop = self._stop(found, obj, value) or traffic.unfit(context, side, obj, "FarSide") or traffic.unhealthy(context, arguments, "FarSide")
        if stop:
            return Prepared(pre_state=state, skip=stop)
        present, known = found.read(obj), self.book.record(obj, found)
        before = known.before if known is not None and known.set == present else present
        inverse = {"undo": "back", **({"key": found.key} if found.key else {})}
        return prepared(obj, found, self.book, context.key, value, Record(before, value), inverse=inverse, output={"side": side})

    @staticmethod
    def _wanted(found: Lever, obj: JsonObject, arguments: Mapping[str, Any]) -> Any:
        """The value to set. Raises ValueError."""
        if found.what == "selector":
            asked = {name: values[-1] for name, values in fields(arguments.get("selector")).items()}
            if not asked:
                raise ValueError("`selector` is for a Service, and a Service needs one")
            return {**found.read(obj), **asked}
        value = arguments.get("service" if found.what == "service" else "to")
        if not value:
            raise ValueError("an EndpointSlice needs `service`" if found.what == "service" else "a ConfigMap needs `to`")
        return str(value)

    @staticmethod
    def _stop(found: Lever, obj: JsonObject, value: Any) -> Result | None:
        present = found.read(obj)
        if found.what == "selector" and not present:
            return Result(Outcome.FAILED, "NoSelector", "the Service has no selector: somebody else keeps its endpoints")
        if found.what == "data" and present is None:
            return Result(Outcome.FAILED, "NoSuchKey", f"the ConfigMap has no {found.name}")
        if present == value:
            return Result(Outcome.SKIPPED, "AlreadyThere", f"{found.name} is {present} already")
        return None

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:
        """The value is ours, and whoever takes the traffic is still there."""
        checked, side = super().check(context, prepared, started_at), prepared.output.get("side")
        if isinstance(checked, Done) and side is not None:
            count, least = traffic.ready(context, side, context.cluster.reader.get(context.target)), int(side.get("minimumReady") or 1)
            if count < least:
                return Failed(Result(Outcome.FAILED, "FarSideDead", f"{count} are ready there now, {least} are needed"))
            return Done({"ready": count}, checked.detail)
        return checked


def back(context: Context, obj: JsonObject, found: Lever, *, again: Mapping[str, Any]) -> Prepared:
    """Put back what stood there before our shift, if what we set still stands. `again`: the inverse, arguments of the same action."""
    state, present, known = relied(found, traffic.BOOK)(obj), found.read(obj), traffic.BOOK.record(obj, found)
    if known is None:
        return Prepared(pre_state=state, skip=Result(Outcome.SKIPPED, "NothingToRestore", f"no record of ours for {found.name} stands on {context.target}"))
    if present != known.set:
        words = f"{found.name} is {present} now, we had set {known.set}: somebody has decided"
        return Prepared(pre_state=state, skip=Result(Outcome.SKIPPED, "ChangedByOther", words))
    inverse = {**again, "set": known.set} if again else {}
    return prepared(obj, found, traffic.BOOK, context.key, known.before, None, inverse=inverse, output={})

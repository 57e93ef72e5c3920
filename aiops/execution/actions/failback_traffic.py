"""Traffic back to the side it came from, once that has been healthy for a while. What a person changed meanwhile stays.

Neighbours: `shift_traffic` went the other way and wrote down where from, `traffic` looks at the near side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions import traffic
from aiops.execution.actions.contract import Context, Prepared
from aiops.execution.actions.levers import Pulling, Record, prepared, relied
from aiops.execution.actions.shift_traffic import back


class FailbackTraffic(Pulling):
    """See `contract.Action`."""

    book = traffic.BOOK
    spec = ActionSpec(
        name="failback-traffic",
        doc="Take back a `shift-traffic`, of this run or an earlier one: only if what it set still stands, if the near side has enough ready endpoints, and if `passes` held for "
        "`promql` at every point of the last `for`.",
        effect=EffectClass.STAMPED,
        parameters={
            "key": traffic.KEY,
            "promql": ParamSpec("promql", "level of the near side, such as its error ratio", required=True),
            "passes": ParamSpec("verify-cel", "when that level is good", required=True),
            "for": ParamSpec("duration", "the near side must have been good for so long", required=True, minimum=60, maximum=86400),
            **traffic.SIDE,
        },
        permissions=traffic.PERMISSIONS,
        target_kinds=traffic.KINDS,
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads what directs the traffic, and the near side. Undoing is the shift again."""
        found = traffic.lever(context.target, arguments)
        obj = context.cluster.reader.get(context.target)
        key = {"key": found.key} if found.key else {}
        if arguments.get("undo"):
            present = found.read(obj)
            return prepared(obj, found, self.book, context.key, arguments["set"], Record(present, arguments["set"]), inverse={}, output={})
        ready, known = back(context, obj, found, again={"undo": "shift", **key}), self.book.record(obj, found)
        if ready.skip is not None or known is None:
            return ready
        if found.what == "service" and not arguments.get("endpoints"):
            raise ValueError("`endpoints` must name the near side's Service: the EndpointSlice itself is the far side")
        side = traffic.side_of(found, arguments, known.before)
        stop = traffic.unfit(context, side, obj, "NearSide") or traffic.unhealthy(context, arguments, "NearSide")
        return Prepared(pre_state=relied(found, self.book)(obj), skip=stop) if stop else ready

"""Back to the scheduler that stood there before our fallback, once it is good again. What a person changed meanwhile stays.

Neighbours: `scheduler` has the rules and the override, `scheduler_fallback` went the other way, `measuring` asks whether it is good.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions import measuring, scheduler
from aiops.execution.actions.contract import Context, Prepared
from aiops.execution.actions.levers import Pulling


class SchedulerRestore(Pulling):
    """See `contract.Action`."""

    book = scheduler.BOOK
    spec = ActionSpec(
        name="scheduler-restore",
        doc="Take back a `scheduler-fallback`, of this run or an earlier one: only if what it set still stands, and, with `promql`, only if `passes` held for so long as "
        "`for` says. Skipped where a person set `aiops/scheduler-override` on the object or its namespace.",
        effect=EffectClass.STAMPED,
        parameters={
            "key": scheduler.KEY,
            "promql": ParamSpec("promql", "level that says whether the scheduler is good again"),
            "passes": ParamSpec("verify-cel", "when that level is good"),
            "for": ParamSpec("duration", "it must have been good for so long", default=0.0, minimum=0, maximum=86400),
            "source": measuring.SOURCE,
            "worst": measuring.WORST,
        },
        permissions=scheduler.PERMISSIONS,
        target_kinds=scheduler.KINDS,
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the object, its namespace and the level. Undoing is the fallback again."""
        found = scheduler.lever(context.target, arguments)
        obj = context.cluster.reader.get(context.target)
        if stop := scheduler.overridden(context, obj):
            return Prepared(skip=stop)
        if arguments.get("undo"):
            return scheduler.fallback(context, obj, found, arguments["set"])
        ready = scheduler.restore(context, obj, found)
        if ready.skip is None and arguments.get("promql") and (why := measuring.healthy_for(context, arguments, float(arguments.get("for") or 0.0))):
            return Prepared(pre_state=ready.pre_state, skip=Result(Outcome.FAILED, "ChecksFailed", why))
        return ready

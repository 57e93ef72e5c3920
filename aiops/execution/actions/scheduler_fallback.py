"""Away from a scheduler that does harm: a workload to the default scheduler, or the scheduler's own ConfigMap to its fallback.

Neighbours: `scheduler` has the rules and the override, `scheduler_restore` is the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions import scheduler
from aiops.execution.actions.contract import Context, Prepared
from aiops.execution.actions.levers import DEFAULT_SCHEDULER, Pulling


class SchedulerFallback(Pulling):
    """See `contract.Action`."""

    book = scheduler.BOOK
    spec = ActionSpec(
        name="scheduler-fallback",
        doc="Switch a workload's `schedulerName`, or a key of the scheduler's own ConfigMap, to the fallback, and keep in the annotation `aiops/scheduler-before` what stood "
        "there. Skipped where a person set `aiops/scheduler-override` on the object or its namespace.",
        effect=EffectClass.STAMPED,
        parameters={
            "to": ParamSpec("string", "the scheduler to fall back to, or the value of `key` that does so", default=DEFAULT_SCHEDULER),
            "key": scheduler.KEY,
        },
        permissions=scheduler.PERMISSIONS,
        target_kinds=scheduler.KINDS,
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the object and its namespace. Undoing is the way back."""
        found = scheduler.lever(context.target, arguments)
        obj = context.cluster.reader.get(context.target)
        if stop := scheduler.overridden(context, obj):
            return Prepared(skip=stop)
        if arguments.get("undo"):
            return scheduler.restore(context, obj, found)
        return scheduler.fallback(context, obj, found, str(arguments.get("to") or DEFAULT_SCHEDULER))

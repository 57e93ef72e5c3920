"""Keep new pods off a node, and let them on again. What a person cordoned stays so.

Convergent: doing it again is harmless, and a node that is cordoned already is left as it is. Neighbours: `switch` makes the patch, `drain`
does the same before it evicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions import stamped
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Failed, Looked, Prepared, Seen
from aiops.execution.actions.switch import Switch

CORDON = Switch("unschedulable", "aiops/cordoned-by")
PERMISSION = Permission("", "nodes", ("get", "patch"))
_ALREADY = {True: "it is cordoned already", False: "it is not cordoned"}


def node_of(context: Context) -> TargetRef:
    """The node that a step works on: its target, which stands in no namespace."""
    return TargetRef("Node", "", context.target.name, context.target.context)


class _Cordoning:
    """What both share."""

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One JSON patch."""
        return stamped.send(context, prepared, CORDON.relied, node_of(context))

    def look(self, context: Context, prepared: Prepared) -> Seen:  # noqa: ARG002 (the contract's signature)
        """By the stamp; without it another try is harmless, whatever happened in between."""
        stamp = stamped.stamp_of(context.cluster.reader.get(node_of(context)))
        return Seen(Looked.HAPPENED, stamp) if stamp is not None and stamp.startswith(context.series) else Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """As it was set, unless somebody set it back."""
        cordoned = bool(prepared.output["cordoned"])
        if CORDON.on(context.cluster.reader.get(node_of(context))) != cordoned:
            return Failed(Result(Outcome.FAILED, "Superseded", f"somebody else has {'uncordoned' if cordoned else 'cordoned'} it"))
        return Done(detail="cordoned" if cordoned else "not cordoned")


def set_to(context: Context, node: JsonObject, mark: str | None, *, cordoned: bool, inverse: Mapping[str, Any]) -> Prepared:
    """The patch, or that there is nothing to do."""
    if CORDON.on(node) == cordoned:
        return Prepared(pre_state=CORDON.relied(node), skip=Result(Outcome.SKIPPED, "AlreadyThere", _ALREADY[cordoned]))
    return CORDON.prepared(node, context.key, mark, on=cordoned, inverse=inverse, output={"cordoned": cordoned})


class Cordon(_Cordoning):
    """See `contract.Action`."""

    spec = ActionSpec(
        name="cordon",
        doc="Keep new pods off a node. One that is cordoned already stays as it is, and is not ours to uncordon.",
        effect=EffectClass.CONVERGENT,
        permissions=(PERMISSION,),
        target_kinds=("Node",),
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the node. The inverse uncordons it."""
        cordoned = not arguments.get("uncordon")
        node = context.cluster.reader.get(node_of(context))
        return set_to(context, node, context.key if cordoned else None, cordoned=cordoned, inverse={"uncordon": True})


class Uncordon(_Cordoning):
    """See `contract.Action`."""

    spec = ActionSpec(
        name="uncordon",
        doc="Let pods on a node again; one that we had not cordoned only with `force`.",
        effect=EffectClass.CONVERGENT,
        parameters={"force": ParamSpec("bool", "also if it was not us who cordoned it")},
        permissions=(PERMISSION,),
        target_kinds=("Node",),
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the node. The inverse cordons it again, as whose cordon it was."""
        node = context.cluster.reader.get(node_of(context))
        if arguments.get("cordon"):
            return set_to(context, node, arguments.get("mark"), cordoned=True, inverse={})
        state = CORDON.relied(node)
        if CORDON.on(node) and state["mark"] is None and not arguments.get("force"):
            return Prepared(pre_state=state, skip=Result(Outcome.FAILED, "CordonedByPerson", "it was not us who cordoned it; `force` would uncordon it all the same"))
        return set_to(context, node, None, cordoned=False, inverse={"cordon": True, "mark": state["mark"]})

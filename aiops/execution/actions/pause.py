"""Stop a Deployment's roll-out where it stands, and let it go on again. What a person paused stays paused.

Neighbours: `stamped` sends and looks, `rollout` says when it is complete. The mark says that the pause was ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject
from aiops.execution.actions import rollout, stamped
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Failed, Prepared, Seen, Waiting

PAUSED_BY = "aiops/paused-by"
"""The annotation that says that we paused it: the operation key."""

_PERMISSIONS = (Permission("apps", "deployments", ("get", "patch")),)


def relied(obj: JsonObject) -> dict[str, Any]:
    """Whether it is paused, and whether by us."""
    return {**stamped.identity(obj), "paused": bool(obj["spec"].get("paused")), "pausedBy": _mark(obj)}


def _mark(obj: JsonObject) -> str | None:
    mark = (obj["metadata"].get("annotations") or {}).get(PAUSED_BY)
    return None if mark is None else str(mark)


def prepared(context: Context, obj: JsonObject, mark: str | None, *, paused: bool, inverse: Mapping[str, Any]) -> Prepared:
    """The patch that pauses or lets go on, and puts the mark (None: takes it away)."""
    pre_state = relied(obj)
    operations: list[JsonObject] = [*stamped.guards(obj), {"op": "test", "path": "/spec/paused", "value": obj["spec"].get("paused")}]
    change: JsonObject = {"op": "add", "path": "/spec/paused", "value": True} if paused else {"op": "remove", "path": "/spec/paused"}
    operations += [change, stamped.stamping(obj, context.key)]
    path = f"/metadata/annotations/{stamped.pointer(PAUSED_BY)}"
    if mark is not None:
        operations.append({"op": "add", "path": path, "value": mark})
    elif pre_state["pausedBy"] is not None:
        operations.append({"op": "remove", "path": path})
    leaves = {**pre_state, "paused": paused, "pausedBy": mark, "stamp": context.key}
    return Prepared(pre_state=pre_state, leaves=leaves, inverse=inverse, request=operations, before=obj, output={"paused": paused})


class _Pausing:
    """What both share."""

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One JSON patch."""
        return stamped.send(context, prepared, relied)

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the stamp."""
        return stamped.look(context, prepared, relied)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """The controller has seen a pause; a roll-out that goes on is complete."""
        obj = context.cluster.reader.get(context.target)
        paused = bool(prepared.output["paused"])
        if bool(obj["spec"].get("paused")) != paused:
            return Failed(Result(Outcome.FAILED, "Superseded", f"somebody else has {'let it go on' if paused else 'paused it'}"))
        if not paused:
            return rollout.progress(obj, rollout.template_digest(obj["spec"]["template"]))
        if (obj.get("status") or {}).get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
            return Waiting(stamped.POLL, "the controller has not seen the change yet")
        return Done(detail="paused")


class PauseRollout(_Pausing):
    """See `contract.Action`."""

    spec = ActionSpec(
        name="pause-rollout",
        doc="Pause a Deployment: a roll-out stops where it stands, and no new one begins.",
        effect=EffectClass.STAMPED,
        permissions=_PERMISSIONS,
        target_kinds=("Deployment",),
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the Deployment. The inverse lets it go on."""
        obj = context.cluster.reader.get(context.target)
        paused = not arguments.get("resume")
        if relied(obj)["paused"] == paused:
            return Prepared(pre_state=relied(obj), skip=Result(Outcome.SKIPPED, "AlreadyThere", "it is paused already" if paused else "it is not paused"))
        return prepared(context, obj, context.key if paused else None, paused=paused, inverse={"resume": True})


class ResumeRollout(_Pausing):
    """See `contract.Action`."""

    spec = ActionSpec(
        name="resume-rollout",
        doc="Let a paused Deployment go on and wait for its roll-out; one that a person had paused only with `force`.",
        effect=EffectClass.STAMPED,
        parameters={"force": ParamSpec("bool", "also if it was not us who paused it", default=False)},
        permissions=_PERMISSIONS,
        target_kinds=("Deployment",),
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the Deployment. The inverse pauses it again."""
        obj = context.cluster.reader.get(context.target)
        state = relied(obj)
        if arguments.get("pause"):
            skip = Result(Outcome.SKIPPED, "AlreadyThere", "it is paused already") if state["paused"] else None
            return Prepared(pre_state=state, skip=skip) if skip else prepared(context, obj, arguments.get("mark"), paused=True, inverse={})
        if not state["paused"]:
            return Prepared(pre_state=state, skip=Result(Outcome.SKIPPED, "AlreadyThere", "it is not paused"))
        if state["pausedBy"] is None and not arguments.get("force"):
            return Prepared(pre_state=state, skip=Result(Outcome.FAILED, "PausedByPerson", "it was not us who paused it; `force` would let it go on all the same"))
        return prepared(context, obj, None, paused=False, inverse={"pause": True, "mark": state["pausedBy"]})

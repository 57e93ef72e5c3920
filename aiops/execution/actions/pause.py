"""Stop a Deployment's roll-out where it stands, and let it go on again. What a person paused stays paused.

Neighbours: `switch` makes the patch, `rollout` says when it is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.execution.actions import rollout, stamped
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Failed, Prepared, Seen, Waiting
from aiops.execution.actions.switch import Switch

PAUSED = Switch("paused", "aiops/paused-by")
_PERMISSIONS = (Permission("apps", "deployments", ("get", "patch")),)


class _Pausing:
    """What both share."""

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One JSON patch."""
        return stamped.send(context, prepared, PAUSED.relied)

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the stamp."""
        return stamped.look(context, prepared, PAUSED.relied)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """The controller has seen a pause; a roll-out that goes on is complete."""
        obj = context.cluster.reader.get(context.target)
        paused = bool(prepared.output["paused"])
        if PAUSED.on(obj) != paused:
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
        pause = not arguments.get("resume")
        if PAUSED.on(obj) == pause:
            return Prepared(pre_state=PAUSED.relied(obj), skip=Result(Outcome.SKIPPED, "AlreadyThere", "it is paused already" if pause else "it is not paused"))
        mark = context.key if pause else None
        return PAUSED.prepared(obj, context.key, mark, on=pause, inverse={"resume": True}, output={"paused": pause})


class ResumeRollout(_Pausing):
    """See `contract.Action`."""

    spec = ActionSpec(
        name="resume-rollout",
        doc="Let a paused Deployment go on and wait for its roll-out; one that a person had paused only with `force`.",
        effect=EffectClass.STAMPED,
        parameters={"force": ParamSpec("bool", "also if it was not us who paused it")},
        permissions=_PERMISSIONS,
        target_kinds=("Deployment",),
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the Deployment. The inverse pauses it again, as whose pause it was."""
        obj = context.cluster.reader.get(context.target)
        state, pause = PAUSED.relied(obj), bool(arguments.get("pause"))
        if PAUSED.on(obj) == pause:
            return Prepared(pre_state=state, skip=Result(Outcome.SKIPPED, "AlreadyThere", "it is paused already" if pause else "it is not paused"))
        if pause:
            return PAUSED.prepared(obj, context.key, arguments.get("mark"), on=True, inverse={}, output={"paused": True})
        if state["mark"] is None and not arguments.get("force"):
            return Prepared(pre_state=state, skip=Result(Outcome.FAILED, "PausedByPerson", "it was not us who paused it; `force` would let it go on all the same"))
        return PAUSED.prepared(obj, context.key, None, on=False, inverse={"pause": True, "mark": state["mark"]}, output={"paused": False})

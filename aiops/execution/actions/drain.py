"""Cordon a node and evict its pods, one at a time, each with an intent of its own and its uid as precondition; disruption budgets are honoured.

So a crash at any point leaves a node that is cordoned by us and has fewer pods; the next try goes on from what is there. A budget that says no is
waited for while other pods go, until the step's time-out. Left alone: pods of DaemonSets, static pods, and what has ended.
What may go follows `kubectl drain` (kubectl's drain/filters). Neighbours: `cordon`, `effects` (another attempt after each `Again`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiops.domain.errors import ConflictError, NotFoundError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions import stamped
from aiops.execution.actions.contract import Again, Checked, Context, Done, Effect, Failed, Looked, Prepared, Seen, Waiting
from aiops.execution.actions.cordon import CORDON, PERMISSION, node_of, set_to
from aiops.remediate.objects import condition

_MIRROR = "kubernetes.io/config.mirror"
_SHOWN = 10


def movable(pods: Iterable[JsonObject]) -> list[JsonObject]:
    """Those that a drain moves, in a fixed order; some of them may be leaving already."""
    return sorted((p for p in pods if not _stays(p)), key=lambda p: (str(p["metadata"].get("namespace")), str(p["metadata"]["name"])))


def _stays(pod: JsonObject) -> bool:
    controller = _controller(pod)
    daemon = controller is not None and controller.get("kind") == "DaemonSet"
    return daemon or _MIRROR in (pod["metadata"].get("annotations") or {}) or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _controller(pod: JsonObject) -> JsonObject | None:
    return next((o for o in pod["metadata"].get("ownerReferences") or () if o.get("controller")), None)


def leaving(pod: JsonObject) -> bool:
    """It is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def label(pod: JsonObject) -> str:
    """`namespace/name`."""
    return f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"


def obstacle(pods: Sequence[JsonObject], arguments: Mapping[str, Any]) -> Result | None:
    """Why these pods may not be evicted, or None."""
    bare = [p for p in pods if _controller(p) is None]
    if bare and not arguments.get("force"):
        return Result(Outcome.FAILED, "BarePods", f"nothing would make {_listed(bare)} anew; `force` would evict them all the same")
    local = [p for p in pods if any("emptyDir" in v for v in p["spec"].get("volumes") or ())]
    if local and not arguments.get("deleteEmptyDirData"):
        return Result(Outcome.FAILED, "LocalData", f"{_listed(local)} would lose their emptyDir; `deleteEmptyDirData` would evict them all the same")
    return None


def _listed(pods: Sequence[JsonObject]) -> str:
    more = f" and {len(pods) - _SHOWN} more" if len(pods) > _SHOWN else ""
    return ", ".join(label(p) for p in pods[:_SHOWN]) + more


class Drain:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="drain",
        doc="Cordon a node and evict its pods through the Eviction API, within disruption budgets, until the step's time-out. Undone, it is uncordoned if it was us who cordoned it.",
        effect=EffectClass.UID,
        parameters={
            "deleteEmptyDirData": ParamSpec("bool", "also evict pods with an emptyDir, whose data goes with them"),
            "force": ParamSpec("bool", "also evict pods that nothing makes anew"),
        },
        permissions=(PERMISSION, Permission("", "pods", ("get", "list")), Permission("", "pods/eviction", ("create",))),
        target_kinds=("Node",),
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the node and its pods: the first try cordons, each further one evicts a pod."""
        node = context.cluster.reader.get(node_of(context))
        if arguments.get("uncordon"):
            return _undone(context, node, set_to(context, node, None, cordoned=False, inverse={}))
        state = {**CORDON.relied(node), "evict": None}
        pods = movable(_pods(context))
        going = [p for p in pods if not leaving(p)]
        if hindrance := obstacle(going, arguments):
            return Prepared(pre_state=state, skip=hindrance)
        output = {"cordoned": True, "left": len(pods), "leaving": len(pods) - len(going), "evicts": [label(p) for p in going[:_SHOWN]]}
        if not state["unschedulable"]:
            if _attempt(context) > 1 and str((node["metadata"].get("annotations") or {}).get(CORDON.mark, "")).startswith(context.series):
                return Prepared(pre_state=state, skip=Result(Outcome.FAILED, "UncordonedByPerson", "somebody has uncordoned it during the drain"))
            first = CORDON.prepared(node, context.key, context.key, on=True, inverse={"uncordon": True}, output=output)
            return replace(first, pre_state=state)
        ours = str(state["mark"] or "").startswith(context.series)
        if not pods and _attempt(context) <= 1:
            return Prepared(pre_state=state, skip=Result(Outcome.SKIPPED, "AlreadyThere", "it is cordoned, and no pod is left that would have to go"))
        chosen = going[_attempt(context) % len(going)] if going else None
        evict = None if chosen is None else {k: chosen["metadata"].get(k) for k in ("namespace", "name", "uid")}
        leaves = {k: state[k] for k in ("uid", "stamp", "unschedulable", "mark")}
        return Prepared(
            pre_state={**state, "evict": evict}, leaves=leaves, inverse={"uncordon": True} if ours else {}, request={"evict": evict}, output=output,
        )

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One patch or one eviction. A pod that is gone or another by now needs none."""
        if isinstance(prepared.request, list):
            effect = stamped.send(context, prepared, CORDON.relied, node_of(context))
            return replace(effect, note=_said(prepared))
        evict = prepared.request["evict"]
        if evict is None:
            return Effect(applied=not context.cluster.simulated, note="nothing is left to evict")
        ref = _ref(context, evict)
        try:
            result = context.cluster.writer.evict(ref, uid=evict["uid"], timeout=context.request_timeout)
        except (NotFoundError, ConflictError):
            return Effect(applied=not context.cluster.simulated, note=f"{ref} is gone already")
        return Effect(applied=result.applied, write=result, note=f"evicts {ref}; {prepared.output['left'] - 1} more on the node")

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """The pod is leaving, gone, or another; the cordon by its stamp. Trying again is harmless: it goes by what is there then."""
        evict = prepared.pre_state.get("evict")
        if evict is None:
            stamp = stamped.stamp_of(context.cluster.reader.get(node_of(context)))
            return Seen(Looked.HAPPENED, stamp) if stamp is not None and stamp.startswith(context.series) else Seen(Looked.NOT)
        try:
            pod = context.cluster.reader.get(_ref(context, evict))
        except NotFoundError:
            return Seen(Looked.HAPPENED)
        return Seen(Looked.HAPPENED if pod["metadata"]["uid"] != evict["uid"] or leaving(pod) else Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """All that had to go are gone. On a node that is not ready nobody ends them: there it is enough that they are told to go."""
        node = context.cluster.reader.get(node_of(context))
        cordoned = bool(prepared.output["cordoned"])
        if CORDON.on(node) != cordoned:
            return Failed(Result(Outcome.FAILED, "Superseded", f"somebody else has {'uncordoned' if cordoned else 'cordoned'} it"))
        if not cordoned:
            return Done(detail="not cordoned")
        pods = movable(_pods(context))
        going = [p for p in pods if not leaving(p)]
        if going:
            return Again(0.0, f"{len(going)} pods are still to be evicted: {_listed(going)}")
        ready = condition(node, "Ready")
        if pods and ready is not None and ready.get("status") == "True":
            return Waiting(stamped.POLL, f"{len(pods)} pods are ending: {_listed(pods)}")
        words = f"; {len(pods)} wait for the node to come back to end" if pods else ""
        return Done({"left": len(pods), "leaving": len(pods), "evicts": []}, f"drained{words}")


def _undone(context: Context, node: JsonObject, prepared: Prepared) -> Prepared:
    """Only what we cordoned is uncordoned."""
    state = CORDON.relied(node)
    if state["unschedulable"] and not str(state["mark"] or "").startswith(f"{context.execution}."):
        return Prepared(pre_state=state, skip=Result(Outcome.FAILED, "CordonedByPerson", "it was not us who cordoned it"))
    return prepared


def _pods(context: Context) -> Sequence[JsonObject]:
    return context.cluster.reader.list("Pod", field_selector=f"spec.nodeName={context.target.name}").items


def _ref(context: Context, evict: Mapping[str, Any]) -> TargetRef:
    return TargetRef("Pod", str(evict["namespace"]), str(evict["name"]), context.target.context)


def _attempt(context: Context) -> int:
    return int(context.key.rpartition(".")[2])


def _said(prepared: Prepared) -> str:
    output = prepared.output
    if not output["cordoned"]:
        return "uncordons"
    count = output["left"] - output["leaving"]
    return f"cordons, then evicts {count} pods" + (f": {', '.join(output['evicts'])}" if count else "")

"""Replace one pod: evicted, so that disruption budgets count, with its uid as precondition; done when its controller's new pod is ready.

A budget that says no is waited for until the step's time-out (see `execution.effects`). Neighbours: `drain` evicts too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.errors import NotFoundError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, Permission
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.execution.actions import stamped
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Looked, Prepared, Seen, Waiting
from aiops.remediate.objects import condition

_MAKES_ANEW = ("ReplicaSet", "StatefulSet", "DaemonSet")


def _is_ready(pod: JsonObject) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found.get("status") == "True"


class RestartPod:
    """See `contract.Action`. It cannot be undone: the old process is gone."""

    spec = ActionSpec(
        name="restart-pod",
        doc="Evict one pod of a workload and wait until the pod that takes its place is ready; disruption budgets count.",
        effect=EffectClass.UID,
        permissions=(Permission("", "pods", ("get", "list")), Permission("", "pods/eviction", ("create",))),
        target_kinds=("Pod",),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:  # noqa: ARG002 (it takes none)
        """Reads the pod, and which pods its controller has besides."""
        pod = context.cluster.reader.get(context.target)
        uid = pod["metadata"]["uid"]
        owner = next((o for o in pod["metadata"].get("ownerReferences") or () if o.get("controller")), None)
        state = {"uid": uid}
        if owner is None or owner.get("kind") not in _MAKES_ANEW:
            who = "nobody" if owner is None else f"the {owner.get('kind')} {owner.get('name')}"
            return Prepared(pre_state=state, skip=Result(Outcome.FAILED, "NotReplaced", f"it belongs to {who}: it would not be made anew"))
        if "deletionTimestamp" in pod["metadata"]:
            return Prepared(pre_state=state, skip=Result(Outcome.SKIPPED, "AlreadyThere", "it is being deleted already"))
        others = [p["metadata"]["uid"] for p in _siblings(context, owner["uid"]) if p["metadata"]["uid"] != uid]
        kept = {"kind": owner["kind"], "name": owner["name"], "uid": owner["uid"]}
        return Prepared(pre_state=state, request={"evict": str(context.target), "uid": uid}, before=pod, output={"owner": kept, "others": others, "pod": context.target.name})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One eviction."""
        result = context.cluster.writer.evict(context.target, uid=prepared.request["uid"], timeout=context.request_timeout)
        return Effect(applied=result.applied, write=result, note=result.note)

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """The pod is leaving, gone, or another: whoever did it, it is not to be done again."""
        try:
            pod = context.cluster.reader.get(context.target)
        except NotFoundError:
            return Seen(Looked.HAPPENED)
        replaced = pod["metadata"]["uid"] != prepared.pre_state["uid"] or "deletionTimestamp" in pod["metadata"]
        return Seen(Looked.HAPPENED if replaced else Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """The old pod is gone, and one that was not there before is ready; or its controller wants no pod more than it has."""
        owner, old = prepared.output["owner"], prepared.pre_state["uid"]
        pods = _siblings(context, owner["uid"])
        if any(p["metadata"]["uid"] == old for p in pods):
            return Waiting(stamped.POLL, "it is ending")
        known = set(prepared.output["others"])
        fresh = [p for p in pods if p["metadata"]["uid"] not in known and "deletionTimestamp" not in p["metadata"]]
        if ready := next((p for p in fresh if _is_ready(p)), None):
            return Done({"replacement": ready["metadata"]["name"]}, f"{ready['metadata']['name']} is ready")
        if not fresh and _satisfied(context, owner, pods):
            return Done({"replacement": ""}, f"the {owner['kind']} {owner['name']} wants no other in its place")
        names = ", ".join(str(p["metadata"]["name"]) for p in fresh)
        return Waiting(stamped.POLL, f"{names} is not ready" if fresh else "no pod has taken its place yet")


def _siblings(context: Context, owner: str) -> list[JsonObject]:
    """The pods that this controller has now."""
    pods = context.cluster.reader.list("Pod", context.target.namespace).items
    return [p for p in pods if any(o.get("controller") and o.get("uid") == owner for o in p["metadata"].get("ownerReferences") or ())]


def _satisfied(context: Context, owner: Mapping[str, Any], pods: list[JsonObject]) -> bool:
    """Whether the controller has as many pods as it wants, or is gone itself: somebody scaled it down or rolled out meanwhile."""
    if owner["kind"] not in KINDS:
        return False
    try:
        found = context.cluster.reader.get(TargetRef(owner["kind"], context.target.namespace, owner["name"], context.target.context))
    except NotFoundError:
        return True
    if found["metadata"]["uid"] != owner["uid"]:
        return True
    present = sum("deletionTimestamp" not in p["metadata"] for p in pods)
    return owner["kind"] != "DaemonSet" and present >= int(found["spec"].get("replicas", 1))

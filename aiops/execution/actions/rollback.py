"""Bring back the template of an older revision of a Deployment, taken from that revision's ReplicaSet.

Neighbours: `stamped` sends and looks, `rollout` says when it is complete.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject
from aiops.execution.actions import rollout, stamped
from aiops.execution.actions.contract import Checked, Context, Effect, Prepared, Seen

REVISION = "deployment.kubernetes.io/revision"
HASH_LABEL = "pod-template-hash"


def relied(obj: JsonObject) -> dict[str, Any]:
    """What a rollback relies on: that what it replaces is still what runs."""
    return {**stamped.identity(obj), **rollout.template_state(obj)}


def revision_of(obj: JsonObject) -> int:
    """The revision of a Deployment or ReplicaSet, 0 where the controller has not written one."""
    text = str((obj["metadata"].get("annotations") or {}).get(REVISION, ""))
    return int(text) if text.isascii() and text.isdigit() else 0


def template_of(replica_set: JsonObject) -> JsonObject:
    """Its pod template without the label that the controller added."""
    template: JsonObject = copy.deepcopy(replica_set["spec"]["template"])
    labels = (template.get("metadata") or {}).get("labels")
    if labels:
        labels.pop(HASH_LABEL, None)
    return template


def substance(template: JsonObject) -> str:
    """Digest of what makes a release: a restart changes the template too, yet going back to before it would change nothing that matters."""
    bare = copy.deepcopy(template)
    metadata = bare.get("metadata") or {}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != stamped.RESTARTED_AT}
    metadata.pop("annotations", None)
    metadata.pop("creationTimestamp", None)
    if annotations:
        metadata["annotations"] = annotations
    bare["metadata"] = metadata
    return stamped.digest(bare)


def choose(deployment: JsonObject, replica_sets: Sequence[JsonObject], revision: int | None) -> JsonObject | Result:
    """The ReplicaSet to go back to: of `revision`, or else the newest older one whose release differs from the present one."""
    uid, present = deployment["metadata"]["uid"], revision_of(deployment)
    own = [
        rs for rs in replica_sets
        if any(owner.get("uid") == uid and owner.get("controller") for owner in rs["metadata"].get("ownerReferences") or ())
    ]
    known = sorted((rs for rs in own if revision_of(rs)), key=revision_of, reverse=True)
    running = substance(deployment["spec"]["template"])
    if revision is not None:
        for rs in known:
            if revision_of(rs) == revision:
                return rs
        kept = ", ".join(str(revision_of(rs)) for rs in known) or "none"
        return Result(Outcome.FAILED, "RevisionNotFound", f"revision {revision} is not kept; there are: {kept}")
    for rs in known:
        if revision_of(rs) < present and substance(template_of(rs)) != running:
            return rs
    return Result(Outcome.FAILED, "NoOlderRevision", "no kept revision holds another release than the one that runs")


def request(obj: JsonObject, template: JsonObject, key: str) -> list[JsonObject]:
    """The patch: tests first, then the whole template and the stamp."""
    tests = [*stamped.guards(obj), {"op": "test", "path": "/spec/template", "value": obj["spec"]["template"]}]
    return [*tests, {"op": "replace", "path": "/spec/template", "value": template}, stamped.stamping(obj, key)]


def selector_text(selector: Mapping[str, Any]) -> str:
    """A LabelSelector as the API's query parameter takes it."""
    parts = [f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or ():
        values = ",".join(term.get("values") or ())
        operator = term["operator"]
        if operator in ("In", "NotIn"):
            parts.append(f"{term['key']} {operator.lower()} ({values})")
        else:
            parts.append(term["key"] if operator == "Exists" else f"!{term['key']}")
    return ",".join(parts)


class Rollback:
    """See `contract.Action`. Undone by going to the revision that ran before."""

    spec = ActionSpec(
        name="rollback",
        doc="Bring back the pod template of the previous release, or of a given revision, of a Deployment.",
        effect=EffectClass.STAMPED,
        parameters={"toRevision": ParamSpec("int", "the revision to go back to; the previous release if it is not given", minimum=1)},
        permissions=(Permission("apps", "deployments", ("get", "patch")), Permission("apps", "replicasets", ("get", "list"))),
        target_kinds=("Deployment",),
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the Deployment and its ReplicaSets."""
        obj = context.cluster.reader.get(context.target)
        pre_state = relied(obj)
        if hindrance := rollout.unable(obj):
            return Prepared(pre_state=pre_state, skip=hindrance)
        page = context.cluster.reader.list(
            "ReplicaSet", context.target.namespace, label_selector=selector_text(obj["spec"].get("selector") or {}),
        )
        asked = arguments.get("toRevision")
        chosen = choose(obj, page.items, None if asked is None else int(asked))
        if isinstance(chosen, Result):
            return Prepared(pre_state=pre_state, skip=chosen)
        template, present = template_of(chosen), revision_of(obj)
        left = rollout.template_digest(template)
        if left == pre_state["template"]:
            return Prepared(pre_state=pre_state, skip=Result(Outcome.SKIPPED, "AlreadyThere", f"it runs the template of revision {asked} already"))
        return Prepared(
            pre_state=pre_state,
            leaves={**pre_state, "template": left, "stamp": context.key},
            inverse={"toRevision": present} if present else {},
            request=request(obj, template, context.key),
            before=obj,
            output={"fromRevision": present, "toRevision": revision_of(chosen)},
        )

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One JSON patch."""
        return stamped.send(context, prepared, relied)

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the stamp."""
        return stamped.look(context, prepared, relied)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """The roll-out is complete."""
        return rollout.progress(context.cluster.reader.get(context.target), str(prepared.leaves["template"]))

"""Replace all pods of a workload by a roll-out of the same template, marked as `kubectl rollout restart` marks it.

Neighbours: `stamped` sends and looks, `rollout` says when it is complete.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiops.domain.runbook import ActionSpec, EffectClass, Permission
from aiops.domain.target import JsonObject
from aiops.execution.actions import rollout, stamped
from aiops.execution.actions.contract import Checked, Context, Effect, Prepared, Seen

_VERBS = ("get", "patch")


def relied(obj: JsonObject) -> dict[str, Any]:
    """What a restart relies on: a template changed meanwhile is being rolled out anyway."""
    return {**stamped.identity(obj), **rollout.template_state(obj)}


def restarted(template: JsonObject, at: float) -> JsonObject:
    """The template with the mark of this moment (Unix seconds, written as RFC 3339 in UTC)."""
    changed = copy.deepcopy(template)
    annotations = changed.setdefault("metadata", {}).get("annotations") or {}
    moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    changed["metadata"]["annotations"] = {**annotations, stamped.RESTARTED_AT: moment}
    return changed


def request(obj: JsonObject, template: JsonObject, key: str) -> list[JsonObject]:
    """The patch: tests first, then the mark and the stamp. Only the annotations of the template are written."""
    before, marks = obj["spec"]["template"], template["metadata"]["annotations"]
    tests = [*stamped.guards(obj), {"op": "test", "path": "/spec/template", "value": before}]
    if (before.get("metadata") or {}).get("annotations"):
        path, value = f"/spec/template/metadata/annotations/{stamped.pointer(stamped.RESTARTED_AT)}", marks[stamped.RESTARTED_AT]
    elif before.get("metadata") is not None:
        path, value = "/spec/template/metadata/annotations", marks
    else:
        path, value = "/spec/template/metadata", template["metadata"]
    return [*tests, {"op": "add", "path": path, "value": value}, stamped.stamping(obj, key)]


class Restart:
    """See `contract.Action`. A restart cannot be undone: the old processes are gone."""

    spec = ActionSpec(
        name="restart",
        doc="Restart a Deployment, StatefulSet or DaemonSet pod by pod, as its own update strategy allows.",
        effect=EffectClass.STAMPED,
        permissions=(
            Permission("apps", "deployments", _VERBS), Permission("apps", "statefulsets", _VERBS), Permission("apps", "daemonsets", _VERBS),
        ),
        target_kinds=("Deployment", "StatefulSet", "DaemonSet"),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:  # noqa: ARG002 (it takes none)
        """Reads the workload; the mark is the present time."""
        obj = context.cluster.reader.get(context.target)
        pre_state = relied(obj)
        if hindrance := rollout.unable(obj):
            return Prepared(pre_state=pre_state, skip=hindrance)
        template = restarted(obj["spec"]["template"], context.now)
        left = rollout.template_digest(template)
        return Prepared(
            pre_state=pre_state,
            leaves={**pre_state, "template": left, "stamp": context.key},
            request=request(obj, template, context.key),
            before=obj,
            output={"restartedAt": template["metadata"]["annotations"][stamped.RESTARTED_AT]},
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

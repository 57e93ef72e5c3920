"""A change of the pod template as one stamped patch: containers by name, what is relied on, when it is rolled out.

An action says what the new template is; the rest is the same for all. The patch tests the whole template as it was read, as `restart` does:
what somebody else changed meanwhile is never written over. Neighbours: `stamped`, `rollout`; `set_image`, `set_env`, `set_resources`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ParamSpec, Permission
from aiops.domain.target import JsonObject
from aiops.execution.actions import rollout, stamped
from aiops.execution.actions.contract import Checked, Context, Effect, Prepared, Seen
from aiops.remediate.ownership import Owner

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
PERMISSIONS = tuple(Permission("apps", plural, ("get", "patch")) for plural in ("deployments", "statefulsets", "daemonsets"))
CONTAINER = ParamSpec("string", "name of the container; may be left out where there is only one")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One container as it is to be: the whole of it. `inverse` are arguments of the same action; `output` is for people and later steps."""

    container: JsonObject
    inverse: Mapping[str, Any]
    output: Mapping[str, Any] = field(default_factory=dict)


def relied(obj: JsonObject) -> dict[str, Any]:
    """What a change of the template relies on: that it is still the one that was read."""
    return {**stamped.identity(obj), **rollout.template_state(obj)}


def container_of(obj: JsonObject, name: Any) -> tuple[int, JsonObject] | Result:
    """Index and container by name, or the only one; the result that ends the step if it cannot be told."""
    containers = obj["spec"]["template"]["spec"]["containers"]
    names = ", ".join(str(c["name"]) for c in containers)
    if not name and len(containers) == 1:
        return 0, containers[0]
    for index, container in enumerate(containers):
        if name and container["name"] == name:
            return index, container
    if name:
        return Result(Outcome.FAILED, "NoSuchContainer", f"no container {name!r}; there are: {names}")
    return Result(Outcome.ERROR, "InvalidArguments", f"there are several containers, name one of: {names}")


def invalid(detail: str) -> Result:
    """The arguments make no sense: trying again will not help."""
    return Result(Outcome.ERROR, "InvalidArguments", detail)


class TemplateAction(ABC):
    """`prepare`, `start`, `look` and `check` of an action that changes one container of the template."""

    @abstractmethod
    def wanted(self, container: JsonObject, arguments: Mapping[str, Any]) -> Wanted | Result:
        """The container as it is to be (the one given is not to be changed in place), or the result that ends the step."""

    def owner(self, context: Context) -> Owner | None:  # noqa: ARG002 (for those who have one)
        """Who else sets what this action would, where that is not seen in the daemon's view."""
        return None

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the workload."""
        obj = context.cluster.reader.get(context.target)
        pre_state = relied(obj)
        if owner := self.owner(context):
            return Prepared(pre_state=pre_state, skip=Result(Outcome.FAILED, owner.reason, owner.detail))
        found = container_of(obj, arguments.get("container"))
        result = found if isinstance(found, Result) else self.wanted(copy.deepcopy(found[1]), arguments)
        if isinstance(found, Result) or isinstance(result, Result):
            return Prepared(pre_state=pre_state, skip=result if isinstance(result, Result) else None)
        index, before = found
        if result.container == before:
            return Prepared(pre_state=pre_state, skip=Result(Outcome.SKIPPED, "AlreadyThere", "the container is as it is to be already"))
        if hindrance := rollout.unable(obj):
            return Prepared(pre_state=pre_state, skip=hindrance)
        return self._prepared(context, obj, index, result)

    @staticmethod
    def _prepared(context: Context, obj: JsonObject, index: int, wanted: Wanted) -> Prepared:
        template = copy.deepcopy(obj["spec"]["template"])
        before = template["spec"]["containers"][index]
        template["spec"]["containers"][index] = wanted.container
        path = f"/spec/template/spec/containers/{index}"
        changed = [key for key in sorted({*before, *wanted.container}) if before.get(key) != wanted.container.get(key)]
        operations: list[JsonObject] = [
            {"op": "add", "path": f"{path}/{stamped.pointer(key)}", "value": wanted.container[key]} if key in wanted.container
            else {"op": "remove", "path": f"{path}/{stamped.pointer(key)}"}
            for key in changed
        ]
        pre_state = relied(obj)
        return Prepared(
            pre_state=pre_state,
            leaves={**pre_state, "template": rollout.template_digest(template), "stamp": context.key},
            inverse={"container": before["name"], **wanted.inverse},
            request=[
                *stamped.guards(obj), {"op": "test", "path": "/spec/template", "value": obj["spec"]["template"]}, *operations,
                stamped.stamping(obj, context.key),
            ],
            before=obj,
            output={"container": before["name"], **wanted.output},
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

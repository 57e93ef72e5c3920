"""Set or remove one key of a ConfigMap, by one stamped patch. Who reads it anew, and when, is for a later step (`restart`) or for the program.

The ConfigMap is the step's target, or named beside a workload that uses it, in the same namespace. Neighbours: `stamped` sends and looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions import stamped
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Failed, Prepared, Seen
from aiops.execution.actions.template import invalid
from aiops.execution.changes import telling
from aiops.remediate.ownership import config_owner

_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}", re.ASCII)
MAX_VALUE = 32 * 1024
"""Characters: what is replaced is journalled, since the undo needs it."""


def _relied(key: str) -> stamped.Relied:
    """What is relied on: the value of the key as a digest (None: it is not there)."""

    def relied(obj: JsonObject) -> dict[str, Any]:
        value = (obj.get("data") or {}).get(key)
        found = None if value is None else stamped.digest(value)
        return {**stamped.identity(obj), "configMap": obj["metadata"]["name"], "key": key, "value": found}

    return relied


def _wrong(name: str, own: str, key: str, value: Any, *, remove: bool) -> Result | None:
    """What is wrong with the arguments, or None."""
    if not name or (own and name != own):
        return invalid("`configMap` is to be named where the target is none, and only there")
    if not _KEY.fullmatch(key):
        return invalid(f"{key[:100]!r} is no key: letters, digits, '-', '_' and '.'")
    if (value is None) != remove:
        return invalid("exactly one of `value` and `remove: true` is to be given")
    if telling(key):
        return Result(Outcome.ERROR, "SecretKey", f"{key} sounds like a secret: its value belongs into a Secret, not into a runbook")
    return None


def hindrance(config: JsonObject, key: str) -> Result | None:
    """Why this key is not to be written, or None."""
    if config.get("immutable"):
        return Result(Outcome.FAILED, "Immutable", "the ConfigMap is immutable")
    if key in (config.get("binaryData") or {}):
        return Result(Outcome.FAILED, "BinaryData", f"{key} is binary")
    if owner := config_owner(config):
        return Result(Outcome.FAILED, owner.reason, owner.detail)
    if len((config.get("data") or {}).get(key, "")) > MAX_VALUE:
        return Result(Outcome.FAILED, "TooLarge", f"{key} holds more than {MAX_VALUE} characters: it could not be put back")
    return None


class SetConfig:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="set-config",
        doc="Set or remove one key of a ConfigMap: of the step's target, or one beside it. Immutable ones, and keys that sound like secrets, are refused. Nothing is restarted.",
        effect=EffectClass.STAMPED,
        parameters={
            "configMap": ParamSpec("string", "name of the ConfigMap in the target's namespace, if it is not the target itself"),
            "key": ParamSpec("string", "key of its data", required=True),
            "value": ParamSpec("string", "the value"),
            "remove": ParamSpec("bool", "take the key away"),
        },
        permissions=(Permission("", "configmaps", ("get", "patch")),),
        target_kinds=("Deployment", "StatefulSet", "DaemonSet", "ConfigMap"),
        undoable=True,
        one_of=(("value", "remove"),),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the ConfigMap."""
        own = context.target.name if context.target.kind == "ConfigMap" else ""
        name, key, value = str(arguments.get("configMap") or own), str(arguments.get("key", "")), arguments.get("value")
        if wrong := _wrong(name, own, key, value, remove=bool(arguments.get("remove"))):
            return Prepared(skip=wrong)
        config = context.cluster.reader.get(_ref(context, name))
        pre_state, before = _relied(key)(config), (config.get("data") or {}).get(key)
        if before == value:
            return Prepared(pre_state=pre_state, skip=Result(Outcome.SKIPPED, "AlreadyThere", f"{key} is as it is to be already"))
        if stop := hindrance(config, key):
            return Prepared(pre_state=pre_state, skip=stop)
        left = None if value is None else stamped.digest(value)
        return Prepared(
            pre_state=pre_state,
            leaves={**pre_state, "value": left, "stamp": context.key},
            inverse={"configMap": name, "key": key, **({"remove": True} if before is None else {"value": before})},
            request=_request(config, key, value, context.key),
            before=config,
            output={"configMap": name, "key": key},
        )

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One JSON patch."""
        return stamped.send(context, prepared, *self._what(context, prepared))

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the stamp."""
        return stamped.look(context, prepared, *self._what(context, prepared))

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """It holds what was set."""
        relied, ref = self._what(context, prepared)
        if relied(context.cluster.reader.get(ref))["value"] != prepared.leaves["value"]:
            return Failed(Result(Outcome.FAILED, "Superseded", f"{prepared.pre_state['key']} was changed by somebody else"))
        return Done(detail=f"{prepared.pre_state['key']} of {prepared.pre_state['configMap']} is set")

    @staticmethod
    def _what(context: Context, prepared: Prepared) -> tuple[stamped.Relied, TargetRef]:
        return _relied(str(prepared.pre_state["key"])), _ref(context, str(prepared.pre_state["configMap"]))


def _ref(context: Context, name: str) -> TargetRef:
    return TargetRef("ConfigMap", context.target.namespace, name, context.target.context)


def _request(config: JsonObject, key: str, value: str | None, stamp: str) -> list[JsonObject]:
    data, path = config.get("data"), f"/data/{stamped.pointer(key)}"
    change: list[JsonObject]
    if data is None:
        change = [{"op": "test", "path": "/data", "value": None}, {"op": "add", "path": "/data", "value": {key: value}}]
    else:
        write: JsonObject = {"op": "remove", "path": path} if value is None else {"op": "add", "path": path, "value": value}
        change = [{"op": "test", "path": path, "value": data.get(key)}, write]
    return [*stamped.guards(config), *change, stamped.stamping(config, stamp)]

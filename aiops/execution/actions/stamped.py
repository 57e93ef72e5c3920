"""The stamped effect: one JSON patch on the object itself carries the change and our key, with `test` on all that is relied on.

`test` operations guard uid, the values relied on and the former stamp, so a late or repeated request is refused by the server (422).
A strict resourceVersion would conflict all the time during an incident. Neighbours: `scale`, `restart`, `rollback`, `template` and what is built on it, `cordon`, `set_config`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions.contract import STAMP, Context, Effect, Looked, Prepared, Seen

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""The annotation by which `kubectl rollout restart` marks a template, and so do we."""

POLL = 1.0
"""Seconds between two looks at a roll-out."""

Relied = Callable[[JsonObject], dict[str, Any]]


def pointer(text: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return text.replace("~", "~0").replace("/", "~1")


def digest(value: Any) -> str:
    """16 hex digits for a JSON value, the same whatever the order of keys."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), digest_size=8).hexdigest()


def stamp_of(obj: JsonObject) -> str | None:
    """Our last operation key on this object, None if it has none."""
    stamp = (obj["metadata"].get("annotations") or {}).get(STAMP)
    return None if stamp is None else str(stamp)


def identity(obj: JsonObject) -> dict[str, Any]:
    """What every stamped effect relies on."""
    return {"uid": obj["metadata"]["uid"], "stamp": stamp_of(obj)}


def guards(obj: JsonObject) -> list[JsonObject]:
    """`test` operations for identity and former stamp. A test against null holds where the member is absent, but its parent must be there."""
    annotations = obj["metadata"].get("annotations")
    tests: list[JsonObject] = [{"op": "test", "path": "/metadata/uid", "value": obj["metadata"]["uid"]}]
    if annotations is None:
        return [*tests, {"op": "test", "path": "/metadata/annotations", "value": None}]
    return [*tests, {"op": "test", "path": f"/metadata/annotations/{pointer(STAMP)}", "value": annotations.get(STAMP)}]


def stamping(obj: JsonObject, key: str) -> JsonObject:
    """The operation that puts our key on the object."""
    if obj["metadata"].get("annotations") is None:
        return {"op": "add", "path": "/metadata/annotations", "value": {STAMP: key}}
    return {"op": "add", "path": f"/metadata/annotations/{pointer(STAMP)}", "value": key}


def send(context: Context, prepared: Prepared, relied: Relied, ref: TargetRef | None = None) -> Effect:
    """Send the prepared patch, to the step's target unless `ref` names another object. What it leaves is read off the server's answer, because
    admission may have had a hand in it.
    """
    result = context.cluster.writer.patch(ref or context.target, prepared.request, timeout=context.request_timeout)
    leaves: Mapping[str, Any] = prepared.leaves
    if result.applied and result.after is not None and stamp_of(result.after) == context.key:
        leaves = relied(result.after)
    return Effect(applied=result.applied, write=replace(result, before=result.before or prepared.before), note=result.note, leaves=leaves)


def look(context: Context, prepared: Prepared, relied: Relied, ref: TargetRef | None = None) -> Seen:
    """HAPPENED if the object (the step's target, or `ref`) bears a stamp of this step. NOT only if all that was relied on still stands.

    Where a person or a controller changed those values meanwhile and no stamp of ours is there, a stamp may have been wiped with them:
    that is UNKNOWN, since repeating a relative change could add up.
    """
    obj = context.cluster.reader.get(ref or context.target)
    stamp = stamp_of(obj)
    if stamp is not None and stamp.startswith(context.series):
        return Seen(Looked.HAPPENED, stamp) if obj["metadata"]["uid"] == prepared.pre_state.get("uid") else Seen(Looked.UNKNOWN)
    if relied(obj) == dict(prepared.pre_state):
        return Seen(Looked.NOT)
    if stamp is not None and stamp == prepared.pre_state.get("stamp"):
        return Seen(Looked.NOT)  # the former stamp is still there, so our patch, which replaces it, was never applied
    return Seen(Looked.UNKNOWN)

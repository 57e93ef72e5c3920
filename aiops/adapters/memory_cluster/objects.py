"""Small readings of Kubernetes objects that the whole in-memory cluster shares.

Objects in the store are never changed in place: who wants another state copies, changes and puts. Neighbours: every file here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiops.domain.target import KINDS, JsonObject, TargetRef

Key = tuple[str, str, str]
"""Kind, namespace (empty for cluster-scoped kinds), name."""

# The letters Kubernetes makes suffixes from: no vowels, so no words; nothing that looks like another.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def timestamp(seconds: float) -> str:
    """Unix seconds as the API writes times: UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text: str | None) -> float:
    """The inverse of `timestamp` (fractions allowed); 0 for nothing."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def key_of(obj: Mapping[str, Any]) -> Key:
    """Where an object stands in the store."""
    meta = obj["metadata"]
    return obj["kind"], meta.get("namespace", "") if KINDS[obj["kind"]].namespaced else "", meta["name"]


def key_for(ref: TargetRef) -> Key:
    """Where a target stands in the store."""
    return ref.kind, ref.namespace if KINDS[ref.kind].namespaced else "", ref.name


def place_of(kind: str, namespace: str) -> str:
    """The namespace to look in: none for cluster-scoped kinds, whatever was asked for."""
    return namespace if kind not in KINDS or KINDS[kind].namespaced else ""


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Labels, or an empty mapping."""
    found: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return found


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Annotations, or an empty mapping."""
    found: Mapping[str, str] = obj["metadata"].get("annotations") or {}
    return found


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference that says `controller: true`."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return owner  # type: ignore[no-any-return]
    return None


def owner_reference(owner: Mapping[str, Any]) -> JsonObject:
    """A controller's reference to itself, for what it makes."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(obj: Mapping[str, Any], kind: str) -> JsonObject | None:
    """A condition of `status`, by type."""
    for found in (obj.get("status") or {}).get("conditions") or ():
        if found.get("type") == kind:
            return found  # type: ignore[no-any-return]
    return None


def is_true(obj: Mapping[str, Any], kind: str) -> bool:
    """True if the condition is there and `True`."""
    found = condition(obj, kind)
    return found is not None and found.get("status") == "True"


def with_condition(conditions: list[JsonObject], new: JsonObject, at: str) -> list[JsonObject]:
    """The list with one condition set; `lastTransitionTime` moves only when the status does."""
    kept = [c for c in conditions if c.get("type") != new["type"]]
    old = next((c for c in conditions if c.get("type") == new["type"]), None)
    since = old.get("lastTransitionTime", at) if old and old.get("status") == new["status"] else at
    return [*kept, {**new, "lastTransitionTime": since}]


def is_active(pod: Mapping[str, Any]) -> bool:
    """Not ended and not being deleted: what a ReplicaSet counts."""
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def is_available(pod: Mapping[str, Any], min_ready: float, now: float) -> bool:
    """Ready for at least `min_ready` seconds."""
    ready = condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return False
    return min_ready <= 0 or seconds_of(ready.get("lastTransitionTime")) + min_ready <= now


def digest(value: Any, length: int = 10) -> str:
    """A short stable name part for a JSON value or a text, in Kubernetes' letters."""
    raw = value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
    number = int.from_bytes(hashlib.sha256(raw.encode()).digest(), "big")
    text = ""
    for _ in range(length):
        number, index = divmod(number, len(_LETTERS))
        text += _LETTERS[index]
    return text


def share(value: Any, total: int, *, up: bool) -> int:
    """An int-or-percent such as `25%` as a number of `total`, rounded up or down."""
    if isinstance(value, str) and value.endswith("%"):
        scaled = int(value[:-1]) * total
        return -(-scaled // 100) if up else scaled // 100
    return int(value)

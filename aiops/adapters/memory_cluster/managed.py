"""managedFields: who last wrote which field. Pure. Neighbour: `server` calls `record` for each write that a user makes.

Follows the API server's bookkeeping for `Update` operations: a manager owns what it changed, and what it changed is taken from all
others. Lists with keys (containers by name, …) go by item, other lists are one field. The controllers of this cluster leave no entries.
Reference: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aiops.adapters.patching import same
from aiops.domain.target import JsonObject

Path = tuple[str, ...]

_LIST_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "protocol"),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
}
# The server sets these itself; nobody owns them.
_UNOWNED = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp"}
    | {"deletionGracePeriodSeconds"}
)


def record(before: JsonObject | None, after: JsonObject, *, manager: str, subresource: str, at: str) -> list[JsonObject]:
    """The entries of `after`, once `manager` turned `before` into it."""
    old = dict(_leaves(before)) if before else {}
    new = dict(_leaves(after))
    changed = {path for path, value in new.items() if path not in old or not same(old[path], value)}
    gone = old.keys() - new.keys()
    entries: list[JsonObject] = []
    mine: set[Path] = set()
    for entry in (before or {}).get("metadata", {}).get("managedFields") or ():
        fields = set(_unfold(entry.get("fieldsV1") or {}))
        is_mine = (entry.get("manager"), entry.get("operation"), entry.get("subresource", "")) == (manager, "Update", subresource)
        if is_mine:
            mine |= fields - gone
            continue
        kept = fields - changed - gone
        if kept == fields:
            entries.append(entry)
        elif kept:
            entries.append({**entry, "fieldsV1": _fold(kept)})
    mine |= changed
    if not mine:
        return entries
    entry = {"manager": manager, "operation": "Update", "apiVersion": after["apiVersion"], "time": at, "fieldsType": "FieldsV1"}
    entry["fieldsV1"] = _fold(mine)
    if subresource:
        entry["subresource"] = subresource
    return [*entries, entry]


def owners(obj: Mapping[str, Any], path: Path) -> list[str]:
    """Managers that own a path such as `("f:spec", "f:replicas")`; for tests and for people who look."""
    entries = obj["metadata"].get("managedFields") or ()
    return [str(entry["manager"]) for entry in entries if path in set(_unfold(entry.get("fieldsV1") or {}))]


def _leaves(obj: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    for name, value in obj.items():
        if name in ("apiVersion", "kind"):
            continue
        if name == "metadata":
            inner = {k: v for k, v in value.items() if k not in _UNOWNED}
            for key, part in inner.items():
                yield from _walk((f"f:{name}", f"f:{key}"), key, part)
        else:
            yield from _walk((f"f:{name}",), name, value)


def _walk(path: Path, name: str, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        if len(path) > 1:
            yield (*path, "."), None
        for key, part in value.items():
            yield from _walk((*path, f"f:{key}"), key, part)
        return
    keys = _LIST_KEYS.get(name)
    if keys and isinstance(value, list) and all(isinstance(item, dict) for item in value):
        yield (*path, "."), None
        for item in value:
            label = json.dumps({k: item.get(k) for k in keys if k in item}, separators=(",", ":"))
            yield (*path, f"k:{label}", "."), None
            for key, part in item.items():
                yield from _walk((*path, f"k:{label}", f"f:{key}"), key, part)
        return
    yield path, value


def _fold(paths: set[Path]) -> JsonObject:
    tree: JsonObject = {}
    for path in sorted(paths):
        node = tree
        for part in path:
            node = node.setdefault(part, {})
    return tree


def _unfold(tree: Mapping[str, Any], head: Path = ()) -> Iterator[Path]:
    for name, below in tree.items():
        if below:
            yield from _unfold(below, (*head, name))
        else:
            yield (*head, name)

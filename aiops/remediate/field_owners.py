"""Who else wrote, since we did, what a JSON patch would write now: read from managedFields (Kubernetes, "Server-Side Apply", field management). Pure.

After a write of ours each field that it changed is ours alone; whoever changes one later takes it over, and whoever applies the same value becomes
its owner beside us. So no times are compared. Neighbours: `execution.lanes` asks before an undo; `ownership` asks who will write next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiops.domain.target import JsonObject
from aiops.remediate.ownership import OURS

Place = tuple[Any, ...]
"""Where a field stands: names of members, and for an item of a list the item itself."""

_WRITES = frozenset(("add", "replace", "remove"))
_OWN_MARKS = "aiops/"


def other_writers(obj: JsonObject | None, request: Any) -> Mapping[str, str]:
    """By field, in dots: the other managers that own it now, among the fields that the patch `request` would change on `obj`.

    Empty if there is none, if the request is no JSON patch, or if the object tells nothing of its managers.
    """
    entries = ((obj or {}).get("metadata") or {}).get("managedFields") or ()
    if obj is None or not entries or not isinstance(request, Sequence) or isinstance(request, str):
        return {}
    found: dict[str, str] = {}
    for place in _changed(obj, request):
        depth = {i: _reached(e.get("fieldsV1") or {}, place) for i, e in enumerate(entries)}
        # An entry that ends above the place owns all below it as one, unless another shows that what is below has owners of its own.
        least = len(place) if len(place) in depth.values() else 1
        managers = sorted({str(e.get("manager", "")) for i, e in enumerate(entries) if e.get("manager") not in OURS and depth[i] >= least})
        if managers:
            found[_dotted(place)] = ", ".join(managers)
    return found


def _changed(obj: JsonObject, request: Sequence[Any]) -> Iterator[Place]:
    """Each field that stands on the object and would not stand so afterwards; our own annotations left out."""
    for operation in request:
        if not isinstance(operation, Mapping) or operation.get("op") not in _WRITES:
            continue
        tokens = [t.replace("~1", "/").replace("~0", "~") for t in str(operation.get("path", "")).split("/")[1:]]
        if tokens[:2] == ["metadata", "annotations"] and len(tokens) == 3 and tokens[2].startswith(_OWN_MARKS):
            continue
        located = _locate(obj, tokens)
        if located is not None:
            place, present = located
            yield from [place] if operation["op"] == "remove" else _differing(place, present, operation.get("value"))


def _locate(obj: Any, tokens: Sequence[str]) -> tuple[Place, Any] | None:
    place: list[Any] = []
    for token in tokens:
        if isinstance(obj, Mapping) and token in obj:
            obj = obj[token]
            place.append(token)
        elif isinstance(obj, list) and token.isdigit() and int(token) < len(obj):
            obj = obj[int(token)]
            place.append(obj)
        else:
            return None
    return tuple(place), obj


def _differing(place: Place, present: Any, wanted: Any) -> Iterator[Place]:
    if present == wanted:
        return
    if isinstance(present, Mapping) and isinstance(wanted, Mapping):
        for name, value in present.items():
            if name not in wanted:
                yield (*place, name)
            else:
                yield from _differing((*place, name), value, wanted[name])
        return
    names = _named(present), _named(wanted)
    if names[0] is None or names[1] is None:
        yield place
        return
    for name, item in names[0].items():
        if name not in names[1]:
            yield (*place, item)
        else:
            yield from _differing((*place, item), item, names[1][name])


def _named(items: Any) -> dict[str, Any] | None:
    """A list of objects that have names, by name; None for anything else."""
    if not isinstance(items, list) or not all(isinstance(i, Mapping) and isinstance(i.get("name"), str) for i in items):
        return None
    return {str(i["name"]): i for i in items}


def _reached(tree: Any, place: Place) -> int:
    """How deep an entry's tree owns the place: its length if exactly, less if it ends above, 0 if it does not."""
    for depth, part in enumerate(place):
        child = tree.get(f"f:{part}") if isinstance(part, str) else _item(tree, part)
        if child is None:
            return 0
        tree = child
        if not tree:
            return depth + 1
    return len(place)


def _item(tree: Mapping[str, Any], item: Any) -> Any:
    for key, child in tree.items():
        if key.startswith("k:") and isinstance(item, Mapping):
            wanted = json.loads(key[2:])
            if all(item.get(name) == value for name, value in wanted.items()):
                return child
    return None


def _dotted(place: Place) -> str:
    parts = ""
    for part in place:
        parts += f".{part}" if isinstance(part, str) else f"[{part.get('name', '') if isinstance(part, Mapping) else part}]"
    return parts.lstrip(".")

"""What a write would change, for people: the request as text and a unified diff of the object as YAML.

Server noise is dropped, values that look like secrets are withheld, sizes are bounded. Neighbours: `effects` and `preview` make changes with it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

from aiops.domain.plan import Change
from aiops.domain.target import JsonObject
from aiops.execution.actions.contract import Effect

MAX_DIFF = 8_000
MAX_REQUEST = 8_000
WITHHELD = "(withheld)"

_NOISE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_PLAIN = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./:@-]*[A-Za-z0-9_./@-])?")
_RESERVED = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_SECRET = re.compile(r"passw|secret|token|credential|api_?key|private|authorization|dsn|_key$|conn(ection)?_?str", re.IGNORECASE)


def clipped(text: str, limit: int) -> str:
    """The text, or its beginning with a line that says how much is missing."""
    return text if len(text) <= limit else f"{text[:limit]}\n… {len(text) - limit} more characters"


def telling(name: str) -> bool:
    """Whether a name sounds like that of a secret."""
    return _SECRET.search(name) is not None


def redacted(value: Any) -> Any:
    """A copy in which the values of environment variables with a telling name, and kubectl's copy of the whole object, are withheld."""
    if isinstance(value, list):
        return [redacted(item) for item in value]
    if not isinstance(value, dict):
        return value
    secret = isinstance(value.get("name"), str) and telling(value["name"])
    return {k: WITHHELD if (secret and k == "value" and "op" not in value) or k == _APPLIED else redacted(v) for k, v in value.items()}


def essence(obj: JsonObject | None) -> JsonObject:
    """The object without status and server bookkeeping."""
    if obj is None:
        return {}
    kept = {k: v for k, v in obj.items() if k not in ("status", "metadata")}
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k not in _NOISE}
    if metadata.get("annotations"):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != _APPLIED}
    return {**kept, "metadata": metadata}


def yaml_lines(value: Any, indent: str = "") -> Iterator[str]:
    """A JSON value as block YAML with sorted keys; whatever is not a plain word is quoted, so hostile text stays one line."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _entry(f"{indent}{_scalar(key)}:", value[key], indent)
    elif isinstance(value, list) and value:
        for item in value:
            if isinstance(item, dict | list) and item:
                first, *rest = yaml_lines(item, indent + "  ")
                yield f"{indent}- {first[len(indent) + 2 :]}"
                yield from rest
            else:
                yield f"{indent}- {_scalar(item)}"
    else:
        yield f"{indent}{_scalar(value)}"


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield head
        yield from yaml_lines(value, indent + "  ")
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    # What has no glyph (controls, direction marks, line separators) is escaped as YAML has it, the rest stays readable.
    return "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(value, ensure_ascii=False))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unified(before: JsonObject | None, after: JsonObject | None) -> str:
    """Unified diff with three lines of context, empty if nothing that matters differs. A withheld value that changes is said to."""
    old, new = essence(before), essence(after)
    lines = list(difflib.unified_diff(list(yaml_lines(redacted(old))), list(yaml_lines(redacted(new))), "before", "after", lineterm=""))
    if not lines and old != new:
        return "(only withheld values differ)"
    return clipped("\n".join(lines), MAX_DIFF)


def request_text(request: Any) -> str:
    """The body as it would go out, one operation a line for a JSON patch."""
    body = redacted(request)
    if isinstance(body, list):
        return clipped("[\n" + ",\n".join(f"  {json.dumps(item)}" for item in body) + "\n]", MAX_REQUEST)
    return "" if body is None else clipped(json.dumps(body, indent=2), MAX_REQUEST)


def change_of(step: str, action: str, target: str, request: Any, effect: Effect) -> Change:
    """The change that an effect made or would make."""
    write = effect.write
    if write is None:
        return Change(step, action, target, request_text(request), "", "none", effect.note)
    return Change(step, action, target, request_text(request), unified(write.before, write.after), write.origin, effect.note or write.note)

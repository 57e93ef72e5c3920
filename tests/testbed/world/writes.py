"""Writes by anyone, in one form, whether an audit log tells of them or the in-memory cluster's log. Pure.

Neighbours: `episodes` compares them with what a fault allows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.testbed.world.faults import Allowed

WORLD, PERSON = "world", "person"
"""The accounts of the world itself and of the person whom it plays."""
_MACHINERY = ("system:kube-", "system:node:", "system:serviceaccount:kube-system:", "system:apiserver")
_MACHINES = ("kwok", WORLD, PERSON)
# Records and bookkeeping: they change nothing that runs.
_RECORDS = frozenset(
    {"events", "leases", "selfsubjectaccessreviews", "subjectaccessreviews", "selfsubjectrulesreviews", "tokenreviews", "serviceaccounts/token"}
)
_BOOKKEEPING = ("metadata.annotations", "metadata.labels", "metadata.managedFields", "metadata.uid", "metadata.resourceVersion")


@dataclass(frozen=True, slots=True)
class Write:
    """One write that was asked for. `fields` are the paths it changes, with dots; `verb` create, update, patch, delete, evict or flush."""

    at: float
    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    fields: tuple[str, ...]
    code: int
    dry_run: bool

    @property
    def done(self) -> bool:
        """Whether it took effect."""
        return self.code < 400 and not self.dry_run

    @property
    def counts(self) -> bool:
        """Whether it is an act of someone on what runs: not of the cluster's own machinery or of the world, and no mere record."""
        machinery = self.user in _MACHINES or self.user.startswith(_MACHINERY)
        return not machinery and self.resource not in _RECORDS and f"{self.resource}/{self.subresource}" not in _RECORDS

    def __str__(self) -> str:
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{self.user}: {self.verb} {what} {self.namespace}/{self.name} {', '.join(self.fields)} ({self.code})"


def is_allowed(write: Write, allowed: Allowed, sick: Collection[str] = ()) -> bool:
    """Whether this entry of a fault allows the write. Annotations and labels of the object itself are bookkeeping and need no permission.

    `sick`: the nodes that the fault took and the pods that stood on them, as `RESOURCE NAMESPACE/NAME`.
    """
    if allowed.verb not in ("*", write.verb) or allowed.resource not in ("*", write.resource):
        return False
    if not fnmatchcase(write.namespace, allowed.namespace) or not fnmatchcase(write.name, allowed.name):
        return False
    if allowed.on_sick_nodes and f"{write.resource} {write.namespace}/{write.name}" not in sick:
        return False
    changed = [path for path in write.fields if not path.startswith(_BOOKKEEPING)]
    return not allowed.fields or all(_below(path, allowed.fields) for path in changed)


def _below(path: str, allowed: tuple[str, ...]) -> bool:
    return any(path == field or path.startswith((f"{field}.", f"{field}[")) for field in allowed)


def changed_fields(body: Any, subresource: str = "") -> tuple[str, ...]:
    """The paths that a patch body (merge or JSON) or a whole object changes; identity and `test` operations are none."""
    if isinstance(body, list):
        paths = [_dotted(each) for each in body if isinstance(each, Mapping) and each.get("op") != "test"]
        return tuple(dict.fromkeys(paths))
    if not isinstance(body, Mapping):
        return ()
    kept = {key: value for key, value in body.items() if key not in ("apiVersion", "kind", "status")}
    if subresource == "status":
        kept = {"status": body.get("status")}
    found = [path for path in _leaves(kept, "") if path not in ("metadata.name", "metadata.namespace")]
    return tuple(dict.fromkeys(found))


def _dotted(operation: Mapping[str, Any]) -> str:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in str(operation.get("path", "")).split("/")[1:]]
    return ".".join(parts)


def _leaves(value: Any, path: str) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [leaf for key, below in value.items() for leaf in _leaves(below, f"{path}.{key}" if path else str(key))]
    return [path]

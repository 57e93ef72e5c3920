"""A truth value on an object that people set too (a pause, a cordon): set and unset by one stamped patch, with a mark that says that it was ours.

What a person switched on stays so. Ours is what bears our mark and was not written by another field manager since: a person who switches it off
and on again leaves our mark where it was, but managedFields tell. Neighbours: `pause`, `cordon`, `drain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops.domain.target import JsonObject
from aiops.execution.actions import stamped
from aiops.execution.actions.contract import Prepared
from aiops.remediate.ownership import OURS, holds


@dataclass(frozen=True, slots=True)
class Switch:
    """`member` of `spec`; `mark`: the annotation that holds the operation key of our switching on."""

    member: str
    mark: str

    def relied(self, obj: JsonObject) -> dict[str, Any]:
        """Whether it is on, and by whom: `mark` is None where it was not us."""
        return {**stamped.identity(obj), self.member: self.on(obj), "mark": self._mark(obj) if self.on(obj) else None}

    def on(self, obj: JsonObject) -> bool:
        """As it stands."""
        return bool((obj.get("spec") or {}).get(self.member))

    def _written_mark(self, obj: JsonObject) -> str | None:
        mark = (obj["metadata"].get("annotations") or {}).get(self.mark)
        return None if mark is None else str(mark)

    def _mark(self, obj: JsonObject) -> str | None:
        entries = obj["metadata"].get("managedFields") or ()
        others = any(e.get("manager") not in OURS and holds(e, ("spec", self.member)) for e in entries)
        return None if others else self._written_mark(obj)

    def prepared(self, obj: JsonObject, key: str, mark: str | None, *, on: bool, inverse: Mapping[str, Any], output: Mapping[str, Any]) -> Prepared:
        """The patch that switches it to `on` and puts `mark` (None: takes away what mark is there)."""
        spec, path = obj.get("spec") or {}, f"/spec/{self.member}"
        annotation = f"/metadata/annotations/{stamped.pointer(self.mark)}"
        operations: list[JsonObject] = [*stamped.guards(obj), {"op": "test", "path": path, "value": spec.get(self.member)}]
        if on or self.member in spec:
            operations.append({"op": "add", "path": path, "value": True} if on else {"op": "remove", "path": path})
        operations.append(stamped.stamping(obj, key))
        if mark is not None:
            operations.append({"op": "add", "path": annotation, "value": mark})
        elif self._written_mark(obj) is not None:
            operations.append({"op": "remove", "path": annotation})
        state = self.relied(obj)
        leaves = {**state, self.member: on, "mark": mark, "stamp": key}
        return Prepared(pre_state=state, leaves=leaves, inverse=inverse, request=operations, before=obj, output=output)

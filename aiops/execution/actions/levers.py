"""One value of an object that is switched over and, later, back: by a stamped patch that also writes down what stood there before.

The record is an annotation of the object: the way back is known to any later run, and it is taken only while the value is still the one we set.
A person who changes the value or takes the annotation away has decided. Neighbours: the scheduler's and the traffic's actions.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.target import JsonObject
from aiops.execution.actions import rollout, stamped
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Failed, Prepared, Seen

DEFAULT_SCHEDULER = "default-scheduler"
SERVICE_NAME = "kubernetes.io/service-name"
"""The label by which an EndpointSlice belongs to a Service."""
MAX_VALUE = 4000


@dataclass(frozen=True, slots=True)
class Lever:
    """What is switched: `schedulerName` of a workload's template, a `data` key of a ConfigMap, the `selector` of a Service, the `service` of an EndpointSlice."""

    what: str
    key: str = ""

    @property
    def name(self) -> str:
        """As the record names it."""
        return f"{self.what}/{self.key}" if self.key else self.what

    @property
    def rolls(self) -> bool:
        """Whether a change is rolled out pod by pod."""
        return self.what == "schedulerName"

    def read(self, obj: JsonObject) -> Any:
        """The value as it stands; None if there is none."""
        if self.what == "schedulerName":
            return obj["spec"]["template"]["spec"].get("schedulerName") or DEFAULT_SCHEDULER
        if self.what == "data":
            return (obj.get("data") or {}).get(self.key)
        if self.what == "selector":
            return dict((obj.get("spec") or {}).get("selector") or {})
        return (obj["metadata"].get("labels") or {}).get(SERVICE_NAME)

    def operations(self, obj: JsonObject, value: Any) -> list[JsonObject]:
        """Tests of what is relied on, then the write."""
        if self.what == "schedulerName":
            test = {"op": "test", "path": "/spec/template", "value": obj["spec"]["template"]}
            return [test, {"op": "add", "path": "/spec/template/spec/schedulerName", "value": value}]
        if self.what == "selector":
            return [{"op": "test", "path": "/spec/selector", "value": self.read(obj)}, {"op": "add", "path": "/spec/selector", "value": value}]
        if self.what == "data":
            path = f"/data/{stamped.pointer(self.key)}"
            return [{"op": "test", "path": path, "value": self.read(obj)}, {"op": "add", "path": path, "value": value}]
        labels, path = obj["metadata"].get("labels"), f"/metadata/labels/{stamped.pointer(SERVICE_NAME)}"
        if labels is None:
            return [{"op": "test", "path": "/metadata/labels", "value": None}, {"op": "add", "path": "/metadata/labels", "value": {SERVICE_NAME: value}}]
        test = {"op": "test", "path": path, "value": self.read(obj)}
        return [test, {"op": "remove", "path": path} if value is None else {"op": "add", "path": path, "value": value}]

    def changed(self, obj: JsonObject, value: Any) -> JsonObject:
        """A copy of the object in which the value is set: for the template's digest."""
        after = copy.deepcopy(obj)
        if self.rolls:
            after["spec"]["template"]["spec"]["schedulerName"] = value
        return after


@dataclass(frozen=True, slots=True)
class Record:
    """What stood there before our switch, and what we set."""

    before: Any
    set: Any


@dataclass(frozen=True, slots=True)
class Book:
    """The annotation that holds the records of an object, by lever."""

    annotation: str

    def text(self, obj: JsonObject) -> str | None:
        """As it stands."""
        found = (obj["metadata"].get("annotations") or {}).get(self.annotation)
        return None if found is None else str(found)

    def all(self, obj: JsonObject) -> dict[str, Any]:
        """All records; what is not readable as such is none: somebody wrote into it."""
        try:
            found = json.loads(self.text(obj) or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def record(self, obj: JsonObject, lever: Lever) -> Record | None:
        """The record of one lever."""
        found = self.all(obj).get(lever.name)
        return Record(found["before"], found["set"]) if isinstance(found, dict) and {"before", "set"} <= found.keys() else None

    def with_record(self, obj: JsonObject, lever: Lever, record: Record | None) -> str | None:
        """The annotation's text with one record set, or taken away; None if none is left."""
        others = {name: value for name, value in self.all(obj).items() if name != lever.name}
        if record is not None:
            others[lever.name] = {"before": record.before, "set": record.set}
        return json.dumps(others, sort_keys=True, separators=(",", ":")) if others else None


def relied(lever: Lever, book: Book) -> stamped.Relied:
    """What a switch relies on: value and record, and the whole template where it would be rolled out."""

    def of(obj: JsonObject) -> dict[str, Any]:
        template = rollout.template_state(obj) if lever.rolls else {}
        return {**stamped.identity(obj), "value": lever.read(obj), "record": book.text(obj), **template}

    return of


def prepared(
    obj: JsonObject, lever: Lever, book: Book, key: str, value: Any, record: Record | None, *, inverse: Mapping[str, Any], output: Mapping[str, Any],
) -> Prepared:
    """The patch that sets `value` and keeps `record` (None: takes it away)."""
    state, text = relied(lever, book)(obj), book.with_record(obj, lever, record)
    if lever.rolls and (hindrance := rollout.unable(obj)):
        return Prepared(pre_state=state, skip=hindrance)
    path = f"/metadata/annotations/{stamped.pointer(book.annotation)}"
    operations = [*stamped.guards(obj)]
    if obj["metadata"].get("annotations") is not None:
        operations.append({"op": "test", "path": path, "value": book.text(obj)})
    operations += [*lever.operations(obj, value), stamped.stamping(obj, key)]
    if text is not None:
        operations.append({"op": "add", "path": path, "value": text})
    elif book.text(obj) is not None:
        operations.append({"op": "remove", "path": path})
    template = {"template": rollout.template_digest(lever.changed(obj, value)["spec"]["template"])} if lever.rolls else {}
    left = {**state, "value": value, "record": text, "stamp": key, **template}
    told = {"lever": {"what": lever.what, "key": lever.key}, "from": state["value"], "to": value, **output}
    return Prepared(pre_state=state, leaves=left, inverse=inverse, request=operations, before=obj, output=told)


def lever_of(kept: Prepared) -> Lever:
    """The lever of an effect that was prepared, after a restart too."""
    return Lever(**kept.output["lever"])


class Pulling:
    """`start`, `look` and `check` of an action that pulls a lever; `book` is where it keeps its records."""

    book: Book

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One JSON patch."""
        return stamped.send(context, prepared, relied(lever_of(prepared), self.book))

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the stamp."""
        return stamped.look(context, prepared, relied(lever_of(prepared), self.book))

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """The value is ours, and rolled out where it is to be."""
        obj, lever = context.cluster.reader.get(context.target), lever_of(prepared)
        present = lever.read(obj)
        if present != prepared.output["to"]:
            return Failed(Result(Outcome.FAILED, "Superseded", f"{lever.name} is {present} now, we had set {prepared.output['to']}"))
        if lever.rolls:
            return rollout.progress(obj, str(prepared.leaves["template"]))
        return Done(detail=f"{lever.name} is {present}")

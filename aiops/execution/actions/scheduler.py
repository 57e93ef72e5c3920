"""What the scheduler's actions share: which lever is meant, and the person's override that wins over all of them.

A workload is switched by its `schedulerName` (mode A), the scheduler itself by a key of its ConfigMap (mode B).
Neighbours: `scheduler_fallback`, `scheduler_restore`, `scheduler_parameter`; `levers` makes the patches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.errors import NotFoundError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ParamSpec, Permission
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions.contract import Context, Prepared
from aiops.execution.actions.levers import Book, Lever, Record, prepared, relied

BOOK = Book("aiops/scheduler-before")
OVERRIDE = "aiops/scheduler-override"
KINDS = ("Deployment", "StatefulSet", "ConfigMap")
KEY = ParamSpec("string", "key of the ConfigMap, where the target is one")
PERMISSIONS = (
    Permission("apps", "deployments", ("get", "patch")), Permission("apps", "statefulsets", ("get", "patch")),
    Permission("", "configmaps", ("get", "patch")), Permission("", "namespaces", ("get",)),
)  # fmt: skip


def lever(target: TargetRef, arguments: Mapping[str, Any]) -> Lever:
    """Raises ValueError."""
    key = str(arguments.get("key") or "")
    if (target.kind == "ConfigMap") != bool(key):
        raise ValueError("`key` is for a ConfigMap, and a ConfigMap needs one")
    return Lever("data", key) if key else Lever("schedulerName")


def overridden(context: Context, obj: JsonObject) -> Result | None:
    """A person has the scheduler in hand: on the object, or on its namespace."""
    places = [(str(context.target), obj)]
    if context.target.namespace:
        ref = TargetRef("Namespace", "", context.target.namespace, context.target.context)
        try:
            places.append((str(ref), context.cluster.reader.get(ref)))
        except NotFoundError:  # it is going, and so is all in it
            places = places[:1]
    for place, found in places:
        value = (found["metadata"].get("annotations") or {}).get(OVERRIDE)
        if value is not None:
            return Result(Outcome.SKIPPED, "ManualOverride", f"the annotation {OVERRIDE} ({str(value)[:200]}) stands on {place}")
    return None


def fallback(context: Context, obj: JsonObject, found: Lever, value: Any) -> Prepared:
    """Switch to `value`, recording what stood there; an older record of ours is kept, so that the way back leads to the beginning."""
    present, known = found.read(obj), BOOK.record(obj, found)
    state = relied(found, BOOK)(obj)
    if present is None:
        return Prepared(pre_state=state, skip=Result(Outcome.FAILED, "NoSuchKey", f"{context.target} has no {found.name}"))
    if present == value:
        return Prepared(pre_state=state, skip=Result(Outcome.SKIPPED, "AlreadyThere", f"{found.name} is {value} already"))
    before = known.before if known is not None and known.set == present else present
    inverse = {"undo": "restore", **({"key": found.key} if found.key else {})}
    return prepared(obj, found, BOOK, context.key, value, Record(before, value), inverse=inverse, output={})


def restore(context: Context, obj: JsonObject, found: Lever) -> Prepared:
    """Switch back to what stood there before we switched, if what we set still stands."""
    present, known = found.read(obj), BOOK.record(obj, found)
    state = relied(found, BOOK)(obj)
    if known is None:
        return Prepared(pre_state=state, skip=Result(Outcome.SKIPPED, "NothingToRestore", f"no record of ours for {found.name} stands on {context.target}"))
    if present != known.set:
        return Prepared(
            pre_state=state, skip=Result(Outcome.SKIPPED, "ChangedByOther", f"{found.name} is {present} now, we had set {known.set}: somebody has decided"),
        )
    inverse = {"undo": "fallback", "set": known.set, **({"key": found.key} if found.key else {})}
    return prepared(obj, found, BOOK, context.key, known.before, None, inverse=inverse, output={})

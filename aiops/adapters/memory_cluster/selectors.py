"""Label and field selectors, as the API's list takes them. Neighbours: `server` filters lists, `controllers` match pods.

Grammar: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from aiops.domain.errors import InvalidError

from .objects import labels_of

Predicate = Callable[[Mapping[str, Any]], bool]

_KEY = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s+\(([^()]*)\)")
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_VALUE_ONLY = re.compile(_VALUE)

# Which fields a list may be selected by, besides metadata.name and metadata.namespace.
_FIELDS: Mapping[str, frozenset[str]] = {
    "Pod": frozenset(
        {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"}
        | {"status.phase", "status.podIP", "status.nominatedNodeName"}
    ),
    "Node": frozenset({"spec.unschedulable"}),
    "Namespace": frozenset({"status.phase"}),
    "ReplicaSet": frozenset({"status.replicas"}),
    "Job": frozenset({"status.successful"}),
    "Event": frozenset(
        {f"involvedObject.{k}" for k in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")}
        | {"reason", "reportingComponent", "source", "type"}
    ),
}


def parse_labels(text: str) -> Predicate:
    """A label selector as a test of objects. Raises InvalidError (400) saying which part cannot be read."""
    tests = [_requirement(part) for part in _split(text)]
    return lambda obj: all(test(labels_of(obj)) for test in tests)


def _split(text: str) -> list[str]:
    """At commas outside of parentheses."""
    parts = [p.strip() for p in re.split(r",(?![^(]*\))", text)]
    return [] if parts == [""] else parts


def _requirement(part: str) -> Predicate:
    if match := _SET.fullmatch(part):
        key, operator, listed = match.groups()
        values = {v.strip() for v in listed.split(",")}
        if not all(_VALUE_ONLY.fullmatch(v) for v in values):
            raise InvalidError("BadRequest", f"unable to parse requirement: {part}", 400)
        if operator == "in":
            return lambda labels: key in labels and labels[key] in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUAL.fullmatch(part):
        key, operator, value = match.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _EXISTS.fullmatch(part):
        negated, key = bool(match.group(1)), match.group(2)
        return lambda labels: (key in labels) != negated
    raise InvalidError("BadRequest", f"unable to parse requirement: {part}", 400)


def parse_fields(kind: str, text: str) -> Predicate:
    """A field selector of a kind as a test of objects. Raises InvalidError (400) for fields that the API cannot select by."""
    known = _FIELDS.get(kind, frozenset()) | {"metadata.name", "metadata.namespace"}
    tests: list[tuple[list[str], str, bool]] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        match = re.fullmatch(r"([^=!]+?)(==|=|!=)(.*)", part)
        if match is None:
            raise InvalidError("BadRequest", f"invalid selector: {part!r}; can't understand {part!r}", 400)
        path, operator, value = match.groups()
        if path not in known:
            raise InvalidError("BadRequest", f'"{path}" is not a known field selector: only {", ".join(sorted(known))}', 400)
        tests.append((path.split("."), value, operator != "!="))
    return lambda obj: all((_read(obj, path) == value) == wanted for path, value, wanted in tests)


def _read(obj: Mapping[str, Any], path: list[str]) -> str:
    if path == ["source"]:
        path = ["source", "component"]
    found: Any = obj
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, bool):
        return str(found).lower()
    # An absent truth value is selected as `false` by the API (spec.unschedulable).
    return str(found) if found is not None else ("false" if path[-1] in ("unschedulable", "hostNetwork") else "")


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector object (`matchLabels`, `matchExpressions`). None selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(e, labels) for e in selector.get("matchExpressions") or ())


def _expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return bool((key in labels) == (operator == "Exists"))


def as_text(selector: Mapping[str, Any]) -> str:
    """A LabelSelector of plain equalities as a list takes it; for `Scale.status.selector`."""
    return ",".join(f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items()))

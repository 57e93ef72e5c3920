"""Functions that change labels: label_replace and label_join; and how Prometheus writes a number into a label.

Neighbours: `evaluator` calls the functions, `aggregation` uses `number_text` for count_values.
"""

from __future__ import annotations

import re

import numpy as np

from aiops.adapters.memory_prometheus.matchers import PatternError, compiled, full_match
from aiops.adapters.memory_prometheus.vectors import LabelDict, LabelList, QueryError, Vector, merged, remembered

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_REFERENCE = re.compile(r"\$(?:\$|([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\})?", re.ASCII)


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Set `target` to `replacement` (with `$1`, `$name`) in series whose `source` label matches `pattern` wholly; empty removes it."""
    _checked(target, "destination label name in label_replace()")

    def replaced() -> LabelList:
        regex = compiled(pattern)
        labels = LabelList([])
        for each in vector.labels:
            found = full_match(regex, each.get(source, ""))
            labels.append(each if found is None else _with(each, target, _expanded(replacement, found)))
        return labels

    try:
        labels = remembered(vector.labels, ("label_replace", target, replacement, source, pattern), replaced)
    except PatternError as error:
        raise QueryError(str(error)) from error
    return merged(Vector(labels, vector.values, vector.present))


def label_join(vector: Vector, target: str, separator: str, sources: list[str]) -> Vector:
    """Set `target` to the values of `sources`, joined."""
    for source in sources:
        _checked(source, "source label name in label_join()")
    _checked(target, "destination label name in label_join()")
    labels = [_with(each, target, separator.join(each.get(source, "") for source in sources)) for each in vector.labels]
    return merged(Vector(labels, vector.values, vector.present))


def checked_label(name: str) -> str:
    """The name, if it is one of a label; QueryError otherwise."""
    return _checked(name, "label name")


def _checked(name: str, what: str) -> str:
    if not _NAME.fullmatch(name):
        raise QueryError(f"invalid {what}: {name}")
    return name


def _with(labels: LabelDict, name: str, value: str) -> LabelDict:
    changed = labels.copy()
    if value:
        changed[name] = value
    else:
        changed.pop(name, None)
    return changed


def _expanded(template: str, found: re.Match[str]) -> str:
    """Go's Regexp.Expand: `$name` takes the longest name there is, an unknown one is empty, `$$` is a dollar."""

    def value(reference: re.Match[str]) -> str:
        if reference.group() == "$$":
            return "$"
        name = reference.group(1) or reference.group(2)
        if name is None:
            return "$"
        try:
            return found.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, OverflowError):
            return ""

    return _REFERENCE.sub(value, template)


def number_text(value: float) -> str:
    """Shortest decimal that reads back the same, never with an exponent: Go's FormatFloat(v, 'f', -1, 64)."""
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(np.format_float_positional(value, trim="-"))

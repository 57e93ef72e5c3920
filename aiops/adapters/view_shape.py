"""What a cached view keeps of kinds of which there may be very many: enough to know them by, whose they are and how they stand, not what they hold.

The same for the real view and the in-memory one, so that a rule or guard sees the same through both. What is left out is read fresh by
whoever needs it. Neighbours: `kubernetes.informer`, `memory_cluster.clients`.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiops.domain.target import JsonObject

LEFT_OUT: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "ConfigMap": (("data",), ("binaryData",)),
    "Job": (("spec", "template"),),
    "CronJob": (("spec", "jobTemplate"),),
    "EndpointSlice": (("endpoints",),),
}
"""Paths by kind."""


def slim(kind: str, obj: JsonObject) -> JsonObject:
    """The object without what is left out of its kind; the one given is not changed."""
    for path in LEFT_OUT.get(kind, ()):
        obj = _without(obj, path)
    return obj


def _without(obj: JsonObject, path: tuple[str, ...]) -> JsonObject:
    head, *rest = path
    if head not in obj:
        return obj
    if rest:
        return {**obj, head: _without(obj[head], tuple(rest))} if isinstance(obj[head], dict) else obj
    return {key: value for key, value in obj.items() if key != head}

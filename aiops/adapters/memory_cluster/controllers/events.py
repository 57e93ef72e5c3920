"""Events of the cluster's own parts: repeated ones are counted on the same object, old ones go. Neighbour: `kubelet`."""

from __future__ import annotations

from collections import OrderedDict

from aiops.adapters.memory_cluster.objects import Key, digest
from aiops.domain.target import JsonObject

from .manager import Context

_KEPT = 1000
"""Events kept at most; the real server keeps them for an hour."""


class Recorder:
    """Writes warning events about objects."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: OrderedDict[Key, None] = OrderedDict()

    def warn(self, obj: JsonObject, reason: str, message: str) -> None:
        """Record a warning, or count it once more."""
        meta, state = obj["metadata"], self._context.state
        namespace = meta.get("namespace", "") or "default"
        key: Key = ("Event", namespace, f"{meta['name']}.{digest(meta['uid'] + reason, 12)}")
        at = state.now()
        found = state.find(key)
        if found is not None:
            again = {"count": found["count"] + 1, "lastTimestamp": at, "message": message}
            state.put({**found, **again, "metadata": dict(found["metadata"])})
            return
        about = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": meta["name"], "namespace": namespace, "uid": meta["uid"]}
        event: JsonObject = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": key[2], "namespace": namespace},
            "involvedObject": about,
        }
        event |= {"reason": reason, "message": message, "type": "Warning", "count": 1, "firstTimestamp": at, "lastTimestamp": at}
        event |= {"source": {"component": "kubelet"}, "reportingComponent": "kubelet", "reportingInstance": ""}
        self._context.create(event)
        self._known[key] = None
        while len(self._known) > _KEPT:
            state.remove(self._known.popitem(last=False)[0])

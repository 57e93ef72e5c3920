"""`ObjectSource` over the cached view of one cluster: a rule's expression on each object of a kind becomes a column of numbers.

Neighbours: `ports.cluster.ClusterView` is what is read, `pipeline.poller` asks. Nothing is requested from the API here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aiops.domain.errors import ExpressionError, SourceRejectedError, SourceUnavailableError
from aiops.domain.rule import ObjectQuery
from aiops.domain.series import SampleBatch
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.ports.clock import Clock
from aiops.ports.cluster import ClusterView

STALE_AFTER = 60.0
MAX_CLIMB = 8
_NO_RIGHT = ("Forbidden", "Unauthorized")


class CachedObjectSource:
    """Values from one cluster's cached objects. `stale_after` seconds without contact the cache is no source any more."""

    def __init__(self, view: ClusterView, clock: Clock, *, name: str = "kubernetes", context: str = "default", stale_after: float = STALE_AFTER) -> None:
        self._view, self._clock, self._name, self._context, self._stale_after = view, clock, name, context, stale_after

    @property
    def name(self) -> str:
        """As rules name it."""
        return self._name

    def values(self, query: ObjectQuery, at: float) -> SampleBatch:
        """One sample at `at` for each object of the kind on which the expression gives a number; the others are counted in `warnings`.

        Labels: `kind`, `name`, `namespace` (of namespaced kinds), and for objects that a controller owns `workload` and `workload_kind`, the topmost
        owner that is known. Raises SourceUnavailableError (NotSynced, Stale) and SourceRejectedError (BadQuery for an unknown kind).
        """
        if query.kind not in KINDS:
            raise SourceRejectedError(self._name, "BadQuery", f"unknown kind {query.kind!r}; known: {', '.join(KINDS)}")
        found = self._view.objects(query.kind)
        self._require_sight(query.kind, listed=bool(found))
        labels: list[dict[str, str]] = []
        values: list[float] = []
        left_out, first = 0, ""
        for obj in found:
            try:
                value = float(query.value.evaluate({"object": obj, "now": at}))
            except (ExpressionError, TypeError, ValueError) as error:
                left_out, first = left_out + 1, first or str(error)
                continue
            labels.append(self._labels(query.kind, obj))
            values.append(value)
        warnings = (f"{left_out} of {left_out + len(values)} objects left out, the first because: {first}",) if left_out else ()
        return SampleBatch(self._name, f"{query.kind}: {query.value.text}", at, tuple(labels), np.full(len(values), at), np.array(values, dtype=np.float64), warnings)

    def _require_sight(self, kind: str, *, listed: bool) -> None:
        sight = self._view.sight()
        # A watch that broke off a moment ago leaves its error until it is back; then what was listed still holds, as long as it is not stale.
        if kind in sight.errors and (not listed or sight.errors[kind].startswith(_NO_RIGHT)):
            raise SourceUnavailableError(self._name, "NotSynced", f"{kind}: {sight.errors[kind]}")
        if not sight.synced:
            why = "; ".join(f"{k}: {v}" for k, v in sorted(sight.errors.items()))
            raise SourceUnavailableError(self._name, "NotSynced", why or "not every kind was listed yet")
        age = self._clock.now() - sight.seen_at
        if age > self._stale_after:
            raise SourceUnavailableError(self._name, "Stale", f"the last contact is {age:.0f} s old, {self._stale_after:g} s are allowed")

    def _labels(self, kind: str, obj: JsonObject) -> dict[str, str]:
        meta = obj.get("metadata") or {}
        labels = {"kind": kind, "name": str(meta.get("name", ""))}
        if meta.get("namespace"):
            labels["namespace"] = str(meta["namespace"])
        owner = self._owner(obj)
        if owner is not None:
            labels["workload_kind"], labels["workload"] = owner.kind, owner.name
        return labels

    def _owner(self, obj: JsonObject) -> TargetRef | None:
        """The topmost controller: pod → ReplicaSet → Deployment. An owner that is not cached ends the climb at its name."""
        found = None
        for _ in range(MAX_CLIMB):
            above = _controller(obj, self._context)
            if above is None:
                return found
            found, known = above, self._view.find(above)
            if known is None:
                return found
            obj = known
        return found


def _controller(obj: JsonObject, context: str) -> TargetRef | None:
    meta: dict[str, Any] = obj.get("metadata") or {}
    for owner in meta.get("ownerReferences") or ():
        kind = KINDS.get(str(owner.get("kind", "")))
        # Another API may call its kind Deployment too, so the group must fit.
        group = str(owner.get("apiVersion", "")).rpartition("/")[0]
        if owner.get("controller") and kind is not None and group == kind.group and owner.get("name"):
            return TargetRef(kind.name, str(meta.get("namespace", "")) if kind.namespaced else "", str(owner["name"]), context)
    return None

"""`ObjectSource` over the cached view of one cluster: a rule's expression on each object of a kind becomes a column of numbers.

Neighbours: `ports.cluster.ClusterView` is what is read, `pipeline.poller` asks. Nothing is requested from the API here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiops.adapters.declared import declared_batch
from aiops.domain.declared import DeclaredQuery
from aiops.domain.errors import ExpressionError, SourceRejectedError, SourceUnavailableError
from aiops.domain.rule import ObjectQuery
from aiops.domain.series import SampleBatch
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.ports.clock import Clock
from aiops.ports.cluster import ClusterView

STALE_AFTER = 60.0
MAX_CLIMB = 8
_MOST_QUERIES = 1000
_TIME = re.compile(r"\bnow\b")
_NO_RIGHT = ("Forbidden", "Unauthorized")


@dataclass(frozen=True, slots=True)
class _Judged:
    """What an expression gave on an object. Objects of a view are replaced and never changed, so it stands while the object does; holding it keeps its id."""

    object: JsonObject
    value: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Labelled:
    """An object's labels, and the owners that the climb met (None: not cached); it stands while they do."""

    object: JsonObject
    owners: tuple[tuple[TargetRef, JsonObject | None], ...]
    labels: dict[str, str]


class CachedObjectSource:
    """Values from one cluster's cached objects. `stale_after` seconds without contact the cache is no source any more."""

    def __init__(self, view: ClusterView, clock: Clock, *, name: str = "kubernetes", context: str = "default", stale_after: float = STALE_AFTER) -> None:
        self._view, self._clock, self._name, self._context, self._stale_after = view, clock, name, context, stale_after
        # Of each query's last answer, by the object's id: most objects are as they were a poll ago.
        self._judged: dict[tuple[str, str], dict[int, _Judged]] = {}
        self._labelled: dict[tuple[str, str], dict[int, _Labelled]] = {}

    @property
    def name(self) -> str:
        """As rules name it."""
        return self._name

    def values(self, query: ObjectQuery | DeclaredQuery, at: float) -> SampleBatch:
        """One sample at `at` for each object of the kind on which the expression gives a number; the others are counted in `warnings`.

        Labels: `kind`, `name`, `namespace` (of namespaced kinds), and for objects that a controller owns `workload` and `workload_kind`, the topmost
        owner that is known. Raises SourceUnavailableError (NotSynced, Stale) and SourceRejectedError (BadQuery for an unknown kind).
        """
        if isinstance(query, DeclaredQuery):
            for kind in sorted({one.kind for one in query.objects}):
                self._require_sight(kind, listed=bool(self._view.objects(kind)))
            return declared_batch(self._view, query, at, source=self._name, context=self._context)
        if query.kind not in KINDS:
            raise SourceRejectedError(self._name, "BadQuery", f"unknown kind {query.kind!r}; known: {', '.join(KINDS)}")
        found = self._view.objects(query.kind)
        self._require_sight(query.kind, listed=bool(found))
        judged = self._judge(query, found, at)
        good, wrong = [one for one in judged if not one.error], [one.error for one in judged if one.error]
        labels, values = self._labels(query, good), np.array([one.value for one in good], dtype=np.float64)
        warnings = (f"{len(wrong)} of {len(judged)} objects left out, the first because: {wrong[0]}",) if wrong else ()
        return SampleBatch(self._name, f"{query.kind}: {query.value.text}", at, labels, np.full(len(values), at), values, warnings)

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

    def _judge(self, query: ObjectQuery, found: Sequence[JsonObject], at: float) -> list[_Judged]:
        key = query.kind, query.value.text
        known = {} if _TIME.search(query.value.text) else self._judged.get(key, {})
        judged = [known.get(id(obj)) or _evaluated(query, obj, at) for obj in found]
        if len(self._judged) >= _MOST_QUERIES:  # of rules that are long gone
            self._judged.clear()
            self._labelled.clear()
        self._judged[key] = {id(one.object): one for one in judged}
        return judged

    def _labels(self, query: ObjectQuery, good: Sequence[_Judged]) -> tuple[dict[str, str], ...]:
        key = query.kind, query.value.text
        known = self._labelled.get(key, {})
        now = {id(one.object): self._labels_of(query.kind, one.object, known.get(id(one.object))) for one in good}
        self._labelled[key] = now
        return tuple(each.labels for each in now.values())

    def _labels_of(self, kind: str, obj: JsonObject, known: _Labelled | None) -> _Labelled:
        if known is not None and all(self._view.find(ref) is owner for ref, owner in known.owners):
            return known
        meta = obj.get("metadata") or {}
        labels = {"kind": kind, "name": str(meta.get("name", ""))}
        if meta.get("namespace"):
            labels["namespace"] = str(meta["namespace"])
        owners = tuple(self._owners(obj))
        if owners:
            topmost, _ = owners[-1]
            labels["workload_kind"], labels["workload"] = topmost.kind, topmost.name
        return _Labelled(obj, owners, labels)

    def _owners(self, obj: JsonObject) -> Iterator[tuple[TargetRef, JsonObject | None]]:
        """The controllers above: pod → ReplicaSet → Deployment. An owner that is not cached ends the climb at its name."""
        for _ in range(MAX_CLIMB):
            above = _controller(obj, self._context)
            if above is None:
                return
            owner = self._view.find(above)
            yield above, owner
            if owner is None:
                return
            obj = owner


def _evaluated(query: ObjectQuery, obj: JsonObject, at: float) -> _Judged:
    try:
        return _Judged(obj, float(query.value.evaluate({"object": obj, "now": at})))
    except (ExpressionError, TypeError, ValueError) as error:
        return _Judged(obj, math.nan, str(error) or type(error).__name__)


def _controller(obj: JsonObject, context: str) -> TargetRef | None:
    meta: dict[str, Any] = obj.get("metadata") or {}
    for owner in meta.get("ownerReferences") or ():
        kind = KINDS.get(str(owner.get("kind", "")))
        # Another API may call its kind Deployment too, so the group must fit.
        group = str(owner.get("apiVersion", "")).rpartition("/")[0]
        if owner.get("controller") and kind is not None and group == kind.group and owner.get("name"):
            return TargetRef(kind.name, str(meta.get("namespace", "")) if kind.namespaced else "", str(owner["name"]), context)
    return None

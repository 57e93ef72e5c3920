"""Declared against live, over the cached view of one cluster: a series for each field that differs. Neighbours: `objects` asks, `domain.declared` compares."""

from __future__ import annotations

import numpy as np

from aiops.adapters.view_shape import LEFT_OUT
from aiops.domain.declared import DeclaredObject, DeclaredQuery, Difference, autoscaled, differences, last_applied
from aiops.domain.series import SampleBatch
from aiops.domain.target import TargetRef
from aiops.ports.cluster import ClusterView

MAX_FIELDS = 50
"""Fields told of one object."""


def declared_batch(view: ClusterView, query: DeclaredQuery, at: float, *, source: str, context: str) -> SampleBatch:
    """1 for each field that is not as declared, labelled `kind`, `namespace`, `name`, `field`, `declared` and `live`. What the view does not keep is not compared."""
    labels: list[dict[str, str]] = []
    warnings: list[str] = []
    for one in query.objects:
        live = view.find(TargetRef(one.kind, one.namespace, one.name, context))
        found = [Difference("(object)", "present", "absent")]
        if live is not None:
            wanted = one.fields if one.fields is not None else last_applied(live)
            if wanted is None:
                warnings.append(f"{one.kind} {one.namespace}/{one.name}: nothing was applied with kubectl, and no fields are declared")
                continue
            found = differences(wanted, live, _ignored(view, query, one))
        if len(found) > MAX_FIELDS:
            warnings.append(f"{one.kind} {one.namespace}/{one.name}: {len(found)} fields differ, {MAX_FIELDS} are told")
        about = {"kind": one.kind, "name": one.name} | ({"namespace": one.namespace} if one.namespace else {})
        labels += [about | {"field": d.field, "declared": d.declared, "live": d.live} for d in found[:MAX_FIELDS]]
    size = len(labels)
    return SampleBatch(source, "declared", at, tuple(labels), np.full(size, at), np.ones(size), tuple(warnings))


def _ignored(view: ClusterView, query: DeclaredQuery, one: DeclaredObject) -> tuple[str, ...]:
    scaled = ("spec.replicas",) if autoscaled(one, view.objects("HorizontalPodAutoscaler", one.namespace)) else ()
    return (*query.ignore, *scaled, *(".".join(path) for path in LEFT_OUT.get(one.kind, ())))

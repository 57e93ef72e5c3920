"""Numbers from cached objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from aiops.adapters.objects import CachedObjectSource
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.definitions.cel import compile_expression
from aiops.domain.errors import SourceRejectedError, SourceUnavailableError
from aiops.domain.rule import ObjectQuery
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.ports.cluster import Sight


class View:
    """A view that holds what it is given."""

    def __init__(self, *objects: JsonObject, sight: Sight | None = None) -> None:
        self._objects = objects
        self._sight = sight or Sight(synced=True, seen_at=1000.0, errors={})

    def objects(self, kind: str, namespace: str = "") -> Sequence[JsonObject]:
        return [o for o in self._objects if o["kind"] == kind]

    def find(self, ref: TargetRef) -> JsonObject | None:
        wanted = (ref.kind, ref.namespace, ref.name)
        return next((o for o in self._objects if (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) == wanted), None)

    def sight(self) -> Sight:
        return self._sight


def thing(kind: str, name: str, owner: tuple[str, str] | None = None, namespace: str = "shop", api: str = "", **more: Any) -> JsonObject:
    meta: JsonObject = {"name": name}
    if KINDS[kind].namespaced:
        meta["namespace"] = namespace
    if owner:
        meta["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "apiVersion": api or KINDS[owner[0]].api_version, "controller": True, "uid": "1"}]
    return {"kind": kind, "metadata": meta, **more}


def pod(name: str, restarts: int | None, owner: tuple[str, str] | None = None, **more: Any) -> JsonObject:
    statuses = {} if restarts is None else {"containerStatuses": [{"restartCount": restarts}]}
    return thing("Pod", name, owner, status=statuses, **more)


RESTARTS = ObjectQuery("Pod", compile_expression("object.status.containerStatuses[0].restartCount", "object"))


def read(view: View, query: ObjectQuery = RESTARTS, now: float = 1000.0) -> dict[str, tuple[float, Mapping[str, str]]]:
    batch = CachedObjectSource(view, VirtualTime(now)).values(query, now)
    assert set(batch.times.tolist()) <= {now}
    return {labels["name"]: (float(value), labels) for labels, value in zip(batch.labels, batch.values, strict=True)}


def test_a_pod_climbs_to_its_workload() -> None:
    view = View(
        pod("cart-7d9-x1", 4, ("ReplicaSet", "cart-7d9")),
        pod("db-0", 1, ("StatefulSet", "db")),
        pod("lonely", 0),
        thing("ReplicaSet", "cart-7d9", ("Deployment", "cart")),
        thing("Deployment", "cart"),
    )
    found = read(view)
    assert found["cart-7d9-x1"] == (4.0, {"kind": "Pod", "name": "cart-7d9-x1", "namespace": "shop", "workload_kind": "Deployment", "workload": "cart"})
    assert found["db-0"][1]["workload"] == "db"
    assert found["lonely"] == (0.0, {"kind": "Pod", "name": "lonely", "namespace": "shop"})


def test_owners_that_are_not_cached_of_another_api_or_in_a_ring() -> None:
    view = View(
        pod("a", 1, ("ReplicaSet", "gone")),
        pod("b", 1, ("Deployment", "foreign"), api="example.org/v1"),
        pod("c", 1, ("ReplicaSet", "ring")),
        thing("ReplicaSet", "ring", ("ReplicaSet", "ring")),
    )
    found = read(view)
    assert (found["a"][1]["workload_kind"], found["a"][1]["workload"]) == ("ReplicaSet", "gone")
    assert "workload" not in found["b"][1]
    assert found["c"][1]["workload"] == "ring"


def test_an_object_on_which_the_expression_fails_is_left_out_and_counted() -> None:
    batch = CachedObjectSource(View(pod("new", None), pod("old", 3), pod("newer", None)), VirtualTime(1000.0)).values(RESTARTS, 1000.0)
    assert [labels["name"] for labels in batch.labels] == ["old"]
    assert len(batch.warnings) == 1
    assert batch.warnings[0].startswith("2 of 3 objects left out")


def test_objects_without_a_namespace_and_truth_values() -> None:
    ready = ObjectQuery("Node", compile_expression("object.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')", "object"))
    nodes = [thing("Node", name, status={"conditions": [{"type": "Ready", "status": status}]}) for name, status in (("n1", "True"), ("n2", "Unknown"))]
    assert read(View(*nodes), ready) == {"n1": (1.0, {"kind": "Node", "name": "n1"}), "n2": (0.0, {"kind": "Node", "name": "n2"})}


class Counting:
    """An expression that counts how often it is asked."""

    def __init__(self, text: str) -> None:
        self.text, self.asked, self._real = text, 0, compile_expression(text, "object")

    def evaluate(self, facts: Mapping[str, Any]) -> Any:
        self.asked += 1
        return self._real.evaluate(facts)


def test_an_object_that_did_not_change_is_not_judged_again_and_one_that_did_is() -> None:
    asked = Counting("object.status.containerStatuses[0].restartCount")
    query = ObjectQuery("Pod", asked)
    pods = {name: pod(name, count, ("ReplicaSet", "cart-7d9")) for name, count in (("a", 1), ("b", 2), ("c", None))}
    owners = [thing("ReplicaSet", "cart-7d9", ("Deployment", "cart")), thing("Deployment", "cart")]
    view = View(*pods.values(), *owners)
    source = CachedObjectSource(view, VirtualTime(1000.0))
    first, second = source.values(query, 1000.0), source.values(query, 1005.0)
    assert asked.asked == 3
    assert (second.labels, second.values.tolist(), second.warnings) == (first.labels, [1.0, 2.0], first.warnings)
    assert second.times.tolist() == [1005.0, 1005.0]
    view._objects = (pods["a"], pod("b", 7, ("ReplicaSet", "cart-7d9")), pod("d", 5), *owners)
    third = source.values(query, 1010.0)
    assert asked.asked == 5
    assert {labels["name"]: value for labels, value in zip(third.labels, third.values.tolist(), strict=True)} == {"a": 1.0, "b": 7.0, "d": 5.0}


def test_an_owner_that_comes_or_changes_gives_other_labels_to_a_pod_that_is_as_it_was() -> None:
    one = pod("a", 1, ("ReplicaSet", "cart-7d9"))
    view = View(one)
    source = CachedObjectSource(view, VirtualTime(1000.0))

    def workload() -> tuple[str, str]:
        (labels,) = source.values(RESTARTS, 1000.0).labels
        return labels["workload_kind"], labels["workload"]

    assert workload() == ("ReplicaSet", "cart-7d9")
    view._objects = (one, thing("ReplicaSet", "cart-7d9", ("Deployment", "cart")))
    assert workload() == ("Deployment", "cart")
    view._objects = (one, thing("ReplicaSet", "cart-7d9"))
    assert workload() == ("ReplicaSet", "cart-7d9")


def test_what_depends_on_the_time_is_judged_each_time() -> None:
    asked = Counting("now > 1003.0")
    source = CachedObjectSource(View(pod("a", 1)), VirtualTime(1000.0))
    assert [source.values(ObjectQuery("Pod", asked), at).values.tolist() for at in (1000.0, 1005.0)] == [[0.0], [1.0]]


def test_no_objects_is_an_answer() -> None:
    assert read(View()) == {}


@pytest.mark.parametrize(
    ("sight", "listed", "reason"),
    [
        (Sight(synced=False, seen_at=0.0, errors={}), False, "NotSynced"),
        (Sight(synced=False, seen_at=0.0, errors={"Node": "Forbidden (403): no"}), True, "NotSynced"),
        (Sight(synced=True, seen_at=1000.0, errors={"Pod": "Forbidden (403): no"}), True, "NotSynced"),
        (Sight(synced=True, seen_at=1000.0, errors={"Pod": "ServerTimeout (504): slow"}), False, "NotSynced"),
        (Sight(synced=True, seen_at=939.0, errors={}), True, "Stale"),
        (Sight(synced=True, seen_at=939.0, errors={"Pod": "ServerTimeout (504): slow"}), True, "Stale"),
    ],
)
def test_what_cannot_be_seen_is_no_answer(sight: Sight, listed: bool, reason: str) -> None:
    view = View(*([pod("a", 1)] if listed else []), sight=sight)
    with pytest.raises(SourceUnavailableError) as refused:
        read(view)
    assert refused.value.reason == reason


def test_errors_of_other_kinds_and_passing_ones_do_not_matter() -> None:
    errors = {"Event": "Forbidden (403): no", "Pod": "ServerTimeout (504): slow"}
    assert "a" in read(View(pod("a", 1), sight=Sight(synced=True, seen_at=940.0, errors=errors)))


def test_an_unknown_kind_is_rejected() -> None:
    with pytest.raises(SourceRejectedError, match="BadQuery: unknown kind 'Gadget'; known: Pod"):
        read(View(), ObjectQuery("Gadget", RESTARTS.value))

"""Climbing owners and reading placement from plain objects."""

from __future__ import annotations

from typing import Any

from aiops.correlate.topology import controller, owner_of, placement
from aiops.domain.target import JsonObject, TargetRef


def obj(kind: str, name: str, owner: tuple[str, str, str] | None = None, node: str = "") -> JsonObject:
    meta: dict[str, Any] = {"name": name, "namespace": "shop"}
    if owner:
        meta["ownerReferences"] = [{"apiVersion": owner[0], "kind": owner[1], "name": owner[2], "controller": True}]
    return {"kind": kind, "metadata": meta, "spec": {"nodeName": node} if node else {}}


OBJECTS = {
    TargetRef(o["kind"], "shop", o["metadata"]["name"]): o
    for o in (
        obj("Pod", "web-abc-1", ("apps/v1", "ReplicaSet", "web-abc"), "n1"),
        obj("Pod", "web-abc-2", ("apps/v1", "ReplicaSet", "web-abc"), "n2"),
        obj("Pod", "bare", node="n1"),
        obj("Pod", "lost-1", ("apps/v1", "ReplicaSet", "lost"), "n3"),
        obj("Pod", "crd-1", ("example.org/v1", "Deployment", "web")),
        obj("Pod", "pending", ("apps/v1", "ReplicaSet", "web-abc")),
        obj("ReplicaSet", "web-abc", ("apps/v1", "Deployment", "web")),
        obj("Deployment", "web"),
        obj("ReplicaSet", "ring-a", ("apps/v1", "ReplicaSet", "ring-b")),
        obj("ReplicaSet", "ring-b", ("apps/v1", "ReplicaSet", "ring-a")),
    )
}


def ref(kind: str, name: str) -> TargetRef:
    return TargetRef(kind, "shop", name)


def test_a_pod_leads_to_its_deployment() -> None:
    assert owner_of(ref("Pod", "web-abc-1"), OBJECTS.get) == ref("Deployment", "web")
    assert owner_of(ref("Deployment", "web"), OBJECTS.get) == ref("Deployment", "web")
    assert owner_of(ref("Pod", "bare"), OBJECTS.get) == ref("Pod", "bare")


def test_the_climb_ends_at_the_last_name_known() -> None:
    assert owner_of(ref("Pod", "lost-1"), OBJECTS.get) == ref("ReplicaSet", "lost")
    assert owner_of(ref("Pod", "gone"), OBJECTS.get) == ref("Pod", "gone")


def test_a_kind_of_another_group_is_not_taken_for_ours() -> None:
    assert controller(OBJECTS[ref("Pod", "crd-1")]) is None


def test_a_ring_of_owners_ends() -> None:
    assert owner_of(ref("ReplicaSet", "ring-a"), OBJECTS.get).kind == "ReplicaSet"


def test_the_context_is_kept() -> None:
    objects = {TargetRef(k.kind, k.namespace, k.name, "east"): v for k, v in OBJECTS.items()}
    assert owner_of(TargetRef("Pod", "shop", "web-abc-1", "east"), objects.get) == TargetRef("Deployment", "shop", "web", "east")


def test_placement_knows_what_stands_on_a_node() -> None:
    placed = placement([o for r, o in OBJECTS.items() if r.kind == "Pod"], OBJECTS.get)
    assert placed.nodes_of[ref("Deployment", "web")] == {"n1", "n2"}
    assert placed.below(TargetRef("Node", "", "n1"), ref("Deployment", "web"))
    assert placed.below(TargetRef("Node", "", "n1"), ref("Pod", "bare"))
    assert not placed.below(TargetRef("Node", "", "n2"), ref("Pod", "bare"))
    assert not placed.below(TargetRef("Node", "", "n1"), ref("Pod", "pending"))
    assert placed.below(TargetRef("Namespace", "", "shop"), ref("Pod", "bare"))
    assert not placed.below(TargetRef("Node", "", "n1", "east"), ref("Pod", "bare"))


def test_malformed_objects_are_no_error() -> None:
    assert controller({}) is None
    assert placement([{}, {"metadata": None, "spec": None}], OBJECTS.get).nodes_of == {}

"""Watching: what happened since a list, resuming, and being too late."""

from __future__ import annotations

import pytest

from aiops.domain.errors import GoneError
from aiops.domain.target import JsonObject
from aiops.ports.cluster import WatchEvent
from tests.contract.cluster.bench import Bench, ref

PATIENCE = 150


def config_map(name: str) -> JsonObject:
    return {"metadata": {"name": name}, "data": {"a": "1"}}


def happened(bench: Bench, since: str, count: int) -> list[WatchEvent]:
    """The first `count` events that are no bookmarks."""
    found: list[WatchEvent] = []
    for event in bench.reader.watch("ConfigMap", since, namespace=bench.namespace, timeout=PATIENCE):
        if event.type != "BOOKMARK" and event.object["metadata"]["name"] != "kube-root-ca.crt":
            found.append(event)
        if len(found) == count:
            break
    return found


def told(events: list[WatchEvent]) -> list[tuple[str, str]]:
    return [(e.type, e.object["metadata"]["name"]) for e in events]


def test_a_watch_tells_what_happened_since_the_list(bench: Bench):
    bench.writer.create("ConfigMap", bench.namespace, config_map("old"))
    since = bench.reader.list("ConfigMap", bench.namespace).resource_version
    made = bench.writer.create("ConfigMap", bench.namespace, config_map("new")).after
    assert made is not None
    bench.writer.patch(ref(bench, "ConfigMap", "new"), {"data": {"a": "2"}})
    bench.writer.delete(ref(bench, "ConfigMap", "new"), uid=made["metadata"]["uid"])
    events = happened(bench, since, 3)
    assert told(events) == [("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "new")]
    assert [e.object["data"]["a"] for e in events] == ["1", "2", "2"]
    assert all(e.object["kind"] == "ConfigMap" for e in events)
    versions = [int(e.object["metadata"]["resourceVersion"]) for e in events]
    assert versions == sorted(set(versions))


def test_a_watch_is_resumed_where_it_broke_off(bench: Bench):
    since = bench.reader.list("ConfigMap", bench.namespace).resource_version
    for name in ("a", "b", "c"):
        bench.writer.create("ConfigMap", bench.namespace, config_map(name))
    first = happened(bench, since, 1)
    rest = happened(bench, first[0].object["metadata"]["resourceVersion"], 2)
    assert told(first + rest) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


def test_a_dry_run_is_no_event(bench: Bench):
    since = bench.reader.list("ConfigMap", bench.namespace).resource_version
    bench.dry.create("ConfigMap", bench.namespace, config_map("dry"))
    bench.writer.create("ConfigMap", bench.namespace, config_map("wet"))
    assert told(happened(bench, since, 1)) == [("ADDED", "wet")]


def test_a_watch_from_too_long_ago_is_gone(bench: Bench):
    """Of events, since a server keeps a history of its own in memory for most other kinds."""
    since = bench.reader.list("Event", bench.namespace).resource_version
    about = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "namespace": bench.namespace}
    for number in range(3):
        meta = {"name": f"settings.{number}"}
        bench.writer.create("Event", bench.namespace, {"metadata": meta, "involvedObject": about, "reason": "Seen", "type": "Normal"})
    assert next(iter(bench.reader.watch("Event", since, namespace=bench.namespace, timeout=PATIENCE))).type == "ADDED"
    bench.compact()
    with pytest.raises(GoneError) as caught:
        list(bench.reader.watch("Event", since, namespace=bench.namespace, timeout=PATIENCE))
    assert caught.value.status == 410


def test_a_watch_ends_by_itself(bench: Bench):
    since = bench.reader.list("ConfigMap", bench.namespace).resource_version
    events = [e for e in bench.reader.watch("ConfigMap", since, namespace=bench.namespace, timeout=1) if e.type != "BOOKMARK"]
    # A new namespace is given this one at some time.
    assert [e for e in events if e.object["metadata"]["name"] != "kube-root-ca.crt"] == []

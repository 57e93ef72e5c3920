"""What the informer does when its reader fails: the kind says so, goes on with what it has, and comes back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.kubernetes.informer import DEFAULT_KINDS, Informer
from aiops.adapters.memory_cluster import READ_ONLY, MemoryCluster, Rule
from aiops.adapters.memory_cluster.clients import MemoryReader
from aiops.domain.errors import ClusterUnavailableError, ForbiddenError, GoneError
from aiops.domain.target import TargetRef
from aiops.execution.actions.registry import SPECS
from aiops.ports.cluster import ListPage, WatchEvent

WAIT = 20


class Troubled:
    """A reader whose next calls raise what was put in line for them."""

    def __init__(self, reader: MemoryReader) -> None:
        self._reader = reader
        self.lists: list[Exception] = []
        self.watches: list[Exception] = []
        self.listed = 0

    def list(self, kind: str, namespace: str = "", *, label_selector: str = "", field_selector: str = "") -> ListPage:
        self.listed += 1
        if self.lists:
            raise self.lists.pop(0)
        return self._reader.list(kind, namespace)

    def watch(self, kind: str, resource_version: str, *, namespace: str = "", timeout: float = 300.0) -> Iterator[WatchEvent]:
        if self.watches:
            raise self.watches.pop(0)
        return self._reader.watch(kind, resource_version, namespace=namespace, timeout=timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def soon(holds: Callable[[], Any], what: str) -> None:
    pause = threading.Event()
    for _ in range(WAIT * 100):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError(f"not soon: {what}")


@pytest.fixture
def cluster() -> MemoryCluster:
    made = MemoryCluster(SystemClock(), watch_wait=0.02)
    made.apply({"kind": "ConfigMap", "metadata": {"name": "a"}})
    return made


@pytest.fixture
def reader(cluster: MemoryCluster) -> Troubled:
    return Troubled(cluster.reader)


@pytest.fixture
def informer(reader: Troubled) -> Iterator[Informer]:
    made = Informer(reader, SystemClock(), kinds=("ConfigMap",), jitter=lambda: 0.0)
    yield made
    assert made.stop()


def there(informer: Informer, name: str) -> bool:
    return informer.find(TargetRef("ConfigMap", "default", name)) is not None


def test_before_the_first_list_nothing_is_claimed(informer: Informer):
    sight = informer.sight()
    assert (sight.synced, sight.seen_at, dict(sight.errors)) == (False, 0.0, {})


def test_a_failing_list_is_an_error_until_it_succeeds_and_logged_once(
    informer: Informer, reader: Troubled, caplog: pytest.LogCaptureFixture
):
    reader.lists = [ClusterUnavailableError("NoAnswer", "refused")] * 2
    with caplog.at_level(logging.INFO, logger="aiops.kubernetes"):
        informer.start()
        soon(lambda: informer.sight().errors, "the error shows")
        assert "NoAnswer" in informer.sight().errors["ConfigMap"]
        assert not informer.sight().synced
        soon(lambda: informer.sight().synced, "it comes back")
    assert dict(informer.sight().errors) == {}
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]


def test_a_broken_watch_is_resumed_without_a_new_list(informer: Informer, reader: Troubled, cluster: MemoryCluster):
    informer.start()
    assert informer.wait_settled(WAIT)
    reader.watches = [ClusterUnavailableError("NoAnswer", "reset")]
    soon(lambda: not reader.watches, "the watch broke")
    assert there(informer, "a")
    cluster.apply({"kind": "ConfigMap", "metadata": {"name": "b"}})
    soon(lambda: there(informer, "b"), "what came meanwhile is seen")
    assert reader.listed == 1


class LateClock(SystemClock):
    """The system's, set forward by `late` seconds."""

    late = 0.0

    def now(self) -> float:
        return super().now() + self.late


class Silent(Troubled):
    """Of a watch that is to break nothing is heard for so long as it lasts."""

    def __init__(self, reader: MemoryReader, clock: LateClock) -> None:
        super().__init__(reader)
        self._clock = clock

    def watch(self, kind: str, resource_version: str, *, namespace: str = "", timeout: float = 300.0) -> Iterator[WatchEvent]:
        self._clock.late += (timeout + 1.0) * bool(self.watches)
        return super().watch(kind, resource_version, namespace=namespace, timeout=timeout)


def test_after_a_long_blindness_a_list_shows_that_it_sees_again(cluster: MemoryCluster):
    """A watch of a quiet kind would show it only at its end."""
    clock = LateClock()
    reader = Silent(cluster.reader, clock)
    informer = Informer(reader, clock, kinds=("ConfigMap",), jitter=lambda: 0.0)
    informer.start()
    try:
        assert informer.wait_settled(WAIT)
        reader.watches = [ClusterUnavailableError("TimedOut", "no answer")]
        soon(lambda: reader.listed > 1 and not informer.sight().errors, "it sees again")
        assert there(informer, "a")
    finally:
        assert informer.stop()


def test_a_watch_from_too_long_ago_makes_a_new_list(reader: Troubled, cluster: MemoryCluster):
    told: list[tuple[str, str]] = []
    informer = Informer(
        reader,
        SystemClock(),
        kinds=("ConfigMap",),
        jitter=lambda: 0.0,
        on_event=lambda e: told.append((e.type, e.object["metadata"]["name"])),
    )
    informer.start()
    try:
        assert informer.wait_settled(WAIT)
        with cluster.state.lock:
            # While the informer cannot look: one goes, one comes, and the history of both is lost.
            reader.watches = [GoneError("Expired", "too old", 410)]
            cluster.remove(TargetRef("ConfigMap", "default", "a"))
            cluster.apply({"kind": "ConfigMap", "metadata": {"name": "b"}})
            cluster.compact()
        soon(lambda: there(informer, "b") and not there(informer, "a"), "the new list is in")
        assert reader.listed >= 2
        assert told == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b")]
        assert informer.sight().errors == {}
    finally:
        assert informer.stop()


def test_what_nobody_foresaw_does_not_end_the_view(informer: Informer, reader: Troubled, caplog: pytest.LogCaptureFixture):
    reader.lists = [RuntimeError("a bug")]
    informer.start()
    soon(lambda: "a bug" in informer.sight().errors.get("ConfigMap", ""), "the error shows")
    soon(lambda: informer.sight().synced, "it comes back")
    assert "RuntimeError" in caplog.text


def test_forbidden_kinds_are_told_and_do_not_count(cluster: MemoryCluster):
    only = [Rule(("list", "watch"), ("",), ("nodes",))]
    informer = Informer(cluster.reader_as("limited", only), SystemClock(), kinds=("Node", "Pod"), jitter=lambda: 0.0)
    informer.start()
    try:
        assert informer.wait_settled(WAIT)
        sight = informer.sight()
        assert sight.synced
        assert sight.seen_at > 0
        assert list(sight.errors) == ["Pod"]
        assert len(informer.objects("Node")) == 3
    finally:
        assert informer.stop()


def test_a_kind_that_was_seen_and_is_refused_later_ages(informer: Informer, reader: Troubled):
    informer.start()
    assert informer.wait_settled(WAIT)
    refused = ForbiddenError("Forbidden", "not any more", 403)
    reader.lists, reader.watches = [refused] * 9, [refused] * 9
    soon(lambda: informer.sight().errors, "the refusal shows")
    before = informer.sight()
    assert before.synced
    assert before.seen_at > 0
    assert informer.sight().seen_at == before.seen_at
    assert there(informer, "a")


def test_an_account_that_is_not_known_sees_nothing(reader: Troubled):
    reader.lists = [ForbiddenError("Unauthorized", "", 401)] * 9
    informer = Informer(reader, SystemClock(), kinds=("ConfigMap", "Node"), jitter=lambda: 0.0)
    informer.start()
    try:
        assert informer.wait_settled(WAIT)
        assert (informer.sight().synced, informer.sight().seen_at, set(informer.sight().errors)) == (False, 0.0, {"ConfigMap", "Node"})
    finally:
        assert informer.stop()


def test_stopping_twice_and_before_starting_is_fine(cluster: MemoryCluster):
    informer = Informer(cluster.reader_as("reader", READ_ONLY), SystemClock(), jitter=lambda: 0.0)
    assert informer.stop()
    assert informer.stop()


def test_what_an_action_takes_as_its_target_is_watched_so_that_guards_can_judge_it():
    taken = {kind for spec in SPECS.values() for kind in spec.target_kinds}
    assert taken - set(DEFAULT_KINDS) == set()

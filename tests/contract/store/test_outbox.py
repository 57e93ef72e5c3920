"""Messages: once each, in order for each thread, the newest view instead of all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.domain.errors import StoreError
from aiops.domain.message import IncidentView, MessageKind, Thread
from aiops.domain.signal import Severity
from aiops.ports.storage import Changes, Store
from tests.contract.store.shapes import message

THREAD = Thread("inc-1", "#ops", "C1", "17.1")


def put(store: Store, *messages: object) -> None:
    store.write(Changes(messages=tuple(messages)))  # type: ignore[arg-type]


def due(store: Store, now: float = 2000.0) -> list[str]:
    return [m.key for m in store.messages_due(now)]


def states(store: Store) -> dict[str, str]:
    return {m.key: state for m, state in store.messages()}


def test_enqueued_twice_is_one_and_delivered_is_not_sent_again(store: Store) -> None:
    put(store, message())
    put(store, message())
    assert due(store) == ["m1"]
    store.delivered("m1", THREAD, 1001.0)
    put(store, message())
    put(store, message(text="other words"))
    assert due(store) == []
    assert states(store) == {"m1": "delivered"}
    assert store.thread("inc-1", "#ops") == THREAD
    assert store.thread("inc-2", "#ops") is None


def test_another_view_replaces_what_was_not_delivered_but_keeps_its_back_off(store: Store) -> None:
    put(store, message())
    store.not_delivered("m1", "Throttled", 1500.0, 1001.0)
    view = IncidentView("inc-1", "t", Severity.INFO, "open", "x", 1.0, 2.0)
    put(store, replace(message(at=1002.0), view=view))
    assert due(store, 1499.0) == []
    (kept,) = store.messages_due(1500.0)
    assert (kept.view, kept.attempts) == (view, 1)


def test_a_newer_view_of_the_incident_supersedes_the_older_ones(store: Store) -> None:
    put(store, message("a", sequence=1), message("b", sequence=2, text="two"))
    put(store, message("c", sequence=3, text="three"))
    assert due(store) == ["c"]
    assert states(store) == {"a": "superseded", "b": "superseded", "c": "pending"}
    put(store, message("late", sequence=2, text="late"))
    assert due(store) == ["c"]
    store.delivered("c", THREAD, 1001.0)
    put(store, message("later still", sequence=1, text="old"))
    assert due(store) == []


def test_a_newer_view_inherits_the_back_off_of_the_older(store: Store) -> None:
    put(store, message("a"))
    store.not_delivered("a", "Throttled", 1500.0, 1001.0)
    put(store, message("b", sequence=2, text="two"))
    assert due(store, 1400.0) == []
    (kept,) = store.messages_due(1500.0)
    assert (kept.key, kept.attempts) == ("b", 1)


def test_updates_are_never_superseded_and_keep_their_order(store: Store) -> None:
    put(store, message("root"), message("u2", sequence=3, kind=MessageKind.UPDATE, text="b"), message("u1", sequence=2, kind=MessageKind.UPDATE, text="a"))
    assert due(store) == ["root", "u1", "u2"]


def test_the_root_goes_before_the_thread_even_when_its_view_is_newer(store: Store) -> None:
    put(store, message("root1"), message("u", sequence=2, kind=MessageKind.UPDATE))
    put(store, message("root3", sequence=3, text="three"))
    assert due(store) == ["root3", "u"]
    store.delivered("root3", THREAD, 1001.0)
    put(store, message("root4", sequence=4, text="four"))
    assert due(store) == ["u", "root4"]


def test_nothing_overtakes_a_message_that_waits(store: Store) -> None:
    put(store, message("root"), message("u", sequence=2, kind=MessageKind.UPDATE))
    put(store, message("other", incident_id="inc-2", at=1001.0))
    store.not_delivered("root", "Unavailable", 1500.0, 1001.0)
    assert due(store, 1400.0) == ["other"]
    assert due(store, 1500.0) == ["root", "u", "other"]


def test_an_update_waits_for_a_root_in_back_off_even_if_other_incidents_have_their_thread(store: Store) -> None:
    put(store, message("other", incident_id="inc-2"))
    store.delivered("other", Thread("inc-2", "#ops", "C1", "1"), 1000.0)
    put(store, message("root1"), message("u", sequence=2, kind=MessageKind.UPDATE))
    store.not_delivered("root1", "Throttled", 1500.0, 1001.0)
    put(store, message("root3", sequence=3, text="three"))
    assert due(store, 1400.0) == []
    assert due(store, 1500.0) == ["root3", "u"]


def test_giving_up_keeps_the_reason_and_lets_the_rest_go(store: Store) -> None:
    put(store, message("root"), message("u", sequence=2, kind=MessageKind.UPDATE))
    store.not_delivered("root", "channel_not_found", None, 1001.0)
    assert states(store)["root"] == "failed: channel_not_found"
    assert due(store) == ["u"]
    put(store, message("root", text="again"))
    assert due(store) == ["root", "u"]


def test_what_was_replaced_on_its_way_stays_due(store: Store) -> None:
    put(store, message("m1", sequence=1))
    (sent,) = store.messages_due(2000.0)
    put(store, message("m1", sequence=2, text="newer"))
    store.delivered("m1", THREAD, 1001.0, sequence=sent.sequence)
    assert [m.text for m in store.messages_due(2000.0)] == ["newer"]
    assert store.thread("inc-1", "#ops") == THREAD
    store.delivered("m1", THREAD, 1002.0, sequence=2)
    assert due(store) == []


def test_a_failure_of_a_superseded_message_does_not_bring_it_back(store: Store) -> None:
    put(store, message("a"))
    put(store, message("b", sequence=2, text="two"))
    store.not_delivered("a", "Throttled", 1500.0, 1001.0)
    assert states(store) == {"a": "superseded", "b": "pending"}


def test_unknown_keys_are_errors(store: Store) -> None:
    with pytest.raises(StoreError, match="no message"):
        store.delivered("none", THREAD, 1.0)
    with pytest.raises(StoreError, match="no message"):
        store.not_delivered("none", "x", None, 1.0)
    assert store.thread("inc-1", "#ops") is None


def test_limit_takes_whole_threads_in_order(store: Store) -> None:
    for n in range(3):
        put(store, *(message(f"{n}-{k}", sequence=k, kind=MessageKind.UPDATE, incident_id=f"inc-{n}", text=str(k), at=1000.0 + n) for k in (2, 1, 3)))
    assert [m.key for m in store.messages_due(2000.0, limit=4)] == ["0-1", "0-2", "0-3", "1-1"]

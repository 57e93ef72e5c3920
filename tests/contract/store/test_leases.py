"""Ownership: one at a time, tokens that only rise, writes of a stale owner refused whole."""

from __future__ import annotations

import pytest

from aiops.domain.errors import LeaseLostError, StoreError
from aiops.domain.execution import EntryKind, JournalEntry, Lease
from aiops.ports.storage import Changes, Store
from tests.contract.store.shapes import execution, incident


def take(store: Store, owner: str = "a", *, ttl: float = 30.0, now: float = 100.0, name: str = "exe-1") -> Lease:
    lease = store.acquire(name, owner, ttl, now)
    assert lease is not None
    return lease


def test_held_by_another_until_it_expires(store: Store) -> None:
    first = take(store)
    assert store.acquire("exe-1", "b", 30.0, 129.9) is None
    second = take(store, "b", now=130.0)
    assert second.token > first.token
    assert [(lease.owner, lease.token) for lease in store.leases()] == [("b", second.token)]


def test_taking_it_again_raises_the_token_and_makes_the_former_stale(store: Store) -> None:
    first, second = take(store), take(store, now=101.0)
    assert second.token > first.token
    with pytest.raises(LeaseLostError):
        store.write(Changes(incidents=(incident(1),)), lease=first, now=102.0)
    store.write(Changes(incidents=(incident(1),)), lease=second, now=102.0)


def test_a_write_under_a_lost_or_expired_lease_leaves_no_trace(store: Store) -> None:
    store.write(Changes(executions=(execution(1),)))
    lease = take(store)
    changes = Changes(incidents=(incident(1),), entries=(JournalEntry("exe-1", EntryKind.INTENT, 1.0),), values={"x": 1})
    with pytest.raises(LeaseLostError, match="expired"):
        store.write(changes, lease=lease, now=130.0)
    take(store, "b", now=140.0)
    with pytest.raises(LeaseLostError):
        store.write(changes, lease=lease, now=110.0)
    assert store.incident("inc-1") is None
    assert store.journal("exe-1") == []
    assert store.value("x") is None


def test_a_write_under_a_lease_needs_the_time(store: Store) -> None:
    with pytest.raises(StoreError, match="time"):
        store.write(Changes(incidents=(incident(1),)), lease=take(store))


def test_renewal_keeps_the_token_and_fails_once_lost(store: Store) -> None:
    lease = take(store)
    renewed = store.renew(lease, 30.0, 120.0)
    assert (renewed.token, renewed.expires_at) == (lease.token, 150.0)
    assert store.acquire("exe-1", "b", 30.0, 140.0) is None
    with pytest.raises(LeaseLostError):
        store.renew(renewed, 30.0, 150.0)
    with pytest.raises(LeaseLostError):
        store.renew(Lease("exe-none", "a", 1, 1e9), 30.0, 100.0)


def test_release_frees_at_once_and_a_stale_one_frees_nothing(store: Store) -> None:
    first = take(store)
    store.release(first)
    assert store.leases() == []
    second = take(store, "b")
    assert second.token > first.token
    store.release(first)
    assert [lease.owner for lease in store.leases()] == ["b"]
    with pytest.raises(LeaseLostError):
        store.write(Changes(), lease=first, now=101.0)


def test_names_are_apart_and_tokens_rise_even_after_a_purge(store: Store) -> None:
    one, two = take(store, name="x"), take(store, "b", name="y")
    assert store.purge(10_000.0, {"leases": 60.0})["leases"] == 2
    again = take(store, "c", name="x", now=10_000.0)
    assert again.token > max(one.token, two.token)
    with pytest.raises(LeaseLostError):
        store.renew(one, 30.0, 100.0)

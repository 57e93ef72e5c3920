"""Who leads among daemons that share a store: one at a time, what a former one decides is not written, one folder is one daemon's."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.store import SqlStore, open_store
from aiops.app import leader
from aiops.app.leader import LEADER, Instance, Leadership
from aiops.domain.errors import LeaseLostError, StoreError
from aiops.ports.storage import Changes
from aiops.ports.telemetry import NullTelemetry
from tests.contract.store.shapes import execution, incident

PATIENCE_S = 60.0


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    return open_store(f"sqlite:///{tmp_path}/shared.db")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "RENEW_EVERY", 0.02)
    monkeypatch.setattr(leader, "RETRY_EVERY", 0.02)


class Candidate:
    """One daemon's part in it; `leads` and `lost` are set when it is told so."""

    def __init__(self, store: SqlStore, name: str) -> None:
        self.leads, self.lost = threading.Event(), threading.Event()
        self.leadership = Leadership(store, SystemClock(), name, NullTelemetry())

    def begin(self) -> Candidate:
        self.leadership.begin(self.leads.set, lambda _why: self.lost.set())
        return self


def test_one_leads_and_hands_over_when_it_ends(store: SqlStore) -> None:
    first, second = Candidate(store, "a").begin(), Candidate(store, "b").begin()
    assert first.leads.is_set()
    assert not second.leads.is_set()
    with pytest.raises(LeaseLostError, match="stands by"):
        second.leadership.current()
    first.leadership.stop(10)
    assert second.leads.wait(PATIENCE_S)
    assert not second.lost.is_set()
    second.leadership.stop(10)
    assert store.leases() == []


def test_who_lost_the_place_is_told_once_and_writes_nothing(tmp_path: Path, store: SqlStore) -> None:
    clock, mine = SystemClock(), open_store(f"sqlite:///{tmp_path}/shared.db")
    one = Candidate(mine, "a").begin()
    mine.led(one.leadership.current, clock.now)
    mine.write(Changes(incidents=(incident(1),)))
    stolen = store.acquire(LEADER, "b", 60.0, clock.now() + 3600.0)
    assert stolen is not None
    with pytest.raises(LeaseLostError):
        mine.write(Changes(executions=(execution(1),)))
    assert one.lost.wait(PATIENCE_S)
    assert store.execution("exe-1") is None
    assert store.incident("inc-1") is not None
    one.leadership.stop(10)
    assert [lease.owner for lease in store.leases()] == ["b"]


def test_a_change_with_a_lease_of_its_own_stands_on_that_one(store: SqlStore) -> None:
    clock = SystemClock()
    store.led(Candidate(store, "a").leadership.current, clock.now)
    own = store.acquire("target/x", "a", 60.0, clock.now())
    assert own is not None
    store.write(Changes(executions=(execution(1),)), lease=own, now=clock.now())
    assert store.execution("exe-1") is not None


def test_a_start_that_fails_is_no_leadership(store: SqlStore) -> None:
    first = Candidate(store, "a").begin()
    second, lost = Leadership(store, SystemClock(), "b", NullTelemetry()), threading.Event()

    def broken() -> None:
        raise StoreError("the disk is full")

    second.begin(broken, lambda _why: lost.set())
    first.leadership.stop(10)
    assert lost.wait(PATIENCE_S)
    second.stop(10)


def test_one_folder_is_one_daemons_and_its_name_stays(tmp_path: Path) -> None:
    first = Instance(tmp_path)
    with pytest.raises(StoreError, match="another daemon runs in"):
        Instance(tmp_path)
    first.close()
    again = Instance(tmp_path)
    assert again.name == first.name
    again.close()

"""Many threads on one store: whole changes only, unique tokens, readers that never see a half."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aiops.adapters.store import open_store
from aiops.domain.execution import EntryKind, JournalEntry
from aiops.ports.storage import Changes
from tests.contract.store.shapes import execution, incident


@pytest.mark.parametrize("place", ["file", "memory"])
def test_writers_and_readers_side_by_side(tmp_path: Path, place: str) -> None:
    store = open_store("sqlite:///:memory:" if place == "memory" else f"sqlite:///{tmp_path}/aiops.db")
    store.write(Changes(executions=(execution(1),)))

    def work(number: int) -> tuple[int, int]:
        for n in range(10):
            pair = (incident(number * 100 + n), incident(number * 100 + n + 50))
            store.write(Changes(incidents=pair, entries=(JournalEntry("exe-1", EntryKind.CHECKED, 1.0),)))
            assert len(store.incidents(limit=10_000)) % 2 == 0
        lease = store.acquire(f"lease-{number}", "me", 10.0, 1.0)
        assert lease is not None
        return number, lease.token

    with ThreadPoolExecutor(8) as pool:
        tokens = dict(pool.map(work, range(8)))
    assert len(set(tokens.values())) == 8
    assert store.size()["incidents"] == 160
    assert len(store.journal("exe-1")) == 80
    store.close()

"""What is old goes; what is active, unfinished or undelivered stays however old it is."""

from __future__ import annotations

import pytest

from aiops.adapters.store import retention
from aiops.domain.command import Command, CommandKind
from aiops.domain.errors import StoreError
from aiops.domain.execution import EntryKind, ExecutionState, JournalEntry, Review, ReviewVerdict
from aiops.domain.incident import IncidentState, Silence
from aiops.domain.message import MessageKind, Thread
from aiops.domain.signal import Severity, Signal, SignalKind, SignalState
from aiops.ports.storage import Changes, Store
from tests.contract.store.shapes import decision, execution, incident, message

ALL = dict.fromkeys(retention.NAMES, 100.0)


def signal(at: float) -> Signal:
    return Signal(f"s{at}", "r", "d", SignalKind.METRIC, SignalState.FIRING, Severity.INFO, at, "x", {}, None, "")


def fill(store: Store) -> None:
    store.write(
        Changes(
            incidents=(incident(1, at=10.0), incident(2, at=10.0, state=IncidentState.RESOLVED), incident(3, at=990.0, state=IncidentState.RESOLVED)),
            signals=(("inc-1", signal(10.0)), ("inc-2", signal(10.0)), ("", signal(10.0)), ("", signal(990.0))),
            decisions=(decision(10.0), decision(990.0)),
            executions=(
                execution(1, at=10.0, state=ExecutionState.VERIFYING),
                execution(2, at=10.0, state=ExecutionState.DONE, incident_id="inc-2"),
                execution(3, at=990.0, state=ExecutionState.DONE, incident_id="inc-3"),
            ),
            entries=tuple(JournalEntry(f"exe-{n}", EntryKind.CREATED, 10.0) for n in (1, 2, 3)),
            reviews=(Review("exe-2", ReviewVerdict.RIGHT, "ann", 10.0), Review("exe-3", ReviewVerdict.RIGHT, "ann", 990.0)),
            silences=(Silence("old", {}, 1.0, 10.0, "me"), Silence("now", {}, 1.0, 2000.0, "me")),
            commands=(Command("done", CommandKind.PAUSE, "", "me", 10.0, done=True), Command("waits", CommandKind.PAUSE, "", "me", 10.0)),
            messages=(
                message("sent", at=10.0, incident_id="inc-2"),
                message("waits", at=10.0, kind=MessageKind.UPDATE, incident_id="inc-4"),
                message("active", at=10.0, incident_id="inc-1"),
            ),
        )
    )
    store.delivered("sent", Thread("inc-2", "#ops", "C", "1"), 10.0)
    store.delivered("active", Thread("inc-1", "#ops", "C", "2"), 10.0)


def test_old_rows_go_and_live_ones_stay(store: Store) -> None:
    fill(store)
    deleted = store.purge(1000.0, ALL)
    assert deleted == {
        "incidents": 1,
        "signals": 2,
        "decisions": 1,
        "executions": 1,
        "journal": 1,
        "outbox": 1,
        "threads": 1,
        "silences": 1,
        "reviews": deleted["reviews"],
        "commands": 1,
        "leases": 0,
    }
    assert [i.id for i in store.active_incidents()] == ["inc-1"]
    assert len(store.signals("inc-1")) == 1
    assert {e.id for e in store.executions()} == {"exe-1", "exe-3"}
    assert len(store.journal("exe-1")) == 1
    assert store.journal("exe-2") == []
    assert [r.execution for r in store.reviews()] == ["exe-3"]
    assert {m.key for m, _ in store.messages()} == {"waits", "active"}
    assert [c.id for c in store.commands(pending=False)] == ["waits"]
    assert store.thread("inc-1", "#ops") is not None
    assert store.thread("inc-2", "#ops") is None


def test_only_the_named_tables(store: Store) -> None:
    fill(store)
    assert store.purge(1000.0, {"decisions": 100.0}) == {"decisions": 1}
    assert store.size()["incidents"] == 3
    assert store.purge(1000.0, {}) == {}


def test_an_incident_stays_while_a_run_or_a_message_of_it_is_open(store: Store) -> None:
    store.write(
        Changes(
            incidents=tuple(incident(n, at=10.0, state=IncidentState.RESOLVED) for n in (1, 2, 3)),
            executions=(execution(1, incident_id="inc-1"),),
            messages=(message(incident_id="inc-2"),),
        )
    )
    assert store.purge(1000.0, {"incidents": 100.0})["incidents"] == 1
    assert store.incident("inc-3") is None


def test_more_than_one_batch(store: Store) -> None:
    many = retention.BATCH * 2 + 5
    store.write(Changes(signals=tuple(("", signal(float(n % 50))) for n in range(many))))
    assert store.purge(1000.0, {"signals": 100.0}) == {"signals": many}
    assert store.size()["signals"] == 0


def test_an_unknown_table_is_an_error_and_deletes_nothing(store: Store) -> None:
    fill(store)
    with pytest.raises(StoreError, match="allowed are"):
        store.purge(1000.0, {"decisions": 0.0, "documents": 0.0})
    assert store.size()["decisions"] == 2

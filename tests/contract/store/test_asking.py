"""The answers of `Reading`: which rows, in which order."""

from __future__ import annotations

import random
import string
from dataclasses import replace

import pytest

from aiops.domain.command import Command, CommandKind
from aiops.domain.errors import StoreError
from aiops.domain.execution import EntryKind, ExecutionState, JournalEntry, Review, ReviewVerdict
from aiops.domain.incident import IncidentState, Silence
from aiops.domain.plan import PlannedUndo
from aiops.domain.runbook import UndoMode
from aiops.domain.signal import Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef
from aiops.ports.storage import Changes, Store
from tests.contract.store.shapes import decision, execution, incident


def test_incidents_by_state_and_time(store: Store) -> None:
    a = incident(1, at=10.0)
    b = incident(2, at=20.0, state=IncidentState.RESOLVED)
    c = incident(3, at=30.0, fingerprint="other")
    store.write(Changes(incidents=(c, a, b)))
    assert [i.id for i in store.active_incidents()] == ["inc-1", "inc-3"]
    assert [i.id for i in store.incidents()] == ["inc-3", "inc-2", "inc-1"]
    assert [i.id for i in store.incidents(limit=1, since=20.0)] == ["inc-3"]
    assert store.incidents(since=31.0) == []
    newest = store.last_incident("fp")
    assert newest is not None
    assert newest.id == "inc-2"
    assert store.last_incident("none") is None
    assert store.incident("none") is None


def test_a_second_write_of_the_same_id_replaces(store: Store) -> None:
    store.write(Changes(incidents=(incident(1), incident(1, at=5.0))))
    store.write(Changes(incidents=(incident(1, state=IncidentState.RESOLVED),)))
    assert store.active_incidents() == []
    assert store.size()["incidents"] == 1


def test_executions_by_incident_target_runbook_and_time(store: Store) -> None:
    cart = TargetRef("Deployment", "shop", "cart")
    runs = (
        execution(1, at=10.0),
        execution(2, at=20.0, target=cart),
        execution(3, at=30.0, runbook="restart", incident_id="inc-9"),
    )
    store.write(Changes(executions=runs))
    assert [e.id for e in store.executions()] == ["exe-3", "exe-2", "exe-1"]
    assert [e.id for e in store.executions(target=str(cart))] == ["exe-2"]
    assert [e.id for e in store.executions(incident="inc-9")] == ["exe-3"]
    assert [e.id for e in store.executions(runbook="scale-out", since=15.0)] == ["exe-2"]
    assert [e.id for e in store.executions(limit=1)] == ["exe-3"]


def test_due_and_unfinished(store: Store) -> None:
    runs = (
        execution(1, at=1.0, due=300.0),
        execution(2, at=2.0, due=100.0, state=ExecutionState.VERIFYING),
        execution(3, at=3.0, due=50.0, state=ExecutionState.DONE),
        execution(4, at=4.0, due=200.0, state=ExecutionState.AWAITING_APPROVAL),
    )
    store.write(Changes(executions=runs))
    assert [e.id for e in store.unfinished()] == ["exe-1", "exe-2", "exe-4"]
    assert [e.id for e in store.due(200.0)] == ["exe-2", "exe-4"]
    assert [e.id for e in store.due(1000.0, limit=1)] == ["exe-2"]


def test_unfinished_by_target_and_by_state(store: Store) -> None:
    """By every target of a plan, the context too; a run that is done works on nothing any more."""
    cart, node, far = TargetRef("Deployment", "shop", "cart"), TargetRef("Node", "", "n1"), TargetRef("Deployment", "shop", "cart", "east")
    long = TargetRef("Deployment", "shop", "x" * 3000)
    several = execution(2, at=2.0, target=cart)
    undo = PlannedUndo(UndoMode.OWN, "uncordon", target=node)
    several = replace(several, plan=replace(several.plan, steps=(replace(several.plan.steps[0], target=far, undo=undo),)))
    runs = (
        execution(1, at=1.0, target=cart, state=ExecutionState.AWAITING_APPROVAL), several, execution(3, at=3.0, target=cart, state=ExecutionState.DONE),
        execution(4, at=4.0, target=long),
    )
    store.write(Changes(executions=runs))
    asked = (cart, node, far, long, TargetRef("Deployment", "shop", "x" * 2999))
    assert [[e.id for e in store.unfinished(targets=(target,))] for target in asked] == [["exe-1", "exe-2"], ["exe-2"], ["exe-2"], ["exe-4"], []]
    assert [e.id for e in store.unfinished(targets=(far, long, cart))] == ["exe-1", "exe-2", "exe-4"]
    assert store.unfinished(targets=()) == []
    assert store.unfinished_states() == {"awaiting-approval": 1, "running": 2}
    store.write(Changes(executions=(replace(several, state=ExecutionState.DONE), replace(runs[0], updated_at=9.0))))
    assert [e.id for e in store.unfinished(targets=(cart, node, far))] == ["exe-1"]
    assert store.size()["targets"] == 2


def test_decisions_that_repeat_are_counted(store: Store) -> None:
    for n in range(100):
        store.write(Changes(decisions=(decision(1000.0 + n, detail=f"try {n}"), decision(1000.0 + n, subject="restart", reason="Cooldown"))))
    kept = store.decisions(target="shop/deployment/checkout")
    assert {(d.subject, d.count, d.at, d.last_at, d.detail) for d in kept} == {
        ("scale-out", 100, 1000.0, 1099.0, "try 99"),
        ("restart", 100, 1000.0, 1099.0, ""),
    }


def test_a_decision_with_another_reason_target_or_after_a_gap_is_a_new_one(store: Store) -> None:
    store.write(Changes(decisions=(decision(1000.0), decision(1000.0, reason="Cooldown"), decision(1000.0, target="x"))))
    store.write(Changes(decisions=(decision(1060.0),)))
    store.write(Changes(decisions=(decision(1121.0),)))
    assert [(d.reason, d.target, d.at, d.count) for d in reversed(store.decisions())] == [
        ("Cooldown", "shop/deployment/checkout", 1000.0, 1),
        ("NoMatch", "x", 1000.0, 1),
        ("NoMatch", "shop/deployment/checkout", 1000.0, 2),
        ("NoMatch", "shop/deployment/checkout", 1121.0, 1),
    ]


def test_an_endless_repetition_begins_a_new_row_each_hour(store: Store) -> None:
    for at in range(0, 3 * 3600, 50):
        store.write(Changes(decisions=(decision(float(at)),)))
    kept = store.decisions()
    assert sum(d.count for d in kept) == 216
    assert len(kept) == 3


def test_repetitions_within_one_write_fold_too(store: Store) -> None:
    store.write(Changes(decisions=tuple(decision(1000.0 + n) for n in range(5))))
    assert [(d.count, d.at, d.last_at) for d in store.decisions()] == [(5, 1000.0, 1004.0)]


def test_decisions_filters_must_all_match(store: Store) -> None:
    store.write(Changes(decisions=(decision(1000.0), decision(2000.0, target="x"), decision(3000.0))))
    assert [d.at for d in store.decisions(target="shop/deployment/checkout")] == [3000.0, 1000.0]
    assert [d.at for d in store.decisions(target="shop/deployment/checkout", since=1500.0)] == [3000.0]
    assert store.decisions(target="x", incident="inc-1") == []
    assert len(store.decisions(limit=2)) == 2


def test_signals_of_an_incident_newest_first_and_apart_from_dropped_ones(store: Store) -> None:
    claims = [Signal(f"s{n}", "r", "d", SignalKind.METRIC, SignalState.FIRING, Severity.INFO, float(n), "x", {}, None, "") for n in range(4)]
    store.write(Changes(signals=(("inc-1", claims[0]), ("", claims[1]), ("inc-1", claims[3]), ("inc-1", claims[2]))))
    assert [s.id for s in store.signals("inc-1")] == ["s3", "s2", "s0"]
    assert [s.id for s in store.signals("inc-1", limit=1)] == ["s3"]
    assert [s.id for s in store.signals("")] == ["s1"]


def test_silences_in_force(store: Store) -> None:
    store.write(Changes(silences=(Silence("a", {}, 10.0, 20.0, "me"), Silence("b", {}, 15.0, 30.0, "me"))))
    assert [s.id for s in store.silences(9.9)] == []
    assert [s.id for s in store.silences(10.0)] == ["a"]
    assert [s.id for s in store.silences(15.0)] == ["a", "b"]
    assert [s.id for s in store.silences(20.0)] == ["b"]


def test_the_last_mark_of_a_review_wins(store: Store) -> None:
    store.write(Changes(executions=(execution(1), execution(2))))
    store.write(Changes(reviews=(Review("exe-1", ReviewVerdict.RIGHT, "ann", 1.0), Review("exe-2", ReviewVerdict.RIGHT, "ann", 2.0))))
    store.write(Changes(reviews=(Review("exe-1", ReviewVerdict.WRONG, "bob", 3.0),)))
    assert [(r.execution, r.verdict) for r in store.reviews()] == [("exe-1", ReviewVerdict.WRONG), ("exe-2", ReviewVerdict.RIGHT)]
    assert len(store.reviews("exe-1")) == 1


def test_commands_wait_until_done(store: Store) -> None:
    first = Command("c1", CommandKind.PAUSE, "", "ann", 1.0)
    second = Command("c2", CommandKind.RESUME, "", "ann", 2.0)
    store.write(Changes(commands=(second, first)))
    assert [c.id for c in store.commands()] == ["c1", "c2"]
    store.write(Changes(commands=(Command("c1", CommandKind.PAUSE, "", "ann", 1.0, done=True, accepted=True, result="ok"),)))
    assert [c.id for c in store.commands()] == ["c2"]
    assert [c.id for c in store.commands(pending=False)] == ["c1", "c2"]


def test_a_journal_of_an_unknown_execution_is_refused_and_nothing_of_the_change_is_kept(store: Store) -> None:
    with pytest.raises(StoreError, match="execution"):
        store.write(Changes(incidents=(incident(1),), entries=(JournalEntry("exe-none", EntryKind.INTENT, 1.0),)))
    assert store.incident("inc-1") is None


def test_a_hostile_length_is_kept_apart_and_found_again(store: Store) -> None:
    """No index may refuse it, or whatever holds it would fail at each poll. Digits of a random seed: what compresses well would prove nothing."""
    long, other = ("".join(random.Random(seed).choices(string.printable[:94], k=20_000)) for seed in (1, 2))
    store.write(Changes(decisions=(decision(1000.0, target=long, subject=long, reason=long, detail=long), decision(1000.0, target=long + "x"), decision(1000.0, target=other))))
    store.write(Changes(incidents=(incident(1, fingerprint=long),), values={long: 1, other: 2}))
    assert [d.detail for d in store.decisions(target=long)] == [long]
    assert len(store.decisions(target=long + "x")) == 1
    assert (store.value(long), store.value(other), store.value(long + "x")) == (1, 2, None)
    assert store.last_incident(long) == incident(1, fingerprint=long)
    assert store.last_incident(other) is None


def test_size_counts_rows(store: Store) -> None:
    store.write(Changes(incidents=(incident(1), incident(2)), executions=(execution(1),)))
    size = store.size()
    assert (size["incidents"], size["executions"], size["outbox"]) == (2, 1, 0)


def test_check_passes_on_a_healthy_store(store: Store) -> None:
    store.check()
    store.check()

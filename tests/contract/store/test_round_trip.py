"""What is written comes back equal, for every domain type and for hostile text."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.domain.command import Command
from aiops.domain.errors import StoreError
from aiops.domain.execution import Execution, JournalEntry, Review
from aiops.domain.incident import Incident, Silence
from aiops.domain.message import Message, MessageKind
from aiops.domain.signal import Evidence, Severity, Signal, SignalKind, SignalState
from aiops.ports.storage import Changes, Store
from tests.contract.store.shapes import any_of, decision, execution, incident, json_values, texts

# One store serves all examples of a test: each replaces or adds rows under ids that the examples give.
examples = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@examples
@given(value=any_of(Incident))
def test_incident(store: Store, value: Incident) -> None:
    store.write(Changes(incidents=(value,)))
    assert store.incident(value.id) == value


@examples
@given(value=any_of(Execution))
def test_execution(store: Store, value: Execution) -> None:
    store.write(Changes(executions=(value,)))
    assert store.execution(value.id) == value


@examples
@given(value=any_of(Signal), of=texts)
def test_signal(store: Store, value: Signal, of: str) -> None:
    store.write(Changes(signals=((of, value),)))
    assert value in store.signals(of, limit=100_000)


@examples
@given(value=any_of(JournalEntry), more=any_of(JournalEntry))
def test_journal_keeps_the_order_of_writing(store: Store, value: JournalEntry, more: JournalEntry) -> None:
    run = execution()
    store.write(Changes(executions=(run,)))
    before = list(store.journal(run.id))
    lines = [JournalEntry(run.id, e.kind, e.at, e.step, e.attempt, e.data) for e in (value, more)]
    store.write(Changes(entries=tuple(lines)))
    assert list(store.journal(run.id)) == before + lines


@examples
@given(value=any_of(Message))
def test_message(store: Store, value: Message) -> None:
    # A key of its own: an equal key with an equal text would be the same message.
    value = replace(value, key=f"{store.size()['outbox']} {value.key}", kind=MessageKind.UPDATE)
    store.write(Changes(messages=(value,)))
    assert value in [m for m, _ in store.messages(limit=100_000)]


@examples
@given(value=any_of(Silence), review=any_of(Review), command=any_of(Command))
def test_what_people_write(store: Store, value: Silence, review: Review, command: Command) -> None:
    run = execution()
    mark = Review(run.id, review.verdict, review.by, review.at, review.note)
    store.write(Changes(executions=(run,), silences=(value,), reviews=(mark,), commands=(command,)))
    assert store.reviews(run.id) == [mark]
    assert command in store.commands(pending=not command.done, limit=100_000)
    if value.starts_at < value.ends_at:
        assert value in store.silences(value.starts_at)


@examples
@given(name=texts, value=json_values)
def test_small_documents(store: Store, name: str, value: Any) -> None:
    store.write(Changes(values={name: value}))
    assert store.value(name) == value
    store.write(Changes(values={name: None}))
    assert store.value(name) is None


@examples
@given(text=st.text(max_size=20))
def test_any_text_can_be_stored_and_asked_for(store: Store, text: str) -> None:
    """Label values are hostile: lone surrogates and NUL must not stop the writer; they are replaced, in questions too."""
    store.write(Changes(decisions=(decision(target=text, detail=text),), incidents=(incident(fingerprint=text),), values={text: {text: [text]}}))
    assert store.decisions(target=text)
    assert store.last_incident(text) is not None
    assert store.value(text) is not None


def test_numbers_that_are_none_become_null_where_the_type_allows_it(store: Store) -> None:
    evidence = Evidence(values=(1.0, float("nan"), None), value=float("inf"))
    signal = Signal("s", "r", "d", SignalKind.METRIC, SignalState.FIRING, Severity.INFO, 1.0, "x", {}, None, "", evidence)
    store.write(Changes(signals=(("inc-1", signal),), values={"n": [float("-inf"), np.float64(2.5), np.int64(3), MappingProxyType({"a": 1})]}))
    kept = store.signals("inc-1")[0].evidence
    assert (kept.values, kept.value) == ((1.0, None, None), None)
    assert store.value("n") == [None, 2.5, 3, {"a": 1}]


@pytest.mark.parametrize(
    "changes",
    [
        Changes(incidents=(incident(at=float("nan")),)),
        Changes(decisions=(decision(at=float("inf")),)),
        Changes(values={"x": object()}),
        Changes(silences=(Silence("s", {}, 0.0, float("inf"), "me"),)),
    ],
)
def test_what_could_not_be_read_again_is_refused_whole(store: Store, changes: Changes) -> None:
    with pytest.raises(StoreError):
        store.write(Changes(incidents=(incident(7), *changes.incidents), decisions=changes.decisions, values=changes.values, silences=changes.silences))
    assert store.incident("inc-7") is None

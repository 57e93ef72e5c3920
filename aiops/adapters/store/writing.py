"""One `Changes` as rows: prepared (encoded, checked) before the transaction begins, applied inside it.

Neighbours: `sql_store` calls both halves, `outbox` does the messages, `folding` the decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from aiops.adapters.store import folding, outbox, tables
from aiops.adapters.store.codec import clean, document, encode, key_text
from aiops.domain.command import Command
from aiops.domain.execution import Execution, ExecutionState, JournalEntry, Review
from aiops.domain.incident import Incident, Silence
from aiops.domain.signal import Signal
from aiops.ports.storage import Changes

Row = dict[str, Any]

_TARGETS = insert(tables.targets)
_NO_TARGETS = delete(tables.targets).where(tables.targets.c.execution.in_(bindparam("runs", expanding=True)))


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows for each table that replaces by key, and what needs a look at the table first."""

    replaced: tuple[tuple[Table, list[Row]], ...]
    runs: list[str]
    targets: list[Row]
    signals: list[Row]
    journal: Mapping[str, list[Row]]
    decisions: list[Row]
    messages: list[Row]
    deleted_values: list[str]


def prepare(changes: Changes) -> Prepared:
    """Everything that can be refused without the database is refused here. Raises StoreError."""
    kept = {key_text(name): value for name, value in changes.values.items()}
    entries: dict[str, list[Row]] = {}
    for entry in changes.entries:
        entries.setdefault(clean(entry.execution), []).append(_entry(entry))
    return Prepared(
        replaced=(
            (tables.incidents, _last(_incident(i) for i in changes.incidents)),
            (tables.executions, _last(_execution(e) for e in changes.executions)),
            (tables.silences, _last(_silence(s) for s in changes.silences)),
            (tables.reviews, _last((_review(r) for r in changes.reviews), key="execution")),
            (tables.commands, _last(_command(c) for c in changes.commands)),
            (tables.documents, [{"name": n, "document": encode(v)} for n, v in kept.items() if v is not None]),
        ),
        runs=list({clean(e.id): None for e in changes.executions}),
        targets=[row for e in {clean(e.id): e for e in changes.executions}.values() for row in _targets(e)],
        signals=[_signal(incident, signal) for incident, signal in changes.signals],
        journal=entries,
        decisions=[folding.row(d) for d in changes.decisions],
        messages=[outbox.row(m) for m in changes.messages],
        deleted_values=[n for n, v in kept.items() if v is None],
    )


def apply(connection: Connection, prepared: Prepared) -> None:
    """Write all of it; the caller's transaction makes it one change."""
    for table, rows in prepared.replaced:
        upsert(connection, table, rows)
    if prepared.runs:
        connection.execute(_NO_TARGETS, {"runs": prepared.runs})
    if prepared.targets:
        connection.execute(_TARGETS, prepared.targets)
    if prepared.signals:
        connection.execute(insert(tables.signals), prepared.signals)
    for execution, rows in prepared.journal.items():
        _append(connection, execution, rows)
    folding.store(connection, prepared.decisions)
    for message in prepared.messages:
        outbox.enqueue(connection, message)
    if prepared.deleted_values:
        connection.execute(delete(tables.documents).where(tables.documents.c.name.in_(prepared.deleted_values)))


def upsert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert, or replace the row of the same primary key."""
    if rows:
        connection.execute(_upsert(table, connection.dialect.name), list(rows))


@cache
def _upsert(table: Table, dialect: str) -> Any:
    """Built once: making the statement costs more than carrying it out."""
    statement: Any = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    keys = [c.name for c in table.primary_key]
    changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed) if changed else statement.on_conflict_do_nothing(index_elements=keys)


def _append(connection: Connection, execution: str, rows: list[Row]) -> None:
    table = tables.journal
    last = connection.execute(select(func.max(table.c.number)).where(table.c.execution == execution)).scalar() or 0
    connection.execute(insert(table), [{**row, "number": last + n} for n, row in enumerate(rows, 1)])


def _last(rows: Any, key: str = "id") -> list[Row]:
    """One row for each key, the last one: a statement may not touch the same row twice (PostgreSQL refuses)."""
    return list({row[key]: row for row in rows}.values())


def _incident(incident: Incident) -> Row:
    return {
        "id": clean(incident.id),
        "fingerprint": key_text(incident.fingerprint),
        "active": incident.active,
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "document": document(incident),
    }


def _signal(incident: str, signal: Signal) -> Row:
    return {"incident": clean(incident), "at": signal.at, "document": document(signal)}


def _execution(execution: Execution) -> Row:
    return {
        "id": clean(execution.id),
        "incident": key_text(execution.plan.incident),
        "runbook": key_text(execution.plan.runbook),
        "target": key_text(execution.target),
        "state": execution.state.value,
        "finished": execution.state is ExecutionState.DONE,
        "created_at": execution.created_at,
        "updated_at": execution.updated_at,
        "due_at": execution.due_at,
        "document": document(execution),
    }


def _targets(execution: Execution) -> list[Row]:
    """A row for each target, for as long as the run is not done."""
    if execution.state is ExecutionState.DONE:
        return []
    return [{"execution": clean(execution.id), "target": target} for target in dict.fromkeys(key_text(str(t)) for t in execution.plan.targets)]


def _entry(entry: JournalEntry) -> Row:
    return {"execution": clean(entry.execution), "kind": entry.kind.value, "at": entry.at, "document": document(entry)}


def _silence(silence: Silence) -> Row:
    return {"id": clean(silence.id), "starts_at": silence.starts_at, "ends_at": silence.ends_at, "document": document(silence)}


def _review(review: Review) -> Row:
    return {"execution": clean(review.execution), "at": review.at, "document": document(review)}


def _command(command: Command) -> Row:
    return {"id": clean(command.id), "at": command.at, "done": command.done, "document": document(command)}

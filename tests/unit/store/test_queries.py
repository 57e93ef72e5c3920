"""What the store asks of a database: by index where tables grow, and in a form that PostgreSQL takes too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from aiops.adapters.store import SqlStore, folding, open_store, writing
from aiops.adapters.store.sqlite import SqliteDatabase
from aiops.adapters.store.tables import metadata
from aiops.domain.target import TargetRef
from aiops.ports.storage import Changes, Store
from tests.contract.store.shapes import TARGET, decision, execution, incident, message

GROWING = ("incidents", "signals", "decisions", "executions", "journal", "outbox", "targets")

ASKED: dict[str, Callable[[Store], Any]] = {
    "incident": lambda s: s.incident("x"),
    "active_incidents": lambda s: s.active_incidents(),
    "incidents": lambda s: s.incidents(since=5.0),
    "last_incident": lambda s: s.last_incident("x"),
    "signals": lambda s: s.signals("x"),
    "decisions": lambda s: s.decisions(since=5.0),
    "decisions of a target": lambda s: s.decisions(target="x"),
    "decisions of an incident": lambda s: s.decisions(incident="x"),
    "decisions of a run": lambda s: s.decisions(execution="x"),
    "execution": lambda s: s.execution("x"),
    "executions": lambda s: s.executions(since=5.0),
    "executions of a target": lambda s: s.executions(target="x"),
    "executions of an incident": lambda s: s.executions(incident="x"),
    "executions of a runbook": lambda s: s.executions(runbook="x"),
    "unfinished": lambda s: s.unfinished(),
    "unfinished on targets": lambda s: s.unfinished(targets=(TARGET, TargetRef("Node", "", "n1"))),
    "unfinished_states": lambda s: s.unfinished_states(),
    "due": lambda s: s.due(5.0),
    "journal": lambda s: s.journal("x"),
    "messages": lambda s: s.messages(),
    "messages of an incident": lambda s: s.messages("x"),
    "messages_due": lambda s: s.messages_due(5.0),
    "write": lambda s: s.write(Changes(incidents=(incident(1),), decisions=(decision(1.0),), executions=(execution(1),), messages=(message(),))),
}


@pytest.fixture(scope="module")
def store() -> SqlStore:
    return open_store("sqlite:///:memory:")


@pytest.mark.parametrize("name", ASKED)
def test_no_growing_table_is_read_from_end_to_end(store: SqlStore, name: str) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
            asked.append((statement, parameters[0] if many else parameters))

    assert isinstance(store._database, SqliteDatabase)
    engine = store._database._writer
    event.listen(engine, "before_cursor_execute", note)
    ASKED[name](store)
    event.remove(engine, "before_cursor_execute", note)
    assert asked
    with store._database.reading() as connection:
        for statement, parameters in asked:
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                words = step.detail.split()
                assert not (words[0] == "SCAN" and words[1] in (*GROWING, "before") and "INDEX" not in words), f"{statement}: {step.detail}"


def test_tables_and_statements_are_of_a_form_that_postgresql_takes() -> None:
    dialect = postgresql.dialect()
    for table in metadata.sorted_tables:
        text = str(CreateTable(table).compile(dialect=dialect))
        assert "DOUBLE PRECISION" in text or "TEXT" in text
        for index in table.indexes:
            assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=dialect))
            assert index.name is not None
            assert len(index.name) <= 63
        assert "ON CONFLICT" in str(writing._upsert(table, "postgresql").compile(dialect=dialect))
    signals = str(CreateTable(metadata.tables["signals"]).compile(dialect=dialect))
    assert "BIGSERIAL" in signals
    for statement in (folding._FIND, folding._REPEAT, folding._ADD):
        assert str(statement.compile(dialect=dialect))

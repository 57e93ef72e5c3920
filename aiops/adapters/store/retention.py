"""Deleting what is old, in small transactions, so that a writer never waits long.

Never deleted: active incidents with their signals and messages, unfinished executions with their journal, undelivered messages, commands
that wait, leases that are held. Neighbours: `sql_store.purge`; the settings say how long each table is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, Table, and_, delete, exists, func, select

from aiops.adapters.store import tables
from aiops.adapters.store.engine import Database
from aiops.adapters.store.outbox import PENDING
from aiops.domain.errors import StoreError

BATCH = 1000

_I, _E, _O = tables.incidents, tables.executions, tables.outbox

Old = Callable[[float], ColumnElement[bool]]


def _of_active(column: ColumnElement[str]) -> ColumnElement[bool]:
    other = _I.alias("active_incident")
    return exists().where(other.c.id == column, other.c.active.is_(True))


_RULES: Mapping[str, tuple[Table, Old]] = {
    "incidents": (
        _I,
        lambda cut: and_(
            _I.c.active.is_(False),
            _I.c.updated_at < cut,
            ~exists().where(_E.c.incident == _I.c.id, _E.c.finished.is_(False)),
            ~exists().where(_O.c.incident == _I.c.id, _O.c.state == PENDING),
        ),
    ),
    "signals": (tables.signals, lambda cut: and_(tables.signals.c.at < cut, ~_of_active(tables.signals.c.incident))),
    "decisions": (tables.decisions, lambda cut: tables.decisions.c.last_at < cut),
    "executions": (_E, lambda cut: and_(_E.c.finished.is_(True), _E.c.updated_at < cut)),
    "outbox": (_O, lambda cut: and_(_O.c.state != PENDING, _O.c.changed_at < cut, ~_of_active(_O.c.incident))),
    "silences": (tables.silences, lambda cut: tables.silences.c.ends_at < cut),
    "reviews": (tables.reviews, lambda cut: tables.reviews.c.at < cut),
    "commands": (tables.commands, lambda cut: and_(tables.commands.c.done.is_(True), tables.commands.c.at < cut)),
    "leases": (tables.leases, lambda cut: tables.leases.c.expires_at < cut),
}
NAMES = frozenset(_RULES)
"""What `keep` may name. The journal goes with its execution, a thread with its incident."""


def purge(database: Database, now: float, keep: Mapping[str, float]) -> dict[str, int]:
    """Rows deleted for each named table, journal and threads too. Raises StoreError for a name that is none, before anything is deleted."""
    unknown = sorted(set(keep) - NAMES)
    if unknown:
        raise StoreError(f"no such table to purge: {', '.join(unknown)}; allowed are {', '.join(sorted(NAMES))}")
    deleted: dict[str, int] = {}
    for name, seconds in keep.items():
        table, old = _RULES[name]
        condition = old(now - seconds)
        deleted[name] = 0
        while True:
            count = _batch(database, table, condition, deleted)
            deleted[name] += count
            if count < BATCH:
                break
    return deleted


def _batch(database: Database, table: Table, condition: ColumnElement[bool], deleted: dict[str, int]) -> int:
    """Delete at most `BATCH` rows, and with them what depends on them, in one transaction."""
    key = next(iter(table.primary_key))
    with database.writing() as connection:
        ids = list(connection.execute(select(key).where(condition).limit(BATCH)).scalars())
        if not ids:
            return 0
        if table is _E:
            journal = tables.journal
            lines = connection.execute(select(func.count()).select_from(journal).where(journal.c.execution.in_(ids))).scalar_one()
            deleted["journal"] = deleted.get("journal", 0) + int(lines)
        if table is _I:
            gone = connection.execute(delete(tables.threads).where(tables.threads.c.incident.in_(ids)))
            deleted["threads"] = deleted.get("threads", 0) + gone.rowcount
        connection.execute(delete(table).where(key.in_(ids)))
        return len(ids)

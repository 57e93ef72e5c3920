"""What pages, terminal and stages ask. Neighbours: `sql_store` adds writing to it; `codec` and `outbox` decode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func, select

from aiops.adapters.store import folding, outbox, tables
from aiops.adapters.store.codec import clean, decode, decode_any
from aiops.adapters.store.engine import Database
from aiops.domain.command import Command
from aiops.domain.decision import Decision
from aiops.domain.execution import Execution, JournalEntry, Review
from aiops.domain.incident import Incident, Silence
from aiops.domain.message import Message, Thread
from aiops.domain.signal import Signal

T = TypeVar("T")

_INTERNAL = frozenset({"counters"})


class SqlReading:
    """The port's `Reading` on a database; each call is one consistent picture."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def incident(self, incident_id: str) -> Incident | None:
        """One by id."""
        return self._one(Incident, select(tables.incidents.c.document).where(tables.incidents.c.id == clean(incident_id)))

    def active_incidents(self) -> Sequence[Incident]:
        """All that are not resolved, oldest first."""
        t = tables.incidents
        return self._all(Incident, select(t.c.document).where(t.c.active.is_(True)).order_by(t.c.opened_at, t.c.id))

    def incidents(self, *, limit: int = 100, since: float = 0.0) -> Sequence[Incident]:
        """By `updated_at`, newest first."""
        t = tables.incidents
        return self._all(Incident, select(t.c.document).where(t.c.updated_at >= since).order_by(t.c.updated_at.desc(), t.c.id.desc()).limit(limit))

    def last_incident(self, fingerprint: str) -> Incident | None:
        """The newest of this fingerprint, resolved or not."""
        t = tables.incidents
        query = select(t.c.document).where(t.c.fingerprint == clean(fingerprint)).order_by(t.c.opened_at.desc(), t.c.updated_at.desc())
        return self._one(Incident, query.limit(1))

    def signals(self, incident_id: str, *, limit: int = 200) -> Sequence[Signal]:
        """The history of claims of an incident, newest first."""
        t = tables.signals
        query = select(t.c.document).where(t.c.incident == clean(incident_id))
        return self._all(Signal, query.order_by(t.c.at.desc(), t.c.seq.desc()).limit(limit))

    def decisions(self, *, target: str = "", incident: str = "", execution: str = "", since: float = 0.0, limit: int = 500) -> Sequence[Decision]:
        """By time of the last repetition, newest first; each given filter must match."""
        t = tables.decisions
        query = select(t).where(t.c.last_at >= since)
        for column, value in ((t.c.target, target), (t.c.incident, incident), (t.c.execution, execution)):
            if value:
                query = query.where(column == clean(value))
        with self._database.reading() as connection:
            return [folding.read(r) for r in connection.execute(query.order_by(t.c.last_at.desc(), t.c.seq.desc()).limit(limit))]

    def execution(self, execution_id: str) -> Execution | None:
        """One by id."""
        return self._one(Execution, select(tables.executions.c.document).where(tables.executions.c.id == clean(execution_id)))

    def executions(self, *, incident: str = "", target: str = "", runbook: str = "", since: float = 0.0, limit: int = 200) -> Sequence[Execution]:
        """By `created_at`, newest first."""
        t = tables.executions
        query = select(t.c.document).where(t.c.created_at >= since)
        for column, value in ((t.c.target, target), (t.c.incident, incident), (t.c.runbook, runbook)):
            if value:
                query = query.where(column == clean(value))
        return self._all(Execution, query.order_by(t.c.created_at.desc(), t.c.id.desc()).limit(limit))

    def unfinished(self) -> Sequence[Execution]:
        """Every run that is not DONE, oldest first."""
        t = tables.executions
        return self._all(Execution, select(t.c.document).where(t.c.finished.is_(False)).order_by(t.c.created_at, t.c.id))

    def due(self, now: float, limit: int = 100) -> Sequence[Execution]:
        """Unfinished with `due_at <= now`, by `due_at`."""
        t = tables.executions
        query = select(t.c.document).where(t.c.finished.is_(False), t.c.due_at <= now)
        return self._all(Execution, query.order_by(t.c.due_at, t.c.id).limit(limit))

    def journal(self, execution_id: str) -> Sequence[JournalEntry]:
        """In order of writing."""
        t = tables.journal
        return self._all(JournalEntry, select(t.c.document).where(t.c.execution == clean(execution_id)).order_by(t.c.number))

    def silences(self, now: float) -> Sequence[Silence]:
        """Those in force at `now`."""
        t = tables.silences
        return self._all(Silence, select(t.c.document).where(t.c.starts_at <= now, t.c.ends_at > now).order_by(t.c.ends_at, t.c.id))

    def reviews(self, execution_id: str = "") -> Sequence[Review]:
        """All, or of one execution."""
        t = tables.reviews
        query = select(t.c.document).order_by(t.c.at.desc(), t.c.execution)
        return self._all(Review, query.where(t.c.execution == clean(execution_id)) if execution_id else query)

    def messages_due(self, now: float, limit: int = 50) -> Sequence[Message]:
        """Undelivered and due; for each incident and channel in order of `sequence`, the root of a thread before what goes into it."""
        with self._database.reading() as connection:
            return outbox.due(connection, now, limit)

    def messages(self, incident: str = "", limit: int = 100) -> Sequence[tuple[Message, str]]:
        """With their state, newest first."""
        with self._database.reading() as connection:
            return outbox.listed(connection, incident, limit)

    def thread(self, incident: str, channel: str) -> Thread | None:
        """Where the root message stands, once delivered."""
        t = tables.threads
        with self._database.reading() as connection:
            found = connection.execute(select(t).where(t.c.incident == clean(incident), t.c.channel == clean(channel))).first()
        return None if found is None else Thread(found.incident, found.channel, found.place, found.reference)

    def commands(self, *, pending: bool = True, limit: int = 100) -> Sequence[Command]:
        """Oldest first."""
        t = tables.commands
        query = select(t.c.document).order_by(t.c.at, t.c.id).limit(limit)
        return self._all(Command, query.where(t.c.done.is_(False)) if pending else query)

    def value(self, name: str) -> Any:
        """A small JSON document, or None."""
        t = tables.documents
        with self._database.reading() as connection:
            text = connection.execute(select(t.c.document).where(t.c.name == clean(name))).scalar()
        return None if text is None else decode_any(text)

    def size(self) -> Mapping[str, int]:
        """Rows for each table."""
        with self._database.reading() as connection:
            return {
                t.name: int(connection.execute(select(func.count()).select_from(t)).scalar_one())
                for t in tables.metadata.sorted_tables
                if t.name not in _INTERNAL
            }

    def _one(self, kind: type[T], query: Select[Any]) -> T | None:
        with self._database.reading() as connection:
            text = connection.execute(query).scalar()
        return None if text is None else decode(kind, text)

    def _all(self, kind: type[T], query: Select[Any]) -> list[T]:
        with self._database.reading() as connection:
            texts = connection.execute(query).scalars().all()
        return [decode(kind, text) for text in texts]

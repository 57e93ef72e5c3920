"""What pages, terminal and stages ask. Neighbours: `sql_store` adds writing to it; `codec` and `outbox` decode.

Statements are built once: building one costs several times what carrying it out does. What the engine asks each second (is a run due, a message,
a command?) is asked of the database only when something changed since the last empty answer, or when the time that it named has come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, TypeVar, cast

from sqlalchemy import BindParameter, Connection, Executable, Select, Table, bindparam, func, literal, select, union_all

from aiops.adapters.store import folding, outbox, tables
from aiops.adapters.store.codec import clean, decode, decode_any, key_text
from aiops.adapters.store.engine import Database
from aiops.domain.command import Command
from aiops.domain.decision import Decision
from aiops.domain.execution import Execution, JournalEntry, Review
from aiops.domain.incident import Incident, Silence
from aiops.domain.message import Message, Thread
from aiops.domain.signal import Signal
from aiops.domain.target import TargetRef

T = TypeVar("T")

_INTERNAL = frozenset({"counters"})
_ID: BindParameter[str] = bindparam("id")
_NOW: BindParameter[float] = bindparam("now")
_SINCE: BindParameter[float] = bindparam("since")
_MOST: BindParameter[int] = bindparam("most")


def _documents(table: Table) -> Select[Any]:
    return select(table.c.document)


def _by_id(table: Table) -> Select[Any]:
    return _documents(table).where(table.c.id == _ID)


_I, _E, _S, _R, _C, _D, _H = (
    tables.incidents, tables.executions, tables.silences, tables.reviews, tables.commands, tables.documents, tables.threads,
)  # fmt: skip
_INCIDENT, _EXECUTION = _by_id(_I), _by_id(_E)
_ACTIVE = _documents(_I).where(_I.c.active.is_(True)).order_by(_I.c.opened_at, _I.c.id)
_INCIDENTS = _documents(_I).where(_I.c.updated_at >= _SINCE).order_by(_I.c.updated_at.desc(), _I.c.id.desc()).limit(_MOST)
_LAST_INCIDENT = _documents(_I).where(_I.c.fingerprint == _ID).order_by(_I.c.opened_at.desc(), _I.c.updated_at.desc()).limit(1)
_SIGNALS = (
    _documents(tables.signals).where(tables.signals.c.incident == _ID).order_by(tables.signals.c.at.desc(), tables.signals.c.seq.desc()).limit(_MOST)
)
_UNFINISHED = _documents(_E).where(_E.c.finished.is_(False)).order_by(_E.c.created_at, _E.c.id)
_ON: BindParameter[Any] = bindparam("on", expanding=True)
_AT_WORK_ON = _UNFINISHED.where(_E.c.id.in_(select(tables.targets.c.execution).where(tables.targets.c.target.in_(_ON))))
_STATES = select(_E.c.state, func.count().label("runs")).where(_E.c.finished.is_(False)).group_by(_E.c.state)
_DUE = _documents(_E).where(_E.c.finished.is_(False), _E.c.due_at <= _NOW).order_by(_E.c.due_at, _E.c.id).limit(_MOST)
_NEXT_DUE = select(func.min(_E.c.due_at)).where(_E.c.finished.is_(False))
_JOURNAL = _documents(tables.journal).where(tables.journal.c.execution == _ID).order_by(tables.journal.c.number)
_SILENCES = _documents(_S).where(_S.c.starts_at <= _NOW, _S.c.ends_at > _NOW).order_by(_S.c.ends_at, _S.c.id)
_NEXT_SILENCE = select(func.min(_S.c.starts_at)).where(_S.c.ends_at > _NOW)
_REVIEWS = _documents(_R).order_by(_R.c.at.desc(), _R.c.execution)
_REVIEWS_OF = _REVIEWS.where(_R.c.execution == _ID)
_THREAD = select(_H).where(_H.c.incident == _ID, _H.c.channel == bindparam("channel"))
_COMMANDS = _documents(_C).order_by(_C.c.at, _C.c.id).limit(_MOST)
_COMMANDS_PENDING = _COMMANDS.where(_C.c.done.is_(False))
_VALUE = _documents(_D).where(_D.c.name == _ID)
_SIZES = union_all(
    *(select(literal(t.name).label("name"), func.count().label("rows")).select_from(t) for t in tables.metadata.sorted_tables if t.name not in _INTERNAL)
)


@cache
def _decisions(filters: tuple[str, ...]) -> Select[Any]:
    """Decisions for which each of these columns has the value bound under its name."""
    t = tables.decisions
    query = select(t).where(t.c.last_at >= _SINCE, *(t.c[name] == bindparam(name) for name in filters))
    return query.order_by(t.c.last_at.desc(), t.c.seq.desc()).limit(_MOST)


@cache
def _executions(filters: tuple[str, ...]) -> Select[Any]:
    """The same for executions."""
    query = _documents(_E).where(_E.c.created_at >= _SINCE, *(_E.c[name] == bindparam(name) for name in filters))
    return query.order_by(_E.c.created_at.desc(), _E.c.id.desc()).limit(_MOST)


class SqlReading:
    """The port's `Reading` on a database; each call is one consistent picture."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # By question: the stamp under which the answer was empty, and from when until when it stays so.
        self._empty: dict[str, tuple[object, float, float]] = {}
        # By question: the stamp, and the answer under it. Records are frozen, so they can be given out again.
        self._known: dict[str, tuple[object, Any]] = {}

    def incident(self, incident_id: str) -> Incident | None:
        """One by id."""
        return self._one(Incident, _INCIDENT, id=clean(incident_id))

    def active_incidents(self) -> Sequence[Incident]:
        """All that are not resolved, oldest first."""
        return self._all(Incident, _ACTIVE)

    def incidents(self, *, limit: int = 100, since: float = 0.0) -> Sequence[Incident]:
        """By `updated_at`, newest first."""
        return self._all(Incident, _INCIDENTS, since=since, most=limit)

    def last_incident(self, fingerprint: str) -> Incident | None:
        """The newest of this fingerprint, resolved or not."""
        return self._one(Incident, _LAST_INCIDENT, id=key_text(fingerprint))

    def signals(self, incident_id: str, *, limit: int = 200) -> Sequence[Signal]:
        """The history of claims of an incident, newest first."""
        return self._all(Signal, _SIGNALS, id=clean(incident_id), most=limit)

    def decisions(self, *, target: str = "", incident: str = "", execution: str = "", since: float = 0.0, limit: int = 500) -> Sequence[Decision]:
        """By time of the last repetition, newest first; each given filter must match."""
        given = _given(target=target, incident=incident, execution=execution)
        with self._database.reading() as connection:
            return [folding.read(r) for r in connection.execute(_decisions(tuple(given)), {**given, "since": since, "most": limit})]

    def execution(self, execution_id: str) -> Execution | None:
        """One by id."""
        return self._one(Execution, _EXECUTION, id=clean(execution_id))

    def executions(self, *, incident: str = "", target: str = "", runbook: str = "", since: float = 0.0, limit: int = 200) -> Sequence[Execution]:
        """By `created_at`, newest first."""
        given = _given(incident=incident, target=target, runbook=runbook)
        return self._all(Execution, _executions(tuple(given)), **given, since=since, most=limit)

    def unfinished(self, *, targets: Collection[TargetRef] | None = None) -> Sequence[Execution]:
        """Every run that is not DONE, oldest first; with `targets`, those that work on any of them."""
        if targets is not None:
            return self._all(Execution, _AT_WORK_ON, on=[key_text(str(target)) for target in targets])
        return list(self._unchanged("unfinished", lambda: self._all(Execution, _UNFINISHED)))

    def unfinished_states(self) -> Mapping[str, int]:
        """How many runs are in each state but DONE."""
        with self._database.reading() as connection:
            return {r.state: int(r.runs) for r in connection.execute(_STATES)}

    def due(self, now: float, limit: int = 100) -> Sequence[Execution]:
        """Unfinished with `due_at <= now`, by `due_at`."""
        return self._due("due", now, lambda c: _decoded(Execution, c, _DUE, {"now": now, "most": limit}), _NEXT_DUE)

    def journal(self, execution_id: str) -> Sequence[JournalEntry]:
        """In order of writing."""
        return self._all(JournalEntry, _JOURNAL, id=clean(execution_id))

    def silences(self, now: float) -> Sequence[Silence]:
        """Those in force at `now`."""
        return self._due("silences", now, lambda c: _decoded(Silence, c, _SILENCES, {"now": now}), _NEXT_SILENCE)

    def reviews(self, execution_id: str = "") -> Sequence[Review]:
        """All, or of one execution."""
        return self._all(Review, _REVIEWS_OF, id=clean(execution_id)) if execution_id else self._all(Review, _REVIEWS)

    def messages_due(self, now: float, limit: int = 50) -> Sequence[Message]:
        """Undelivered and due; for each incident and channel in order of `sequence`, the root of a thread before what goes into it."""
        if now == math.inf:
            return list(self._unchanged(f"messages {limit}", lambda: self._all_messages(limit)))
        return self._due("messages", now, lambda c: outbox.due(c, now, limit), outbox.NEXT_DUE)

    def _all_messages(self, limit: int) -> list[Message]:
        with self._database.reading() as connection:
            return outbox.due(connection, math.inf, limit)

    def messages(self, incident: str = "", limit: int = 100) -> Sequence[tuple[Message, str]]:
        """With their state, newest first."""
        with self._database.reading() as connection:
            return outbox.listed(connection, incident, limit)

    def thread(self, incident: str, channel: str) -> Thread | None:
        """Where the root message stands, once delivered."""
        with self._database.reading() as connection:
            found = connection.execute(_THREAD, {"id": clean(incident), "channel": clean(channel)}).first()
        return None if found is None else Thread(found.incident, found.channel, found.place, found.reference)

    def commands(self, *, pending: bool = True, limit: int = 100) -> Sequence[Command]:
        """Oldest first."""
        if not pending:
            return self._all(Command, _COMMANDS, most=limit)
        return self._due("commands", 0.0, lambda c: _decoded(Command, c, _COMMANDS_PENDING, {"most": limit}), None)

    def value(self, name: str) -> Any:
        """A small JSON document, or None."""
        with self._database.reading() as connection:
            text = connection.execute(_VALUE, {"id": key_text(name)}).scalar()
        return None if text is None else decode_any(text)

    def size(self) -> Mapping[str, int]:
        """Rows for each table."""
        with self._database.reading() as connection:
            return {r.name: int(r.rows) for r in connection.execute(_SIZES)}

    def _one(self, kind: type[T], query: Executable, **values: Any) -> T | None:
        with self._database.reading() as connection:
            text = connection.execute(query, values).scalar()
        return None if text is None else _record(kind, text)

    def _all(self, kind: type[T], query: Executable, **values: Any) -> list[T]:
        with self._database.reading() as connection:
            texts = connection.execute(query, values).scalars().all()
        return [_record(kind, text) for text in texts]

    def _due(self, question: str, now: float, ask: Callable[[Connection], list[T]], when: Executable | None) -> list[T]:
        """What `ask` finds. An empty answer stands while nothing changes and until the earliest time that `when` names (None: for good)."""
        # The stamp is read first: a change that comes after it makes the next stamp another one.
        stamp = self._database.stamp()
        known = self._empty.get(question)
        if known is not None and known[0] == stamp and known[1] <= now < known[2]:
            return []
        with self._database.reading() as connection:
            found = ask(connection)
            if not found:
                earliest = None if when is None else connection.execute(when, {"now": now}).scalar()
                self._empty[question] = (stamp, now, math.inf if earliest is None else earliest)
        return found

    def _unchanged(self, question: str, ask: Callable[[], T]) -> T:
        """What `ask` says, asked again only after a change."""
        stamp = self._database.stamp()
        known = self._known.get(question)
        if known is None or known[0] != stamp:
            known = self._known[question] = (stamp, ask())
        answer: T = known[1]
        return answer


def _given(**filters: str) -> dict[str, str]:
    """Those that are not empty, as they are stored."""
    return {name: key_text(value) for name, value in filters.items() if value}


def _decoded(kind: type[T], connection: Connection, query: Executable, values: Mapping[str, Any]) -> list[T]:
    return [_record(kind, text) for text in connection.execute(query, values).scalars().all()]


def _record(kind: type[T], text: str) -> T:
    """Runs are asked for again and again, and are large: one whose text is the same is the same record, which is frozen."""
    return cast("T", _execution(text)) if kind is Execution else decode(kind, text)


@lru_cache(maxsize=2048)
def _execution(text: str) -> Execution:
    return decode(Execution, text)

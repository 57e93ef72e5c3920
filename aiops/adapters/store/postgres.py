"""PostgreSQL (13 or later): for daemons that share a store.

Writers take turns over all processes by one advisory lock that lasts as long as the transaction: what is right behind SQLite's write lock is right
here too, and nothing has to be tried again. Whoever stops in the middle of a transaction (SIGSTOP, a host that is gone) loses it, and with it the
lock, after `IDLE_SECONDS`. If the connection breaks while a commit is on its way, the server is asked what became of it
(`pg_xact_status`, https://www.postgresql.org/docs/15/functions-info.html); it is never simply done again.
Neighbours: `engine` says what a database is; `connecting` makes connections.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from sqlalchemy import URL, Connection, Engine, Transaction, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from aiops.adapters.clock import SystemClock
from aiops.adapters.store.connecting import Connector, store_error
from aiops.domain.errors import CommitUnknownError, StoreError

LOOK_UP_SECONDS = 10.0
"""How long a commit without an answer is asked after: longer than the server keeps a transaction whose client says nothing."""
_LOOK_EVERY = 0.2
_READERS = 4
_LOCK = 0x61_69_6F_70_73
"""The key of the writers' lock: `aiops`. Advisory locks are of one database."""

_ENTER = text("SELECT CAST(pg_current_xact_id() AS text) AS xid, pg_advisory_xact_lock(:lock)").bindparams(lock=_LOCK)
_END = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid = :pid AND CAST(backend_xid AS text) = :short")
_STATUS = text("SELECT pg_xact_status(CAST(:xid AS xid8))")
# Equal snapshots see the same rows; a restart is told apart, for a standby that was promoted may have lost the last transactions.
_STAMP = "SELECT pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text"


@dataclass(frozen=True, slots=True)
class _Mark:
    """By which a transaction is found again: its number, and the server's process that carried it."""

    xid: str
    pid: int


class PostgresDatabase:
    """See `engine.Database`."""

    def __init__(self, url: URL, *, password_file: str = "") -> None:
        connector = Connector(url, password_file)
        self._lock = threading.RLock()
        self._closed = False
        self._writer = self._engine(connector, reader=False)
        self._reader = self._engine(connector, reader=True)
        self._connector = connector
        self._watch_lock = threading.Lock()
        self._watch: psycopg.Connection | None = None
        self._pause, self._clock = threading.Event(), SystemClock()

    @property
    def dialect(self) -> str:
        """`postgresql`."""
        return self._writer.dialect.name

    @staticmethod
    def _engine(connector: Connector, *, reader: bool) -> Engine:
        # A connection that the server closed meanwhile (restart, fail-over) is noticed before it is used, not by whoever needs it.
        return create_engine(
            "postgresql+psycopg://", creator=lambda: connector.connect(reader=reader), poolclass=QueuePool, pool_size=_READERS if reader else 1,
            max_overflow=0, pool_timeout=30, pool_pre_ping=True, use_native_hstore=False,
        )

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All or nothing: committed and synced when the block ends, rolled back when it raises."""
        with self._lock:
            self._must_be_open()
            try:
                with self._writer.connect() as connection:
                    yield from self._transaction(connection)
            except (SQLAlchemyError, psycopg.Error) as error:
                raise store_error(error) from error

    def _transaction(self, connection: Connection) -> Iterator[Connection]:
        transaction = connection.begin()
        try:
            mark = self._enter(connection)
            yield connection
        except BaseException:
            with suppress(SQLAlchemyError):  # a broken connection has no transaction left
                transaction.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            self._after_commit(transaction, mark, error)

    @staticmethod
    def _enter(connection: Connection) -> _Mark:
        """Wait for the writers' lock. Each statement after it sees what all former writers committed (READ COMMITTED takes a snapshot for each)."""
        xid = connection.execute(_ENTER).scalar_one()
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        return _Mark(str(xid), raw.info.backend_pid)

    def _after_commit(self, transaction: Transaction, mark: _Mark, error: DBAPIError) -> None:
        """The server said no (raised), or the connection broke: then it is asked on another one. Returns if it was committed."""
        with suppress(SQLAlchemyError):
            transaction.rollback()
        if not error.connection_invalidated:
            raise error
        deadline = self._clock.monotonic() + LOOK_UP_SECONDS
        while True:
            status = self._status(mark)
            if status == "committed":
                return
            if status == "aborted":
                raise StoreError("store: the connection broke; nothing of this change was written") from error
            if self._clock.monotonic() >= deadline:
                raise CommitUnknownError("store: the connection broke while a change was being committed, and the server cannot be asked what became of it") from error
            self._pause.wait(_LOOK_EVERY)

    def _status(self, mark: _Mark) -> str:
        """`committed`, `aborted`, `in progress`, or empty if the server does not answer or does not know."""
        try:
            with self._reader.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                # A session that waits for a client that is gone need not be waited for; one in the middle of a commit finishes it first.
                connection.execute(_END, {"pid": mark.pid, "short": str(int(mark.xid) % 2**32)})
                return str(connection.execute(_STATUS, {"xid": mark.xid}).scalar() or "")
        except (SQLAlchemyError, psycopg.Error):
            return ""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent picture (REPEATABLE READ, read only)."""
        self._must_be_open()
        try:
            with self._reader.begin() as connection:
                yield connection
        except (SQLAlchemyError, psycopg.Error) as error:
            raise store_error(error) from error

    def stamp(self) -> object:
        """The server's present snapshot: one round trip, where a query in a transaction of its own takes four."""
        self._must_be_open()
        with self._watch_lock:
            for fresh in (False, True):
                try:
                    if self._watch is None:
                        self._watch, fresh = self._connector.connect(reader=True, watch=True), True  # noqa: PLW2901 (a new one that fails is not tried again)
                    return str((self._watch.execute(_STAMP).fetchone() or ("",))[0])
                except psycopg.Error as error:
                    self._drop_watch()
                    if fresh:
                        raise store_error(error) from error
        raise AssertionError("unreachable")

    def _drop_watch(self) -> None:
        if self._watch is not None:
            with suppress(psycopg.Error):
                self._watch.close()
            self._watch = None

    def close(self) -> None:
        """Wait for the present write, then end the connections. Closing twice is fine."""
        with self._lock:
            self._closed = True
            self._reader.dispose()
            self._writer.dispose()
        with self._watch_lock:
            self._drop_watch()

    def _must_be_open(self) -> None:
        if self._closed:
            raise StoreError("store: it is closed")

"""SQLite: the embedded default. A file has one writing connection behind a lock (`BEGIN IMMEDIATE`, so a transaction never fails half-way for want of
the write lock) and a few reading ones that cannot write; WAL lets them go on side by side, other processes too. `:memory:` has a single connection for both.

Neighbours: `engine` says what a database is; `migrate` makes the schema.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from aiops.adapters.store.engine import in_words
from aiops.domain.errors import StoreError

BUSY_SECONDS = 10.0
_READERS = 4
_PLAIN = "without_transaction"

_TEXTS = {
    "disk is full": "the disk is full; nothing of this change was written",
    "is locked": f"another process holds the write lock for more than {BUSY_SECONDS:g} s",
    "not a database": "the file is damaged or no database of this project",
    "malformed": "the file is damaged",
    "readonly database": "the file or its folder is read-only",
    "unable to open": "the file cannot be opened",
    "disk I/O error": "the disk answered with an error",
    "FOREIGN KEY": "it belongs to an execution that is not stored",
}


def store_error(error: BaseException) -> StoreError:
    """The vendor's error in our words; the cause is chained by the caller."""
    return in_words(str(getattr(error, "orig", None) or error), _TEXTS)


def _settle(connection: sqlite3.Connection, *, memory: bool, reader: bool) -> None:
    # SQLAlchemy begins transactions itself (see `_begin`); sqlite3's own habit of beginning late would break BEGIN IMMEDIATE.
    connection.isolation_level = None
    pragmas = ["foreign_keys=ON", f"busy_timeout={int(BUSY_SECONDS * 1000)}", "trusted_schema=OFF", "cache_size=-8000"]
    if not memory:
        pragmas += ["journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864"]
    if reader:
        pragmas += ["query_only=ON"]
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


class SqliteDatabase:
    """See `engine.Database`."""

    def __init__(self, url: URL, *, create: bool = True) -> None:
        self._memory = url.database in (None, "", ":memory:")
        self._lock = threading.RLock()
        self._closed = False
        if not self._memory:
            _make_file(Path(str(url.database)), create=create)
        self._writer = self._engine(url, reader=False)
        # In memory the lock alone keeps a picture consistent: there is nobody else, so a transaction for reading would only cost.
        self._reader = self._writer.execution_options(**{_PLAIN: True}) if self._memory else self._engine(url, reader=True)
        self._watch_lock = threading.Lock()
        self._watch: sqlite3.Connection | None = None
        self._only: sqlite3.Connection | None = None
        self._path = url.database

    @property
    def dialect(self) -> str:
        """`sqlite`."""
        return self._writer.dialect.name

    def _engine(self, url: URL, *, reader: bool) -> Engine:
        arguments: dict[str, Any] = {"check_same_thread": False, "timeout": BUSY_SECONDS}
        if self._memory:
            engine = create_engine(url, poolclass=StaticPool, connect_args=arguments)
        else:
            engine = create_engine(url, poolclass=QueuePool, pool_size=_READERS if reader else 1, max_overflow=0, pool_timeout=30, connect_args=arguments)
        memory = self._memory

        def on_connect(connection: sqlite3.Connection, _record: object) -> None:
            _settle(connection, memory=memory, reader=reader)
            if memory:
                self._only = connection

        def _begin(connection: Connection) -> None:
            if not connection.get_execution_options().get(_PLAIN):
                connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")

        event.listen(engine, "connect", on_connect)
        event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All or nothing: committed and synced when the block ends, rolled back when it raises."""
        with self._lock:
            self._must_be_open()
            try:
                with self._writer.begin() as connection:
                    yield connection
            except (SQLAlchemyError, sqlite3.Error) as error:
                raise store_error(error) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent picture."""
        with self._lock if self._memory else nullcontext():
            self._must_be_open()
            yield from self._read()

    def _read(self) -> Iterator[Connection]:
        try:
            with self._reader.begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise store_error(error) from error

    def stamp(self) -> object:
        """Another value after each committed change, whichever thread or process made it: what was read under a stamp stands while it is the same.

        Some microseconds, where a query in a transaction of its own costs hundreds. A stamp may change without a change, never the other way round.
        """
        self._must_be_open()
        try:
            if self._memory:
                # One connection for all: the number of rows that it ever changed. Under the lock, so not in the middle of a transaction.
                with self._lock:
                    return None if self._only is None else self._only.total_changes
            # https://www.sqlite.org/pragma.html#pragma_data_version: comparable on one connection only, which sees the commits of all others.
            with self._watch_lock:
                if self._watch is None:
                    self._watch = sqlite3.connect(str(self._path), timeout=BUSY_SECONDS, check_same_thread=False)
                    _settle(self._watch, memory=False, reader=True)
                return self._watch.execute("PRAGMA data_version").fetchall()[0][0]
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise store_error(error) from error

    def close(self) -> None:
        """Wait for the present write, then release the file (SQLite folds the write-ahead log back in). Closing twice is fine."""
        with self._watch_lock:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
        with self._lock:
            self._closed = True
            self._reader.dispose()
            self._writer.dispose()

    def _must_be_open(self) -> None:
        if self._closed:
            raise StoreError("store: it is closed")


def _make_file(path: Path, *, create: bool) -> None:
    """For the owner only: evidence and alert texts are nobody else's. SQLite gives its side files the mode of this one."""
    if not create and not path.is_file():
        raise StoreError(f"store: there is no database at {path}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"store: {path} cannot be opened for writing: {error.strerror}") from error

"""What the store needs of a database, whichever it is: connections inside transactions, a stamp of changes, and errors in our words.

Neighbours: `sqlite` and `postgres` are the two databases, `open_database` chooses by the address; every other file of this package stands on this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

from aiops.domain.errors import StoreError, trimmed

FORMS = "sqlite:///PATH, sqlite:///:memory: and postgresql://USER@HOST:PORT/DATABASE"


class Database(Protocol):
    """One open database. `writing()` and `reading()` give a connection inside a transaction; all raise StoreError only."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """All or nothing: durable when the block ends, rolled back when it raises. One writer at a time, of all processes."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """One consistent picture."""
        ...

    def stamp(self) -> object:
        """Another value after each committed change, whichever thread or process made it: what was read under a stamp stands while it is the same.

        A stamp may change without a change, never the other way round.
        """
        ...

    def close(self) -> None:
        """Wait for the present write, then let go. Closing twice is fine."""
        ...


def parsed(url: str) -> URL:
    """The address. Raises StoreError, in words that do not repeat it: it may hold a password."""
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"store: the address is none of the forms {FORMS}") from error
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"store: {trimmed(address.get_backend_name(), 40)} is not supported, allowed are {FORMS}")
    return address


def open_database(url: str, *, create: bool = True, password_file: str = "") -> Database:
    """The database of this address. `password_file` (PostgreSQL) is read at each new connection. Raises StoreError."""
    address = parsed(url)
    if address.get_backend_name() == "sqlite":
        from aiops.adapters.store.sqlite import SqliteDatabase

        return SqliteDatabase(address, create=create)
    # Deferred: the embedded default needs no client of a server.
    from aiops.adapters.store.postgres import PostgresDatabase

    return PostgresDatabase(address, password_file=password_file)


def in_words(text: str, table: Mapping[str, str]) -> StoreError:
    """The vendor's words with ours before them, where a part of them is known. Statements and values are left out: they may be secret or huge."""
    for part, words in table.items():
        if part.lower() in text.lower():
            return StoreError(f"store: {words} ({trimmed(text, 120)})")
    return StoreError(f"store: {trimmed(text, 200)}")

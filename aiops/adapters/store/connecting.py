"""Connections to PostgreSQL: how they are made, how long they wait, and what their errors mean.

The password comes from a file that is read at each new connection (rotation needs no restart), or from where libpq looks itself
(`PGPASSWORD`, `PGPASSFILE`); never from the address. Neighbours: `postgres` pools what is made here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from sqlalchemy import URL

from aiops.adapters.store.engine import in_words
from aiops.domain.errors import StoreError

OLDEST = 130_000
CONNECT_SECONDS = 5
LOCK_SECONDS = 10.0
STATEMENT_SECONDS = 15.0
ANSWER_SECONDS = 20.0
"""A server that does not answer at all is given up after so long; its own limits above come first."""
IDLE_SECONDS = 5.0
"""How long the server waits for a client in the middle of a transaction before it takes the transaction, and the writers' lock, away from it."""

_SETTLE = (
    f"SET lock_timeout = {int(LOCK_SECONDS * 1000)}; SET statement_timeout = {int(STATEMENT_SECONDS * 1000)}; "
    f"SET idle_in_transaction_session_timeout = {int(IDLE_SECONDS * 1000)}; "
    # A server may be set to answer before a commit is on disk; the journal must not.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)

# Of https://www.postgresql.org/docs/15/errcodes-appendix.html
_STATES = {
    "53100": "the disk is full; nothing of this change was written",
    "55P03": f"another process holds the write lock for more than {LOCK_SECONDS:g} s",
    "57014": f"a statement took longer than {STATEMENT_SECONDS:g} s",
    "25006": "the database is read-only",
    "28P01": "the server refuses the user or the password",
    "28000": "the server refuses the user",
    "42501": "the user may not do this",
    "3D000": "there is no such database",
    "3F000": "there is no such schema, or the user may not use it",
    "23503": "it belongs to an execution that is not stored",
    "53300": "the server has no connection to spare",
    "25P03": "the transaction was idle for too long and was taken back",
}
_TEXTS = {
    "password authentication failed": _STATES["28P01"],
    "no password supplied": "the server wants a password: give a file with it in storePasswordFile",
    "does not exist": _STATES["3D000"],
    "read-only": "no server of the address takes writes",
    "is starting up": "the server is starting",
    "is shutting down": "the server is shutting down",
}

RV = TypeVar("RV")


class _Bounded(psycopg.Connection[tuple[Any, ...]]):
    """A connection that gives a silent server up. Its own statement time-out does not help where the whole server stands still."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """As psycopg's, with a bound where none is given. Raises psycopg.OperationalError, and the connection is closed then."""
        try:
            return super().wait(gen, interval, ANSWER_SECONDS if timeout is None else timeout)
        except _WaitTimeout as error:
            if timeout is not None:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server did not answer within {ANSWER_SECONDS:g} s") from error


class Connector:
    """Makes connections to the server of an address. Raises StoreError for an address with a password in it."""

    def __init__(self, url: URL, password_file: str = "") -> None:
        if url.password is not None or "password" in url.query:
            raise StoreError("store: the address must not hold a password: give a file with it in storePasswordFile")
        # The dialect knows how addresses with several hosts are read.
        words = url.set(drivername="postgresql+psycopg").get_dialect()().create_connect_args(url)[1]
        self._words: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
            "target_session_attrs": "read-write", "application_name": "aiops",
            **words,
        }
        self._password_file = password_file

    def connect(self, *, reader: bool, watch: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
        """A new one. `watch`: each statement by itself, outside of any transaction. Raises psycopg.Error, StoreError."""
        words = dict(self._words)
        if self._password_file:
            try:
                words["password"] = Path(self._password_file).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise StoreError(f"store: the password cannot be read from {self._password_file}") from error
        made = _Bounded.connect(**words, autocommit=True)
        try:
            _must_suit(made)
            made.execute(_SETTLE)
            if not watch:
                made.autocommit = False
                made.read_only = reader
                made.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ if reader else psycopg.IsolationLevel.READ_COMMITTED
        except BaseException:
            made.close()
            raise
        return made


def _must_suit(made: psycopg.Connection[tuple[Any, ...]]) -> None:
    if made.info.server_version < OLDEST:
        raise StoreError(f"store: PostgreSQL {made.info.server_version // 10_000} is too old, {OLDEST // 10_000} is the least")
    if made.info.parameter_status("server_encoding") != "UTF8":
        raise StoreError("store: the database must be of the encoding UTF8")


def store_error(error: BaseException) -> StoreError:
    """The server's error in our words; the cause is chained by the caller. Its details are left out, for they quote values."""
    origin = getattr(error, "orig", None) or error
    state = getattr(origin, "sqlstate", None)
    diagnosis = getattr(origin, "diag", None)
    said = (diagnosis.message_primary if diagnosis is not None else None) or str(origin).partition("\n")[0]
    return in_words(said, {"": _STATES[state]} if state in _STATES else _TEXTS)

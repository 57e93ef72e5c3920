"""The port's `Store` on SQLAlchemy Core: each method is one transaction.

Neighbours: `open_store` here is what the composition root calls; tests run the contract suite over a file, over `:memory:` and over PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aiops.adapters.store import leases, outbox, retention, tables, writing
from aiops.adapters.store.codec import clean
from aiops.adapters.store.engine import Database, open_database
from aiops.adapters.store.migrate import migrate
from aiops.adapters.store.reading import SqlReading
from aiops.domain.errors import StoreError
from aiops.domain.execution import Lease
from aiops.domain.message import Thread
from aiops.ports.storage import Changes

_PROOF = "store.check"


class SqlStore(SqlReading):
    """Reading, and writing in whole transactions. Safe to share among threads."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._leader: tuple[Callable[[], Lease], Callable[[], float]] | None = None

    def led(self, leader: Callable[[], Lease], now: Callable[[], float]) -> None:
        """From now on a change that comes without a lease is written only under the leader's, which `leader` gives or raises LeaseLostError."""
        self._leader = (leader, now)

    def write(self, changes: Changes, *, lease: Lease | Sequence[Lease] | None = None, now: float | None = None) -> None:
        """Apply all or nothing; with leases, only while each is held at `now` (which is needed then)."""
        held = (lease,) if isinstance(lease, Lease) else tuple(lease or ())
        if held and now is None:
            raise StoreError("a write under a lease needs the time, to see that the lease has not expired")
        if changes.empty and not held:
            return
        if not held and self._leader is not None:
            leader, clock = self._leader
            held, now = (leader(),), clock()
        prepared = writing.prepare(changes)
        with self._database.writing() as connection:
            for one in held:
                leases.must_hold(connection, one, now or 0.0)
            writing.apply(connection, prepared)

    def acquire(self, name: str, owner: str, ttl: float, now: float) -> Lease | None:
        """Take the lease if it is free, expired, or ours already; each acquisition raises the token."""
        with self._database.writing() as connection:
            return leases.acquire(connection, name, owner, ttl, now)

    def renew(self, lease: Lease, ttl: float, now: float) -> Lease:
        """Same token, later expiry."""
        with self._database.writing() as connection:
            return leases.renew(connection, lease, ttl, now)

    def release(self, lease: Lease) -> None:
        """Give it back; a lost one is left alone."""
        with self._database.writing() as connection:
            leases.release(connection, lease)

    def leases(self) -> Sequence[Lease]:
        """All that someone holds or held until they expired."""
        with self._database.reading() as connection:
            return leases.recorded(connection)

    def delivered(self, key: str, thread: Thread | None, now: float, *, sequence: int | None = None) -> None:
        """Mark a message as sent and, for a root, where it stands. With `sequence`, one that was replaced by a newer view meanwhile stays pending."""
        with self._database.writing() as connection:
            outbox.mark_delivered(connection, key, sequence, now)
            if thread is not None:
                row = {
                    "incident": clean(thread.incident),
                    "channel": clean(thread.channel),
                    "place": clean(thread.place),
                    "reference": clean(thread.reference),
                }
                writing.upsert(connection, tables.threads, [row])

    def not_delivered(self, key: str, reason: str, next_at: float | None, now: float) -> None:
        """Count the attempt; `next_at` None gives up with the reason kept."""
        with self._database.writing() as connection:
            outbox.mark_failed(connection, key, reason, next_at, now)

    def purge(self, now: float, keep: Mapping[str, float]) -> Mapping[str, int]:
        """Delete rows older than `keep[table]` seconds; the tables are those of `retention.NAMES`."""
        return retention.purge(self._database, now, keep)

    def check(self) -> None:
        """Write one small row and read it back."""
        with self._database.writing() as connection:
            writing.upsert(connection, tables.documents, [{"name": _PROOF, "document": "1"}])
        if self.value(_PROOF) != 1:
            raise StoreError("store: what was written could not be read back")

    def close(self) -> None:
        """Finish writing and release files."""
        self._database.close()


def open_store(url: str, *, create: bool = True, password_file: str = "") -> SqlStore:
    """Open `sqlite:///PATH` (made if absent and `create`, mode 0600), `sqlite:///:memory:` or `postgresql://USER@HOST:PORT/DATABASE`, schema up to date.

    `password_file` is for PostgreSQL. Raises StoreError: another scheme, a file that cannot be opened or a server that cannot be reached,
    damage, a database of something else, a newer schema, and without `create` an empty one.
    """
    database = open_database(url, create=create, password_file=password_file)
    try:
        migrate(database, create=create)
    except BaseException:
        database.close()
        raise
    return SqlStore(database)

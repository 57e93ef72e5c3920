"""Brings the schema to what this version needs, in one transaction, or refuses.

Neighbours: `migrations` (what each step does), `engine` (the transaction). Two processes that open at once: the second waits for the lock and finds nothing to do.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from aiops.adapters.store.engine import Database
from aiops.domain.errors import StoreError, trimmed

HEAD = "0002"
"""The revision this code is written for; a test compares it with the last file of `migrations`."""
_KNOWN = frozenset({"0001", "0002"})


# Alembic's `op` and `context` are of the module: two upgrades in one process would run on each other's connection.
_UPGRADING = threading.Lock()


def migrate(database: Database, *, create: bool = True) -> None:
    """Make (if `create`) or upgrade the schema. Raises StoreError for a foreign file, for a schema newer than ours, and when a step fails (nothing is changed then)."""
    with database.reading() as connection:
        present = _revision(connection)
    if present == HEAD:
        return
    if present is None and not create:
        raise StoreError("store: there is nothing of this project in that database")
    with database.writing() as connection:
        if _revision(connection) == HEAD:
            return
        # Deferred: a third of a second that only the first start and an upgrade need.
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        try:
            with _UPGRADING:
                command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(f"store: the schema could not be upgraded: {trimmed(str(error))}") from error


def _revision(connection: Connection) -> str | None:
    """The revision of the database; None for an empty one."""
    names = set(inspect(connection).get_table_names())
    if not names:
        return None
    if "alembic_version" not in names:
        raise StoreError("store: this database holds tables of something else; give one of its own")
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    revision = str(row[0]) if row else None
    if revision is not None and revision not in _KNOWN:
        raise StoreError(f"store: its schema ({trimmed(revision, 40)}) is newer than this version knows ({HEAD}); start the newer version, or give another one")
    return revision

"""The store: `open_store(url)`. SQLite embedded, or PostgreSQL; schema by migrations that run at open."""

from aiops.adapters.store.sql_store import SqlStore, open_store

__all__ = ["SqlStore", "open_store"]

"""Alembic's entry: runs on the connection and inside the transaction that `adapters.store.migrate` holds."""

from __future__ import annotations

from alembic import context

from aiops.adapters.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

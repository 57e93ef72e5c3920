"""The first schema.

It repeats `adapters.store.tables` on purpose: a migration says what was true when it was written.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(n, _TEXT, nullable=False) for n in names]


def _numbers(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(n, sa.Double, nullable=False) for n in names]


def _integers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(n, sa.BigInteger, nullable=False) for n in names]


def _flags(*names: str) -> list[sa.Column[bool]]:
    return [sa.Column(n, sa.Boolean, nullable=False) for n in names]


def _sequence() -> sa.Column[int]:
    return sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True, nullable=False)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _of_execution(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["execution"], ["executions.id"], name=f"fk_{table}_execution", ondelete="CASCADE")


def _index(table: str, *columns: str) -> None:
    op.create_index("_".join(("ix", table, *columns)), table, list(columns))


def upgrade() -> None:
    """Make all tables and their indexes."""
    _flow()
    _runs()
    _telling()
    _people()


def _flow() -> None:
    op.create_table(
        "incidents", *_text("id", "fingerprint"), *_flags("active"), *_numbers("opened_at", "updated_at"), *_text("document"), _key("incidents", "id")
    )
    _index("incidents", "fingerprint", "opened_at")
    _index("incidents", "active", "opened_at")
    _index("incidents", "updated_at")
    op.create_table("signals", _sequence(), *_text("incident"), *_numbers("at"), *_text("document"), _key("signals", "seq"))
    _index("signals", "incident", "at")
    _index("signals", "at")
    op.create_table(
        "decisions",
        _sequence(),
        *_text("fold"),
        *_numbers("at", "last_at"),
        *_integers("count"),
        *_text("stage", "subject"),
        *_flags("passed"),
        *_text("reason", "detail", "target", "incident", "execution"),
        _key("decisions", "seq"),
    )
    for column in ("fold", "target", "incident", "execution"):
        _index("decisions", column, "last_at")
    _index("decisions", "last_at")


def _runs() -> None:
    op.create_table(
        "executions",
        *_text("id", "incident", "runbook", "target", "state"),
        *_flags("finished"),
        *_numbers("created_at", "updated_at", "due_at"),
        *_text("document"),
        _key("executions", "id"),
    )
    _index("executions", "finished", "due_at")
    _index("executions", "created_at")
    for column in ("incident", "target", "runbook"):
        _index("executions", column, "created_at")
    op.create_table(
        "journal",
        *_text("execution"),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        *_text("kind"),
        *_numbers("at"),
        *_text("document"),
        _key("journal", "execution", "number"),
        _of_execution("journal"),
    )
    op.create_table("reviews", *_text("execution"), *_numbers("at"), *_text("document"), _key("reviews", "execution"), _of_execution("reviews"))
    _index("reviews", "at")
    op.create_table("leases", *_text("name", "owner"), *_integers("token"), *_numbers("expires_at"), _key("leases", "name"))
    op.create_table("counters", *_text("name"), *_integers("value"), _key("counters", "name"))


def _telling() -> None:
    op.create_table(
        "outbox",
        *_text("key", "incident", "channel", "kind"),
        *_integers("sequence"),
        *_text("state", "reason", "digest"),
        *_integers("attempts"),
        *_numbers("created_at", "due_at", "changed_at"),
        *_text("document"),
        _key("outbox", "key"),
    )
    _index("outbox", "state", "due_at")
    _index("outbox", "incident", "channel", "sequence")
    _index("outbox", "created_at")
    op.create_table("threads", *_text("incident", "channel", "place", "reference"), _key("threads", "incident", "channel"))


def _people() -> None:
    op.create_table("silences", *_text("id"), *_numbers("starts_at", "ends_at"), *_text("document"), _key("silences", "id"))
    _index("silences", "ends_at")
    op.create_table("commands", *_text("id"), *_numbers("at"), *_flags("done"), *_text("document"), _key("commands", "id"))
    _index("commands", "done", "at")
    op.create_table("documents", *_text("name", "document"), _key("documents", "name"))

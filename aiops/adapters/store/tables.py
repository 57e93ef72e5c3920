"""The tables as the queries see them. The schema itself is made by `migrations`; a test holds the two equal.

Documents are JSON text; columns beside them are what is asked for. Types are those that SQLite and PostgreSQL share; times are Unix seconds.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Index, Integer, MetaData, Table, Text

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s"}
)

# By code point, as SQLite compares: the order of answers must not depend on the language that a server was set up with.
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite numbers rows by itself only for a key of exactly this type.
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, _TEXT, primary_key=key, nullable=False)


def _number(name: str) -> Column[float]:
    return Column(name, Double, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _sequence() -> Column[int]:
    return Column("seq", _SEQUENCE, primary_key=True, autoincrement=True, nullable=False)


incidents = Table(
    "incidents",
    metadata,
    _text("id", key=True),
    _text("fingerprint"),
    _flag("active"),
    _number("opened_at"),
    _number("updated_at"),
    _text("document"),
    Index(None, "fingerprint", "opened_at"),
    Index(None, "active", "opened_at"),
    Index(None, "updated_at"),
)

signals = Table(
    "signals",
    metadata,
    _sequence(),
    _text("incident"),
    _number("at"),
    _text("document"),
    Index(None, "incident", "at"),
    Index(None, "at"),
)

decisions = Table(
    "decisions",
    metadata,
    _sequence(),
    # Hash of all that makes two decisions "the same again".
    _text("fold"),
    _number("at"),
    _number("last_at"),
    Column("count", BigInteger, nullable=False),
    _text("stage"),
    _text("subject"),
    _flag("passed"),
    _text("reason"),
    _text("detail"),
    _text("target"),
    _text("incident"),
    _text("execution"),
    Index(None, "fold", "last_at"),
    Index(None, "target", "last_at"),
    Index(None, "incident", "last_at"),
    Index(None, "execution", "last_at"),
    Index(None, "last_at"),
)

executions = Table(
    "executions",
    metadata,
    _text("id", key=True),
    _text("incident"),
    _text("runbook"),
    _text("target"),
    _text("state"),
    _flag("finished"),
    _number("created_at"),
    _number("updated_at"),
    _number("due_at"),
    _text("document"),
    Index(None, "finished", "due_at"),
    Index(None, "created_at"),
    Index(None, "incident", "created_at"),
    Index(None, "target", "created_at"),
    Index(None, "runbook", "created_at"),
)

targets = Table(
    "targets",
    metadata,
    # Only of runs that are not done: what each works on, so that who is at work on a target is found without reading every run.
    Column("execution", _TEXT, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    _text("target", key=True),
    Index(None, "target"),
)

journal = Table(
    "journal",
    metadata,
    Column("execution", _TEXT, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    # Given by us, not by the database: two owners that both append "the next line" collide instead of interleaving.
    Column("number", BigInteger, primary_key=True, autoincrement=False, nullable=False),
    _text("kind"),
    _number("at"),
    _text("document"),
)

outbox = Table(
    "outbox",
    metadata,
    _text("key", key=True),
    _text("incident"),
    _text("channel"),
    _text("kind"),
    Column("sequence", BigInteger, nullable=False),
    _text("state"),
    _text("reason"),
    # Hash of text and view: the same content again is the same message.
    _text("digest"),
    Column("attempts", BigInteger, nullable=False),
    _number("created_at"),
    _number("due_at"),
    _number("changed_at"),
    _text("document"),
    Index(None, "state", "due_at"),
    Index(None, "incident", "channel", "sequence"),
    Index(None, "created_at"),
)

threads = Table("threads", metadata, _text("incident", key=True), _text("channel", key=True), _text("place"), _text("reference"))

silences = Table("silences", metadata, _text("id", key=True), _number("starts_at"), _number("ends_at"), _text("document"), Index(None, "ends_at"))

reviews = Table(
    "reviews",
    metadata,
    Column("execution", _TEXT, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    _number("at"),
    _text("document"),
    Index(None, "at"),
)

commands = Table(
    "commands",
    metadata,
    _text("id", key=True),
    _number("at"),
    _flag("done"),
    _text("document"),
    Index(None, "done", "at"),
)

documents = Table("documents", metadata, _text("name", key=True), _text("document"))

leases = Table("leases", metadata, _text("name", key=True), _text("owner"), Column("token", BigInteger, nullable=False), _number("expires_at"))

# One row for each rising number. Lease tokens come from here, so that they keep rising when the row of a lease is purged.
counters = Table("counters", metadata, _text("name", key=True), Column("value", BigInteger, nullable=False))

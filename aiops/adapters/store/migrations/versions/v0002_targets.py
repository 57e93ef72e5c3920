"""What unfinished runs work on, in a table of its own; those that are under way when the schema is upgraded are put into it.

It reads the runs' documents as they were written until now, and spells targets as they were spelt: later code may do either otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_LONGEST = 600


def upgrade() -> None:
    """Make the table and its index, and fill it."""
    made = op.create_table(
        "targets",
        sa.Column("execution", _TEXT, nullable=False),
        sa.Column("target", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("execution", "target", name="pk_targets"),
        sa.ForeignKeyConstraint(["execution"], ["executions.id"], name="fk_targets_execution", ondelete="CASCADE"),
    )
    op.create_index("ix_targets_target", "targets", ["target"])
    runs = sa.table("executions", sa.column("id"), sa.column("finished", sa.Boolean), sa.column("document"))
    found = op.get_bind().execute(sa.select(runs.c.id, runs.c.document).where(runs.c.finished.is_(False))).all()
    rows = [{"execution": run, "target": target} for run, document in found for target in dict.fromkeys(_targets(json.loads(document)["plan"]))]
    if rows:
        op.bulk_insert(made, rows)


def _targets(plan: Mapping[str, Any]) -> Iterator[str]:
    yield _spelt(plan["target"])
    for step in plan.get("steps") or ():
        for named in (step.get("target"), (step.get("undo") or {}).get("target")):
            if named:
                yield _spelt(named)


def _spelt(target: Mapping[str, Any]) -> str:
    context, space = target.get("context") or "default", target.get("namespace") or ""
    where, place = ("" if context == "default" else f"{context}:"), (f"{space}/" if space else "")
    text = f"{where}{place}{target['kind'].lower()}/{target['name']}"
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 40]}…#{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"

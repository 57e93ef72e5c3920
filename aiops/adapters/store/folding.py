"""Decisions that only repeat are counted, not appended: a poller that drops the same thing each second must not fill the disk.

A decision folds into the newest row that equals it in all but time and detail, if that row was last seen within `WITHIN` seconds and began
within `SPAN` seconds. The row keeps its first time, its count, and time and detail of the last repetition.
Neighbours: `writing` stores, `reading` reads.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, Dialect, bindparam, insert, select, update

from aiops.adapters.store import tables
from aiops.adapters.store.codec import clean, finite, key_text
from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import StoreError

WITHIN = 60.0
SPAN = 3600.0
_CHUNK = 500
_STAGES = frozenset(s.value for s in Stage)

Row = dict[str, Any]

_T = tables.decisions
# Built once: making a statement costs more than carrying it out.
_FIND = (
    select(_T.c.seq, _T.c.fold, _T.c.at, _T.c.last_at, _T.c.count, _T.c.detail)
    .where(_T.c.fold.in_(bindparam("folds", expanding=True)), _T.c.last_at >= bindparam("low"), _T.c.last_at <= bindparam("high"))
    .order_by(_T.c.last_at, _T.c.seq)
)
_REPEAT = (
    update(_T)
    .where(_T.c.seq == bindparam("of_seq"))
    .values(count=bindparam("new_count"), last_at=bindparam("new_last"), detail=bindparam("new_detail"))
)


def row(decision: Decision) -> Row:
    """The columns, with the hash of what makes it the same again."""
    texts = {
        "stage": decision.stage.value,
        "subject": clean(decision.subject),
        "reason": clean(decision.reason),
        "target": key_text(decision.target),
        "incident": key_text(decision.incident),
        "execution": key_text(decision.execution),
    }
    # No text holds a NUL (see `clean`), so that no two records look the same when joined by it. What is about one incident lies together in the
    # index: two hundred reasons touch a few of its pages, not two hundred.
    about = hashlib.blake2b(f"{texts['target']}\0{texts['incident']}".encode(), digest_size=4).hexdigest()
    fold = about + hashlib.blake2b("\0".join((*texts.values(), str(decision.passed))).encode(), digest_size=8).hexdigest()
    at = finite(decision.at, "a decision's time")
    return {
        **texts,
        "fold": fold,
        "at": at,
        "last_at": at if decision.last_at is None else finite(decision.last_at, "a decision's last time"),
        "count": decision.count,
        "passed": decision.passed,
        "detail": clean(decision.detail),
    }


def read(columns: Any) -> Decision:
    """The decision of a row. Raises StoreError if its stage is none that this version knows."""
    if columns.stage not in _STAGES:
        raise StoreError(f"a stored decision cannot be read: {columns.stage!r} is no stage")
    return Decision(
        at=columns.at,
        stage=Stage(columns.stage),
        subject=columns.subject,
        passed=columns.passed,
        reason=columns.reason,
        detail=columns.detail,
        target=columns.target,
        incident=columns.incident,
        execution=columns.execution,
        count=columns.count,
        last_at=None if columns.count == 1 else columns.last_at,
    )


def store(connection: Connection, rows: list[Row]) -> None:
    """Fold what repeats, append the rest."""
    if not rows:
        return
    known = _newest(connection, rows)
    added: list[Row] = []
    repeated: dict[int, Row] = {}
    for new in rows:
        old = known.get(new["fold"])
        if old is None or not _same_span(old, new):
            added.append(new)
            known[new["fold"]] = new
            continue
        old["count"] += new["count"]
        if new["last_at"] >= old["last_at"]:
            old["last_at"], old["detail"] = new["last_at"], new["detail"]
        if "seq" in old:
            repeated[old["seq"]] = old
    if repeated:
        connection.execute(
            _REPEAT,
            [{"of_seq": s, "new_count": r["count"], "new_last": r["last_at"], "new_detail": r["detail"]} for s, r in repeated.items()],
        )
    if added:
        statement, order = _add(connection.dialect)
        # Two hundred runbooks give two hundred reasons: bound by hand, which the general way does for each value of each row.
        connection.exec_driver_sql(statement, [tuple(row[name] for name in order) for row in added] if order else added)


_ADD = insert(_T)
_COMPILED: dict[str, tuple[str, tuple[str, ...]]] = {}


def _add(dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """The statement in the driver's words, and the order of its values; an empty order where they go by name."""
    if dialect.name not in _COMPILED:
        made = _ADD.compile(dialect=dialect, column_keys=[c.name for c in _T.columns if c is not _T.c.seq])
        _COMPILED[dialect.name] = (str(made), tuple(made.positiontup or ()))
    return _COMPILED[dialect.name]


def _same_span(old: Row, new: Row) -> bool:
    return bool(abs(new["at"] - old["last_at"]) <= WITHIN and abs(new["at"] - old["at"]) <= SPAN)


def _newest(connection: Connection, rows: list[Row]) -> dict[str, Row]:
    """The newest row of each fold among those that may still take a repetition."""
    folds = sorted({r["fold"] for r in rows})
    span = {"low": min(r["at"] for r in rows) - WITHIN, "high": max(r["at"] for r in rows) + WITHIN}
    found: dict[str, Row] = {}
    for start in range(0, len(folds), _CHUNK):
        for line in connection.execute(_FIND, {**span, "folds": folds[start : start + _CHUNK]}).mappings():
            found[line["fold"]] = dict(line)
    return found

"""Messages until they are delivered: enqueued in the transaction of what they tell, sent in order, never twice.

States: `pending`, then `delivered`, `failed` (given up) or `superseded` (a newer view of the incident took its place).
Neighbours: `writing` enqueues, `sql_store` offers the rest to `pipeline.announce`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, and_, bindparam, case, exists, func, insert, or_, select, update

from aiops.adapters.store import tables
from aiops.adapters.store.codec import clean, decode, document, encode
from aiops.domain.errors import StoreError
from aiops.domain.message import Message, MessageKind

PENDING, DELIVERED, FAILED, SUPERSEDED = "pending", "delivered", "failed", "superseded"

Row = dict[str, Any]
_T = tables.outbox
_ROOT = MessageKind.INCIDENT.value

# Built once: making a statement costs more than carrying it out.
_KEY: BindParameter[str] = bindparam("of_key")
_AT: BindParameter[int] = bindparam("of_sequence")
_SAME = and_(_T.c.incident == bindparam("of_incident"), _T.c.channel == bindparam("of_channel"), _T.c.kind == _ROOT)
_OLDER = and_(_SAME, _T.c.sequence < _AT, _T.c.state == PENDING)
_FIND = select(_T.c.state, _T.c.digest, _T.c.attempts, _T.c.due_at).where(_T.c.key == _KEY)
_ADD = insert(_T)
_NEWER = select(_T.c.key).where(_SAME, _T.c.sequence > _AT, _T.c.state.in_((PENDING, DELIVERED))).limit(1)
_WAITS = select(func.max(_T.c.attempts), func.max(_T.c.due_at)).where(_OLDER, _T.c.attempts > 0)
_SUPERSEDE = update(_T).where(_OLDER).values(state=SUPERSEDED, changed_at=bindparam("now"))


def row(message: Message) -> Row:
    """The columns of a new message."""
    return {
        "key": clean(message.key),
        "incident": clean(message.incident),
        "channel": clean(message.channel),
        "kind": message.kind.value,
        "sequence": message.sequence,
        "state": PENDING,
        "reason": "",
        "digest": hashlib.blake2b(encode((message.text, message.view)).encode(), digest_size=16).hexdigest(),
        "attempts": message.attempts,
        "created_at": message.created_at,
        "due_at": message.due_at,
        "changed_at": message.created_at,
        "document": document(message),
    }


def enqueue(connection: Connection, new: Row) -> None:
    """Add, replace or leave as the port says; then let the newest view of an incident supersede the older ones."""
    old = connection.execute(_FIND, {"of_key": new["key"]}).first()
    if old is None:
        connection.execute(_ADD, [new])
    elif old.state == DELIVERED or old.digest == new["digest"]:
        return
    else:
        kept = dict(new)
        if old.state == PENDING:
            # A newer text must not jump the back-off that the channel's failures earned.
            kept.update(attempts=max(old.attempts, new["attempts"]), due_at=max(old.due_at, new["due_at"]))
        connection.execute(update(_T).where(_T.c.key == new["key"]).values(**kept))
    if new["kind"] == _ROOT:
        _supersede(connection, new)


def _supersede(connection: Connection, new: Row) -> None:
    which = {"of_incident": new["incident"], "of_channel": new["channel"], "of_sequence": new["sequence"]}
    if connection.execute(_NEWER, which).first() is not None:
        connection.execute(update(_T).where(_T.c.key == new["key"]).values(state=SUPERSEDED))
        return
    waits = connection.execute(_WAITS, which).first()
    connection.execute(_SUPERSEDE, {**which, "now": new["created_at"]})
    if waits is not None and waits[0] is not None:
        # The channel refused the older view: the newer one inherits its back-off.
        mine = _T.c.key == new["key"]
        connection.execute(update(_T).where(mine).values(attempts=waits[0]))
        connection.execute(update(_T).where(mine, _T.c.due_at < waits[1]).values(due_at=waits[1]))


def due(connection: Connection, now: float, limit: int) -> list[Message]:
    """What may be sent now: nothing overtakes an earlier message of its thread, and a thread's root goes first."""
    return [_message(r) for r in connection.execute(_DUE, {"now": now, "most": limit})]


def _due_statement() -> Select[Any]:
    # Correlated by name: two levels down, SQLAlchemy would otherwise take the outbox for a table of the subquery's own.
    threads = tables.threads
    now: BindParameter[float] = bindparam("now")
    rooted = select(threads.c.incident).where(threads.c.incident == _T.c.incident, threads.c.channel == _T.c.channel).correlate(_T).exists()
    before = _T.alias("before")
    earlier = or_(before.c.sequence < _T.c.sequence, and_(before.c.kind == _ROOT, _T.c.kind != _ROOT, ~rooted))
    blocked = exists().where(
        _T.c.incident != "",
        before.c.incident == _T.c.incident,
        before.c.channel == _T.c.channel,
        before.c.state == PENDING,
        before.c.due_at > now,
        earlier,
    )
    started = func.min(_T.c.created_at).over(partition_by=(_T.c.incident, _T.c.channel))
    root_first = case((and_(_T.c.kind == _ROOT, ~rooted), 0), else_=1)
    query = select(_T.c.document, _T.c.attempts, _T.c.due_at).where(_T.c.state == PENDING, _T.c.due_at <= now, ~blocked)
    return query.order_by(started, _T.c.incident, _T.c.channel, root_first, _T.c.sequence, _T.c.created_at, _T.c.key).limit(bindparam("most"))


_DUE = _due_statement()
"""Built once: it is asked each second, and building it costs ten times what running it does."""
NEXT_DUE = select(func.min(_T.c.due_at)).where(_T.c.state == PENDING)


def listed(connection: Connection, incident: str, limit: int) -> list[tuple[Message, str]]:
    """Newest first, with their state in words."""
    query = select(_T.c.document, _T.c.attempts, _T.c.due_at, _T.c.state, _T.c.reason)
    if incident:
        query = query.where(_T.c.incident == clean(incident))
    rows = connection.execute(query.order_by(_T.c.created_at.desc(), _T.c.sequence.desc(), _T.c.key.desc()).limit(limit))
    return [(_message(r), f"{FAILED}: {r.reason}" if r.state == FAILED else r.state) for r in rows]


def mark_delivered(connection: Connection, key: str, sequence: int | None, now: float) -> None:
    """A message that was replaced while it was on its way stays pending: what was sent is not what is to be told now."""
    found = connection.execute(select(_T.c.sequence).where(_T.c.key == clean(key))).first()
    if found is None:
        raise StoreError(f"store: no message has the key {key!r}")
    if sequence is not None and found.sequence > sequence:
        return
    connection.execute(update(_T).where(_T.c.key == clean(key)).values(state=DELIVERED, reason="", changed_at=now))


def mark_failed(connection: Connection, key: str, reason: str, next_at: float | None, now: float) -> None:
    """Count the attempt; give up when there is no next time. What was superseded meanwhile stays so."""
    values: Row = {"attempts": _T.c.attempts + 1, "reason": clean(reason), "changed_at": now}
    values |= {"state": FAILED} if next_at is None else {"due_at": next_at}
    found = connection.execute(update(_T).where(_T.c.key == clean(key), _T.c.state == PENDING).values(**values))
    if found.rowcount == 0 and connection.execute(select(_T.c.key).where(_T.c.key == clean(key))).first() is None:
        raise StoreError(f"store: no message has the key {key!r}")


def _message(columns: Any) -> Message:
    return dataclasses.replace(decode(Message, columns.document), attempts=columns.attempts, due_at=columns.due_at)

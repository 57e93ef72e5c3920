"""Ownership with a token that rises at every acquisition, checked in the transaction of the owner's writes.

The clock of the caller decides about expiry: owners that share a store must have clocks that agree to well under a lease's length.
Neighbours: `sql_store`; `execution` holds leases.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from aiops.adapters.store import tables
from aiops.adapters.store.codec import clean
from aiops.adapters.store.writing import upsert
from aiops.domain.errors import LeaseLostError, StoreError
from aiops.domain.execution import Lease

_T = tables.leases


def acquire(connection: Connection, name: str, owner: str, ttl: float, now: float) -> Lease | None:
    """Take it if it is free, expired or ours."""
    name, owner = clean(name), clean(owner)
    if not owner:
        raise StoreError("a lease needs an owner")
    held = connection.execute(select(_T).where(_T.c.name == name).with_for_update()).first()
    if held is not None and held.owner not in ("", owner) and held.expires_at > now:
        return None
    lease = Lease(name, owner, _next_token(connection), now + ttl)
    upsert(connection, _T, [{"name": name, "owner": owner, "token": lease.token, "expires_at": lease.expires_at}])
    return lease


def _next_token(connection: Connection) -> int:
    counter = tables.counters
    last = connection.execute(select(counter.c.value).where(counter.c.name == "lease").with_for_update()).scalar() or 0
    upsert(connection, counter, [{"name": "lease", "value": last + 1}])
    return int(last) + 1


def must_hold(connection: Connection, lease: Lease, now: float) -> None:
    """Raises LeaseLostError unless the lease's token is the newest and it has not expired at `now`."""
    held = connection.execute(select(_T).where(_T.c.name == clean(lease.name)).with_for_update()).first()
    if held is None or held.token != lease.token or held.owner != clean(lease.owner):
        raise LeaseLostError(f"the lease {lease.name} is no longer ours")
    if held.expires_at <= now:
        raise LeaseLostError(f"the lease {lease.name} expired {now - held.expires_at:.1f} s ago")


def renew(connection: Connection, lease: Lease, ttl: float, now: float) -> Lease:
    """Later expiry, same token."""
    must_hold(connection, lease, now)
    connection.execute(update(_T).where(_T.c.name == clean(lease.name)).values(expires_at=now + ttl))
    return Lease(lease.name, lease.owner, lease.token, now + ttl)


def release(connection: Connection, lease: Lease) -> None:
    """Give it back if it is still this very lease."""
    mine = (_T.c.name == clean(lease.name)) & (_T.c.token == lease.token)
    connection.execute(update(_T).where(mine).values(owner="", expires_at=0.0))


def recorded(connection: Connection) -> list[Lease]:
    """All that are held by someone, expired ones too."""
    return [Lease(r.name, r.owner, r.token, r.expires_at) for r in connection.execute(select(_T).where(_T.c.owner != "").order_by(_T.c.name))]

"""Of daemons that share a store one leads: it polls, decides and acts. The others stand by, ready to take its place.

A lease in the store says who leads. What the leader decides is written only while the lease is still its own (`SqlStore.led`), so one that was stopped
for a while and goes on cannot add a plan to those of its successor; runs have leases of their own besides. A daemon that lost its place begins anew as
one that stands by. Neighbours: `live` starts this for PostgreSQL; a SQLite file has one daemon, which `Instance` sees to.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from aiops.domain.errors import LeaseLostError, StoreError
from aiops.domain.execution import Lease
from aiops.ports.clock import Clock
from aiops.ports.telemetry import Telemetry

log = structlog.get_logger(__name__)

LEADER = "daemon/leader"
LEASE_SECONDS, RENEW_EVERY, RETRY_EVERY = 15.0, 5.0, 2.0


class LeaseStore(Protocol):
    """The part of the store that this needs."""

    def acquire(self, name: str, owner: str, ttl: float, now: float) -> Lease | None:
        """See `ports.storage`."""
        ...

    def renew(self, lease: Lease, ttl: float, now: float) -> Lease:
        """See `ports.storage`."""
        ...

    def release(self, lease: Lease) -> None:
        """See `ports.storage`."""
        ...


class Instance:
    """This daemon's own folder, locked while it runs; `name` is the same again after a restart, and nobody else's. Raises StoreError if another daemon is at it."""

    def __init__(self, state: Path) -> None:
        self._file = os.open(state / "instance", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StoreError(f"store: another daemon runs in {state}") from error
        found = os.read(self._file, 64).decode("ascii", "replace").strip()
        self.name = found or secrets.token_hex(4)
        if not found:
            os.write(self._file, f"{self.name}\n".encode())

    def close(self) -> None:
        """Let another have it; the system does it for one that died."""
        os.close(self._file)


class Leadership:
    """`begin` takes the place if it is free, and keeps it or keeps trying in a thread of its own until `stop`."""

    def __init__(self, store: LeaseStore, clock: Clock, owner: str, telemetry: Telemetry) -> None:
        self._store, self._clock, self._owner, self._telemetry = store, clock, owner, telemetry
        self._lease: Lease | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def current(self) -> Lease:
        """The lease. Raises LeaseLostError while another leads."""
        lease = self._lease
        if lease is None:
            raise LeaseLostError("another daemon leads, this one stands by")
        return lease

    def begin(self, lead: Callable[[], None], lost: Callable[[str], None]) -> None:
        """`lead` is called once, here or in the thread, when the place is ours; `lost` once, when it is not any more. Raises what `lead` raises here, and StoreError."""
        if self._take():
            lead()
        else:
            log.info("standing by: another daemon leads")
        self._telemetry.gauge("leading", float(self._lease is not None))
        self._thread = threading.Thread(target=self._keep, args=(lead, lost), name="leadership", daemon=True)
        self._thread.start()

    def stop(self, left: float) -> None:
        """Give the place to whoever waits for it."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(left)
        lease, self._lease = self._lease, None
        if lease is not None:
            self._store.release(lease)

    def _keep(self, lead: Callable[[], None], lost: Callable[[str], None]) -> None:
        while not self._ending.wait(RENEW_EVERY if self._lease is not None else RETRY_EVERY):
            try:
                if self._lease is not None:
                    self._renew(self._lease)
                elif self._take() and not self._led(lead, lost):
                    return
            except LeaseLostError as error:
                self._end(lost, str(error))
                return
            except StoreError as error:  # nothing can be written meanwhile, so nothing is decided
                log.warning("the place of the leader cannot be renewed now", error=str(error))
            self._telemetry.gauge("leading", float(self._lease is not None))

    def _led(self, lead: Callable[[], None], lost: Callable[[str], None]) -> bool:
        """The place is ours: begin. False if that failed: half begun is no state to go on from."""
        log.info("leading now")
        try:
            lead()
        except Exception as error:
            log.exception("could not begin to lead")
            self._end(lost, f"could not begin to lead: {error}")
            return False
        return True

    def _end(self, lost: Callable[[str], None], why: str) -> None:
        self._telemetry.gauge("leading", 0.0)
        lost(why)

    def _take(self) -> bool:
        self._lease = self._store.acquire(LEADER, self._owner, LEASE_SECONDS, self._clock.now())
        return self._lease is not None

    def _renew(self, lease: Lease) -> None:
        """Raises LeaseLostError: it ran out, or another has it."""
        try:
            self._lease = self._store.renew(lease, LEASE_SECONDS, self._clock.now())
        except LeaseLostError:
            self._lease = None
            raise

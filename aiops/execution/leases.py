"""Which runs this process owns, and for how long it may still act on them.

A lease is named after the target, so that two runs on one target cannot both have an owner. It is kept across transitions and renewed when
little is left; what remains is measured on the monotonic clock, since the wall clock may be set back under us.
Neighbours: `ports.storage` keeps leases, `executor` enters and leaves here around each transition.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiops.domain.errors import LeaseLostError
from aiops.domain.execution import Execution, Lease
from aiops.execution.settings import EngineSettings
from aiops.ports.clock import Clock
from aiops.ports.storage import Store


def lease_name(execution: Execution) -> str:
    """The lease under which a run is advanced. Rehearsals write nothing to the cluster, so they stand in nobody's way."""
    return f"rehearsal/{execution.id}" if execution.simulated else f"target/{execution.plan.target.context}/{execution.target}"


@dataclass(slots=True)
class _Held:
    lease: Lease
    until: float


class Leases:
    """Thread-safe. One name is worked on by one thread of this process at a time."""

    def __init__(self, store: Store, clock: Clock, owner: str, settings: EngineSettings) -> None:
        self._store, self._clock, self._owner, self._settings = store, clock, owner, settings
        self._guard = threading.Lock()
        self._busy: set[str] = set()
        self._held: dict[str, _Held] = {}
        self._stopping = False

    @contextmanager
    def entered(self, name: str) -> Iterator[bool]:
        """True inside if the lease is ours now. False: another owner holds it, another thread is at it, or we are stopping. Raises StoreError."""
        with self._guard:
            free = name not in self._busy and not self._stopping
            if free:
                self._busy.add(name)
        if not free:
            yield False
            return
        try:
            yield self._take(name)
        finally:
            with self._guard:
                self._busy.discard(name)
                stopping = self._stopping
            if stopping:
                self.release(name)

    def current(self, name: str) -> Lease:
        """The lease as it stands. Raises LeaseLostError if it is not ours."""
        held = self._held.get(name)
        if held is None:
            raise LeaseLostError(f"the lease {name} is not held")
        return held.lease

    def enough(self, name: str) -> bool:
        """Whether what remains exceeds a request's time-out and the margin."""
        held = self._held.get(name)
        return held is not None and held.until - self._clock.monotonic() > self._settings.needed

    def extend(self, name: str) -> None:
        """Renew if too little is left to send something. Raises LeaseLostError."""
        if self.enough(name):
            return
        began = self._clock.monotonic()
        lease = self._store.renew(self.current(name), self._settings.lease_ttl, self._clock.now())
        self._held[name] = _Held(lease, began + self._settings.lease_ttl)

    def release(self, name: str) -> None:
        """Give it back if it is held."""
        held = self._held.pop(name, None)
        if held is not None:
            self._store.release(held.lease)

    def forget(self, name: str) -> None:
        """It was lost: do not touch it any more."""
        self._held.pop(name, None)

    def stop(self) -> None:
        """Enter nothing new; give back what no thread works on. A transition under way gives its own back when it ends."""
        with self._guard:
            self._stopping = True
            idle = [name for name in self._held if name not in self._busy]
        for name in idle:
            self.release(name)

    def _take(self, name: str) -> bool:
        if name in self._held:
            try:
                self.extend(name)
            except LeaseLostError:
                self.forget(name)
            else:
                return True
        began = self._clock.monotonic()
        lease = self._store.acquire(name, self._owner, self._settings.lease_ttl, self._clock.now())
        if lease is None:
            return False
        self._held[name] = _Held(lease, began + self._settings.lease_ttl)
        return True

"""Which runs this process owns, and for how long it may still act on them.

A lease is named after a target, so that two runs on one target cannot both have an owner; a run with several targets holds all or none. It is kept across transitions and renewed when
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


def lease_names(execution: Execution) -> tuple[str, ...]:
    """The leases under which a run is advanced: one for each target, sorted. Rehearsals write nothing to the cluster, so they stand in nobody's way."""
    if execution.simulated:
        return (f"rehearsal/{execution.id}",)
    return tuple(sorted(f"target/{target.context}/{target}" for target in execution.plan.targets))


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
    def entered(self, *names: str) -> Iterator[bool]:
        """True inside if all the leases are ours now; none is kept for less than all. Raises StoreError.

        False: another owner holds one, another thread is at one, or we are stopping.
        """
        with self._guard:
            free = self._busy.isdisjoint(names) and not self._stopping
            if free:
                self._busy.update(names)
        if not free:
            yield False
            return
        try:
            yield self._take_all(names)
        finally:
            with self._guard:
                self._busy.difference_update(names)
                stopping = self._stopping
            if stopping:
                self.release(*names)

    def current(self, name: str) -> Lease:
        """The lease as it stands. Raises LeaseLostError if it is not ours."""
        held = self._held.get(name)
        if held is None:
            raise LeaseLostError(f"the lease {name} is not held")
        return held.lease

    def enough(self, *names: str) -> bool:
        """Whether what remains of each exceeds a request's time-out and the margin."""
        return all(self._enough(name) for name in names)

    def _enough(self, name: str) -> bool:
        held = self._held.get(name)
        return held is not None and held.until - self._clock.monotonic() > self._settings.needed

    def extend(self, *names: str) -> None:
        """Renew each of which too little is left to send something. Raises LeaseLostError."""
        for name in names:
            if not self._enough(name):
                began = self._clock.monotonic()
                lease = self._store.renew(self.current(name), self._settings.lease_ttl, self._clock.now())
                self._held[name] = _Held(lease, began + self._settings.lease_ttl)

    def release(self, *names: str) -> None:
        """Give back what is held."""
        for name in names:
            held = self._held.pop(name, None)
            if held is not None:
                self._store.release(held.lease)

    def forget(self, *names: str) -> None:
        """One was lost: none is touched any more, and those still in the store run out or are taken again by this owner."""
        for name in names:
            self._held.pop(name, None)

    def stop(self) -> None:
        """Enter nothing new; give back what no thread works on. A transition under way gives its own back when it ends."""
        with self._guard:
            self._stopping = True
            idle = [name for name in self._held if name not in self._busy]
        self.release(*idle)

    def _take_all(self, names: tuple[str, ...]) -> bool:
        """In the given order, which is the same for all who want them; what was taken before one could not be had is given back."""
        taken: list[str] = []
        for name in names:
            fresh = name not in self._held
            if not self._take(name):
                self.release(*taken)
                return False
            taken += [name] if fresh else []
        return True

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

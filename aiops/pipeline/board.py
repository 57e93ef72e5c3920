"""What the flow knows of active incidents: a mirror of the store, so that no stage reads the database for each signal.

Neighbours: `flow` alone writes incidents, so the mirror is right; it is filled from the store at start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiops.domain.incident import Incident
from aiops.ports.storage import Reading


class Board:
    """Active incidents by fingerprint. Written under the flow's lock; may be read from any thread, since a reader takes a copy first."""

    def __init__(self) -> None:
        self._active: dict[str, Incident] = {}

    def load(self, store: Reading) -> None:
        """As the last run left it."""
        self._active = {i.fingerprint: i for i in store.active_incidents()}

    def put(self, incident: Incident) -> None:
        """Replace; resolved ones leave the board."""
        if incident.active:
            self._active[incident.fingerprint] = incident
        else:
            self._active.pop(incident.fingerprint, None)

    def get(self, fingerprint: str) -> Incident | None:
        """The active one of this fingerprint."""
        return self._active.get(fingerprint)

    def by_id(self, incident_id: str) -> Incident | None:
        """The active one of this id."""
        return next((i for i in list(self._active.values()) if i.id == incident_id), None)

    def __iter__(self) -> Iterator[Incident]:
        """Oldest first."""
        return iter(sorted(self._active.values(), key=lambda i: (i.opened_at, i.id)))

    def __len__(self) -> int:
        return len(self._active)

    def others(self, incident: Incident) -> Iterable[Incident]:
        """All but this one."""
        return (i for i in self if i.id != incident.id)

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
        self._ids: dict[str, str] = {}
        self._sorted: tuple[Incident, ...] | None = ()
        self.version = 0
        """Rises with each change."""

    def load(self, store: Reading) -> None:
        """As the last run left it."""
        self._active = {i.fingerprint: i for i in store.active_incidents()}
        self._ids = {i.id: fingerprint for fingerprint, i in self._active.items()}
        self._changed()

    def put(self, incident: Incident) -> None:
        """Replace; resolved ones leave the board."""
        gone = self._active.pop(incident.fingerprint, None)
        if gone is not None:
            self._ids.pop(gone.id, None)
        if incident.active:
            self._active[incident.fingerprint] = incident
            self._ids[incident.id] = incident.fingerprint
        self._changed()

    def _changed(self) -> None:
        self._sorted = None
        self.version += 1

    def get(self, fingerprint: str) -> Incident | None:
        """The active one of this fingerprint."""
        return self._active.get(fingerprint)

    def by_id(self, incident_id: str) -> Incident | None:
        """The active one of this id."""
        found = self._active.get(self._ids.get(incident_id, ""))
        return found if found is not None and found.id == incident_id else None

    def __iter__(self) -> Iterator[Incident]:
        """Oldest first."""
        return iter(self.all)

    @property
    def all(self) -> tuple[Incident, ...]:
        """Oldest first; the same tuple until something changes."""
        found = self._sorted
        if found is None:
            version = self.version
            found = tuple(sorted(self._active.values(), key=lambda i: (i.opened_at, i.id)))
            if version == self.version:
                self._sorted = found
        return found

    def __len__(self) -> int:
        return len(self._active)

    def others(self, incident: Incident) -> Iterable[Incident]:
        """All but this one."""
        return (i for i in self if i.id != incident.id)

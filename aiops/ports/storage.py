"""What must survive. One `write` is one transaction: all of it or none; it is durable when the call returns.

The journal rule: an `Intent` entry is written through here before its effect is sent, and `token` proves that the writer still
owns the execution. Neighbours: `adapters.store` (SQLite; in memory too), every stage. All methods raise `StoreError`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiops.domain.command import Command
from aiops.domain.decision import Decision
from aiops.domain.execution import Execution, JournalEntry, Lease, Review
from aiops.domain.incident import Incident, Silence
from aiops.domain.message import Message, Thread
from aiops.domain.signal import Signal
from aiops.domain.target import TargetRef


@dataclass(frozen=True, slots=True)
class Changes:
    """One transaction. Incidents, executions, silences, reviews and commands replace what has the same id; the rest is appended.

    Messages whose key is already in the outbox with the same text and view are left as they are; with another view and not delivered, replaced.
    """

    signals: tuple[tuple[str, Signal], ...] = ()
    """Pairs of incident id (empty: dropped before an incident) and signal."""
    incidents: tuple[Incident, ...] = ()
    decisions: tuple[Decision, ...] = ()
    executions: tuple[Execution, ...] = ()
    entries: tuple[JournalEntry, ...] = ()
    messages: tuple[Message, ...] = ()
    silences: tuple[Silence, ...] = ()
    reviews: tuple[Review, ...] = ()
    commands: tuple[Command, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    """Small JSON documents by name (paused, watch positions, detector bookkeeping); None deletes."""

    @property
    def empty(self) -> bool:
        """Nothing to write."""
        return not any((self.signals, self.incidents, self.decisions, self.executions, self.entries, self.messages, self.silences, self.reviews, self.commands, self.values))


class Reading(Protocol):
    """The read side: what pages, terminal and stages ask. Lists are newest first unless said otherwise."""

    def incident(self, incident_id: str) -> Incident | None:
        """One by id."""
        ...

    def active_incidents(self) -> Sequence[Incident]:
        """All that are not resolved, oldest first."""
        ...

    def incidents(self, *, limit: int = 100, since: float = 0.0) -> Sequence[Incident]:
        """By `updated_at`."""
        ...

    def last_incident(self, fingerprint: str) -> Incident | None:
        """The newest of this fingerprint, resolved or not: for flap damping."""
        ...

    def signals(self, incident_id: str, *, limit: int = 200) -> Sequence[Signal]:
        """The history of claims of an incident."""
        ...

    def decisions(self, *, target: str = "", incident: str = "", execution: str = "", since: float = 0.0, limit: int = 500) -> Sequence[Decision]:
        """By time; each given filter must match."""
        ...

    def execution(self, execution_id: str) -> Execution | None:
        """One by id."""
        ...

    def executions(self, *, incident: str = "", target: str = "", runbook: str = "", since: float = 0.0, limit: int = 200) -> Sequence[Execution]:
        """By `created_at`; `since` compares `created_at`."""
        ...

    def unfinished(self, *, targets: Collection[TargetRef] | None = None) -> Sequence[Execution]:
        """Every run that is not DONE, oldest first; with `targets`, those that work on any of them: an indexed question, however many runs there are."""
        ...

    def unfinished_states(self) -> Mapping[str, int]:
        """How many runs are in each state but DONE, by the state's name."""
        ...

    def due(self, now: float, limit: int = 100) -> Sequence[Execution]:
        """Unfinished with `due_at <= now`, by `due_at`."""
        ...

    def journal(self, execution_id: str) -> Sequence[JournalEntry]:
        """In order of writing."""
        ...

    def silences(self, now: float) -> Sequence[Silence]:
        """Those in force at `now`."""
        ...

    def reviews(self, execution_id: str = "") -> Sequence[Review]:
        """All, or of one execution (at most one: the last mark wins)."""
        ...

    def messages_due(self, now: float, limit: int = 50) -> Sequence[Message]:
        """Undelivered, not given up, `due_at <= now`; for each incident and channel in order of `sequence`."""
        ...

    def messages(self, incident: str = "", limit: int = 100) -> Sequence[tuple[Message, str]]:
        """With their state: `pending`, `delivered`, `failed: reason`, `superseded`."""
        ...

    def thread(self, incident: str, channel: str) -> Thread | None:
        """Where the root message stands, once delivered."""
        ...

    def commands(self, *, pending: bool = True, limit: int = 100) -> Sequence[Command]:
        """Oldest first."""
        ...

    def value(self, name: str) -> Any:
        """A small JSON document, or None."""
        ...

    def size(self) -> Mapping[str, int]:
        """Rows for each table."""
        ...


class Store(Reading, Protocol):
    """Reading, and writing in whole transactions."""

    def write(self, changes: Changes, *, lease: Lease | Sequence[Lease] | None = None, now: float | None = None) -> None:
        """Apply all or nothing.

        With a lease or several, the transaction checks first that the token of each is still the newest and not expired at `now`; else LeaseLostError.
        """
        ...

    def acquire(self, name: str, owner: str, ttl: float, now: float) -> Lease | None:
        """Take the lease if it is free, expired, or ours already (each acquisition raises the token). None if another holds it."""
        ...

    def renew(self, lease: Lease, ttl: float, now: float) -> Lease:
        """Same token, later expiry. Raises LeaseLostError."""
        ...

    def release(self, lease: Lease) -> None:
        """Give it back; the token stays, so the next is higher. A lost lease is left alone."""
        ...

    def leases(self) -> Sequence[Lease]:
        """All that are recorded."""
        ...

    def delivered(self, key: str, thread: Thread | None, now: float, *, sequence: int | None = None) -> None:
        """Mark a message as sent and, for a root, where it stands, in one transaction.

        Give the `sequence` that was sent: a message that was replaced by a newer view while it was on its way then stays due.
        """
        ...

    def not_delivered(self, key: str, reason: str, next_at: float | None, now: float) -> None:
        """Count the attempt; `next_at` None gives up with the reason kept."""
        ...

    def purge(self, now: float, keep: Mapping[str, float]) -> Mapping[str, int]:
        """Delete rows older than `keep[table]` seconds (never what is unfinished or undelivered); rows deleted for each table."""
        ...

    def check(self) -> None:
        """Cheap proof that it can read and write; raises StoreError."""
        ...

    def close(self) -> None:
        """Finish writing and release files."""
        ...

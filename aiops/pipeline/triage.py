"""From claims to incidents: grouped by target, deduplicated, damped, with a stored reason for everything that goes no further.

Neighbours: `correlate.incident_flow` decides, `board` remembers, `flow` stores what comes back in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiops.correlate.grouping import group
from aiops.correlate.incident_flow import Flow, FlowPolicy, absorb, tick
from aiops.domain.decision import Decision
from aiops.domain.incident import Incident
from aiops.domain.signal import Signal
from aiops.pipeline.board import Board
from aiops.ports.storage import Reading


@dataclass(frozen=True, slots=True)
class Triaged:
    """An incident that changed, by which changes, and the signals that went into it."""

    incident: Incident
    changes: tuple[str, ...]
    signals: tuple[Signal, ...] = ()


@dataclass(frozen=True, slots=True)
class TriageResult:
    """All that came of some signals. `dropped` are signals that belong to no incident."""

    triaged: tuple[Triaged, ...]
    decisions: tuple[Decision, ...]
    dropped: tuple[Signal, ...] = ()


class Triage:
    """Keeps the board right; stores nothing itself."""

    def __init__(self, board: Board, store: Reading, policy: FlowPolicy) -> None:
        self._board, self._store, self._policy = board, store, policy

    def take(self, signals: Sequence[Signal], now: float) -> TriageResult:
        """Group and absorb. The board is changed only by `Board.put`, after the transaction."""
        triaged: list[Triaged] = []
        decisions: list[Decision] = []
        dropped: list[Signal] = []
        for fingerprint, members in group(signals).items():
            current = self._board.get(fingerprint)
            last = None if current is not None else self._store.last_incident(fingerprint)
            flow = absorb(current, last, members, now, self._policy)
            decisions += flow.decisions
            if flow.incident is not None and flow.changes:
                triaged.append(Triaged(flow.incident, flow.changes, tuple(members)))
            else:
                dropped += members
        return TriageResult(tuple(triaged), tuple(decisions), tuple(dropped))

    def tick(self, incidents: Iterable[Incident], now: float) -> TriageResult:
        """What time alone brings."""
        flows = [tick(incident, now, self._policy) for incident in incidents]
        return result(flows)


def result(flows: Iterable[Flow]) -> TriageResult:
    """Flows without signals, as a result."""
    kept = list(flows)
    triaged = tuple(Triaged(f.incident, f.changes) for f in kept if f.incident is not None and f.changes)
    return TriageResult(triaged, tuple(d for f in kept for d in f.decisions))

"""Who is muted now: by another incident that explains it, by a person's silence, or held by a roll-out. Marked before anybody is told, and again as time passes.

Neighbours: `correlate.inhibition` and `correlate.muting` judge; `flow` stores what comes back and calls this under its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from aiops.correlate.inhibition import Inhibits, inhibited
from aiops.correlate.muting import silencing
from aiops.correlate.topology import Placement
from aiops.domain.incident import Incident
from aiops.pipeline.board import Board
from aiops.pipeline.context import Context
from aiops.pipeline.triage import TriageResult
from aiops.ports.storage import Reading


class Muting:
    """`placement` says what stands where; `inhibits` are those of the rules in force."""

    def __init__(self, board: Board, store: Reading, placement: Callable[[], Placement], context: Context) -> None:
        self._board, self._store, self._placement, self._context = board, store, placement, context
        self.inhibits: Inhibits = {}

    def marked(self, outcome: TriageResult, now: float) -> TriageResult:
        """The changed incidents with who mutes them, before they are stored and told. Raises StoreError."""
        changed = {t.incident.id: t.incident for t in outcome.triaged}
        if not changed:
            return outcome
        mutes = self._mutes([*(i for i in self._board if i.id not in changed), *(i for i in changed.values() if i.active)], now)

        def mark(incident: Incident, changes: Sequence[str]) -> Incident:
            by, silence = mutes.get(incident.id, (incident.inhibited_by, incident.silenced_by))
            return replace(self._context.placed(incident, changes, now), inhibited_by=by, silenced_by=silence)

        return replace(outcome, triaged=tuple(replace(t, incident=mark(t.incident, t.changes)) for t in outcome.triaged))

    def changed(self, now: float) -> tuple[Incident, ...]:
        """Those on the board for which it is otherwise now than it was written down. Raises StoreError."""
        mutes = self._mutes(tuple(self._board), now)
        found = []
        for incident in self._board:
            (by, silence), held = mutes[incident.id], self._context.held(incident, now)
            if (by, silence, held) != (incident.inhibited_by, incident.silenced_by, incident.held):
                found.append(replace(incident, inhibited_by=by, silenced_by=silence, held=held, version=incident.version + 1))
        return tuple(found)

    def _mutes(self, incidents: Sequence[Incident], now: float) -> dict[str, tuple[str, str]]:
        """By incident id: who inhibits it and what silences it; empty texts for nobody and nothing."""
        # What stands where is worked out from every pod, so only where a claim of a rule that mutes is there to ask for it.
        asked = bool(self.inhibits) and len(incidents) > 1 and any(s.rule in self.inhibits for i in incidents for s in i.firing)
        by = inhibited(incidents, self.inhibits, self._placement()) if asked else {}
        silences = self._store.silences(now)
        if not by and not silences:
            return dict.fromkeys((i.id for i in incidents), ("", ""))
        found = {}
        for incident in incidents:
            inhibitor, silence = by.get(incident.id), silencing(incident, silences, now)
            found[incident.id] = (inhibitor.by if inhibitor else "", silence.id if silence else "")
        return found

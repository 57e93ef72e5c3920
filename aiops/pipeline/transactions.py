"""What the stages decided and what follows from it, each in one transaction: stored first, then muted, decided on and told.

Neighbours: `flow` calls it under its lock, which everything here needs; `decide`, `announce` and `muting` are asked on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog

from aiops.domain.decision import Decision
from aiops.domain.errors import AiopsError, StoreError
from aiops.domain.execution import Execution
from aiops.domain.incident import Incident
from aiops.domain.message import Message
from aiops.pipeline.announce import Announcer
from aiops.pipeline.board import Board
from aiops.pipeline.context import Context
from aiops.pipeline.decide import Decider
from aiops.pipeline.muting import Muting
from aiops.pipeline.triage import TriageResult
from aiops.ports.clock import Clock
from aiops.ports.storage import Changes, Store
from aiops.ports.telemetry import Telemetry

log = structlog.get_logger(__name__)
# Changes after which runbooks are looked at again at once; what else may matter (time, cooldowns) the flow looks at from time to time.
MATTERS = {"Opened", "Reopened", "SignalAdded", "SignalCleared", "SeverityRaised", "SeverityLowered", "FiringAgain", "RunEnded"}


class TransactionParts(Protocol):
    """What of the flow's parts this needs."""

    clock: Clock
    store: Store
    telemetry: Telemetry
    board: Board
    decider: Decider
    announcer: Announcer
    context: Context


class Transactions:
    """Not for several threads at once."""

    def __init__(self, parts: TransactionParts) -> None:
        self._parts = parts
        self.muting = Muting(parts.board, parts.store, parts.decider.placement, parts.context)

    def commit(self, outcome: TriageResult, now: float, decisions: Iterable[Decision] = (), run: Execution | None = None) -> None:
        """What triage made of it, `decisions` of the stages before, and what people are told; then what follows. Raises StoreError: nothing was stored then."""
        p, outcome = self._parts, self.muting.marked(outcome, now)
        incidents = [t.incident for t in outcome.triaged]
        signals = [(t.incident.id, s) for t in outcome.triaged for s in t.signals] + [("", s) for s in outcome.dropped]
        all_decisions = (*decisions, *outcome.decisions)
        messages = [m for t in outcome.triaged for m in self.messages(t.incident, now, run)]
        changes = Changes(signals=tuple(signals), incidents=tuple(incidents), decisions=all_decisions, messages=tuple(messages))
        if not changes.empty:
            began = p.clock.monotonic()
            p.store.write(changes)
            p.telemetry.observe("store_write", p.clock.monotonic() - began)
        p.announcer.keep(messages)
        for decision in all_decisions:
            p.telemetry.count("decisions", stage=decision.stage.value, passed=str(decision.passed).lower(), reason=decision.reason)
        for triaged in outcome.triaged:
            p.board.put(triaged.incident)
            self._note(triaged.incident, triaged.changes, now)
        if outcome.triaged:
            self._follow(outcome, now)

    def _follow(self, outcome: TriageResult, now: float) -> None:
        """What the changes lead to. They are stored: an error here must not look as if they were not."""
        p = self._parts
        try:
            self.mute(now)
        except StoreError as error:
            self.left("mute", error)
        for triaged in outcome.triaged:
            current = p.board.get(triaged.incident.fingerprint)
            if current is not None and MATTERS.intersection(triaged.changes):
                self.decide_safely(current, now)

    def decide_safely(self, incident: Incident, now: float) -> None:
        """One incident that cannot be decided on does not keep the others waiting."""
        try:
            self._decide(incident, now)
        except AiopsError as error:
            self.left("decide", error, incident.id)

    def left(self, task: str, error: AiopsError, incident: str = "") -> None:
        """It is logged and counted, and `reconsider` tries again."""
        self._parts.telemetry.count("task_errors", task=task)
        log.error("left for the next look", task=task, incident=incident, exc_info=error)

    def _note(self, incident: Incident, changes: Sequence[str], now: float) -> None:
        telling = [c for c in changes if c != "EvidenceUpdated"]
        if not telling:
            return
        self._parts.telemetry.count("incidents", state=incident.state.value)
        if not incident.active and incident.resolved_at is not None:
            self._parts.telemetry.observe("incident_resolved", now - incident.opened_at, severity=incident.severity.value)
        log.info("incident", incident=incident.id, title=incident.title, state=incident.state.value, changes=telling)

    def messages(self, incident: Incident, now: float, run: Execution | None = None) -> tuple[Message, ...]:
        """What is to be told of it now, with this run or its newest. Of one that is muted or held only that it is over, where people know of it."""
        announcer = self._parts.announcer
        if (incident.silenced_by or incident.inhibited_by or incident.held) and (incident.active or not announcer.told(incident.id)):
            return ()
        if run is None:
            run = next(iter(self._parts.store.executions(incident=incident.id, limit=1)), None)
        return announcer.compose(incident, run, now)

    def mute(self, now: float) -> None:
        """Write down who is inhibited or silenced now, where that changed."""
        p = self._parts
        changed = self.muting.changed(now)
        if changed:
            messages = tuple(m for i in changed for m in self.messages(i, now))
            p.store.write(Changes(incidents=changed, messages=messages))
            p.announcer.keep(messages)
            for incident in changed:
                p.board.put(incident)

    def _decide(self, incident: Incident, now: float) -> None:
        p = self._parts
        began = p.clock.monotonic()
        outcome = p.decider.decide(incident, self.muting.inhibits, now)
        p.telemetry.observe("decide", p.clock.monotonic() - began)
        if outcome.verdicts:
            p.announcer.refused(incident.id, outcome.verdicts)
        current = p.board.get(incident.fingerprint) or incident  # a run that began has changed it meanwhile
        messages = self.messages(current, now)  # what a failing store kept us from telling is told now
        if outcome.decisions or messages:
            p.store.write(Changes(decisions=outcome.decisions, messages=messages))
            p.announcer.keep(messages)
        for decision in outcome.decisions:
            p.telemetry.count("decisions", stage=decision.stage.value, passed=str(decision.passed).lower(), reason=decision.reason)

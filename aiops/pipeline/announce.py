"""Telling people: from an incident and its latest run to a typed view, and from the outbox to the notifier.

Neighbours: `flow` enqueues what `compose` returns in the same transaction as the change itself; `Courier` empties the outbox.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiops.domain.errors import NotifyError, StoreError
from aiops.domain.execution import Execution, ExecutionState
from aiops.domain.feedback import DAMPED
from aiops.domain.incident import Incident
from aiops.domain.message import IncidentView, Message, MessageKind
from aiops.domain.outcome import Verdict
from aiops.domain.signal import Signal
from aiops.pipeline.context import words
from aiops.ports.clock import Clock
from aiops.ports.notifier import Notifier
from aiops.ports.storage import Store
from aiops.ports.telemetry import Telemetry

FIRST_RETRY, LONGEST_RETRY, GIVE_UP_AFTER = 5.0, 300.0, 86400.0
KNOWN = 2000
"""Incidents whose messages are remembered: more than are ever active at once."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where incidents go: empty conditions match all."""

    channel: str
    severities: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def takes(self, incident: Incident) -> bool:
        """Every condition holds."""
        namespace = incident.target.namespace if incident.target else incident.labels.get("namespace", "")
        return (
            (not self.severities or incident.severity.value in self.severities)
            and (not self.namespaces or namespace in self.namespaces)
            and all(incident.labels.get(name) == value for name, value in self.labels.items())
        )


def channel_for(incident: Incident, routes: Sequence[Route]) -> str:
    """The channel of the first route that takes it; empty: nobody is told."""
    return next((r.channel for r in routes if r.takes(incident)), "")


def evidence_line(signal: Signal) -> str:
    """One line: value against expected and threshold."""
    e = signal.evidence
    parts = [f"{signal.rule}: value {_number(e.value)}"]
    if e.expected is not None:
        parts.append(f"expected {_number(e.expected)}")
    if e.upper is not None or e.lower is not None:
        parts.append(f"bounds {_number(e.lower)} to {_number(e.upper)}")
    if e.note:
        parts.append(e.note)
    return ", ".join(parts)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def verification_line(execution: Execution) -> str:
    """What verification found, in words."""
    run = execution.verification
    if run is None:
        return ""
    if run.judgement is not None:
        return f"{run.judgement.value}: {run.detail}" if run.detail else run.judgement.value
    level = next((v for v in reversed(run.values) if v is not None), None)
    if run.detail:
        return run.detail
    return f"measuring: level {_number(level)}, before {_number(run.baseline)}" if execution.state is ExecutionState.VERIFYING else ""


def build_view(
    incident: Incident, execution: Execution | None, refusals: Sequence[Verdict], *, dry_run: bool, links: Mapping[str, str]
) -> IncidentView:
    """Everything a reader needs now; the notifier renders it."""
    firing = incident.firing
    shown = firing or tuple(incident.signals.values())
    return IncidentView(
        incident=incident.id,
        title=incident.title,
        severity=incident.severity,
        state=incident.state.value,
        target=str(incident.target) if incident.target else "",
        opened_at=incident.opened_at,
        updated_at=incident.updated_at,
        resolved_at=incident.resolved_at,
        ended=incident.transitions[-1].reason if incident.transitions and not incident.active else "",
        dry_run=dry_run,
        labels=dict(incident.labels),
        signals=tuple(s.summary for s in shown),
        evidence=tuple(evidence_line(s) for s in shown) + tuple(line for s in shown for line in s.evidence.lines[:3]),
        context=tuple(words(change, incident.opened_at) for change in incident.changes),
        contributors=tuple(str(c) for s in shown for c in s.evidence.contributors),
        causes=tuple(map(str, incident.causes)),
        learned=any(s.detector in DAMPED for s in shown),
        runbook=execution.plan.runbook if execution else "",
        mode=execution.plan.mode.value if execution else "",
        execution=execution.id if execution else "",
        execution_state=execution.state.value if execution else "",
        changes=execution.plan.changes if execution else (),
        refusals=tuple(refusals),
        verification=verification_line(execution) if execution else "",
        outcome=f"{execution.result.outcome.value}: {execution.result.reason}" if execution and execution.result else "",
        links=dict(links),
    )


@dataclass
class _Known:
    """What was told of one incident: the last view in each channel, and the keys of the replies."""

    views: dict[str, IncidentView] = field(default_factory=dict)
    replies: set[str] = field(default_factory=set)
    refusals: tuple[Verdict, ...] = ()


@dataclass
class Announcer:
    """Composes messages; remembers the last root view of each incident so that an unchanged one is not sent again.

    `compose` changes nothing: what it returns counts as told once `keep` was called, after the transaction that holds it. So a store that
    failed does not make us believe that people know.
    """

    routes: Sequence[Route]
    dry_run: bool
    external_url: str = ""
    _known: OrderedDict[str, _Known] = field(default_factory=OrderedDict)
    _sequence: int = 0

    def load(self, incident: str, messages: Iterable[Message]) -> None:
        """After a restart: what the outbox holds of an incident, newest first."""
        known = self._of(incident)
        for message in messages:
            self._sequence = max(self._sequence, message.sequence)
            if message.kind is not MessageKind.INCIDENT:
                known.replies.add(message.key)
            elif message.view is not None:
                known.views.setdefault(message.channel, message.view)

    def refused(self, incident: str, verdicts: Sequence[Verdict]) -> None:
        """Remember the latest refusals of an incident, for its next view."""
        self._of(incident).refusals = tuple(v for v in verdicts if not v.allowed)

    def told(self, incident: str) -> bool:
        """True if people were told of it."""
        return incident in self._known and bool(self._known[incident].views)

    def compose(self, incident: Incident, execution: Execution | None, now: float) -> tuple[Message, ...]:
        """Messages for the outbox: the root if its view changed, in every channel that has one, and a reply for each new state of the run."""
        known, channel = self._known.get(incident.id, _Known()), channel_for(incident, self.routes)
        links = {"incident": f"{self.external_url}/incidents/{incident.id}"} if self.external_url else {}
        view = build_view(incident, execution, known.refusals, dry_run=self.dry_run, links=links)
        messages = []
        # One that became worse may be told elsewhere now; where it was told before, its root must not stay behind.
        for place in dict.fromkeys((channel, *known.views)):
            if place and _essence(known.views.get(place)) != _essence(view):
                sequence = self._next(now)
                key = f"{incident.id}/{place}/root/{sequence}"
                messages.append(Message(key, place, incident.id, MessageKind.INCIDENT, now, sequence, headline(view), view, 0, now))
        if execution is not None and channel:
            kind = MessageKind.ASK if execution.state is ExecutionState.AWAITING_APPROVAL else MessageKind.UPDATE
            key, text = f"{incident.id}/{channel}/{execution.id}/{execution.state.value}/{view.outcome}"[:500], run_line(view)
            if text and key not in known.replies:
                shown = view if kind is MessageKind.ASK else None
                messages.append(Message(key, channel, incident.id, kind, now, self._next(now), text, shown, 0, now))
        return tuple(messages)

    def notice(self, incident: Incident, key: str, text: str, now: float) -> tuple[Message, ...]:
        """A line in the incident's thread about something that follows from it; the same key is told once."""
        known, channel = self._known.get(incident.id, _Known()), channel_for(incident, self.routes)
        full = f"{incident.id}/{channel}/{key}"[:500]
        return (Message(full, channel, incident.id, MessageKind.UPDATE, now, self._next(now), text, None, 0, now),) if channel and full not in known.replies else ()

    def keep(self, messages: Iterable[Message]) -> None:
        """These are stored."""
        for message in messages:
            known = self._of(message.incident)
            if message.kind is not MessageKind.INCIDENT:
                known.replies.add(message.key)
            elif message.view is not None:
                known.views[message.channel] = message.view

    def _next(self, now: float) -> int:
        """Rising over restarts too, and never twice the same: the order in which people are told."""
        self._sequence = max(self._sequence + 1, int(now * 1000))
        return self._sequence

    def _of(self, incident: str) -> _Known:
        known = self._known.setdefault(incident, _Known())
        self._known.move_to_end(incident)
        if len(self._known) > KNOWN:
            # The longest untouched. Should it still matter, its root is edited once more, and the outbox knows its replies.
            self._known.popitem(last=False)
        return known


def _essence(view: IncidentView | None) -> tuple[object, ...] | None:
    """What makes a root worth an update: not each new sample, not the time of it."""
    if view is None:
        return None
    return (
        view.title, view.severity, view.state, view.signals, view.runbook, view.execution, view.execution_state, view.outcome,
        view.verification.split(":")[0], tuple((v.guard, v.reason) for v in view.refusals), len(view.changes),
        view.contributors, tuple(cause.partition(": ")[0] for cause in view.causes),
    )


ENDS: Mapping[str, str] = {
    "RegimeChanged": ": it did not go back, and has lasted so long that it is taken as usual from now on",
    "NoLongerSeen": ": it cannot be seen any more",
}
"""What is said of an incident that was resolved without a recovery."""


def headline(view: IncidentView) -> str:
    """One plain line, also the notification text."""
    mark = "[dry-run] " if view.dry_run else ""
    return f"{mark}{view.severity.value.upper()} {view.state}: {view.title}{ENDS.get(view.ended, '')}"


def run_line(view: IncidentView) -> str:
    """One plain line about the run."""
    told = {"awaiting-approval": "waits for approval", "running": "started", "verifying": "acted, measuring", "undoing": "is being undone"}
    words = told.get(view.execution_state, "")
    if view.execution_state == "done":
        words = f"ended: {view.outcome}"
        if view.verification:
            words += f" ({view.verification})"
    if not words:
        return ""
    hint = f"; approve with: aiops approve {view.execution}" if view.execution_state == "awaiting-approval" else ""
    return f"{view.runbook} {words}{hint}"


class Courier:
    """Empties the outbox in order for each incident and channel. A failure holds back only that incident's later messages."""

    def __init__(self, store: Store, notifier: Notifier, clock: Clock, telemetry: Telemetry) -> None:
        self._store, self._notifier, self._clock, self._telemetry = store, notifier, clock, telemetry

    def deliver_due(self) -> int:
        """Send what is due; how many were sent. StoreError passes out: nothing may be sent that cannot be marked."""
        blocked: set[tuple[str, str]] = set()
        sent = 0
        for message in self._store.messages_due(self._clock.now()):
            place = (message.incident, message.channel)
            if place in blocked:
                continue
            thread = self._store.thread(*place)
            try:
                thread = self._notifier.deliver(message, thread)
            except NotifyError as error:
                blocked.add(place)
                self._failed(message, error)
                continue
            try:
                # The sequence: a view that was replaced while this one was on its way stays due.
                self._store.delivered(message.key, thread, self._clock.now(), sequence=message.sequence)
            except StoreError:
                self._telemetry.count("messages_unmarked")
                raise
            self._telemetry.count("messages_sent", kind=message.kind.value)
            sent += 1
        return sent

    def _failed(self, message: Message, error: NotifyError) -> None:
        now = self._clock.now()
        wait = error.retry_after if error.retry_after is not None else min(LONGEST_RETRY, FIRST_RETRY * 2.0**message.attempts)
        over = error.permanent or now - message.created_at > GIVE_UP_AFTER
        self._telemetry.count("messages_failed", reason=error.reason)
        self._store.not_delivered(message.key, str(error), None if over else now + wait, now)

"""What is told to people: a typed view of an incident, rendered by the notifier, kept in an outbox until delivered.

Neighbours: `pipeline.announce` builds views, `adapters.slack` renders them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.domain.outcome import Verdict
from aiops.domain.plan import Change
from aiops.domain.signal import Severity


class MessageKind(StrEnum):
    """INCIDENT is the thread's root and is updated in place; UPDATE goes into the thread; ASK wants an answer."""

    INCIDENT = "incident"
    UPDATE = "update"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class IncidentView:
    """What a reader needs of one incident now. Texts are plain, unescaped and may hold hostile label values; times Unix seconds."""

    incident: str
    title: str
    severity: Severity
    state: str
    target: str
    opened_at: float
    updated_at: float
    resolved_at: float | None = None
    ended: str = ""
    dry_run: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    signals: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    runbook: str = ""
    mode: str = ""
    execution: str = ""
    execution_state: str = ""
    changes: tuple[Change, ...] = ()
    refusals: tuple[Verdict, ...] = ()
    verification: str = ""
    outcome: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    contributors: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    learned: bool = False
    """Something here was claimed by a detector that a person can tell it was none."""


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the outbox. `key` makes enqueuing twice harmless: same key and same content is one message.

    For INCIDENT, `sequence` says which view is newest: an older one that was not delivered yet is dropped, not sent.
    """

    key: str
    channel: str
    incident: str
    kind: MessageKind
    created_at: float
    sequence: int
    text: str
    view: IncidentView | None = None
    attempts: int = 0
    due_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Thread:
    """Where an incident's root message stands in a channel, as the notifier knows it (for Slack: channel id and ts)."""

    incident: str
    channel: str
    place: str
    reference: str

"""Grouped signals with a lifecycle: open → acknowledged → mitigating → resolved.

Neighbours: `correlate.incident_flow` makes the transitions, the store keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.domain.signal import Severity, Signal, SignalState
from aiops.domain.target import TargetRef


class IncidentState(StrEnum):
    """Where an incident stands. Only RESOLVED is final; a new fault after it opens a new incident, or reopens within the flap window."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MITIGATING = "mitigating"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state, and why (a CamelCase code and words)."""

    at: float
    state: IncidentState
    reason: str
    by: str = "aiops"


@dataclass(frozen=True, slots=True)
class RecentChange:
    """What was changed about the target, or what it calls: `kind` is release, restart, configuration or scale; `by` a field manager, if known."""

    at: float
    kind: str
    words: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """A series near an incident's target that changed about when the incident began. `z`: by so many robust deviations; `at`: since when (Unix seconds).

    `relation`: `itself`, `node`, `namespace` (the object that the target stands on or lives in), `called`, `same node`, `neighbour`. `score`: what it is ranked by.
    """

    rule: str
    about: str
    relation: str
    z: float
    at: float
    before: float
    now: float
    score: float

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.about} ({self.relation}): {self.rule} {self.before:.4g} to {self.now:.4g}, {abs(self.z):.3g} deviations"


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that is wrong with one target. `signals` has the last claim for each key; times are Unix seconds.

    `changes`: what was changed of late when it began, the latest first. `held`: why nobody is told and nothing is done yet, else empty.
    `settled`: keys of forecasts that a verified level has answered; they count no more until they were clear once, or become worse.
    """

    id: str
    fingerprint: str
    title: str
    state: IncidentState
    severity: Severity
    opened_at: float
    updated_at: float
    target: TargetRef | None
    labels: Mapping[str, str]
    signals: Mapping[str, Signal] = field(default_factory=dict)
    transitions: tuple[Transition, ...] = ()
    resolved_at: float | None = None
    flaps: int = 0
    inhibited_by: str = ""
    silenced_by: str = ""
    held: str = ""
    changes: tuple[RecentChange, ...] = ()
    version: int = 0
    settled: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()

    @property
    def firing(self) -> tuple[Signal, ...]:
        """The claims that stand now, without forecasts that are settled."""
        return tuple(s for s in self.signals.values() if s.state is SignalState.FIRING and s.key not in self.settled)

    @property
    def active(self) -> bool:
        """Not resolved yet."""
        return self.state is not IncidentState.RESOLVED

    @property
    def symptoms(self) -> tuple[str, ...]:
        """The `symptom` labels of what fires now, sorted, each once."""
        return tuple(sorted({s.labels["symptom"] for s in self.firing if s.labels.get("symptom")}))


@dataclass(frozen=True, slots=True)
class Silence:
    """A person's expiring mute of acting and telling, never of recording: every matcher must equal the incident's label."""

    id: str
    matchers: Mapping[str, str]
    starts_at: float
    ends_at: float
    by: str
    comment: str = ""

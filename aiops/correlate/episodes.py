"""Incidents of several objects that are likely one fault: they stand near each other, and began soon after one another. Read-only: nothing is decided by it.

An incident stays about one target, since that is what a runbook may work on; an episode is how a person counts. The incident that began first is its likeliest
origin, of several the one whose claim goes furthest beyond its threshold. What begins later than `WITHIN` after the first is another episode, also while the first
lasts: a second fault is not hidden by a first. Pure. Neighbours: `grouping` makes incidents of signals, `topology` says what stands where.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from aiops.correlate.topology import Placement
from aiops.domain.incident import Incident
from aiops.domain.target import TargetRef

WITHIN = 180.0
"""Seconds after an episode's beginning in which what begins near it belongs to it."""
AGAIN = "Reopened"


@dataclass(frozen=True, slots=True)
class Beginning:
    """An incident as it began, first or again, at `at` (Unix seconds)."""

    at: float
    incident: Incident

    @property
    def score(self) -> float:
        """How far beyond its threshold (1.0) the claim that it began with went; of several the furthest."""
        first = [s.evidence.score for s in self.incident.signals.values() if s.evidence.score is not None]
        return max(first, default=1.0)


@dataclass(slots=True)
class Episode:
    """`beginnings`: the likeliest origin first."""

    at: float
    beginnings: list[Beginning] = field(default_factory=list)

    @property
    def origins(self) -> tuple[TargetRef, ...]:
        """Whom it is about, likeliest origin first, each once."""
        return tuple(dict.fromkeys(b.incident.target for b in self.beginnings if b.incident.target is not None))


def episodes(incidents: Iterable[Incident], placement: Placement | None = None) -> tuple[Episode, ...]:
    """All that began, in the order of time. What has no target (a source in the dark) is an episode of its own."""
    began = [Beginning(at, i) for i in incidents for at in (i.opened_at, *(t.at for t in i.transitions if t.reason == AGAIN))]
    found: list[Episode] = []
    for one in sorted(began, key=lambda b: (b.at, -b.score, b.incident.id)):
        near = next((e for e in reversed(found) if one.at - e.at <= WITHIN and _near(e, one, placement or Placement())), None)
        if near is None:
            near = Episode(one.at)
            found.append(near)
        near.beginnings.append(one)
    return tuple(found)


def _near(episode: Episode, one: Beginning, placement: Placement) -> bool:
    return any(_related(target, one.incident.target, placement) for target in episode.origins)


def _related(a: TargetRef, b: TargetRef | None, placement: Placement) -> bool:
    if b is None or a.context != b.context:
        return False
    return a == b or (a.namespace == b.namespace != "") or placement.below(a, b) or placement.below(b, a)

"""Storm mode: too much breaks at once, so that what any one runbook knows of the cause is too little; people are called and nothing is done by itself.

A pure state machine with hysteresis: it begins at a number of new incidents (or of targets among them) within a window, and ends when for some
time there were at most half as many. Incidents that another one explains do not count. Neighbours: `pipeline.storming` keeps it, the guard `storm` asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from aiops.domain.incident import Incident, IncidentState
from aiops.domain.signal import SignalKind


@dataclass(frozen=True, slots=True)
class StormPolicy:
    """Numbers at which it begins, within `window` seconds; it ends after `quiet` seconds of at most half of both."""

    targets: int = 15
    incidents: int = 30
    window: float = 300.0
    quiet: float = 300.0


@dataclass(frozen=True, slots=True)
class Storm:
    """`since`: Unix seconds, None while there is none. `calm_since`: since when the numbers are low enough to end it. `targets`, `incidents`: newly broken."""

    since: float | None = None
    calm_since: float | None = None
    targets: int = 0
    incidents: int = 0

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.incidents} incidents on {self.targets} targets are new: nothing is done by itself until it calms down"


def step(storm: Storm, incidents: Iterable[Incident], now: float, policy: StormPolicy) -> Storm:
    """The state after a look at all active incidents."""
    # What did not change since the window began did not break within it: asked first, since there may be a thousand.
    since = now - policy.window
    fresh = [i for i in incidents if i.updated_at > since and not i.inhibited_by and began(i) > since and not _about_sight(i)]
    targets = len({i.target for i in fresh if i.target is not None})
    storm = replace(storm, targets=targets, incidents=len(fresh))
    if targets >= policy.targets or len(fresh) >= policy.incidents:
        return replace(storm, since=now if storm.since is None else storm.since, calm_since=None)
    if storm.since is None:
        return storm
    if targets > policy.targets // 2 or len(fresh) > policy.incidents // 2:
        return replace(storm, calm_since=None)
    calm = now if storm.calm_since is None else storm.calm_since
    return replace(storm, since=None, calm_since=None) if now - calm >= policy.quiet else replace(storm, calm_since=calm)


def began(incident: Incident) -> float:
    """When it broke, for the last time if it was reopened (Unix seconds)."""
    return max((t.at for t in incident.transitions if t.state is IncidentState.OPEN), default=incident.opened_at)


def _about_sight(incident: Incident) -> bool:
    """Telemetry that cannot be seen is no thing that broke; the guard of sight deals with it."""
    return incident.target is None and all(s.kind is SignalKind.SIGHT for s in incident.signals.values())

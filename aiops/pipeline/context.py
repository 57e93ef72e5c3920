"""What goes on around an incident: recent changes of its target and of what that calls are attached to it, and while one of them is being rolled out what
only learned detectors say of it is held: kept, stored and shown, but told to nobody and acted on by nothing.

A roll-out is known to make a service unlike itself for a while. The hold ends when the roll-out is complete and a grace has passed, when it is stuck, when a
rule speaks that needs no history (a threshold, an objective, a container that crashes), and in any case after `most`. What is over by then was never told.
Neighbours: `muting` asks, `remediate.recent_changes` reads the objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aiops.domain.incident import Incident, RecentChange
from aiops.domain.target import TargetRef
from aiops.ports.cluster import ClusterView
from aiops.remediate.objects import WORKLOADS, ClusterObjects, gather
from aiops.remediate.recent_changes import MOST, recent_changes, roll_out
from aiops.remediate.storm import began

_FRESH = frozenset({"Opened", "Reopened", "SignalAdded", "FiringAgain"})
_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """Seconds: `grace` after a roll-out is complete, and `most` that anything is held; 0: nothing is."""

    grace: float = 60.0
    most: float = 900.0


class Context:
    """`holding`: names of the rules in force whose claims wait for roll-outs. Under the flow's lock."""

    def __init__(self, views: Mapping[str, ClusterView], policy: HoldPolicy) -> None:
        self._views, self._policy = views, policy
        self.holding: frozenset[str] = frozenset()

    def placed(self, incident: Incident, changes: Sequence[str], now: float) -> Incident:
        """With what changed of late, where it has just begun or a claim is new, and whether it is held."""
        if not incident.active or not _FRESH.intersection(changes):
            return replace(incident, held=self.held(incident, now)) if incident.held else incident
        around = tuple(self._around(incident))
        found = {c for objects in around for c in recent_changes(objects, now)}
        # What was seen when it began stays: after an hour the objects may not tell it any more.
        known = sorted({*found, *incident.changes}, key=lambda c: (-c.at, c.words))[:MOST]
        first = bool({"Opened", "Reopened"}.intersection(changes))
        held = self._why(incident, around, now) if first or incident.held else ""
        return replace(incident, changes=tuple(known), held=held)

    def held(self, incident: Incident, now: float) -> str:
        """Why one that was held still is; empty: no longer."""
        if not incident.held or not incident.firing:
            # What is over for the moment is not told either: it comes again, or is resolved.
            return incident.held
        return self._why(incident, tuple(self._around(incident)), now)

    def _why(self, incident: Incident, around: Sequence[ClusterObjects], now: float) -> str:
        firing = incident.firing
        if not firing or now - began(incident) >= self._policy.most or any(s.rule not in self.holding for s in firing):
            return ""
        return next((words for objects in around if (words := roll_out(objects, now, self._policy.grace))), "")

    def _around(self, incident: Incident) -> Iterator[ClusterObjects]:
        """The target and what claims name as its `dependency`, where these are workloads of the same namespace."""
        target = incident.target
        view = self._views.get(target.context) if target is not None else None
        if target is None or view is None or target.kind not in WORKLOADS:
            return
        yield gather(target, view.find, view.objects)
        called = dict.fromkeys(s.labels["dependency"] for s in incident.firing if s.labels.get("dependency"))
        for name in list(called)[:_NEIGHBOURS]:
            ref = TargetRef("Deployment", target.namespace, name, target.context)
            if name != target.name and view.find(ref) is not None:
                yield gather(ref, view.find, view.objects)


def words(change: RecentChange, since: float) -> str:
    """One line for people; `since`: when the incident began."""
    span = f"{abs(since - change.at):.0f} s {'before' if change.at <= since else 'after'} it began"
    by = f" by {change.by}" if change.by else ""
    return f"{change.kind}: {change.words}{by}, {span}"

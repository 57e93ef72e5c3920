"""What a person's "not an anomaly" does to an incident that is active: those claims stand no more, and with none left it is resolved by that person.

Should the same series alarm again in another way, that is a new claim, not one that was closed. Neighbours: `incident_flow`, `pipeline.flow`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from aiops.correlate.incident_flow import Flow, FlowPolicy, absorb, resolve
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident
from aiops.domain.signal import SignalState

REASON = "not an anomaly"


def dismissed(incident: Incident, keys: Collection[str], by: str, now: float, why: str = "") -> Flow:
    """`keys` as `Signal.key`. Unchanged if none of them fires or it is resolved already."""
    over = [
        replace(s, id=make_id("sig", s.key, "dismissed", now), state=SignalState.CLEARED, at=max(now, s.at), summary=f"{s.summary} ({REASON}, says {by})")
        for s in incident.firing if s.key in keys
    ]  # fmt: skip
    if not incident.active or not over:
        return Flow(incident)
    first = absorb(incident, None, over, now, FlowPolicy())
    if first.incident is None or first.incident.firing:
        return first
    last = resolve(first.incident, by, now, f"{REASON}: {why}" if why else REASON)
    return Flow(last.incident, (*first.changes, *last.changes), (*first.decisions, *last.decisions))

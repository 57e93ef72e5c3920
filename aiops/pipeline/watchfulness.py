"""How well each source is seen: feeds the state machine of `correlate.sight` with what came of polls and with the cluster's view.

Neighbours: `flow` turns its signals into incidents, `decide` and the engine refuse to act on what cannot be seen.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping

import numpy as np

from aiops.correlate import sight as machine
from aiops.correlate.sight import SightPolicy, SourceSight
from aiops.domain.decision import Decision
from aiops.domain.errors import trimmed
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Signal
from aiops.ports.cluster import ClusterView
from aiops.ports.telemetry import Telemetry


class Watchfulness:
    """Sight of each source by name; clusters are sources named `cluster/NAME`. Thread-safe: polls end in any thread."""

    def __init__(self, policies: Mapping[str, SightPolicy], telemetry: Telemetry, now: float) -> None:
        self._policies, self._telemetry, self._started = policies, telemetry, now
        self._lock = threading.Lock()
        self._sights: dict[str, SourceSight] = {name: SourceSight(name, now) for name in policies}

    def begin(self, now: float) -> None:
        """Polling begins now: what was not asked before was not silent."""
        with self._lock:
            self._sights = {name: SourceSight(name, now) for name in self._policies}

    def _policy(self, source: str) -> SightPolicy:
        return self._policies.get(source, SightPolicy())

    def answered(self, source: str, batch: SampleBatch, now: float, skew: float | None) -> tuple[Signal, ...]:
        """A poll of this source was answered."""
        finite = batch.times[np.isfinite(batch.times)]
        newest = float(finite.max()) if len(finite) else None
        with self._lock:
            before = self._sights.get(source) or SourceSight(source, now)
            return self._keep(machine.answered(before, now, self._policy(source), newest=newest, partial=batch.partial, skew=skew))

    def failed(self, decision: Decision, source: str) -> tuple[Signal, ...]:
        """A poll of this source was not answered."""
        with self._lock:
            before = self._sights.get(source) or SourceSight(source, decision.at)
            return self._keep(machine.failed(before, decision.reason, decision.detail, decision.at, self._policy(source)))

    def look(self, views: Mapping[str, ClusterView], now: float) -> tuple[Signal, ...]:
        """Time passed; and what the clusters' views say of themselves."""
        signals: list[Signal] = []
        with self._lock:
            for name, view in views.items():
                source, seen = cluster_source(name), view.sight()
                before = self._sights.get(source) or SourceSight(source, now)
                if seen.synced and seen.seen_at > (before.answered_at or 0.0):
                    # Kinds come back one by one: the oldest contact may have moved on and be old still.
                    signals += self._keep(machine.answered(before, now, self._policy(source), heard=seen.seen_at))
                elif seen.errors:
                    # Not a failure for each look: one state, whose age the policy judges.
                    detail = trimmed("; ".join(f"{kind}: {text}" for kind, text in sorted(seen.errors.items())))
                    # A kind that the account may not see was never in sight; another one was, and is lost.
                    lost = seen.synced and any(not text.startswith("Forbidden") for text in seen.errors.values())
                    since = before.failing_since if before.failing_since is not None or not lost else now
                    self._sights[source] = dataclasses.replace(before, reason="NotSeen" if seen.synced else "NotSynced", detail=detail, failing_since=since)
            for source, before in list(self._sights.items()):
                signals += self._keep(machine.tick(before, now, self._policy(source)))
        return tuple(signals)

    def _keep(self, seen: machine.Seen) -> tuple[Signal, ...]:
        sight = seen.sight
        self._sights[sight.source] = sight
        self._telemetry.gauge("source_up", float(sight.state.value == "ok"), source=sight.source)
        if sight.answered_at is not None:
            self._telemetry.gauge("source_last_success_timestamp_seconds", sight.answered_at, source=sight.source)
        if sight.skew is not None:
            self._telemetry.gauge("source_clock_skew_seconds", sight.skew, source=sight.source)
        return seen.signals

    def all(self) -> dict[str, SourceSight]:
        """A copy, by source."""
        with self._lock:
            return dict(self._sights)


def cluster_source(context: str) -> str:
    """The name under which a cluster's view is watched."""
    return f"cluster/{context}"

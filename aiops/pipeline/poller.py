"""Asking a source for one rule: a whole answer goes on, anything else is a reason, and a state of that source.

Neighbours: `flow` schedules one poll for each rule, `observe` takes the answer. Logs on failing and on recovering, not each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import SourceError
from aiops.domain.rule import LogQuery, ObjectQuery, PromQuery, Rule
from aiops.domain.series import Labels, SampleBatch, series_id
from aiops.pipeline.stage import Dropped, Passed
from aiops.ports.clock import Clock
from aiops.ports.sources import LogSource, MetricSource, ObjectSource
from aiops.ports.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything rules may ask, by name."""

    metrics: Mapping[str, MetricSource]
    logs: Mapping[str, LogSource]
    objects: Mapping[str, ObjectSource]


@dataclass(frozen=True, slots=True)
class Polled:
    """One rule's answer; `volume` has events for each series id, where the rule asks for a least volume."""

    rule: Rule
    batch: SampleBatch
    volume: Mapping[str, float] | None


class Poller:
    """One poll of one rule."""

    def __init__(self, sources: Sources, clock: Clock, telemetry: Telemetry) -> None:
        self._sources, self._clock, self._telemetry = sources, clock, telemetry

    def poll(self, rule: Rule) -> Passed[Polled] | Dropped:
        """Ask now. A `SourceError` becomes a Dropped with its reason."""
        began, now = self._clock.monotonic(), self._clock.now()
        try:
            batch = self.fetch(rule, now)
            volume = self._volume(rule, batch, now)
        except SourceError as error:
            self._telemetry.count("polls", rule=rule.name, result=error.reason)
            return Dropped((Decision(now, Stage.POLL, rule.name, passed=False, reason=error.reason, detail=str(error)),))
        self._telemetry.observe("query", self._clock.monotonic() - began, source=rule.source)
        self._telemetry.count("polls", rule=rule.name, result="partial" if batch.partial else "ok")
        return Passed(Polled(rule, batch, volume))

    def fetch(self, rule: Rule, now: float) -> SampleBatch:
        """The rule's own query at `now`. Raises SourceError; an unknown source is `NotConfigured`."""
        match rule.query:
            case PromQuery(text) if rule.source in self._sources.metrics:
                return self._sources.metrics[rule.source].instant(text, now)
            case LogQuery() as query if rule.source in self._sources.logs:
                return self._sources.logs[rule.source].counts(query, now)
            case ObjectQuery() as query if rule.source in self._sources.objects:
                return self._sources.objects[rule.source].values(query, now)
        raise SourceError(rule.source, "NotConfigured", f"rule {rule.name} asks a source that the settings do not have")

    def _volume(self, rule: Rule, batch: SampleBatch, now: float) -> Mapping[str, float] | None:
        if not rule.volume_query:
            return None
        answer = self._sources.metrics[rule.source].instant(rule.volume_query, now)
        return match_volume(batch.labels, answer)


def match_volume(series: Sequence[Labels], volume: SampleBatch) -> dict[str, float]:
    """Events for each series id: the sum of the volume series whose labels all stand on the series too (so a coarser query serves a finer one)."""
    found: dict[str, float] = {}
    wanted = [({k: v for k, v in labels.items() if k != "__name__"}, float(value)) for labels, value in zip(volume.labels, volume.values, strict=True)]
    if not wanted:
        return found
    # All series of one query have the same label names: index by the names that the volume series carry.
    names = tuple(sorted(wanted[0][0]))
    table: dict[tuple[str, ...], float] = {}
    for labels, value in wanted:
        if np.isfinite(value):
            key = tuple(labels.get(n, "") for n in names)
            table[key] = table.get(key, 0.0) + value
    for one in series:
        events = table.get(tuple(one.get(n, "") for n in names))
        if events is not None:
            found[series_id(one)] = events
    return found

"""Asking a source for one rule: a whole answer goes on, anything else is a reason, and a state of that source.

Neighbours: `flow` schedules one poll for each rule, `observe` takes the answer. Logs on failing and on recovering, not each time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aiops.domain.decision import Decision, Stage
from aiops.domain.declared import DeclaredQuery
from aiops.domain.errors import SourceError
from aiops.domain.rule import LINE_LABEL, CapacityQuery, LogQuery, ObjectQuery, PromQuery, Rule
from aiops.domain.series import Labels, SampleBatch, series_id
from aiops.pipeline.capacity import Capacity
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

    def __init__(self, sources: Sources, clock: Clock, telemetry: Telemetry, capacity: Capacity | None = None) -> None:
        self._sources, self._clock, self._telemetry, self._capacity = sources, clock, telemetry, capacity

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
            case CapacityQuery() as query if rule.source in self._sources.metrics and self._capacity is not None:
                return self._capacity.answer(rule, query, self._sources.metrics[rule.source], now)
            case LogQuery() as query if rule.source in self._sources.logs and query.lines:
                return self._lines(rule, query, now)
            case LogQuery() as query if rule.source in self._sources.logs:
                return self._sources.logs[rule.source].counts(query, now)
            case (ObjectQuery() | DeclaredQuery()) as query if rule.source in self._sources.objects:
                return self._sources.objects[rule.source].values(query, now)
        raise SourceError(rule.source, "NotConfigured", f"rule {rule.name} asks a source that the settings do not have")

    def _lines(self, rule: Rule, query: LogQuery, now: float) -> SampleBatch:
        """Records of the window, one series each: the text and the fields it is grouped by are its labels."""
        found = self._sources.logs[rule.source].samples(query, now - query.window, now, query.lines, whole=True)
        labels = tuple({LINE_LABEL: line.text, **{f: line.fields[f] for f in query.group_by if f in line.fields}} for line in found)
        return SampleBatch(rule.source, str(query), now, labels, np.full(len(found), now), np.ones(len(found)))

    def _volume(self, rule: Rule, batch: SampleBatch, now: float) -> Mapping[str, float] | None:
        if not rule.volume_query:
            return None
        source = self._sources.metrics.get(rule.source)
        if source is None:
            raise SourceError(rule.source, "NotConfigured", f"rule {rule.name} counts events at a source that answers no PromQL")
        if not batch.labels:
            return {}  # there is nothing that events could stand behind
        return match_volume(batch.labels, source.instant(rule.volume_query, now))


def match_volume(series: Sequence[Labels], volume: SampleBatch) -> dict[str, float]:
    """Events for each series id: the sum of the volume series whose labels all stand on the series too (so a coarser query serves a finer one)."""
    # Nearly always all series of a query have the same label names, so there is one table, and one look into it for each series.
    tables: dict[tuple[str, ...], dict[tuple[str, ...], float]] = {}
    for labels, value in zip(volume.labels, volume.values.tolist(), strict=True):
        if math.isfinite(value):
            names = tuple(sorted(name for name in labels if name != "__name__"))
            table, key = tables.setdefault(names, {}), tuple(labels[name] for name in names)
            table[key] = table.get(key, 0.0) + value
    found: dict[str, float] = {}
    for one in series:
        events = [table[key] for names, table in tables.items() if (key := tuple(one.get(name, "") for name in names)) in table]
        if events:
            found[series_id(one)] = sum(events)
    return found

"""Who and what is behind a claim, looked for once it is stored: the parts of a sum that stand out, and what else changed near the incident's target.

Nothing waits for it and nothing is decided by it. Asking costs the source at most `1 + 2 * LABELS` questions a claim, within `BUDGET` seconds; what fails or
takes longer is left out. Neighbours: `flow` asks after a poll and stores what comes back; `correlate.contributors` and `correlate.causes` decide.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from aiops.correlate.causes import Suspect, candidates
from aiops.correlate.contributors import standing_out, telling
from aiops.correlate.topology import Placement
from aiops.detect.likeness import usual_until
from aiops.domain.errors import SourceError, SourceRejectedError
from aiops.domain.incident import Cause, Incident
from aiops.domain.rule import Direction, PromQuery, Rule
from aiops.domain.series import Labels, SampleBatch
from aiops.domain.signal import Contributors, Evidence, Signal
from aiops.pipeline.observe import Observer
from aiops.ports.clock import Clock
from aiops.ports.sources import MetricSource
from aiops.ports.telemetry import Telemetry

CANDIDATES = (
    "pod", "instance", "node", "container", "endpoint", "path", "route", "handler", "method", "operation", "code", "status", "version", "zone", "device", "mountpoint",
    "topic", "partition", "queue",
)  # fmt: skip
"""Labels by which a sum is broken down, the likeliest first."""
LABELS, SHOWN, PARTS = 3, 2, 500
"""Labels that are tried, and shown, for one claim; values of a label beyond which it is not."""
BUDGET, FRESH, KNOWN = 5.0, 300.0, 500
AGAIN = 30.0
"""Seconds within which an incident's neighbourhood is not measured again: claims of one fault come together."""
SUSPECTS = 2000
"""Series that are measured for one incident, at most."""


class Sum(Protocol):
    """A query that can be broken down; see `definitions.breakdown`."""

    @property
    def kept(self) -> frozenset[str]:
        """Labels of the answer that selectors have too."""
        ...

    def by(self, label: str, series: Mapping[str, str]) -> str:
        """The query for each value of a label, of this series alone."""
        ...

    def labels(self, candidates: Iterable[str], series: Mapping[str, str]) -> str:
        """What the query stands on, told apart by these labels."""
        ...


class Explaining:
    """`summed` breaks a query down; `placement` says what stands where."""

    def __init__(
        self, metrics: Mapping[str, MetricSource], summed: Callable[[str], Sum | None], observer: Observer, placement: Callable[[], Placement], clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._metrics, self._summed, self._observer, self._placement = metrics, summed, observer, placement
        self._clock, self._telemetry = clock, telemetry
        self._known: OrderedDict[str, tuple[float, tuple[Contributors, ...]]] = OrderedDict()
        self._failed: dict[str, float] = {}
        self._looked: dict[str, float] = {}

    def contributors(self, rule: Rule, labels: Labels, signal: Signal) -> tuple[Contributors, ...]:
        """Of a claim of this rule on the series with these labels; empty if the query sums nothing up, or nobody stands out."""
        source = self._metrics.get(rule.source)
        query = self._summed(rule.query.text) if isinstance(rule.query, PromQuery) and source is not None else None
        if query is None or source is None or signal.evidence.value is None:
            return ()
        now = self._clock.now()
        known = self._known.get(signal.key)
        if known is not None and 0.0 <= now - known[0] < FRESH:
            return known[1]
        if 0.0 <= now - self._failed.get(rule.source, -math.inf) < FRESH:
            # Questions beside the rules' own must not be what a source, or its circuit breaker, breaks down under.
            return ()
        try:
            found = telling(self._asked(source, query, rule, labels, signal.evidence, now), SHOWN)
        except SourceError as error:
            if not isinstance(error, SourceRejectedError):
                self._failed[rule.source] = now
            self._telemetry.count("explanations", what="contributors", result=error.reason)
            return ()
        self._telemetry.count("explanations", what="contributors", result="found" if found else "nobody")
        self._known[signal.key] = (now, found)
        self._known.move_to_end(signal.key)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return found

    def _asked(self, source: MetricSource, query: Sum, rule: Rule, labels: Labels, seen: Evidence, now: float) -> Iterator[Contributors]:
        began = self._clock.monotonic()
        own = {name: value for name, value in labels.items() if name != "__name__"}
        usual = usual_until(seen)
        before = min(now, usual if usual is not None else (seen.times[0] if seen.times else now)) - rule.every
        tried = [name for name in CANDIDATES if name not in own]
        values: dict[str, set[str]] = {name: set() for name in tried}
        for one in source.instant(query.labels(tried, own), now).labels:
            for name in tried:
                if one.get(name):
                    values[name].add(one[name])
        for label in [name for name in tried if 2 <= len(values[name]) <= PARTS][:LABELS]:
            if self._clock.monotonic() - began > BUDGET:
                return
            text = query.by(label, own)
            found = standing_out(label, _parts(source.instant(text, now), label, own), _parts(source.instant(text, before), label, own), _side(rule, seen))
            if found is not None:
                yield found

    def causes(self, incident: Incident, rules: Sequence[Rule]) -> tuple[Cause, ...]:
        """Candidates for the cause of an incident, from what the rules' banks have seen of its neighbourhood."""
        if incident.target is None or not incident.firing:
            return ()
        now = self._clock.now()
        looked = self._looked.get(incident.id)
        if looked is not None and 0.0 <= now - looked < AGAIN:
            return incident.causes
        self._looked = {i: at for i, at in self._looked.items() if 0.0 <= now - at < AGAIN} | {incident.id: now}
        placement = self._placement()
        began = min(min(s.at, _first(s.evidence)) for s in incident.firing)
        calls = frozenset(s.labels["dependency"] for s in incident.firing if s.labels.get("dependency"))
        found = candidates(incident.target, began, self._suspects(incident, rules, placement, calls), placement, calls)
        self._telemetry.count("explanations", what="causes", result="found" if found else "nobody")
        return found

    def _suspects(self, incident: Incident, rules: Sequence[Rule], placement: Placement, calls: frozenset[str]) -> Iterator[Suspect]:
        """What is claimed of the incident already is its symptom, not its cause."""
        target = incident.target
        if target is None:
            return
        names = {name for name in (target.name, target.namespace) if name} | placement.nodes_of.get(target, frozenset()) | calls
        left = SUSPECTS
        for rule in rules:
            bank = self._observer.bank(rule.name) if rule.target is not None else None
            if bank is None or left <= 0:
                continue
            for series, labels, times, values in bank.lately(lambda one: not names.isdisjoint(one.values()), left):
                left -= 1
                about = None if f"{rule.name}/{series}" in incident.signals else self._observer.target(rule, labels)[0]
                if about is not None:
                    yield Suspect(rule.name, about, times, values)


def with_explanation(incident: Incident, key: str, found: tuple[Contributors, ...], causes: tuple[Cause, ...]) -> Incident:
    """The incident with what was found of one claim; the same object if that is nothing new. What was found before stays where nothing is found now."""
    signals, claim = incident.signals, incident.signals.get(key)
    if claim is not None and found and claim.evidence.contributors != found:
        signals = {**signals, key: replace(claim, evidence=replace(claim.evidence, contributors=found))}
    kept = causes or incident.causes
    if signals is incident.signals and kept == incident.causes:
        return incident
    return replace(incident, signals=signals, causes=kept, version=incident.version + 1)


def _parts(batch: SampleBatch, label: str, own: Mapping[str, str]) -> dict[str, float]:
    """Value by part, of this series."""
    return {
        one[label]: value
        for one, value in zip(batch.labels, batch.values.tolist(), strict=True)
        if one.get(label) and all(one.get(name, wanted) == wanted for name, wanted in own.items())
    }


def _side(rule: Rule, seen: Evidence) -> float:
    """1 where too much is the claim, -1 where too little is."""
    value = seen.value if seen.value is not None else math.nan
    for limit, sides in ((seen.expected, (1.0, -1.0)), (seen.upper, (1.0, 0.0)), (seen.lower, (0.0, -1.0))):
        side = 0.0 if limit is None else sides[0] if value > limit else sides[1]
        if side:
            return side
    return -1.0 if rule.direction is Direction.DOWN else 1.0


def _first(seen: Evidence) -> float:
    """When the first sample came that was not usual."""
    usual = usual_until(seen)
    return next((t for t in seen.times if usual is not None and t > usual), math.inf)

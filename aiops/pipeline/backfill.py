"""A rule that knows nothing yet learns from what its source still has, in pieces, before it says anything.

Asked are range queries of the rule's own query, oldest piece first, at its own interval or, where that would be more than `STEPS` points, a whole multiple of it.
Each poll takes pieces for at most `BUDGET` seconds, so neither the source nor the daemon is held up; meanwhile the rule is silent and says so (`Backfilling`).
A source that refuses is given up after `TRIES` polls, and the rule learns from then on. Neighbours: `flow` asks at each poll, `detect.bank` is taught.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from aiops.domain.decision import Decision, Stage
from aiops.domain.duration import format_duration
from aiops.domain.errors import SourceError
from aiops.domain.rule import PromQuery, Rule
from aiops.domain.series import Labels, RangeBatch, SampleBatch
from aiops.pipeline.observe import Observer
from aiops.pipeline.poller import Sources, match_volume
from aiops.ports.clock import Clock

STEPS, PIECE = 10_080, 500
"""Points a series at most (a week of minutes), and of one question."""
BUDGET = 5.0
TRIES = 3


@dataclass
class _Progress:
    bank: object
    at: float
    end: float
    step: float
    failures: int = 0
    done: bool = False


class Backfill:
    """How far each rule is. One rule's polls come one after the other; different rules may be in different threads."""

    def __init__(self, sources: Sources, observer: Observer, clock: Clock) -> None:
        self._sources, self._observer, self._clock = sources, observer, clock
        self._progress: dict[str, _Progress] = {}

    def step(self, rule: Rule) -> Decision | None:
        """Learn for a while. The reason why the rule is silent yet, None when it may speak."""
        source = self._sources.metrics.get(rule.source)
        if rule.backfill <= 0.0 or not isinstance(rule.query, PromQuery) or source is None:
            return None
        now = self._clock.now()
        progress = self._of(rule, now)
        if progress.done:
            return None
        began = self._clock.monotonic()
        try:
            while progress.at <= progress.end and self._clock.monotonic() - began < BUDGET:
                last = min(progress.at + (PIECE - 1) * progress.step, progress.end)
                found = source.range(rule.query.text, progress.at, last, progress.step)
                volume = source.range(rule.volume_query, progress.at, last, progress.step) if rule.volume_query else None
                for batch, events in steps(found, volume):
                    self._observer.teach(rule, batch, match_volume(batch.labels, events) if events is not None else None)
                progress.at, progress.failures = last + progress.step, 0
        except SourceError as error:
            progress.failures += 1
            if progress.failures >= TRIES:
                return self._over(rule, progress, now, "BackfillFailed", str(error))
            return Decision(now, Stage.OBSERVE, rule.name, passed=False, reason="Backfilling", detail=str(error))
        if progress.at > progress.end:
            return self._over(rule, progress, now, "Backfilled", f"{format_duration(round(rule.backfill))} in steps of {format_duration(progress.step)}")
        left = format_duration(round(progress.end - progress.at))
        return Decision(now, Stage.OBSERVE, rule.name, passed=False, reason="Backfilling", detail=f"{left} to go")

    def _over(self, rule: Rule, progress: _Progress, now: float, reason: str, detail: str) -> Decision:
        progress.done = True
        self._observer.learning(rule, under_way=False)
        return Decision(now, Stage.OBSERVE, rule.name, passed=False, reason=reason, detail=detail)

    def _of(self, rule: Rule, now: float) -> _Progress:
        bank = self._observer.bank(rule.name)
        known = self._progress.get(rule.name)
        if known is None or known.bank is not bank:
            step = rule.every * max(1, math.ceil(rule.backfill / rule.every / STEPS))
            end = now - rule.every
            # What came from a snapshot goes on from there.
            fresh = bank is not None and len(bank) == 0
            known = _Progress(bank, end - math.floor((rule.backfill - rule.every) / step) * step, end, step, done=not fresh)
            self._progress[rule.name] = known
            if fresh:
                self._observer.learning(rule, under_way=True)
        return known


def steps(found: RangeBatch, volume: RangeBatch | None = None) -> Iterator[tuple[SampleBatch, SampleBatch | None]]:
    """The answers that instant queries would have given, oldest first, and the events behind them, if any were asked for."""
    counted = {batch.at: batch for batch in _instants(volume)} if volume is not None else {}
    for batch in _instants(found):
        none = None if volume is None else replace(batch, labels=(), times=np.empty(0), values=np.empty(0))
        yield batch, counted.get(batch.at, none)


def _instants(found: RangeBatch) -> Iterator[SampleBatch]:
    if not found.series:
        return
    labels: tuple[Labels, ...] = tuple(one.labels for one in found.series)
    times = np.concatenate([one.times for one in found.series])
    values = np.concatenate([one.values for one in found.series])
    which = np.repeat(np.arange(len(labels)), [len(one.times) for one in found.series])
    order = np.lexsort((which, times))
    times, values, which = times[order], values[order], which[order]
    for part in np.split(np.arange(len(times)), np.flatnonzero(np.diff(times)) + 1):
        at = float(times[part[0]])
        yield SampleBatch(found.source, found.query, at, tuple(labels[i] for i in which[part].tolist()), times[part], values[part], partial=found.partial)

"""A rule that knows nothing yet learns from what its source still has, in pieces, before it says anything.

Asked are range queries of the rule's own query, oldest piece first, at its own interval or, where that would be more than `STEPS` points, a whole multiple of it.
Each poll takes pieces for at most `BUDGET` seconds, so neither the source nor the daemon is held up; meanwhile the rule is silent and says so (`Backfilling`).
After a failure it goes on where it was, later each time, and where the source found it too much with half of the points. After `TRIES` failures in a row the
past is given up (`BackfillFailed`), and the rule learns from then on. Neighbours: `flow` asks at each poll, `detect.bank` is taught.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from aiops.domain.decision import Decision, Stage
from aiops.domain.duration import format_duration
from aiops.domain.errors import SourceError, SourceRejectedError, SourceThrottledError
from aiops.domain.rule import PromQuery, Rule
from aiops.domain.series import Labels, RangeBatch, SampleBatch
from aiops.pipeline.observe import Observer
from aiops.pipeline.poller import Sources, match_volume
from aiops.ports.clock import Clock
from aiops.ports.sources import MetricSource

STEPS, PIECE = 10_080, 500
"""Points a series at most (a week of minutes), and of one question."""
SMALLEST = 25
"""Points that a question is not made shorter than."""
BUDGET = 5.0
TRIES = 8
FIRST_WAIT, LONGEST_WAIT, MOST_WAIT = 5.0, 60.0, 600.0
"""Seconds after the first failure, doubled with each further one; at most, whatever a source asks for. All rules share the source: what it finds too much must not be asked at each poll."""


@dataclass
class _Progress:
    bank: object
    at: float
    end: float
    step: float
    failures: int = 0
    done: bool = False
    piece: int = PIECE
    due: float = -math.inf
    trouble: str = ""


class Backfill:
    """How far each rule is. One rule's polls come one after the other; different rules may be in different threads."""

    def __init__(self, sources: Sources, observer: Observer, clock: Clock) -> None:
        self._sources, self._observer, self._clock = sources, observer, clock
        self._progress: dict[str, _Progress] = {}

    def step(self, rule: Rule) -> Decision | None:
        """Learn for a while. The reason why the rule is silent yet, None when it may speak."""
        source = self._sources.metrics.get(rule.source)
        now = self._clock.now()
        progress = self._of(rule, now) if rule.backfill > 0.0 and isinstance(rule.query, PromQuery) else None
        if source is None or progress is None or progress.done:
            return None
        if now < progress.due <= now + MOST_WAIT:  # a clock that was set back does not make it wait for ever
            return Decision(now, Stage.OBSERVE, rule.name, passed=False, reason="Backfilling", detail=f"asks again in {progress.due - now:.0f} s: {progress.trouble}")
        try:
            self._learn(rule, source, progress)
        except SourceError as error:
            if _refused(progress, error, now):
                return self._over(rule, progress, now, "BackfillFailed", str(error))
            return Decision(now, Stage.OBSERVE, rule.name, passed=False, reason="Backfilling", detail=str(error))
        if progress.at > progress.end:
            return self._over(rule, progress, now, "Backfilled", f"{format_duration(round(rule.backfill))} in steps of {format_duration(progress.step)}")
        left = format_duration(round(progress.end - progress.at))
        return Decision(now, Stage.OBSERVE, rule.name, passed=False, reason="Backfilling", detail=f"{left} to go")

    def _learn(self, rule: Rule, source: MetricSource, progress: _Progress) -> None:
        assert isinstance(rule.query, PromQuery)
        began = self._clock.monotonic()
        while progress.at <= progress.end and self._clock.monotonic() - began < BUDGET:
            last = min(progress.at + (progress.piece - 1) * progress.step, progress.end)
            found = source.range(rule.query.text, progress.at, last, progress.step)
            volume = source.range(rule.volume_query, progress.at, last, progress.step) if rule.volume_query else None
            for batch, events in steps(found, volume):
                self._observer.teach(rule, batch, match_volume(batch.labels, events) if events is not None else None)
            progress.at, progress.failures = last + progress.step, 0

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


def _refused(progress: _Progress, error: SourceError, now: float) -> bool:
    """Whether the past is given up; if not, when and how much is asked next."""
    progress.failures, progress.trouble = progress.failures + 1, str(error)
    hopeless = isinstance(error, SourceRejectedError) and progress.piece <= SMALLEST
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (progress.failures - 1))
    if isinstance(error, SourceThrottledError):
        wait = min(MOST_WAIT, max(wait, error.retry_after or 0.0))
    else:
        progress.piece = max(SMALLEST, progress.piece // 2)
    progress.due = now + wait
    return hopeless or progress.failures >= TRIES


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

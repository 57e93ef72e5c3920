"""All series of one rule: from a poll's columns to findings.

Order of a poll: intern labels → drop late, duplicate and future samples → counters to rates → what is measured (finite, enough volume) is scored
→ dead bands, chance → alarms → the missing → evidence. One poller owns a bank; snapshots and readers may come from other threads, so a lock stands round each
public call. Neighbours: `known` is the state, `admission` says which series are taken, `alarm` holds and clears, `absence` looks at what is not there,
`telling` makes findings, `pipeline.observe` turns them into signals.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from aiops.detect.absence import counts_zero, mark, missing, release_old
from aiops.detect.admission import admitted, too_large
from aiops.detect.alarm import outside_dead_band
from aiops.detect.arrays import Flags, Rows
from aiops.detect.budget import Budget, Place
from aiops.detect.contract import Compares, Scores, Window, taken
from aiops.detect.findings import Finding, Observed
from aiops.detect.groups import Assessed, Versioned
from aiops.detect.known import Known
from aiops.detect.low_traffic import unlikely_count, unlikely_share
from aiops.detect.telling import Untold, changes, finding, firing, shown
from aiops.domain.rule import Direction, MetricKind, Rule
from aiops.domain.series import Floats, Labels, SampleBatch, series_id
from aiops.domain.signal import SignalState

MAX_SERIES = 10_000
TTL = 6 * 3600.0
"""Seconds after which an absent series that claims nothing is forgotten."""
SHED = "Shed"
NO_ROOM = ("SeriesLimit", "AnswerTooLarge", SHED)
"""Reasons for which series are not looked at though they are there."""
_NONE: Rows = np.empty(0, dtype=np.int64)


class RuleBank:
    """State and judgement of one rule. `max_series`: beyond it new series are dropped and counted; `budget` is what all rules share; `ttl` in seconds.

    Raises ValueError if the rule's detector or its parameters are not usable.
    """

    def __init__(self, rule: Rule, *, max_series: int = MAX_SERIES, budget: Budget | None = None, ttl: float = TTL) -> None:
        self.rule = rule
        self._ttl = ttl
        self._known = Known(rule)
        self._place: Place = (budget or Budget(max_series)).place(rule, max_series)
        self._shed = False
        self.shed_memory = 0
        """Bytes that were let go of."""
        self._untold = Untold()
        self._lock = threading.RLock()

    def observe(self, batch: SampleBatch, volume: Mapping[str, float] | None = None, *, learn: bool = True) -> Observed:
        """Judge one poll. `volume` gives, by `series_id`, how many events stand behind a sample; where the rule asks for a minimum, unknown is too few.

        `learn` False: judged all the same, but not learnt from. A partial batch clears nothing, teaches nothing, says nothing about what is absent, and fires no "too low": half an answer lowers sums.
        """
        with self._lock:
            return self._observe(batch, volume, learn=learn and not batch.partial)

    def _observe(self, batch: SampleBatch, volume: Mapping[str, float] | None, *, learn: bool) -> Observed:
        dropped: Counter[str] = Counter()
        if self._shed:
            # What it claimed is told to lapse, once; then nothing is known until it may begin anew.
            lapsed = self._untold.again(self._known, set(), batch.at) if not batch.partial else ()
            return Observed(tuple(lapsed), 0, {"warming": 0, "ready": 0, "blind": 0, "shed": len(batch)}, {SHED: len(batch)})
        if too_large(self._place, batch):
            # As if half an answer had come: nothing is said of what is not looked at.
            dropped["AnswerTooLarge"] = len(batch)
            batch = replace(batch, labels=(), times=np.empty(0), values=np.empty(0), partial=True)
        self._known.query = batch.query
        judged: Assessed | None = None
        if self._known.group is not None:
            judged = self._known.group.assess(batch, learn=learn)
            batch = replace(batch, labels=judged.labels, times=np.full(len(judged.labels), batch.at), values=judged.values)
            dropped.update(judged.dropped or {})
        elif not (batch.labels or self._known.table.rows or self._untold):
            return self._nothing(partial=batch.partial)
        rows, keep = admitted(self._known, self._place, batch, dropped)
        if self._known.group is not None and len(keep) < len(batch):
            # What has no row here is told to nobody; it must not stay there either.
            self._known.group.forget([series_id(batch.labels[p]) for p in np.setdiff1d(np.arange(len(batch)), keep).tolist()])
        present, times = rows, batch.times[keep]
        accepted, values = self._known.intake.accept(rows, times, batch.values[keep], batch.at, dropped)
        rows, times = rows[accepted], times[accepted]
        if counts_zero(self._known) and not batch.partial:
            # A log count that is absent is a count of zero, and that is learned too.
            zeros, zero_times = self._known.intake.zeros(self._known.table.less(present), batch.at)
            rows, times, values = np.concatenate([rows, zeros]), np.concatenate([times, zero_times]), np.concatenate([values, np.zeros(len(zeros))])
        measured = (np.isfinite(values) | (judged is not None)) & self._enough(rows, volume)
        self._known.recent.add(rows, times, values)
        scores = None if judged is None else taken(judged.scores, keep[accepted][measured])
        findings = self._judge(rows[measured], times[measured], values[measured], volume, scores, learn=learn, partial=batch.partial)
        if scores is not None:
            # A subject on which nothing can be said is not measured: what was claimed of it lapses in the end.
            measured[measured] = scores.ready
        if not batch.partial:
            mark(self._known, present, rows[measured], batch.at)
            findings += missing(self._known, batch.at, self._ttl)
            findings += self._untold.again(self._known, {f.series for f in findings}, batch.at)
            release_old(self._known, batch.at, self._ttl)
        states = {**self._known.states(), "shed": sum(dropped[reason] for reason in NO_ROOM)}
        return Observed(tuple(findings), int(measured.sum()), states, dict(dropped), judged.measures if judged is not None else ())

    def _nothing(self, *, partial: bool) -> Observed:
        """Of a rule that never saw a series, as most are whose system is not there. The detector may count polls."""
        if self._known.detector is not None:
            self._known.detector.score_and_learn(_NONE, np.empty(0), np.empty(0), learn=not partial)
        return Observed((), 0, {**self._known.states(), "shed": 0}, {})

    def teach(self, batch: SampleBatch, volume: Mapping[str, float] | None = None) -> None:
        """Learn from a past answer as `observe` would, and claim nothing. Answers come in order of time, before the first one that is observed."""
        with self._lock:
            if self._known.detector is None:
                if self._known.group is not None:
                    self._known.group.assess(batch, learn=not batch.partial)
                return
            dropped: Counter[str] = Counter()
            if self._shed or too_large(self._place, batch):
                return
            rows, keep = admitted(self._known, self._place, batch, dropped)
            accepted, values = self._known.intake.accept(rows, batch.times[keep], batch.values[keep], batch.at, dropped)
            rows, times = rows[accepted], batch.times[keep][accepted]
            measured = np.isfinite(values) & self._enough(rows, volume)
            self._known.recent.add(rows, times, values)
            rows, times, values = rows[measured], times[measured], values[measured]
            self._known.remember(rows, times, values, self._known.detector.score_and_learn(rows, times, values, learn=not batch.partial))

    def move(self, rule: Rule, place: Place) -> None:
        """Go on under a rule that judges the same, with another place."""
        with self._lock:
            self.rule, self._place = rule, place
            place.settle(len(self._known.table))

    def shed(self) -> None:
        """Memory is short: all that was learned is let go, nothing is judged any more, and what was claimed lapses with the next answer."""
        with self._lock:
            rows = np.flatnonzero(self._known.alarms.firing).tolist()
            lapsed = [finding(self._known, row, SignalState.EXPIRED, SHED) for row in rows]
            self.shed_memory = self.memory
            self._known, self._shed, self._untold = Known(self.rule), True, Untold()
            self._untold.add(lapsed)
            self._place.settle(0)

    @property
    def is_shed(self) -> bool:
        """Whether it was let go of."""
        return self._shed

    @property
    def memory(self) -> int:
        """Bytes of what is known by series, names apart: a sum, not a measurement."""
        return len(self._known.table) * self._known.bytes_each

    def firing(self) -> tuple[Finding, ...]:
        """What fires now, with fresh evidence."""
        with self._lock:
            return firing(self._known)

    def lately(self, wanted: Callable[[Labels], bool], most: int) -> tuple[tuple[str, Labels, tuple[float, ...], tuple[float | None, ...]], ...]:
        """The last samples of up to `most` series whose labels are wanted: `series_id`, labels, times (Unix seconds) and values, oldest first."""
        with self._lock:
            known = self._known
            rows = islice((row for row in known.table.in_use().tolist() if wanted(known.table.labels(row))), most)
            return tuple((known.table.series(row), known.table.labels(row), *known.recent.of(row)) for row in rows)

    def shown(self, most: int) -> tuple[tuple[Labels, dict[str, float | None]], ...]:
        """Score, expected value and bounds of up to `most` series that are judged: what fires first, then those known longest."""
        with self._lock:
            return shown(self._known, most)

    def not_taken(self, findings: Iterable[Finding]) -> None:
        """These findings reached nobody (the store was down): the next whole answer tells again how their series stand then."""
        with self._lock:
            self._untold.add(findings)

    @property
    def versioned(self) -> bool:
        """Whether this rule's detector has references that are to be kept outside snapshots."""
        # Asked at each poll, where most rules have no such detector: an isinstance with a protocol takes long.
        return self._known.group is not None and isinstance(self._known.group, Versioned)

    @property
    def compares(self) -> bool:
        """Whether this rule's detector must be told of releases."""
        return self._known.detector is not None and isinstance(self._known.detector, Compares)

    def released(self, windows: Mapping[str, Window]) -> None:
        """The last release of what each series (`series_id`) is about."""
        with self._lock:
            detector, table = self._known.detector, self._known.table
            if detector is not None and isinstance(detector, Compares):
                detector.released({row: windows[series] for row in table.in_use().tolist() if (series := table.series(row)) in windows})

    def subjects(self) -> tuple[tuple[str, Labels], ...]:
        """Series known: `series_id` and labels."""
        with self._lock:
            return tuple((self._known.table.series(row), self._known.table.labels(row)) for row in self._known.table.in_use().tolist())

    def retrained(self, series: str, at: float) -> None:
        """The model of a subject was trained at `at`; nothing where the rule's detector has no references."""
        with self._lock:
            if self._known.group is not None and isinstance(self._known.group, Versioned):
                self._known.group.retrained(series, at)

    def references(self) -> Mapping[str, Any]:
        """References that changed since `kept`."""
        with self._lock:
            return self._known.group.references() if self._known.group is not None and isinstance(self._known.group, Versioned) else {}

    def kept(self) -> None:
        """They are stored."""
        with self._lock:
            if self._known.group is not None and isinstance(self._known.group, Versioned):
                self._known.group.kept()

    def recall(self, documents: Mapping[str, Any]) -> None:
        """References as they were stored."""
        with self._lock:
            if self._known.group is not None and isinstance(self._known.group, Versioned):
                self._known.group.recall(documents)

    def __len__(self) -> int:
        """Series known."""
        return len(self._known.table)

    def _enough(self, rows: Rows, volume: Mapping[str, float] | None) -> Flags:
        """Which rows have enough events behind them to be judged."""
        minimum = self.rule.minimum_volume
        if minimum <= 0.0:
            return np.ones(len(rows), dtype=np.bool_)
        known = volume or {}
        return np.array([known.get(self._known.table.series(row), 0.0) >= minimum for row in rows.tolist()], dtype=np.bool_)

    def _beyond_chance(self, breach: Flags, rows: Rows, values: Floats, expected: Floats, volume: Mapping[str, float] | None) -> Flags:
        """Those departures that few events do not explain."""
        few = np.flatnonzero(breach) if self._known.group is None and self.rule.kind in (MetricKind.COUNT, MetricKind.RATIO) else _NONE
        if not len(few):
            return breach
        if self.rule.kind is MetricKind.COUNT:
            breach[few] = unlikely_count(values[few], expected[few])
        elif self.rule.minimum_volume > 0.0:
            events = np.array([(volume or {}).get(self._known.table.series(row), np.nan) for row in rows[few].tolist()])
            breach[few] = unlikely_share(values[few], expected[few], events)
        return breach

    def _judge(self, rows: Rows, times: Floats, values: Floats, volume: Mapping[str, float] | None, scores: Scores | None, *, learn: bool, partial: bool) -> list[Finding]:
        """Score measured samples, unless they are judged already, and step the alarms."""
        if scores is None:
            assert self._known.detector is not None
            scores = self._known.detector.score_and_learn(rows, times, values, learn=learn)
        counts, within = outside_dead_band(values, scores, self.rule.dead_band_absolute, self.rule.dead_band_relative)
        breach = self._beyond_chance(scores.ready & scores.breach & counts, rows, values, scores.expected, volume)
        # A series whose absence was claimed is back: that claim is over unless the value itself is wrong.
        back = self._known.state["absence"][rows]
        recovered = ((scores.ready & (scores.recovered | within)) | back) & ~breach
        judged = scores.ready | back
        if partial:
            recovered[:] = False
            breach &= ~self._too_low(values, scores)
            # Nothing clears: a row that neither breaches nor may recover is left alone.
            judged &= breach | ~self._known.alarms.firing[rows]
        self._known.state["absence"][rows[breach]] = False
        if scores.changed is not None:
            self._known.state["changed"][rows[scores.changed]] = True
        self._known.remember(rows, times, values, scores)
        rows, times, breach, recovered = rows[judged], times[judged], breach[judged], recovered[judged]
        steps = self._known.alarms.step(rows, times, breach=breach, critical=breach & scores.critical[judged], recovered=recovered)
        self._known.state["absence"][rows[steps.cleared]] = False
        return changes(self._known, rows, steps, cleared="Recovered")

    def _too_low(self, values: Floats, scores: Scores) -> Flags:
        with np.errstate(invalid="ignore"):
            low = (values < scores.lower) | (values < scores.expected)
        return np.asarray(low) | (self.rule.direction is Direction.DOWN)

    @property
    def key(self) -> str:
        """Identity of what was learned: a rule that asks something else or judges otherwise starts anew."""
        return self._known.key

    def snapshot(self) -> bytes:
        """All state, alarms included, so that a restart neither forgets nor repeats."""
        with self._lock:
            return self._known.snapshot()

    def restore(self, data: bytes) -> None:
        """Continue exactly where `snapshot` was taken. Raises ValueError if the bytes are damaged or of another rule; the bank is then as before."""
        new = self._known.restored(data)
        with self._lock:
            self._known = new
            self._place.settle(len(new.table))

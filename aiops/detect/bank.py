"""All series of one rule: from a poll's columns to findings.

Order of a poll: intern labels → drop late, duplicate and future samples → counters to rates → what is measured (finite, enough volume) is scored
→ dead bands, chance → alarms → the missing → evidence. One poller owns a bank; snapshots and readers may come from other threads, so a lock stands round each
public call. Neighbours: `registry` builds the detector,
`alarm` holds and clears, `pipeline.observe` turns findings into signals.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.alarm import Alarms, Transitions, outside_dead_band
from aiops.detect.arrays import Column, Flags, RowArrays, Rows, pack, part, unpack
from aiops.detect.contract import Detector, Grouped, Scores, taken
from aiops.detect.findings import Finding, Observed
from aiops.detect.groups import Assessed, GroupDetector, Versioned
from aiops.detect.intake import Intake
from aiops.detect.low_traffic import unlikely_count, unlikely_share
from aiops.detect.recent import Recent
from aiops.detect.registry import build_detector, build_group
from aiops.detect.series_table import REFUSED, SeriesTable
from aiops.domain.ids import make_id
from aiops.domain.rule import Direction, MetricKind, MissingData, ObjectQuery, Rule
from aiops.domain.series import Floats, Labels, SampleBatch
from aiops.domain.signal import Evidence, Severity, SignalState

MAX_SERIES = 10_000
TTL = 6 * 3600.0
"""Seconds after which an absent series that claims nothing is forgotten."""
_NONE: Rows = np.empty(0, dtype=np.int64)


class RuleBank:
    """State and judgement of one rule. `max_series`: beyond it new series are dropped and counted; `ttl` in seconds.

    Raises ValueError if the rule's detector or its parameters are not usable.
    """

    def __init__(self, rule: Rule, *, max_series: int = MAX_SERIES, ttl: float = TTL) -> None:
        self.rule = rule
        self._max_series, self._ttl = max_series, ttl
        # One of the two: a detector of numbers, or one that folds the answer into subjects and judges those.
        self._group = build_group(rule)
        self._detector = build_detector(rule) if self._group is None else None
        self._alarms = Alarms(hold=rule.hold, clear_hold=rule.clear_hold, every=rule.every)
        self._table = SeriesTable(max_series)
        # A subject's value is a level, whatever the series that it was made of are.
        self._intake = Intake(rule if self._group is None else replace(rule, kind=MetricKind.GAUGE))
        self._recent = Recent()
        self._query = ""
        self._untold: dict[str, Finding] = {}
        self._lock = threading.RLock()
        self._state = RowArrays(
            absent_since=Column(np.nan),
            blind_since=Column(np.nan),
            absence=Column(False, np.bool_),
            warming=Column(False, np.bool_),
            changed=Column(False, np.bool_),
            value=Column(np.nan),
            score=Column(np.nan),
            expected=Column(np.nan),
            lower=Column(np.nan),
            upper=Column(np.nan),
            judged_at=Column(np.nan),
        )

    def observe(self, batch: SampleBatch, volume: Mapping[str, float] | None = None, *, learn: bool = True) -> Observed:
        """Judge one poll. `volume` gives, by `series_id`, how many events stand behind a sample; where the rule asks for a minimum, unknown is too few.

        `learn` False: judged all the same, but not learnt from. A partial batch clears nothing, teaches nothing, says nothing about what is absent, and fires no "too low": half an answer lowers sums.
        """
        with self._lock:
            return self._observe(batch, volume, learn=learn and not batch.partial)

    def _observe(self, batch: SampleBatch, volume: Mapping[str, float] | None, *, learn: bool) -> Observed:
        self._query = batch.query
        dropped: Counter[str] = Counter()
        judged: Assessed | None = None
        if self._group is not None:
            judged = self._group.assess(batch, learn=learn)
            batch = replace(batch, labels=judged.labels, times=np.full(len(judged.labels), batch.at), values=judged.values)
            dropped.update(judged.dropped or {})
        elif not (batch.labels or self._table.rows or self._untold):
            return self._nothing(partial=batch.partial)
        rows, keep = self._rows(batch, dropped)
        present, times = rows, batch.times[keep]
        accepted, values = self._intake.accept(rows, times, batch.values[keep], batch.at, dropped)
        rows, times = rows[accepted], times[accepted]
        if self._counts_zero and not batch.partial:
            # A log count that is absent is a count of zero, and that is learned too.
            zeros, zero_times = self._intake.zeros(self._table.less(present), batch.at)
            rows, times, values = np.concatenate([rows, zeros]), np.concatenate([times, zero_times]), np.concatenate([values, np.zeros(len(zeros))])
        measured = (np.isfinite(values) | (judged is not None)) & self._enough(rows, volume)
        self._recent.add(rows, times, values)
        scores = None if judged is None else taken(judged.scores, keep[accepted][measured])
        findings = self._judge(rows[measured], times[measured], values[measured], volume, scores, learn=learn, partial=batch.partial)
        if scores is not None:
            # A subject on which nothing can be said is not measured: what was claimed of it lapses in the end.
            measured[measured] = scores.ready
        if not batch.partial:
            self._mark(present, rows[measured], batch.at)
            findings += self._missing(batch.at)
            findings += self._again({f.series for f in findings}, batch.at)
            self._release_old(batch.at)
        return Observed(tuple(findings), int(measured.sum()), self._states(), dict(dropped), judged.measures if judged is not None else ())

    def _nothing(self, *, partial: bool) -> Observed:
        """Of a rule that never saw a series, as most are whose system is not there. The detector may count polls."""
        if self._detector is not None:
            self._detector.score_and_learn(_NONE, np.empty(0), np.empty(0), learn=not partial)
        return Observed((), 0, self._states(), {})

    def teach(self, batch: SampleBatch, volume: Mapping[str, float] | None = None) -> None:
        """Learn from a past answer as `observe` would, and claim nothing. Answers come in order of time, before the first one that is observed."""
        with self._lock:
            if self._detector is None:
                if self._group is not None:
                    self._group.assess(batch, learn=not batch.partial)
                return
            dropped: Counter[str] = Counter()
            rows, keep = self._rows(batch, dropped)
            accepted, values = self._intake.accept(rows, batch.times[keep], batch.values[keep], batch.at, dropped)
            rows, times = rows[accepted], batch.times[keep][accepted]
            measured = np.isfinite(values) & self._enough(rows, volume)
            self._recent.add(rows, times, values)
            rows, times, values = rows[measured], times[measured], values[measured]
            self._remember(rows, times, values, self._detector.score_and_learn(rows, times, values, learn=not batch.partial))

    def firing(self) -> tuple[Finding, ...]:
        """What fires now, with fresh evidence."""
        with self._lock:
            rows = np.flatnonzero(self._alarms.firing)
            return tuple(self._finding(row, SignalState.FIRING, self._claim(row)) for row in rows.tolist())

    def shown(self, most: int) -> tuple[tuple[Labels, dict[str, float | None]], ...]:
        """Score, expected value and bounds of up to `most` series that are judged: what fires first, then those known longest."""
        with self._lock:
            known = self._table.in_use()
            known = known[np.isfinite(self._state["score"][known]) & ~np.isfinite(self._state["absent_since"][known])]
            first = np.argsort(~self._alarms.firing[known], kind="stable")[:most]
            names = ("score", "expected", "lower", "upper")
            return tuple((self._table.labels(row), {n: _number(self._state[n][row]) for n in names}) for row in known[first].tolist())

    def not_taken(self, findings: Iterable[Finding]) -> None:
        """These findings reached nobody (the store was down): the next whole answer tells again how their series stand then."""
        with self._lock:
            self._untold |= {f.series: f for f in findings}

    def _again(self, told: set[str], at: float) -> list[Finding]:
        """What was not taken, as it stands now; what this poll tells anyway is not repeated."""
        untold, self._untold = self._untold, {}
        rows = {self._table.series(row): row for row in self._table.in_use().tolist()} if untold else {}
        found = []
        for series, before in untold.items():
            row = rows.get(series)
            if series in told:
                continue
            if row is not None and self._alarms.firing[row]:
                found.append(self._finding(row, SignalState.FIRING, self._claim(row), at=at))
            elif before.state is not SignalState.FIRING:
                found.append(before)
            else:
                # It began and ended unheard; should it have been heard after all, this ends it.
                found.append(replace(before, state=SignalState.CLEARED, reason="Recovered", at=at))
        return found

    @property
    def versioned(self) -> bool:
        """Whether this rule's detector has references that are to be kept outside snapshots."""
        # Asked at each poll, where most rules have no such detector: an isinstance with a protocol takes long.
        return self._group is not None and isinstance(self._group, Versioned)

    def subjects(self) -> tuple[tuple[str, Labels], ...]:
        """Series known: `series_id` and labels."""
        with self._lock:
            return tuple((self._table.series(row), self._table.labels(row)) for row in self._table.in_use().tolist())

    def retrained(self, series: str, at: float) -> None:
        """The model of a subject was trained at `at`; nothing where the rule's detector has no references."""
        with self._lock:
            if self._group is not None and isinstance(self._group, Versioned):
                self._group.retrained(series, at)

    def references(self) -> Mapping[str, Any]:
        """References that changed since `kept`."""
        with self._lock:
            return self._group.references() if self._group is not None and isinstance(self._group, Versioned) else {}

    def kept(self) -> None:
        """They are stored."""
        with self._lock:
            if self._group is not None and isinstance(self._group, Versioned):
                self._group.kept()

    def recall(self, documents: Mapping[str, Any]) -> None:
        """References as they were stored."""
        with self._lock:
            if self._group is not None and isinstance(self._group, Versioned):
                self._group.recall(documents)

    def __len__(self) -> int:
        """Series known."""
        return len(self._table)

    @property
    def _counts_zero(self) -> bool:
        return self._group is None and self.rule.missing_data is MissingData.CLEAR and self.rule.kind is MetricKind.COUNT

    def _rows(self, batch: SampleBatch, dropped: Counter[str]) -> tuple[Rows, Rows]:
        """Distinct rows of the batch and the positions they stand at."""
        rows, new = self._table.intern(batch.labels)
        if REFUSED in rows:
            # Room is made by those that are gone and claim nothing, before new ones are refused.
            known = self._table.in_use()
            self._reserve()
            idle = known[np.isfinite(self._state["absent_since"][known]) & ~self._alarms.firing[known]]
            self._release(np.setdiff1d(idle, rows))
            rows, more = self._table.intern(batch.labels)
            new += more
        self._reserve()
        self._introduce(new)
        if len(set(rows.tolist())) == len(rows) and not (len(rows) and rows.min() == REFUSED):
            return rows, np.arange(len(rows))
        refused = rows == REFUSED
        if refused.any():
            dropped["SeriesLimit"] += int(refused.sum())
        keep = np.flatnonzero(~refused)
        distinct, first = np.unique(rows[keep], return_index=True)
        if len(distinct) < len(keep):
            dropped["DuplicateSeries"] += len(keep) - len(distinct)
            keep = keep[np.sort(first)]
        return rows[keep], keep

    def _introduce(self, rows: Sequence[int]) -> None:
        if rows and isinstance(self._detector, Grouped):
            self._detector.introduce(rows, [self._table.labels(row) for row in rows])

    @property
    def _learned(self) -> Detector | GroupDetector:
        one = self._detector if self._group is None else self._group
        assert one is not None
        return one

    def _reserve(self) -> None:
        for room in (self._state, self._alarms, self._intake):
            room.reserve(self._table.rows)

    def _enough(self, rows: Rows, volume: Mapping[str, float] | None) -> Flags:
        """Which rows have enough events behind them to be judged."""
        minimum = self.rule.minimum_volume
        if minimum <= 0.0:
            return np.ones(len(rows), dtype=np.bool_)
        known = volume or {}
        return np.array([known.get(self._table.series(row), 0.0) >= minimum for row in rows.tolist()], dtype=np.bool_)

    def _beyond_chance(self, breach: Flags, rows: Rows, values: Floats, expected: Floats, volume: Mapping[str, float] | None) -> Flags:
        """Those departures that few events do not explain."""
        few = np.flatnonzero(breach) if self._group is None and self.rule.kind in (MetricKind.COUNT, MetricKind.RATIO) else _NONE
        if not len(few):
            return breach
        if self.rule.kind is MetricKind.COUNT:
            breach[few] = unlikely_count(values[few], expected[few])
        elif self.rule.minimum_volume > 0.0:
            events = np.array([(volume or {}).get(self._table.series(row), np.nan) for row in rows[few].tolist()])
            breach[few] = unlikely_share(values[few], expected[few], events)
        return breach

    def _judge(self, rows: Rows, times: Floats, values: Floats, volume: Mapping[str, float] | None, scores: Scores | None, *, learn: bool, partial: bool) -> list[Finding]:
        """Score measured samples, unless they are judged already, and step the alarms."""
        if scores is None:
            assert self._detector is not None
            scores = self._detector.score_and_learn(rows, times, values, learn=learn)
        counts, within = outside_dead_band(values, scores, self.rule.dead_band_absolute, self.rule.dead_band_relative)
        breach = self._beyond_chance(scores.ready & scores.breach & counts, rows, values, scores.expected, volume)
        # A series whose absence was claimed is back: that claim is over unless the value itself is wrong.
        back = self._state["absence"][rows]
        recovered = ((scores.ready & (scores.recovered | within)) | back) & ~breach
        judged = scores.ready | back
        if partial:
            recovered[:] = False
            breach &= ~self._too_low(values, scores)
            # Nothing clears: a row that neither breaches nor may recover is left alone.
            judged &= breach | ~self._alarms.firing[rows]
        self._state["absence"][rows[breach]] = False
        if scores.changed is not None:
            self._state["changed"][rows[scores.changed]] = True
        self._remember(rows, times, values, scores)
        rows, times, breach, recovered = rows[judged], times[judged], breach[judged], recovered[judged]
        steps = self._alarms.step(rows, times, breach=breach, critical=breach & scores.critical[judged], recovered=recovered)
        self._state["absence"][rows[steps.cleared]] = False
        return self._findings(rows, steps, cleared="Recovered")

    def _too_low(self, values: Floats, scores: Scores) -> Flags:
        with np.errstate(invalid="ignore"):
            low = (values < scores.lower) | (values < scores.expected)
        return np.asarray(low) | (self.rule.direction is Direction.DOWN)

    def _remember(self, rows: Rows, times: Floats, values: Floats, scores: Scores) -> None:
        state = self._state
        state["warming"][rows] = ~scores.ready
        state["value"][rows], state["score"][rows], state["expected"][rows] = values, scores.score, scores.expected
        state["lower"][rows], state["upper"][rows], state["judged_at"][rows] = scores.lower, scores.upper, times

    def _mark(self, present: Rows, measured: Rows, at: float) -> None:
        """Note since when series are absent, and since when not measured, after a whole answer."""
        for name, good in (("absent_since", present), ("blind_since", measured)):
            column = self._state[name]
            column[good] = np.nan
            lost = self._table.less(good)
            if len(lost):
                # fmin: NaN starts now, and a clock that went back never makes a span negative.
                column[lost] = np.fmin(column[lost], at)

    def _missing(self, at: float) -> list[Finding]:
        """Apply the rule's policy to what is absent, and let claims lapse that nobody could check for too long."""
        state, known = self._state, self._table.in_use()
        absent = known[np.isfinite(state["absent_since"][known])]
        findings: list[Finding] = []
        if self.rule.missing_data is MissingData.CLEAR and not self._counts_zero:
            findings += self._step_absent(absent, at, wrong=False)
        elif self.rule.missing_data is MissingData.SIGNAL:
            findings += self._step_absent(absent, at, wrong=True)
        known = known[self._alarms.firing[known]]
        if not len(known):
            return findings
        patience = np.where(state["absence"][known], self._ttl, self.rule.stale_after)
        with np.errstate(invalid="ignore"):
            lapsed = known[at - state["blind_since"][known] >= patience]
        for row in lapsed.tolist():
            findings.append(self._finding(row, SignalState.EXPIRED, "NoLongerSeen", at=at))
        self._alarms.forget(lapsed)
        state["absence"][lapsed] = False
        return findings

    def _step_absent(self, rows: Rows, at: float, *, wrong: bool) -> list[Finding]:
        if not len(rows):
            return []
        yes, no = np.ones(len(rows), dtype=np.bool_), np.zeros(len(rows), dtype=np.bool_)
        steps = self._alarms.step(rows, np.full(len(rows), at), breach=yes if wrong else no, critical=no, recovered=no if wrong else yes)
        self._state["absence"][rows] = wrong & self._alarms.firing[rows]
        return self._findings(rows, steps, cleared="AbsentIsRecovered", at=at)

    def _findings(self, rows: Rows, steps: Transitions, *, cleared: str, at: float | None = None) -> list[Finding]:
        found = []
        for position in np.flatnonzero(steps.any).tolist():
            row = int(rows[position])
            if steps.cleared[position]:
                found.append(self._finding(row, SignalState.CLEARED, "RegimeChanged" if self._state["changed"][row] else cleared, at=at))
                self._state["changed"][row] = False
            else:
                reason = "SeverityRaised" if steps.raised[position] else "SeverityLowered" if steps.lowered[position] else self._claim(row)
                found.append(self._finding(row, SignalState.FIRING, reason, at=at))
        return found

    def _claim(self, row: int) -> str:
        return "SeriesAbsent" if self._state["absence"][row] else self._learned.reason

    def _finding(self, row: int, state: SignalState, reason: str, at: float | None = None) -> Finding:
        seen = {name: _number(self._state[name][row]) for name in ("value", "score", "expected", "lower", "upper")}
        times, values = self._recent.of(row)
        lines = self._group.lines(self._table.series(row)) if self._group is not None and state is SignalState.FIRING else ()
        evidence = Evidence(self._query, times, values, seen["value"], seen["expected"], seen["lower"], seen["upper"], seen["score"], reason, lines)
        critical = bool(self._alarms.level[row]) and state is SignalState.FIRING
        judged = _number(self._state["judged_at"][row])
        return Finding(
            series=self._table.series(row),
            labels=self._table.labels(row),
            state=state,
            severity=Severity.CRITICAL if critical else self.rule.severity,
            at=at if at is not None else judged or 0.0,
            evidence=evidence,
            reason=reason,
        )

    def _states(self) -> dict[str, int]:
        known = self._table.in_use()
        blind = np.isfinite(self._state["blind_since"][known])
        if self._group is not None:
            # It is there, and too little of it to say anything.
            blind &= ~(self._state["warming"][known] & np.isnan(self._state["absent_since"][known]))
        count, warming = int(np.count_nonzero(blind)), int(np.count_nonzero(self._state["warming"][known] & ~blind))
        return {"warming": warming, "ready": len(known) - count - warming, "blind": count}

    def _release_old(self, at: float) -> None:
        known = self._table.in_use()
        since = self._state["absent_since"][known]
        # NaN: a series that is there. It compares as false.
        old = at - since >= self._ttl
        if old.any():
            self._release(known[old & ~self._alarms.firing[known]])

    def _release(self, rows: Rows) -> None:
        if not len(rows):
            return
        if self._group is not None:
            self._group.forget([self._table.series(row) for row in rows.tolist()])
        self._table.release(rows)
        for room in (self._detector, self._alarms, self._intake, self._recent):
            if room is not None:
                room.forget(rows)
        self._state.reset(rows)

    @property
    def key(self) -> str:
        """Identity of what was learned: a rule that asks something else or judges otherwise starts anew."""
        rule = self.rule
        query = f"{rule.query.kind} {rule.query.value.text}" if isinstance(rule.query, ObjectQuery) else repr(rule.query)
        detector = sorted(rule.detector.parameters.items())
        return make_id("bank", rule.name, rule.source, query, rule.detector.type, repr(detector), rule.kind.value, rule.direction.value)

    def snapshot(self) -> bytes:
        """All state, alarms included, so that a restart neither forgets nor repeats."""
        with self._lock:
            return self._snapshot()

    def _snapshot(self) -> bytes:
        parts = {"state": self._state.used(), "alarms": self._alarms.used(), "intake": self._intake.used(), "recent": self._recent.used()}
        arrays = {f"{prefix}.{name}": array for prefix, columns in parts.items() for name, array in columns.items()}
        arrays["detector"] = np.frombuffer(self._learned.snapshot(), dtype=np.uint8)
        return pack(arrays, {"key": self.key, "series": self._table.dump(), "query": self._query})

    def restore(self, data: bytes) -> None:
        """Continue exactly where `snapshot` was taken. Raises ValueError if the bytes are damaged or of another rule; the bank is then as before."""
        arrays, header = unpack(data)
        if header.get("key") != self.key:
            raise ValueError(f"snapshot is not of rule {self.rule.name} as it is now")
        # Filled aside and taken over at the end: a snapshot that fits by half must not leave half a state.
        new = RuleBank(self.rule, max_series=self._max_series, ttl=self._ttl)
        try:
            new._fill(arrays, header)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"snapshot of rule {self.rule.name} is damaged: {error}") from error
        with self._lock:
            self._detector, self._group, self._alarms, self._table = new._detector, new._group, new._alarms, new._table
            self._intake, self._recent, self._state, self._query = new._intake, new._recent, new._state, new._query

    def _fill(self, arrays: dict[str, NDArray[Any]], header: Mapping[str, Any]) -> None:
        self._learned.restore(arrays.pop("detector").tobytes())
        self._state.replace(part(arrays, "state"))
        self._alarms.replace(part(arrays, "alarms"))
        self._intake.replace(part(arrays, "intake"))
        self._recent.replace(part(arrays, "recent"))
        self._table.load(header["series"])
        self._reserve()
        self._introduce(self._table.in_use().tolist())
        self._query = str(header.get("query", ""))


def _number(value: float) -> float | None:
    """JSON knows no NaN: unknown is None."""
    return float(value) if np.isfinite(value) else None

"""Alarms that are like one a person called none go no further: dropped with a stored reason, for as long as they stay alike.

The alarm itself stays up in its bank, so each poll looks again: what grows, turns, lasts or becomes worse is told then. Of one rule and one series only, and
only for detectors that learn by themselves what is usual. Neighbours: `observe` sifts findings through here, `flow` takes people's words and stores,
`detect.likeness` decides.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from aiops.detect.bank import RuleBank
from aiops.detect.findings import Finding
from aiops.detect.likeness import outgrown, unlike
from aiops.domain.errors import StoreError
from aiops.domain.feedback import DAMPED, Feedback
from aiops.domain.rule import Rule
from aiops.domain.signal import SignalState
from aiops.ports.storage import Changes, Store

NAME = "feedback"
"""Of the document in the store."""
REASON, OVER = "NotAnAnomaly", "DampedIsOver"
MOST = 1000
KEPT = 90 * 86400.0
"""Seconds that words which count no more are still listed."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """`findings` go on. `dropped` do not, and why; `noted`: of those that go on, why they are unlike."""

    findings: tuple[Finding, ...]
    dropped: tuple[tuple[Finding, str], ...] = ()
    noted: tuple[tuple[Finding, str], ...] = ()


def stored_feedback(document: object) -> tuple[Feedback, ...]:
    """The store's document, oldest first. Raises StoreError if it is of another shape."""
    try:
        return msgspec.convert(document or (), tuple[Feedback, ...])
    except msgspec.ValidationError as error:
        raise StoreError(f"the stored feedback cannot be read: {error}") from error


class Damping:
    """For all rules; polls of different rules may come from different threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: dict[str, Feedback] = {}
        self._changed = False
        self._lock = threading.Lock()

    def load(self) -> None:
        """What was said before this process. Raises StoreError."""
        found = stored_feedback(self._store.value(NAME))
        with self._lock:
            self._held, self._changed = {f.id: f for f in found}, False

    def keep(self) -> None:
        """Store what changed by itself. Raises StoreError; the next poll tries again."""
        with self._lock:
            if self._changed:
                self._write(self._held)

    def add(self, words: Iterable[Feedback], now: float) -> None:
        """Count these from now on; the oldest of too many go. Raises StoreError, and then nothing was added."""
        with self._lock:
            held = {i: f for i, f in self._held.items() if f.in_force(now) or now - max(f.at, f.undone_at or 0.0, min(f.expires_at, now)) < KEPT}
            held |= {f.id: f for f in words}
            for old in sorted(held.values(), key=lambda f: (f.in_force(now), f.at))[: max(0, len(held) - MOST)]:
                del held[old.id]
            self._write(held)

    def remove(self, identity: str, by: str, now: float) -> Feedback | None:
        """Take one back; what it damps now is told with the next poll. None if there is none in force. Raises StoreError."""
        with self._lock:
            found = self._held.get(identity)
            if found is None or not found.in_force(now):
                return None
            taken = replace(found, undone_at=now, undone_by=by)
            self._write({**self._held, identity: taken})
            return taken

    def sift(self, rule: Rule, bank: RuleBank, findings: Sequence[Finding], at: float) -> Sifted:
        """What of one poll's findings goes on, and what that was held back goes on now."""
        if rule.detector.type not in DAMPED or not self._held:
            return Sifted(tuple(findings))
        with self._lock:
            mine = [f for f in self._held.values() if f.rule == rule.name]
            if not mine:
                return Sifted(tuple(findings))
            sieve = _Sieve(rule, mine, at)
            for finding in findings:
                sieve.take(finding)
            if waiting := sieve.waiting({f.series for f in findings}):
                standing = {f.series: f for f in bank.firing()}
                for feedback in waiting:
                    sieve.look(feedback, standing.get(feedback.series))
            if sieve.changed:
                self._held |= sieve.changed
                self._changed = True
            return Sifted(tuple(sieve.passed), tuple(sieve.dropped), tuple(sieve.noted))

    def _write(self, held: dict[str, Feedback]) -> None:
        self._store.write(Changes(values={NAME: [msgspec.to_builtins(f) for f in held.values()] or None}))
        self._held, self._changed = dict(held), False


class _Sieve:
    """One poll of one rule."""

    def __init__(self, rule: Rule, words: Sequence[Feedback], at: float) -> None:
        self._rule, self._at = rule, at
        self._by_series: dict[str, list[Feedback]] = {}
        for feedback in words:
            self._by_series.setdefault(feedback.series, []).append(feedback)
        self.passed: list[Finding] = []
        self.dropped: list[tuple[Finding, str]] = []
        self.noted: list[tuple[Finding, str]] = []
        self.changed: dict[str, Feedback] = {}

    def _of(self, series: str) -> list[Feedback]:
        return [self.changed.get(f.id, f) for f in self._by_series.get(series, ())]

    def waiting(self, told: set[str]) -> list[Feedback]:
        """Those that hold something back of which this poll says nothing new."""
        return [f for series in self._by_series if series not in told for f in self._of(series) if f.since is not None]

    def take(self, finding: Finding) -> None:
        words = self._of(finding.series)
        holding = next((f for f in words if f.since is not None), None)
        if finding.state is not SignalState.FIRING:
            self._over(finding, holding)
        elif holding is not None:
            self.look(holding, finding)
        else:
            self._begins(finding, [f for f in words if f.in_force(self._at)])

    def _begins(self, finding: Finding, words: Sequence[Feedback]) -> None:
        why = ""
        for feedback in words:
            why = unlike(feedback, finding.evidence, finding.reason, finding.severity, finding.at)
            if not why:
                self._set(replace(feedback, since=finding.at, count=feedback.count + 1, last_at=finding.at))
                self.dropped.append((finding, f"like {_named(feedback)}"))
                return
            why = f"unlike {feedback.id}: {why}"
        self.passed.append(finding)
        if why:
            self.noted.append((finding, why))

    def look(self, feedback: Feedback, now: Finding | None) -> None:
        """Is what is held back still alike? None: its alarm is gone, with the bank that had it."""
        if now is None:
            self._ended(feedback, self._at)
            return
        why = "" if feedback.in_force(self._at) else "taken back" if feedback.undone_at is not None else "expired"
        why = why or outgrown(feedback, now.evidence, now.severity, self._at, self._rule.every)
        if why:
            self._ended(feedback, self._at)
            self.passed.append(now)
            self.noted.append((now, f"no longer like {feedback.id}: {why}"))
        elif now.at >= self._at and now.reason in ("SeverityRaised", "SeverityLowered"):
            self.dropped.append((now, f"like {_named(feedback)}"))

    def _over(self, finding: Finding, holding: Feedback | None) -> None:
        if holding is None:
            self.passed.append(finding)
            return
        self._ended(holding, finding.at)
        self.dropped.append((finding, f"over, after it was held back by {holding.id}"))

    def _ended(self, feedback: Feedback, at: float) -> None:
        """Of one that was not over when it was marked, it is known now how long it lasted."""
        lasted = feedback.pattern.lasted
        if lasted is None:
            lasted = max(0.0, at - (feedback.since if feedback.since is not None else at))
        self._set(replace(feedback, since=None, pattern=replace(feedback.pattern, lasted=lasted)))

    def _set(self, feedback: Feedback) -> None:
        self.changed[feedback.id] = feedback


def _named(feedback: Feedback) -> str:
    return f"{feedback.id}, of which {feedback.by} says it is no anomaly" + (f": {feedback.why}" if feedback.why else "")

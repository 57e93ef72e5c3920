"""How well each source of telemetry can be seen, and the signals about it. A pure state machine: what came of a poll goes in, a new state and signals come out.

ok → failing (one failure) → dark (`dark_failures` in a row, or nothing for `dark_after` seconds); and independently of it stale (the newest
sample is old), partial (half answers in a row) and skewed (its clock and ours differ). Neighbours: `pipeline.poller` feeds it, guards refuse to act on what it calls dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from aiops.domain.errors import trimmed
from aiops.domain.ids import make_id
from aiops.domain.series import series_id
from aiops.domain.signal import Evidence, Severity, Signal, SignalKind, SignalState

DARK, STALE, PARTIAL, SKEW = "SourceDark", "SourceStale", "SourcePartial", "ClockSkew"
SEVERITIES: Mapping[str, Severity] = {DARK: Severity.CRITICAL, STALE: Severity.WARNING, PARTIAL: Severity.WARNING, SKEW: Severity.WARNING}


class SightState(StrEnum):
    """The worst that holds: dark, then stale, partial, failing, ok. `unknown` before the first answer."""

    UNKNOWN = "unknown"
    OK = "ok"
    FAILING = "failing"
    PARTIAL = "partial"
    STALE = "stale"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class SightPolicy:
    """Durations in seconds. `dark_failures` polls in a row or `dark_after` without an answer; `partial_answers` in a row; `skew` either way."""

    dark_failures: int = 3
    dark_after: float = 60.0
    stale_after: float = 120.0
    partial_answers: int = 2
    skew: float = 30.0


@dataclass(frozen=True, slots=True)
class SourceSight:
    """What is known of one source. Times Unix seconds. `claims`: since when each claim (rule name) stands. `detail` is the last error's text."""

    source: str
    since: float
    answered_at: float | None = None
    failing_since: float | None = None
    failures: int = 0
    partials: int = 0
    reason: str = ""
    detail: str = ""
    newest: float | None = None
    skew: float | None = None
    claims: Mapping[str, float] = field(default_factory=dict)

    @property
    def state(self) -> SightState:
        """The worst that holds."""
        for claim, state in ((DARK, SightState.DARK), (STALE, SightState.STALE), (PARTIAL, SightState.PARTIAL)):
            if claim in self.claims:
                return state
        if self.failures or self.failing_since is not None:
            return SightState.FAILING
        return SightState.UNKNOWN if self.answered_at is None else SightState.OK

    @property
    def usable(self) -> bool:
        """Whether what it says may be acted on: answering, whole and fresh."""
        return self.state is SightState.OK


@dataclass(frozen=True, slots=True)
class Seen:
    """A source's state after something happened, and the claims that began or ended."""

    sight: SourceSight
    signals: tuple[Signal, ...] = ()


def answered(
    sight: SourceSight, now: float, policy: SightPolicy, *, newest: float | None = None, partial: bool = False, skew: float | None = None, heard: float | None = None,
) -> Seen:
    """A poll was answered. `newest`: time of the newest sample in it, if it had any; `skew`: its clock minus ours, in seconds, if known.

    `heard`: when the answer came, if that is not now but has been learnt of only now.
    """
    fresh = sight.newest if newest is None else max(newest, sight.newest or newest)
    later = replace(
        sight,
        answered_at=now if heard is None else heard,
        failing_since=None,
        failures=0,
        reason="",
        detail="",
        partials=sight.partials + 1 if partial else 0,
        newest=fresh,
        skew=sight.skew if skew is None else skew,
    )
    return _claims(later, now, policy)


def failed(sight: SourceSight, reason: str, detail: str, now: float, policy: SightPolicy) -> Seen:
    """A poll was not answered, or not readably. `reason` is the CamelCase code of the SourceError."""
    since = now if sight.failing_since is None else min(sight.failing_since, now)
    later = replace(sight, failing_since=since, failures=sight.failures + 1, reason=reason, detail=trimmed(detail))
    return _claims(later, now, policy)


def tick(sight: SourceSight, now: float, policy: SightPolicy) -> Seen:
    """Time passed; a source that nobody managed to ask goes dark too."""
    return _claims(sight, now, policy)


def _claims(sight: SourceSight, now: float, policy: SightPolicy) -> Seen:
    heard = sight.since if sight.answered_at is None else sight.answered_at
    dark = sight.failures >= policy.dark_failures or now - heard >= policy.dark_after
    stands = {
        DARK: dark,
        # While dark, the rest is neither shown nor over: it cannot be known.
        STALE: STALE in sight.claims if dark else sight.newest is not None and now - sight.newest >= policy.stale_after,
        PARTIAL: PARTIAL in sight.claims if dark else sight.partials >= policy.partial_answers,
        SKEW: SKEW in sight.claims if dark else sight.skew is not None and abs(sight.skew) > policy.skew,
    }
    began = [c for c, holds in stands.items() if holds and c not in sight.claims]
    ended = [c for c in sight.claims if not stands[c]]
    if not began and not ended:
        return Seen(sight)
    claims = {c: sight.claims.get(c, now) for c, holds in stands.items() if holds}
    signals = [_signal(sight, c, SignalState.FIRING, now) for c in began] + [_signal(sight, c, SignalState.CLEARED, now) for c in ended]
    return Seen(replace(sight, claims=claims), tuple(signals))


def _signal(sight: SourceSight, claim: str, state: SignalState, now: float) -> Signal:
    labels = {"source": sight.source, "symptom": "dark" if claim == DARK else "sight"}
    return Signal(
        id=make_id("sig", claim, sight.source, state.value, now),
        rule=claim,
        detector="sight",
        kind=SignalKind.SIGHT,
        state=state,
        severity=SEVERITIES[claim],
        at=now,
        series=series_id(labels),
        labels=labels,
        target=None,
        summary=_words(sight, claim, now) if state is SignalState.FIRING else f"source {sight.source}: {claim} is over",
        evidence=Evidence(value=sight.skew if claim == SKEW else None, note=sight.reason, lines=(sight.detail,) if sight.detail else ()),
    )


def _words(sight: SourceSight, claim: str, now: float) -> str:
    if claim == DARK:
        heard = "never" if sight.answered_at is None else f"{now - sight.answered_at:.0f} s ago"
        told = f"{sight.failures} failures in a row ({sight.reason or 'not asked'})" if sight.failures or not sight.reason else sight.reason
        return f"source {sight.source} is dark: {told}, last answer {heard}"
    if claim == STALE:
        return f"source {sight.source} is stale: its newest sample is {now - (sight.newest or now):.0f} s old"
    if claim == PARTIAL:
        return f"source {sight.source} gives partial answers: {sight.partials} in a row"
    return f"source {sight.source}: its clock differs from ours by {sight.skew or 0.0:+.0f} s"

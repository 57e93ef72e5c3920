"""The lifecycle of an incident: open → acknowledged → mitigating → resolved, with deduplication and flap damping. Pure; `now` is an argument.

Neighbours: `grouping` says which signals belong together, `pipeline.triage` stores what comes back, `announce` tells by `changes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from aiops.correlate.contributors import with_parts
from aiops.correlate.grouping import common_labels, fingerprint
from aiops.correlate.texts import title
from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import trimmed
from aiops.domain.execution import Execution
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident, IncidentState, Transition
from aiops.domain.outcome import Judgement
from aiops.domain.signal import RANK, Severity, Signal, SignalKind, SignalState

MAX_TRANSITIONS = 100
AUTOMATIC = "aiops"
REGIME_CHANGED = "RegimeChanged"
RECOVERING, FIRING_AGAIN, LEVEL_IS_GOOD = "Recovering", "FiringAgain", "LevelIsGood"
DROPPED = frozenset({"OutOfOrder", "NotFiring", "TooManySignals", "Duplicate"})
"""Reasons for which a claim changes nothing but, at most, the evidence shown."""


@dataclass(frozen=True, slots=True)
class FlowPolicy:
    """Durations in seconds.

    `resolve_after`: how long nothing may fire before an incident is resolved. `flap_window`: what fires again within it reopens the same
    incident. `max_flaps`: from the next flap on the incident is held open for `flap_hold` of quiet, and only the first such flap is told.
    `max_signals`: claims kept for one incident.
    """

    resolve_after: float = 60.0
    flap_window: float = 900.0
    max_flaps: int = 3
    flap_hold: float = 900.0
    max_signals: int = 200

    def quiet_needed(self, incident: Incident) -> float:
        """Seconds of quiet after which this incident is resolved."""
        return max(self.resolve_after, self.flap_hold) if incident.flaps > self.max_flaps else self.resolve_after


@dataclass(frozen=True, slots=True)
class Flow:
    """What came of it. `incident` is None if there is none, and unchanged if `changes` is empty.

    `changes` are CamelCase codes in order: Opened, Reopened, Flapping (told less: a flap beyond the limit), SignalAdded, SignalCleared,
    SignalExpired, EvidenceUpdated (of interest to no one but a reader), SeverityRaised, SeverityLowered, Recovering, FiringAgain,
    Acknowledged, Mitigating, RunEnded, Resolved.
    """

    incident: Incident | None
    changes: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()


def absorb(current: Incident | None, last: Incident | None, signals: Sequence[Signal], now: float, policy: FlowPolicy) -> Flow:
    """Take in claims of one fingerprint.

    `current` is its active incident, `last` its newest one if that is resolved. Everything that is not taken leaves a decision with its reason.
    """
    if current is not None and current.active:
        return _absorb_into(current, signals, now, policy, first=())
    if last is not None and not last.active:
        reopened = _reopen(last, signals, now, policy)
        if reopened is not None:
            return reopened
    firing = [s for s in signals if s.state is SignalState.FIRING]
    early = tuple(_decision(s, now, "NothingOpen", passed=False) for s in signals if s.state is not SignalState.FIRING)
    if not firing:
        return Flow(None, (), early)
    first = firing[0]
    print_of = fingerprint(first)
    incident = Incident(
        id=make_id("inc", print_of, now),
        fingerprint=print_of,
        title="",
        state=IncidentState.OPEN,
        severity=_worst(firing),
        opened_at=now,
        updated_at=now,
        target=first.target,
        labels={},
        transitions=(Transition(now, IncidentState.OPEN, "Opened"),),
    )
    flow = _absorb_into(incident, firing, now, policy, first=("Opened",))
    return replace(flow, decisions=early + flow.decisions)


def _reopen(last: Incident, signals: Sequence[Signal], now: float, policy: FlowPolicy) -> Flow | None:
    """What claims mean to an incident that is resolved; None if they are nothing of its concern."""
    by_person = bool(last.transitions) and last.transitions[-1].by != AUTOMATIC
    # A person closed it while these fired: until they clear, or become worse, they are known and closed.
    closed = {key for key, s in last.signals.items() if s.state is SignalState.FIRING and (by_person or key in last.settled)}
    fresh = [s for s in signals if s.state is SignalState.FIRING and (s.key not in closed or _worse(s, last))]
    if fresh:
        if last.resolved_at is None or now - last.resolved_at > policy.flap_window:
            return None
        flaps = _flaps(last, now, policy)
        transitions = _kept((*last.transitions, Transition(now, IncidentState.OPEN, "Reopened")))
        again = replace(last, state=IncidentState.OPEN, resolved_at=None, flaps=flaps, transitions=transitions)
        return _absorb_into(again, signals, now, policy, first=_flap_change(flaps, policy, "Reopened"))
    known = [s for s in signals if s.key in closed]
    if not known:
        return None
    why = "ResolvedByPerson" if by_person else LEVEL_IS_GOOD
    decisions = tuple(_decision(s, now, why if s.key in closed else "NothingOpen", passed=False, incident=last.id) for s in signals)
    over = {s.key: s for s in known if s.state is not SignalState.FIRING}
    if not over:
        return Flow(last, (), decisions)
    settled = tuple(key for key in last.settled if key not in over)
    return Flow(replace(last, signals={**last.signals, **over}, settled=settled, version=last.version + 1), ("SignalCleared",), decisions)


def _unsettles(signal: Signal, incident: Incident) -> bool:
    """A forecast that was settled counts again: it cleared, or became worse."""
    return signal.state is not SignalState.FIRING or _worse(signal, incident)


def _worse(signal: Signal, last: Incident) -> bool:
    return signal.state is SignalState.FIRING and RANK[signal.severity] > RANK[last.signals[signal.key].severity]


def _absorb_into(incident: Incident, signals: Sequence[Signal], now: float, policy: FlowPolicy, *, first: tuple[str, ...]) -> Flow:
    known = dict(incident.signals)
    was_firing = bool(incident.firing)
    settled = tuple(key for key in incident.settled if not any(s.key == key and _unsettles(s, incident) for s in signals))
    changes = list(first)
    decisions: list[Decision] = []
    for signal in signals:
        change, reason = _take(known, signal, policy)
        decisions.append(_decision(signal, now, reason, passed=reason not in DROPPED, incident=incident.id))
        if change and change not in changes:
            changes.append(change)
    if not changes:
        return Flow(incident, (), tuple(decisions))
    firing = [s for s in known.values() if s.state is SignalState.FIRING and s.key not in settled]
    incident = replace(incident, signals=known, settled=settled, updated_at=now, version=incident.version + 1)
    if firing and not first:
        changes += _severity_change(incident.severity, _worst(firing))
    if firing:
        # All that it showed, not only what still fires: the title is what it is remembered by.
        shown = known.values() if incident.target is not None else firing
        incident = replace(incident, severity=_worst(firing), labels=common_labels(firing), title=title(incident.target, shown))
    if was_firing and not firing:
        changes.append(RECOVERING)
        incident = _moved(incident, incident.state, RECOVERING, now)
    elif firing and not was_firing and not first:
        incident = _moved(replace(incident, flaps=_flaps(incident, now, policy)), incident.state, FIRING_AGAIN, now)
        changes += [c for c in _flap_change(incident.flaps, policy, FIRING_AGAIN) if c not in changes]
    return Flow(incident, tuple(changes), tuple(decisions))


def _take(known: dict[str, Signal], signal: Signal, policy: FlowPolicy) -> tuple[str, str]:
    """Put one claim among the known ones. Returns what changed (empty: dropped) and the reason that is stored."""
    before = known.get(signal.key)
    if before is not None and signal.at < before.at:
        return "", "OutOfOrder"
    fires, fired = signal.state is SignalState.FIRING, before is not None and before.state is SignalState.FIRING
    if not fires and not fired:
        return "", "NotFiring"
    if before is None and len(known) >= policy.max_signals and not _make_room(known):
        return "", "TooManySignals"
    known[signal.key] = with_parts(signal, before)
    if not fires:
        return ("SignalExpired", "NoLongerSeen") if signal.state is SignalState.EXPIRED else ("SignalCleared", "Cleared")
    if before is None or not fired:
        return "SignalAdded", "Grouped"
    return ("EvidenceUpdated", "Duplicate") if before.severity is signal.severity else ("EvidenceUpdated", "SeverityChanged")


def _make_room(known: dict[str, Signal]) -> bool:
    """Drop the oldest claim that no longer stands."""
    over = [s for s in known.values() if s.state is not SignalState.FIRING]
    if over:
        del known[min(over, key=lambda s: (s.at, s.key)).key]
    return bool(over)


def tick(incident: Incident, now: float, policy: FlowPolicy) -> Flow:
    """What time alone brings: resolved, once nothing has fired for long enough."""
    if not incident.active or incident.firing:
        return Flow(incident)
    since = max((t.at for t in incident.transitions if t.reason == RECOVERING), default=incident.updated_at)
    if now - since < policy.quiet_needed(incident):
        return Flow(incident)
    return _resolved(incident, now, _how_it_ended(incident), AUTOMATIC)


def _how_it_ended(incident: Incident) -> str:
    """Seen to be back as it was; or not seen any more; or as unusual as before, for so long that it is taken as usual."""
    claims = incident.signals.values()
    if any(s.state is SignalState.EXPIRED for s in claims):
        return "NoLongerSeen"
    return REGIME_CHANGED if any(s.evidence.note == REGIME_CHANGED for s in claims) else "Recovered"


def acknowledge(incident: Incident, by: str, now: float) -> Flow:
    """A person has seen it. Changes an open incident only; otherwise a decision says why not."""
    if incident.state is not IncidentState.OPEN:
        return Flow(incident, (), (_word(incident, now, "acknowledge", "NotOpen"),))
    moved = _moved(replace(incident, version=incident.version + 1, updated_at=now), IncidentState.ACKNOWLEDGED, "Acknowledged", now, by)
    return Flow(moved, ("Acknowledged",), (_word(incident, now, "acknowledge", "Acknowledged", passed=True),))


def resolve(incident: Incident, by: str, now: float, reason: str = "") -> Flow:
    """A person says it is over. What still fires stays closed until it has cleared once, or becomes worse."""
    if not incident.active:
        return Flow(incident, (), (_word(incident, now, "resolve", "AlreadyResolved"),))
    return _resolved(incident, now, trimmed(f"ResolvedByPerson: {reason}") if reason else "ResolvedByPerson", by)


def mitigating(incident: Incident, execution: Execution, now: float) -> Flow:
    """A real run began for it; a simulated one mitigates nothing."""
    if execution.simulated:
        return Flow(incident, (), (_word(incident, now, "mitigate", "Simulated"),))
    if not incident.active or incident.state is IncidentState.MITIGATING:
        return Flow(incident, (), (_word(incident, now, "mitigate", "NotActive" if not incident.active else "AlreadyMitigating"),))
    moved = _moved(replace(incident, version=incident.version + 1, updated_at=now), IncidentState.MITIGATING, f"RunStarted {execution.id}", now)
    return Flow(moved, ("Mitigating",), (_word(incident, now, "mitigate", "RunStarted", passed=True),))


def run_ended(incident: Incident, execution: Execution, now: float) -> Flow:
    """A run is over. The incident goes back to where it was before; only its signals can resolve it.

    Where verification found the level good, the forecasts that stand are settled: the level decides, not what was foreseen.
    """
    if incident.state is not IncidentState.MITIGATING:
        return Flow(incident)
    seen = any(t.state is IncidentState.ACKNOWLEDGED for t in incident.transitions if t.at >= _opened(incident))
    state = IncidentState.ACKNOWLEDGED if seen else IncidentState.OPEN
    moved = _moved(replace(incident, version=incident.version + 1, updated_at=now), state, f"RunEnded {execution.id}", now)
    decisions = [_word(incident, now, "mitigate", "RunEnded", passed=True)]
    changes = ["RunEnded"]
    foreseen = [s for s in moved.firing if s.kind is SignalKind.FORECAST] if _level_is_good(execution) else []
    if foreseen:
        moved = replace(moved, settled=(*moved.settled, *(s.key for s in foreseen)))
        decisions += [_decision(s, now, LEVEL_IS_GOOD, passed=True, incident=incident.id) for s in foreseen]
        if not moved.firing:
            moved, changes = _moved(moved, state, RECOVERING, now), [*changes, RECOVERING]
    return Flow(moved, tuple(changes), tuple(decisions))


def _level_is_good(execution: Execution) -> bool:
    """Verification saw it pass, whoever brought it about."""
    run = execution.verification
    return run is not None and (run.judgement is Judgement.HELPED or run.reason == "SelfHealed")


def _opened(incident: Incident) -> float:
    """When it was opened last."""
    return max((t.at for t in incident.transitions if t.reason in ("Opened", "Reopened")), default=incident.opened_at)


def _resolved(incident: Incident, now: float, reason: str, by: str) -> Flow:
    done = replace(incident, resolved_at=now, updated_at=now, version=incident.version + 1)
    return Flow(_moved(done, IncidentState.RESOLVED, reason, now, by), ("Resolved",), (_word(incident, now, "resolve", reason.partition(":")[0], passed=True),))


def _moved(incident: Incident, state: IncidentState, reason: str, now: float, by: str = AUTOMATIC) -> Incident:
    return replace(incident, state=state, transitions=_kept((*incident.transitions, Transition(now, state, reason, by))))


def _kept(transitions: tuple[Transition, ...]) -> tuple[Transition, ...]:
    """Bounded: how it began and the latest."""
    return transitions if len(transitions) <= MAX_TRANSITIONS else transitions[:10] + transitions[-(MAX_TRANSITIONS - 10) :]


def _flaps(incident: Incident, now: float, policy: FlowPolicy) -> int:
    """One flap more; the count starts anew when the last flap is longer ago than the window."""
    latest = max((t.at for t in incident.transitions if t.reason in ("Reopened", FIRING_AGAIN)), default=now)
    return incident.flaps + 1 if now - latest <= policy.flap_window else 1


def _flap_change(flaps: int, policy: FlowPolicy, usual: str) -> tuple[str, ...]:
    return (usual,) if flaps <= policy.max_flaps + 1 else ("Flapping",)


def _severity_change(before: Severity, after: Severity) -> list[str]:
    if before is after:
        return []
    return ["SeverityRaised" if RANK[after] > RANK[before] else "SeverityLowered"]


def _worst(signals: Iterable[Signal]) -> Severity:
    return max((s.severity for s in signals), key=lambda s: RANK[s])


def _decision(signal: Signal, now: float, reason: str, *, passed: bool, incident: str = "") -> Decision:
    target = "" if signal.target is None else str(signal.target)
    return Decision(now, Stage.TRIAGE, signal.rule, passed, reason, trimmed(signal.summary), target, incident)


def _word(incident: Incident, now: float, subject: str, reason: str, *, passed: bool = False) -> Decision:
    target = "" if incident.target is None else str(incident.target)
    return Decision(now, Stage.TRIAGE, subject, passed, reason, "", target, incident.id)

"""A person's "not an anomaly" about an incident: for each claim of a detector that learns, what its last alarm looked like.

Neighbours: `commands` brings the word, `flow` asks here and gives what comes back to `damping`; `detect.likeness` describes the alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiops.correlate.dismissal import dismissed
from aiops.correlate.incident_flow import Flow
from aiops.detect.findings import Finding
from aiops.detect.likeness import pattern_of
from aiops.domain.command import Command
from aiops.domain.errors import CommandError
from aiops.domain.feedback import DAMPED, Feedback
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident
from aiops.domain.signal import Evidence, Signal, SignalState
from aiops.ports.storage import Reading

DAY, DAYS, MOST_DAYS = 86400.0, 30.0, 365.0
"""How long a word counts: usually, and at most."""
HISTORY = 1000


def said(
    command: Command, incident: Incident | None, store: Reading, standing: Callable[[str], Iterable[Finding]], now: float
) -> tuple[tuple[Feedback, ...], Flow]:
    """What the command says, and what that does to the incident. Raises CommandError saying what is wrong, StoreError."""
    if incident is None:
        raise CommandError(f"no incident {command.subject!r}")
    words = words_of(command, incident, store.signals(incident.id, limit=HISTORY), standing, now)
    return words, dismissed(incident, {f"{w.rule}/{w.series}" for w in words}, command.by, now, words[0].why)


def words_of(command: Command, incident: Incident, history: Sequence[Signal], standing: Callable[[str], Iterable[Finding]], now: float) -> tuple[Feedback, ...]:
    """One for each series that can be damped. `history`: the incident's claims, in any order; `standing`: what a rule's bank holds firing.

    Arguments of the command: `rule` (only this rule's claims), `why`, `days`, `sameTime`. Raises CommandError saying what is wrong.
    """
    arguments = command.arguments
    days = arguments.get("days", DAYS)
    if not isinstance(days, int | float) or isinstance(days, bool) or not 0.0 < days <= MOST_DAYS:
        raise CommandError(f"days must be a number above 0, at most {MOST_DAYS:g}")
    rule = str(arguments.get("rule") or "")
    claims = [s for s in incident.signals.values() if rule in ("", s.rule)]
    if not claims:
        raise CommandError(f"{incident.id} has no claim of rule {rule!r}; there are: {', '.join(sorted({s.rule for s in incident.signals.values()})) or 'none'}")
    able = [s for s in claims if s.detector in DAMPED]
    if not able:
        kinds = ", ".join(sorted({s.detector for s in claims}))
        raise CommandError(f"nothing here is damped: {kinds} says what people set, or that a change lasts; change the rule, or silence it. Feedback is for {', '.join(sorted(DAMPED))}")
    return tuple(_word(command, incident, claim, _episode(claim, history), standing, now, days * DAY) for claim in sorted(able, key=lambda s: s.key))


def _episode(claim: Signal, history: Sequence[Signal]) -> tuple[Signal, ...]:
    """The claims of its last alarm, from its beginning on."""
    mine = sorted((s for s in {s.id: s for s in (*history, claim)}.values() if s.key == claim.key), key=lambda s: (s.at, s.state is not SignalState.FIRING))
    begins = [i for i, s in enumerate(mine) if s.state is SignalState.FIRING and (i == 0 or mine[i - 1].state is not SignalState.FIRING)]
    return tuple(mine[begins[-1] :]) if begins else (claim,)


def _word(
    command: Command, incident: Incident, claim: Signal, episode: Sequence[Signal], standing: Callable[[str], Iterable[Finding]], now: float, seconds: float
) -> Feedback:
    first, last = episode[0], episode[-1]
    up = next((f for f in standing(claim.rule) if f.series == claim.series), None)
    later: list[Evidence] = [s.evidence for s in episode[1:]] + ([up.evidence] if up is not None else [])
    lasted = None if up is not None else max(0.0, (last.at if last.state is not SignalState.FIRING else now) - first.at)
    pattern = pattern_of(first.evidence, first.evidence.note, first.severity, later=later, at=first.at, lasted=lasted)
    return Feedback(
        id=make_id("fb", command.id, claim.key), rule=claim.rule, series=claim.series, labels=_plain(claim.labels), target=str(claim.target or ""),
        incident=incident.id, pattern=pattern, by=command.by, at=now, expires_at=now + seconds, why=str(command.arguments.get("why") or "")[:500],
        around=first.at % DAY if command.arguments.get("sameTime") is True else None, since=first.at if up is not None else None,
    )  # fmt: skip


def _plain(labels: Mapping[str, Any]) -> dict[str, str]:
    return {str(k): str(v) for k, v in labels.items()}


"""Who is next after what did not help: the same runbook within its limit, the next one, and at the end a person, once for each incident.

Neighbours: `matching` says which runbooks fit, `pipeline.decide` tries them in the order of the `Route`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiops.domain.errors import trimmed
from aiops.domain.execution import Execution, ExecutionState
from aiops.domain.outcome import Outcome
from aiops.domain.runbook import PERSON, GuardSpec, Mode, Runbook, StepSpec
from aiops.remediate.guards.traits import BLIND, traits

SETTLED = 600.0
"""What fires on so long (seconds) after a run that helped is no longer on its way to clear."""
MOST_TOLD = 10
_FAILURES = frozenset((Outcome.FAILED, Outcome.ERROR, Outcome.INCONCLUSIVE))
_NO_TRY = BLIND | {"SelfHealed", "Paused", "Frozen", "ActingSwitchedOff", "GuardUnavailable"}
"""Reasons of runs that say nothing against their runbook: it healed before, or nothing was let pass."""
_UNKNOWN = "EffectUnknown"


@dataclass(frozen=True, slots=True)
class Route:
    """Runbooks in the order in which they are to be tried. `dropped`: (name, reason, detail) of those that matched and are not; `after`: the newest failure."""

    order: tuple[Runbook, ...]
    dropped: tuple[tuple[str, str, str], ...] = ()
    after: Execution | None = None


@dataclass(frozen=True, slots=True)
class _Never:
    """The match of a runbook that is only ever escalated to."""

    text: str = "false"

    def evaluate(self, facts: Mapping[str, Any]) -> bool:
        """False."""
        del facts
        return False


_MESSAGE = """\
A person is needed: {{ target.name }} shows {{ incident.symptoms | join }}, and nothing that was tried helped.
Tried: {{ incident.tried | join("; ") }}"""
BUILT_IN = Runbook(
    name=PERSON, mode=Mode.AUTO, match=_Never(), priority=10_000, hash="built-in", guards=GuardSpec(maximum_per_incident=1),
    description="Tells a person what was tried. Stands in where no runbook of this name is loaded.",
    steps=(StepSpec("tell", "notify", {"severity": "critical", "message": _MESSAGE}),),
)


def route(matched: Sequence[Runbook], runbooks: Sequence[Runbook], history: Sequence[Execution], now: float) -> Route:
    """The order in which runbooks are tried for an incident. `history`: all its runs in any order; `matched`: those that fit, by priority.

    A runbook that failed goes again only while it is below its `maximumPerIncident` (1 where it names none). Where one that failed names
    `escalatesTo`, these follow instead of the next by priority: what only tells goes without matching, what acts must match too. After any
    failure a person is the last; where an effect may have happened and nobody knows, the only one. Once a person was told, nobody is again.
    """
    real = sorted((e for e in history if not e.simulated), key=lambda e: (e.created_at, e.id))
    failed = [e for e in real if failure(e)]
    told = any(e.plan.runbook == PERSON and _took_place(e) for e in real)
    known = {r.name: r for r in runbooks}
    counts = Counter(e.plan.runbook for e in failed)
    dropped = list(_used_up(matched, failed, counts))
    gone = {name for name, _, _ in dropped}
    if told and any(r.name == PERSON for r in matched):
        dropped.append((PERSON, "AlreadyTold", "once for an incident"))
    rest = [r for r in matched if r.name not in gone and not (told and r.name == PERSON)]
    if not failed:
        return Route(tuple(rest), tuple(dropped))
    person = [] if told or not _over(real, now) else [known.get(PERSON, BUILT_IN)]
    if unclear(failed[-1]):
        return Route(tuple(person), (*dropped, *((r.name, _UNKNOWN, f"a person must look at {failed[-1].id} first") for r in rest if r.name != PERSON)), failed[-1])
    named = _named(failed, known, counts)
    if named is not None:
        fits = {r.name for r in rest}
        rest = [r for r in rest if r.name in counts] + [r for r in named if r.name in fits or not acts(r)]
        dropped += [(r.name, "NotEscalatedTo", f"{failed[-1].plan.runbook} names others") for r in matched if r not in rest and r.name not in gone]
    order = [r for r in rest if r.name != PERSON]
    return Route((*order, *person), tuple(dropped), failed[-1])


def tried(history: Sequence[Execution]) -> tuple[str, ...]:
    """What was tried for an incident and came to nothing, oldest first, a line each: for the person at the end."""
    failed = sorted((e for e in history if not e.simulated and failure(e)), key=lambda e: (e.created_at, e.id))
    return tuple(_line(e) for e in failed[-MOST_TOLD:])


def failure(run: Execution) -> bool:
    """It was tried and did not help, or nobody knows whether it did."""
    result = run.result
    if run.simulated or run.state is not ExecutionState.DONE or result is None or result.outcome not in _FAILURES or run.plan.runbook == PERSON:
        return False
    return result.reason not in _NO_TRY or (result.reason != "SelfHealed" and any(step.effect for step in run.steps))


def unclear(run: Execution) -> bool:
    """An effect of it may have happened, and that cannot be looked up."""
    return any(step.result is not None and step.result.reason == _UNKNOWN for step in run.steps)


def acts(runbook: Runbook) -> bool:
    """False if it only waits and tells. A step without an action runs another runbook, which may do anything."""
    return any(not step.action or traits(step.action).acts for step in runbook.steps)


def limit(runbook: Runbook) -> int:
    """So many failures of it are enough for one incident."""
    given = runbook.guards.maximum_per_incident
    return 1 if given is None else given


def _used_up(matched: Sequence[Runbook], failed: Sequence[Execution], counts: Counter[str]) -> Iterator[tuple[str, str, str]]:
    for runbook in matched:
        if counts[runbook.name] and counts[runbook.name] >= limit(runbook):
            last = next(e for e in reversed(failed) if e.plan.runbook == runbook.name)
            reason = last.result.reason if last.result else ""
            yield runbook.name, "FailedBefore", f"{counts[runbook.name]} of at most {limit(runbook)} for this incident, last {last.id}: {reason}"


def _named(failed: Sequence[Execution], known: Mapping[str, Runbook], counts: Counter[str]) -> list[Runbook] | None:
    """What those that failed escalate to, the newest one's first, without what is used up; None if none of them names any."""
    lists = [known[e.plan.runbook].escalates_to for e in reversed(failed) if e.plan.runbook in known and known[e.plan.runbook].escalates_to]
    if not lists:
        return None
    names = dict.fromkeys(name for names in lists for name in names)
    return [known[name] for name in names if name in known and name != PERSON and not counts[name]]


def _took_place(run: Execution) -> bool:
    return run.state is not ExecutionState.DONE or (run.result is not None and run.result.outcome is Outcome.SUCCEEDED)


def _over(real: Sequence[Execution], now: float) -> bool:
    """The newest run that did anything failed; or what succeeded after a failure had time enough to clear the incident."""
    ended = [e for e in real if e.result is not None and e.result.outcome is not Outcome.SKIPPED and e.plan.runbook != PERSON]
    newest = max(ended, key=lambda e: e.updated_at, default=None)
    return newest is None or failure(newest) or now - newest.updated_at >= SETTLED


def _line(run: Execution) -> str:
    result = run.result
    words = f"{result.outcome.value} {result.reason}" + (f" ({trimmed(result.detail, 160)})" if result.detail else "") if result else run.state.value
    return f"{run.plan.runbook} [{run.id}] {words}"

"""What all the acting came to, for each runbook: how soon, how often without a person, how often wrongly. Pure.

MTTD is from the first bad sample that a claim's evidence shows to the incident; MTTR from the incident to its end. Neighbours: `aiops report` prints
it, `pipeline.autonomy` keeps the gauges.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiops.domain.execution import Execution, Review, ReviewVerdict
from aiops.domain.incident import Incident
from aiops.domain.runbook import PERSON
from aiops.domain.signal import Signal
from aiops.remediate.autonomy import counts_as_run, helped, was_wrong
from aiops.remediate.escalation import failure

ALL = "all"
"""The row over everything."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and quantiles in seconds; None where there is nothing to measure."""

    count: int = 0
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One runbook's row, or that of all. Rates are 0..1, or None where there is nothing to divide by; `saved` in seconds.

    `incidents`: those that it acted for and that are resolved; `automated`: of these, resolved after a run that helped, with no person's hand in it.
    `wrong`: runs that harmed, that a person took back, or that were marked wrong. `escalations`: runs that did not help and were followed by another
    runbook, `people` those followed by a person.
    """

    runbook: str
    runs: int
    by_outcome: Mapping[str, int]
    incidents: int
    automated: int
    automated_rate: float | None
    wrong: int
    wrong_rate: float | None
    escalations: int
    people: int
    detect: Spread
    resolve: Spread
    saved: float


@dataclass
class _Sum:
    runs: int = 0
    wrong: int = 0
    escalations: int = 0
    people: int = 0
    by_outcome: Counter[str] = field(default_factory=Counter)
    incidents: dict[str, Incident] = field(default_factory=dict)
    automated: set[str] = field(default_factory=set)


def outcomes(
    incidents: Iterable[Incident], executions: Iterable[Execution], reviews: Iterable[Review], reverted: Collection[str], manual: float,
) -> tuple[Outcomes, ...]:
    """A row for each runbook that made a real run, by name, and the one over everything last. `manual`: seconds that a person's fix would take.

    `incidents` and `executions` are those of the window; `reverted` are ids of runs that a person put back on the cluster.
    """
    ended = {i.id: i for i in incidents if i.resolved_at is not None}
    wrong_marks = {r.execution for r in reviews if r.verdict is ReviewVerdict.WRONG}
    real = sorted((e for e in executions if counts_as_run(e)), key=lambda e: (e.created_at, e.id))
    sums: dict[str, _Sum] = {}
    total = _Sum(incidents=dict(ended))
    for run in real:
        mine = sums.setdefault(run.plan.runbook, _Sum())
        wrong = run.id in wrong_marks or was_wrong(run, reverted)
        for one in (mine, total):
            one.runs += 1
            one.wrong += wrong
            one.by_outcome[run.result.outcome.value if run.result else ""] += 1
            incident = ended.get(run.plan.incident)
            if incident is not None and run.plan.runbook != PERSON:
                one.incidents[incident.id] = incident
                if helped(run) and not _by_person(incident):
                    one.automated.add(incident.id)
    for first, then in _followed(real):
        for one in (sums[first.plan.runbook], total):
            one.escalations += 1
            one.people += then.plan.runbook == PERSON
    return (*(_row(name, sums[name], manual) for name in sorted(sums)), _row(ALL, total, manual))


def onset(signal: Signal) -> float:
    """When the evidence that is kept of a claim begins to be bad: the first of the last samples without a break that are out of bounds."""
    e, first = signal.evidence, signal.at
    low = -math.inf if e.lower is None else e.lower
    high = math.inf if e.upper is None else e.upper
    if low == -math.inf and high == math.inf:
        return first
    for time, value in zip(reversed(e.times), reversed(e.values), strict=False):
        if time > signal.at:
            continue
        if value is None or low <= value <= high:
            break
        first = min(first, time)
    return first


def spread(values: Sequence[float]) -> Spread:
    """Nearest-rank quantiles: each is a value that was there."""
    if not values:
        return Spread()
    ranked = sorted(values)

    def rank(share: float) -> float:
        return ranked[max(0, math.ceil(share * len(ranked)) - 1)]

    return Spread(len(ranked), math.fsum(ranked) / len(ranked), rank(0.5), rank(0.95))


def _row(name: str, one: _Sum, manual: float) -> Outcomes:
    ended = list(one.incidents.values())
    return Outcomes(
        runbook=name, runs=one.runs, by_outcome=dict(sorted(one.by_outcome.items())), incidents=len(ended), automated=len(one.automated),
        automated_rate=len(one.automated) / len(ended) if ended else None, wrong=one.wrong, wrong_rate=one.wrong / one.runs if one.runs else None,
        escalations=one.escalations, people=one.people,
        detect=spread([max(0.0, i.opened_at - min((onset(s) for s in i.signals.values()), default=i.opened_at)) for i in ended]),
        resolve=spread([max(0.0, i.resolved_at - i.opened_at) for i in ended if i.resolved_at is not None]),
        saved=manual * len(one.automated),
    )


def _by_person(incident: Incident) -> bool:
    return bool(incident.transitions) and incident.transitions[-1].by != "aiops"


def _followed(real: Sequence[Execution]) -> Iterable[tuple[Execution, Execution]]:
    """Runs that failed, each with the run of another runbook that came next for the same incident."""
    latest: dict[str, Execution] = {}
    for run in real:
        before = latest.get(run.plan.incident)
        if before is not None and failure(before) and before.plan.runbook != run.plan.runbook:
            yield before, run
        latest[run.plan.incident] = run

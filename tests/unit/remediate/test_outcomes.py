"""The report's numbers, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.execution import Execution, Review, ReviewVerdict, VerifyRun
from aiops.domain.incident import Incident, IncidentState, Transition
from aiops.domain.outcome import Judgement, Outcome
from aiops.domain.runbook import PERSON
from aiops.domain.signal import Evidence, Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef
from aiops.remediate.outcomes import ALL, Spread, onset, outcomes, spread
from tests.unit.remediate.test_escalation import run

CHECKOUT = TargetRef("Deployment", "shop", "checkout")


def claim(times: tuple[float, ...], values: tuple[float | None, ...], *, upper: float | None = 80.0, at: float = 100.0) -> Signal:
    evidence = Evidence(times=times, values=values, upper=upper)
    return Signal("s", "busy", "threshold", SignalKind.METRIC, SignalState.FIRING, Severity.WARNING, at, "x", {}, CHECKOUT, "busy", evidence)


def incident(name: str, opened: float, resolved: float | None, *, by: str = "aiops", bad_since: float | None = None) -> Incident:
    at = opened if bad_since is None else bad_since
    signal = claim((at - 10, at, opened), (1.0, 99.0, 99.0), at=opened)
    transitions = (Transition(opened, IncidentState.OPEN, "Opened"), *((Transition(resolved, IncidentState.RESOLVED, "Recovered", by),) if resolved else ()))
    state = IncidentState.RESOLVED if resolved else IncidentState.OPEN
    return Incident(
        name, name, name, state, Severity.WARNING, opened, resolved or opened, CHECKOUT, {}, {signal.key: signal}, transitions, resolved_at=resolved,
    )


def of(name: str, execution: Execution, *, helped: bool = False) -> Execution:
    verification = VerifyRun(judgement=Judgement.HELPED) if helped else None
    return replace(execution, plan=replace(execution.plan, incident=name), verification=verification)


def test_a_row_for_each_runbook_and_one_over_all() -> None:
    incidents = [incident("one", 100, 160, bad_since=90), incident("two", 200, 500, bad_since=180), incident("three", 600, 700, by="ann"), incident("four", 800, None)]
    good = of("one", run("a", "Verified", Outcome.SUCCEEDED, at=110), helped=True)
    runs = [
        good,
        of("two", run("a", at=210)), of("two", run("b", "Verified", Outcome.SUCCEEDED, at=300), helped=True),
        of("three", run("b", "UndoAsked", at=610)), of("three", run(PERSON, "Completed", Outcome.SUCCEEDED, at=690)),
        of("four", run("a", "LevelIsGood", Outcome.SKIPPED, at=810)), of("four", run("a", at=820, simulated=True)),
    ]
    marks = [Review(good.id, ReviewVerdict.WRONG, "ann", 1000.0)]
    rows = {r.runbook: r for r in outcomes(incidents, runs, marks, (), 1800.0)}
    assert list(rows) == ["a", "b", PERSON, ALL]
    a, b, every = rows["a"], rows["b"], rows[ALL]
    assert (a.runs, a.by_outcome, a.wrong, a.wrong_rate) == (2, {"failed": 1, "succeeded": 1}, 1, 0.5)
    assert (a.incidents, a.automated, a.automated_rate, a.saved) == (2, 1, 0.5, 1800.0)
    assert (a.escalations, a.people, b.escalations, b.people) == (1, 0, 1, 1)
    assert a.detect == Spread(2, 15.0, 10.0, 20.0)
    assert a.resolve == Spread(2, 180.0, 60.0, 300.0)
    # The third was closed by a person, and its run taken back.
    assert (b.incidents, b.automated, b.wrong) == (2, 1, 1)
    assert (every.runs, every.incidents, every.automated, every.escalations, every.people) == (5, 3, 2, 2, 1)
    assert every.automated_rate == pytest.approx(2 / 3)


def test_nothing_is_no_division_by_nothing() -> None:
    (every,) = outcomes([], [], [], (), 1800.0)
    assert (every.runbook, every.runs, every.automated_rate, every.wrong_rate, every.detect, every.saved) == (ALL, 0, None, None, Spread(), 0.0)


@pytest.mark.parametrize(
    ("times", "values", "upper", "since"),
    [
        ((70, 80, 90, 100), (1.0, 90.0, 90.0, 90.0), 80.0, 80.0),
        ((70, 80, 90, 100), (90.0, 1.0, 90.0, 90.0), 80.0, 90.0),
        ((70, 80, 90, 100), (90.0, None, 90.0, 90.0), 80.0, 90.0),
        ((70, 80), (1.0, 1.0), 80.0, 100.0),
        ((70, 80), (90.0, 90.0), None, 100.0),
        ((), (), 80.0, 100.0),
        ((90, 100, 110), (90.0, 90.0, 1.0), 80.0, 90.0),
    ],
)
def test_since_when_it_was_bad(times: tuple[float, ...], values: tuple[float | None, ...], upper: float | None, since: float) -> None:
    assert onset(claim(times, values, upper=upper)) == since


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_quantiles_are_values_that_were_there(values: list[float]) -> None:
    found = spread(values)
    assert {found.p50, found.p95} <= set(values)
    assert found.p50 is not None
    assert found.p95 is not None
    assert found.mean is not None
    assert found.p50 <= found.p95 <= max(values)
    assert min(values) <= found.mean * (1 + 1e-9)

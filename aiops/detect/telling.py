"""From how series stand to findings: what began, changed or ended, with evidence; what nobody took is told again.

Neighbours: `known` has the state, `bank` and `absence` step the alarms, `findings` are what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from aiops.detect.alarm import Transitions
from aiops.detect.arrays import Rows
from aiops.detect.contract import Explained
from aiops.detect.findings import Finding
from aiops.detect.known import Known
from aiops.domain.series import Labels
from aiops.domain.signal import Evidence, Severity, SignalState


def changes(known: Known, rows: Rows, steps: Transitions, *, cleared: str, at: float | None = None) -> list[Finding]:
    """What the alarms of distinct rows did, told with the reason `cleared` where they ended."""
    found = []
    for position in np.flatnonzero(steps.any).tolist():
        row = int(rows[position])
        if steps.cleared[position]:
            found.append(finding(known, row, SignalState.CLEARED, "RegimeChanged" if known.state["changed"][row] else cleared, at=at))
            known.state["changed"][row] = False
        else:
            reason = "SeverityRaised" if steps.raised[position] else "SeverityLowered" if steps.lowered[position] else claim(known, row)
            found.append(finding(known, row, SignalState.FIRING, reason, at=at))
    return found


def claim(known: Known, row: int) -> str:
    """CamelCase code of what is claimed of a series."""
    return "SeriesAbsent" if known.state["absence"][row] else known.learned.reason


def finding(known: Known, row: int, state: SignalState, reason: str, at: float | None = None) -> Finding:
    """One transition of a row; `at` is that of its newest judged sample unless said otherwise."""
    seen = {name: _number(known.state[name][row]) for name in ("value", "score", "expected", "lower", "upper")}
    times, values = known.recent.of(row)
    lines = _lines(known, row) if state is SignalState.FIRING else ()
    evidence = Evidence(known.query, times, values, seen["value"], seen["expected"], seen["lower"], seen["upper"], seen["score"], reason, lines)
    critical = bool(known.alarms.level[row]) and state is SignalState.FIRING
    judged = _number(known.state["judged_at"][row])
    return Finding(
        series=known.table.series(row),
        labels=known.table.labels(row),
        state=state,
        severity=Severity.CRITICAL if critical else known.rule.severity,
        at=at if at is not None else judged or 0.0,
        evidence=evidence,
        reason=reason,
    )


def _lines(known: Known, row: int) -> tuple[str, ...]:
    """What the detector says about its verdict."""
    if known.group is not None:
        return known.group.lines(known.table.series(row))
    return known.detector.lines(row) if isinstance(known.detector, Explained) and not known.state["absence"][row] else ()


def firing(known: Known) -> tuple[Finding, ...]:
    """What fires now, with fresh evidence."""
    return tuple(finding(known, row, SignalState.FIRING, claim(known, row)) for row in np.flatnonzero(known.alarms.firing).tolist())


def shown(known: Known, most: int) -> tuple[tuple[Labels, dict[str, float | None]], ...]:
    """Score, expected value and bounds of up to `most` series that are judged: what fires first, then those known longest."""
    rows, state = known.table.in_use(), known.state
    rows = rows[np.isfinite(state["score"][rows]) & ~np.isfinite(state["absent_since"][rows])]
    first = np.argsort(~known.alarms.firing[rows], kind="stable")[:most]
    names = ("score", "expected", "lower", "upper")
    return tuple((known.table.labels(row), {n: _number(state[n][row]) for n in names}) for row in rows[first].tolist())


class Untold:
    """Findings that reached nobody (the store was down)."""

    def __init__(self) -> None:
        self._findings: dict[str, Finding] = {}

    def __bool__(self) -> bool:
        return bool(self._findings)

    def add(self, findings: Iterable[Finding]) -> None:
        """Kept until the next whole answer."""
        self._findings |= {f.series: f for f in findings}

    def again(self, known: Known, told: set[str], at: float) -> list[Finding]:
        """What was not taken, as it stands now; what this poll tells anyway is not repeated."""
        untold, self._findings = self._findings, {}
        rows = {known.table.series(row): row for row in known.table.in_use().tolist()} if untold else {}
        found = []
        for series, before in untold.items():
            row = rows.get(series)
            if series in told:
                continue
            if row is not None and known.alarms.firing[row]:
                found.append(finding(known, row, SignalState.FIRING, claim(known, row), at=at))
            elif before.state is not SignalState.FIRING:
                found.append(before)
            else:
                # It began and ended unheard; should it have been heard after all, this ends it.
                found.append(replace(before, state=SignalState.CLEARED, reason="Recovered", at=at))
        return found


def _number(value: float) -> float | None:
    """JSON knows no NaN: unknown is None."""
    return float(value) if np.isfinite(value) else None

"""What is not there: since when, what a rule says of it, when claims lapse and when a series is forgotten.

Neighbours: `bank` asks after each whole answer, `known` has the state.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.arrays import Rows
from aiops.detect.findings import Finding
from aiops.detect.known import Known
from aiops.detect.telling import changes, finding
from aiops.domain.rule import MetricKind, MissingData
from aiops.domain.signal import SignalState


def counts_zero(known: Known) -> bool:
    """Whether what is absent is a count of zero."""
    return known.group is None and known.rule.missing_data is MissingData.CLEAR and known.rule.kind is MetricKind.COUNT


def mark(known: Known, present: Rows, measured: Rows, at: float) -> None:
    """Note since when series are absent, and since when not measured, after a whole answer."""
    for name, good in (("absent_since", present), ("blind_since", measured)):
        column = known.state[name]
        column[good] = np.nan
        lost = known.table.less(good)
        if len(lost):
            # fmin: NaN starts now, and a clock that went back never makes a span negative.
            column[lost] = np.fmin(column[lost], at)


def missing(known: Known, at: float, ttl: float) -> list[Finding]:
    """Apply the rule's policy to what is absent, and let claims lapse that nobody could check for too long."""
    state, rows = known.state, known.table.in_use()
    absent = rows[np.isfinite(state["absent_since"][rows])]
    findings: list[Finding] = []
    if known.rule.missing_data is MissingData.CLEAR and not counts_zero(known):
        findings += _step_absent(known, absent, at, wrong=False)
    elif known.rule.missing_data is MissingData.SIGNAL:
        findings += _step_absent(known, absent, at, wrong=True)
    rows = rows[known.alarms.firing[rows]]
    if not len(rows):
        return findings
    patience = np.where(state["absence"][rows], ttl, known.rule.stale_after)
    with np.errstate(invalid="ignore"):
        lapsed = rows[at - state["blind_since"][rows] >= patience]
    for row in lapsed.tolist():
        findings.append(finding(known, row, SignalState.EXPIRED, "NoLongerSeen", at=at))
    known.alarms.forget(lapsed)
    state["absence"][lapsed] = False
    return findings


def _step_absent(known: Known, rows: Rows, at: float, *, wrong: bool) -> list[Finding]:
    if not len(rows):
        return []
    yes, no = np.ones(len(rows), dtype=np.bool_), np.zeros(len(rows), dtype=np.bool_)
    steps = known.alarms.step(rows, np.full(len(rows), at), breach=yes if wrong else no, critical=no, recovered=no if wrong else yes)
    known.state["absence"][rows] = wrong & known.alarms.firing[rows]
    return changes(known, rows, steps, cleared="AbsentIsRecovered", at=at)


def release_old(known: Known, at: float, ttl: float) -> None:
    """Forget series that have been absent for `ttl` seconds and claim nothing."""
    rows = known.table.in_use()
    since = known.state["absent_since"][rows]
    # NaN: a series that is there. It compares as false.
    old = at - since >= ttl
    if old.any():
        known.release(rows[old & ~known.alarms.firing[rows]])

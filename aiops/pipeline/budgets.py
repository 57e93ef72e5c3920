"""Budgets that burn become claims, which people are told of and runbooks can match (`"budget" in incident.symptoms`).

Neighbours: `cost.month` judges, `app.budgets` asks for the use and schedules the looks, the flow takes the signals. What could not be judged claims nothing and
clears nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import structlog

from aiops.cost.month import BudgetState, Burn, Outlook
from aiops.domain.errors import AiopsError, CommandError, SourceError
from aiops.domain.ids import make_id
from aiops.domain.series import series_id
from aiops.domain.signal import Evidence, Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef, valid_name
from aiops.pipeline.board import Board
from aiops.pipeline.leftovers import expired
from aiops.ports.clock import Clock
from aiops.ports.telemetry import Telemetry

log = structlog.get_logger(__name__)
BUDGET = "budget"
"""Rule, detector and symptom of these claims."""
ALL = "all"
"""The budget of everything together; any other is of the namespace of its name."""
SEVERITIES = {Burn.OVER: Severity.CRITICAL, Burn.CERTAIN: Severity.CRITICAL, Burn.LIKELY: Severity.WARNING, Burn.FAST: Severity.WARNING}
"""Of what is told; a budget that stands otherwise is well."""

Judged = Sequence[tuple[BudgetState, Outlook]]


class Budgets:
    """One look each time it is called."""

    def __init__(self, judge: Callable[[float], Judged], take: Callable[[Sequence[Signal]], None], board: Board, clock: Clock, telemetry: Telemetry) -> None:
        self._judge, self._take, self._board, self._clock, self._telemetry = judge, take, board, clock, telemetry
        self._failing = ""

    def look(self) -> None:
        """Judge, and take what follows. Raises StoreError from taking, and then the next look takes it again."""
        now = self._clock.now()
        try:
            judged = self._judge(now)
        except (AiopsError, OSError) as error:
            reason = error.reason if isinstance(error, SourceError) else "NoUse" if isinstance(error, CommandError) else "Unusable"
            self._telemetry.count("budget_looks", result=reason)
            if reason != self._failing:
                log.warning("budgets cannot be judged", reason=reason, error=str(error))
            self._failing = reason
            return
        if self._failing:
            log.info("budgets are judged again")
        self._failing = ""
        self._telemetry.count("budget_looks", result="judged")
        for state, seen in judged:
            self._telemetry.gauge("cost_month_to_date", seen.spent, budget=state.name)
            self._telemetry.gauge("cost_month_forecast", seen.mean, budget=state.name)
            self._telemetry.gauge("budget_spent_ratio", state.share, budget=state.name)
            self._telemetry.gauge("budget_burn_ratio", state.burn_day, budget=state.name)
        standing = {s.series: s for i in self._board for s in i.firing if s.rule == BUDGET}
        self._take(tuple(claims(judged, standing.values(), now)))


def claims(judged: Judged, standing: Iterable[Signal], now: float) -> Iterable[Signal]:
    """Firing for each budget that burns, cleared for those that stood and are well, expired for those of budgets that are gone."""
    before = {s.series: s for s in standing}
    for state, seen in judged:
        signal = claim(state, seen, now)
        old = before.pop(signal.series, None)
        if state.burn in SEVERITIES:
            # The same claim again says nothing new.
            if old is None or old.evidence.note != signal.evidence.note:
                yield signal
        elif old is not None:
            yield replace(signal, id=make_id("sig", signal.key, "cleared", now), state=SignalState.CLEARED)
    for old in before.values():
        yield expired(old, now)


def claim(state: BudgetState, seen: Outlook, now: float) -> Signal:
    """That a budget burns. Its labels stay the same, so that it is the same incident; how it stands is in the evidence's note."""
    labels = {"budget": state.name}
    target = TargetRef("Namespace", "", state.name) if state.name != ALL and valid_name(state.name) else None
    shown = {**labels, "symptom": BUDGET}
    if target is not None:
        shown["namespace"] = state.name
    days = tuple(seen.month.start + 86400.0 * (n + 1) for n in range(len(seen.daily)))
    evidence = Evidence(
        query=f"cost of {seen.month.name}", times=days, values=tuple(float(v) for v in seen.daily), value=seen.spent, expected=seen.mean, upper=state.monthly,
        score=seen.mean / state.monthly, note=f"Budget{state.burn.value.capitalize()}",
    )  # fmt: skip
    return Signal(
        make_id("sig", BUDGET, state.name, state.burn.value, now), BUDGET, BUDGET, SignalKind.ALERT, SignalState.FIRING, SEVERITIES.get(state.burn, Severity.INFO), now,
        series_id(labels), shown, target, f"budget {state.name}: {state.reason}", evidence,
    )  # fmt: skip

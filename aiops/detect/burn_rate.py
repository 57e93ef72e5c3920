"""Objectives: how fast the error budget burns, over several windows at once.

Burn rate 1 uses the budget up exactly within the period. An alert fires when both its long and its short window burn faster than its rate: the long one says
that it matters, the short one that it still goes on. The default rates and windows are those of the SRE workbook (Beyer et al., "The Site Reliability Workbook",
O'Reilly 2018, chapter 5, table 5-8). Low traffic: a window counts only with enough events, and if chance does not explain its failures at the rate that the
budget allows. Coverage: a long window counts only if there was traffic in enough of it, so that one bad hour is not taken for three days.

One answer holds events by window (`definitions.objectives` makes the query), so nothing is learned here. Neighbour: `groups` is the contract.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aiops.detect.arrays import nan
from aiops.detect.contract import MAX_SCORE, Scores
from aiops.detect.groups import Assessed, Measure
from aiops.detect.worded import Worded
from aiops.domain.duration import format_duration
from aiops.domain.rule import COVERED, OBJECTIVE_LABEL, BurnAlert
from aiops.domain.series import SampleBatch, series_id

CHANCE = 1e-3
"""Failures that chance alone brings at least so often, where just the budget is spent, prove nothing."""
MOST = 2.0**53


@dataclass(frozen=True, slots=True)
class _Burn:
    """One alert's windows: burn rates, and whether they may count."""

    alert: BurnAlert
    long: float
    short: float
    counts: bool

    @property
    def fires(self) -> bool:
        return self.counts and self.long > self.alert.rate and self.short > self.alert.rate


class BurnRate(Worded):
    """`target`: the share of good events, 0..1. `period`: seconds in which `1 - target` may fail. `minimum_events`, `coverage` (0..1): of a long window, to count."""

    name = "burnRate"
    reason = "BudgetBurning"

    def __init__(self, *, target: float, alerts: Sequence[BurnAlert], period: float = 30 * 86400.0, minimum_events: float = 100.0, coverage: float = 0.5) -> None:
        if not 0.0 < target < 1.0 or not alerts:
            raise ValueError(f"burnRate: target ({target:g}) must lie between 0 and 1, and there must be alerts")
        self._budget, self._alerts, self._period = 1.0 - target, tuple(alerts), period
        self._minimum, self._coverage = minimum_events, coverage
        super().__init__()

    def assess(self, batch: SampleBatch, *, learn: bool = True) -> Assessed:
        """As the contract says. An answer that is known to be incomplete says nothing: half of the failures, or of the successes, may be missing."""
        subjects: dict[str, dict[str, float]] = {}
        labels_of: dict[str, dict[str, str]] = {}
        for labels, value in zip(batch.labels, batch.values.tolist(), strict=True):
            plain = {k: v for k, v in labels.items() if k not in (OBJECTIVE_LABEL, "__name__")}
            subject = series_id(plain)
            labels_of[subject] = plain
            if OBJECTIVE_LABEL in labels and 0.0 <= value <= MOST:
                subjects.setdefault(subject, {})[labels[OBJECTIVE_LABEL]] = value
        names = sorted(subjects)
        burns = {s: [self._burn(one, subjects[s]) for one in self._alerts] if learn else [] for s in names}
        left = {s: self._left(subjects[s]) for s in names}
        if learn:
            self._lines = {s: tuple(_words(left[s], burns[s])) for s in names}
        measures = tuple(Measure("slo_budget_left", left[s], labels_of[s]) for s in names if learn and not math.isnan(left[s]))
        values = [max((b.long for b in _worst(burns[s])), default=math.nan) for s in names]
        return Assessed([labels_of[s] for s in names], np.array(values, dtype=np.float64), _scores([burns[s] for s in names]), measures)

    def _burn(self, alert: BurnAlert, seen: Mapping[str, float]) -> _Burn:
        long, short = format_duration(alert.long), format_duration(alert.short)
        bad, total = seen.get(f"bad {long}", 0.0), seen.get(f"total {long}", 0.0)
        covered = seen.get(f"covered {long}", 0.0) / COVERED
        counts = total >= self._minimum and covered >= self._coverage and self._unlikely(min(bad, total), total)
        return _Burn(alert, self._rate(bad, total), self._rate(seen.get(f"bad {short}", 0.0), seen.get(f"total {short}", 0.0)), counts)

    def _rate(self, bad: float, total: float) -> float:
        return min(bad, total) / total / self._budget if total > 0.0 else math.nan

    def _unlikely(self, bad: float, total: float) -> bool:
        from scipy.special import bdtrc  # deferred: scipy is heavy

        failed, events = math.floor(bad + 0.5), math.ceil(total)
        # P(X >= failed) of the binomial law; no failure is no news.
        return failed > 0 and float(bdtrc(failed - 1, events, self._budget)) < CHANCE

    def _left(self, seen: Mapping[str, float]) -> float:
        """Share of the period's budget that is left: 1 untouched, 0 used up, below 0 overdrawn; NaN without events."""
        period = format_duration(self._period)
        total = seen.get(f"total {period}", 0.0)
        return 1.0 - self._rate(seen.get(f"bad {period}", 0.0), total) if total > 0.0 else math.nan


def _worst(burns: Sequence[_Burn]) -> list[_Burn]:
    """Those that fire, or else those that are known."""
    firing = [b for b in burns if b.fires]
    return firing or [b for b in burns if not math.isnan(b.long)]


def _score(burns: Sequence[_Burn]) -> float:
    """In units of the alert's rate; what does not count stays below the threshold."""
    scores = [0.0]
    for b in burns:
        both = min(b.long, b.short) / b.alert.rate
        if not math.isnan(both):
            scores.append(both if b.counts else min(both, 0.8))
    return min(max(scores), MAX_SCORE)


def _scores(found: Sequence[Sequence[_Burn]]) -> Scores:
    ready = np.array([any(not math.isnan(b.long) for b in burns) for burns in found], dtype=np.bool_)
    breach = np.array([any(b.fires for b in burns) for burns in found], dtype=np.bool_)
    return Scores(
        score=np.where(ready, np.array([_score(burns) for burns in found], dtype=np.float64), np.nan),
        expected=nan(len(found)), lower=nan(len(found)), upper=nan(len(found)),
        ready=ready, breach=breach, critical=np.array([any(b.fires and b.alert.critical for b in burns) for burns in found], dtype=np.bool_),
        recovered=ready & ~breach,
    )  # fmt: skip


def _words(left: float, burns: Sequence[_Burn]) -> list[str]:
    words = [] if math.isnan(left) else [f"{left:.1%} of the error budget is left"]
    for b in burns:
        if not math.isnan(b.long):
            long, short = format_duration(b.alert.long), format_duration(b.alert.short)
            why = "" if b.counts else " (too few events, or too little of the window covered)"
            words.append(f"burn rate {b.long:.3g} over {long} and {b.short:.3g} over {short}, {b.alert.rate:g} is too fast{why}")
    return words

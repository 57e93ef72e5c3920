"""What was done before, as far as the guards ask about it: a few indexed questions to the store, each answered once in a second or until a run moves.

Neighbours: `guarding` gathers with it; the composition root tells it of every run that moved. What is asked back further than the store answered
whole counts as unknown, so a flood of runs never hides one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiops.domain.execution import Execution
from aiops.domain.plan import Plan
from aiops.ports.storage import Reading
from aiops.remediate.guards.contract import HOUR, GuardLimits

MOST = 2000
KEPT_FOR = 1.0
"""Seconds: what another daemon on the same store did is seen that much later at most."""


class History:
    """Not for several threads at once, save `forget`."""

    def __init__(self, store: Reading, limits: GuardLimits) -> None:
        self._store, self._limits = store, limits
        self._kept: dict[tuple[float, str, str, str], Sequence[Execution]] = {}
        self._at = 0.0
        self._stale = False

    def forget(self) -> None:
        """A run moved: ask the store again. From any thread."""
        self._stale = True

    def about(self, plan: Plan, now: float) -> tuple[Sequence[Execution], float]:
        """Runs that touch a target of the plan or are of its runbook, and all of late; and from when on they are all there (Unix seconds). Raises StoreError."""
        self._renew(now)
        limits = self._limits
        span = max(limits.horizon, plan.cooldown + HOUR)
        far = now - span
        asked = [self._asked(limits.cluster_horizon)]
        asked += [self._asked(span, target=str(target)) for target in plan.targets]
        if len(asked[0]) >= MOST or limits.runbook_horizon > limits.cluster_horizon:  # else they are among those of the cluster
            asked.append(self._asked(limits.runbook_horizon, runbook=plan.runbook))
        # A full page is cut off at its oldest run: from there on nothing is known.
        cut = max((min(e.created_at for e in runs) for runs in asked if len(runs) >= MOST), default=far)
        return tuple({e.id: e for runs in asked for e in runs}.values()), max(far, cut)

    def of_incident(self, incident: str, now: float) -> Sequence[Execution] | None:
        """All of one incident, newest first; None if there are more than can be looked through. Raises StoreError."""
        self._renew(now)
        found = self._asked(math.inf, incident=incident)
        return found if len(found) < MOST else None

    def _renew(self, now: float) -> None:
        if self._stale or not 0.0 <= now - self._at < KEPT_FOR:
            # Marked first: a run that moves while the store is asked makes this answer old again.
            self._stale, self._at = False, now
            self._kept = {}

    def _asked(self, span: float, *, incident: str = "", target: str = "", runbook: str = "") -> Sequence[Execution]:
        key = (span, incident, target, runbook)
        if key not in self._kept:
            self._kept[key] = self._store.executions(incident=incident, target=target, runbook=runbook, since=max(0.0, self._at - span), limit=MOST)
        return self._kept[key]

"""What is behind claims, into their incidents: looked for beside the polls, written under the flow's lock, told with the incident.

Neighbours: `flow` says which claims are fresh, `explaining` finds what is behind them, `transactions` stores it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from aiops.correlate.grouping import fingerprint
from aiops.correlate.incident_flow import Flow as Change
from aiops.domain.errors import StoreError
from aiops.domain.rule import Rule
from aiops.domain.series import Labels
from aiops.domain.signal import Signal
from aiops.pipeline.explaining import with_explanation
from aiops.pipeline.flow_parts import FlowParts
from aiops.pipeline.transactions import Transactions
from aiops.pipeline.triage import result

WAITING = 20
"""Claims that are looked into at one time: in a storm of them nobody reads that, and sources have other things to do."""


class Explanations:
    """`lock` is the flow's; `rules`: those in force."""

    def __init__(self, parts: FlowParts, transactions: Transactions, lock: AbstractContextManager[object], rules: Callable[[], tuple[Rule, ...]]) -> None:
        self._parts, self._transactions, self._lock, self._rules = parts, transactions, lock, rules
        self._waiting = 0

    def soon(self, rule: Rule, claims: Sequence[tuple[Labels, Signal]]) -> None:
        """Look for what is behind these fresh claims, each with its series' labels."""
        with self._lock:
            taken = claims[: max(0, WAITING - self._waiting)]
            self._waiting += len(taken)
        if len(taken) < len(claims):
            self._parts.telemetry.count("explanations", len(claims) - len(taken), what="contributors", result="skipped")
        if taken:
            self._parts.schedule.soon("explain", lambda: self._all(rule, taken))

    def _all(self, rule: Rule, claims: Sequence[tuple[Labels, Signal]]) -> None:
        with self._lock:
            self._waiting -= len(claims)
        for labels, signal in claims:
            try:
                self._one(rule, labels, signal)
            except StoreError as error:  # people read the incident without it
                self._transactions.left("explain", error)

    def _one(self, rule: Rule, labels: Labels, signal: Signal) -> None:
        """Asked and reckoned without the lock; what comes of it is written into the incident as it stands then."""
        p, name = self._parts, fingerprint(signal)
        found, incident = p.explaining.contributors(rule, labels, signal), p.board.get(name)
        causes = p.explaining.causes(incident, self._rules()) if incident is not None else ()
        with self._lock:
            current = p.board.get(name)
            explained = with_explanation(current, signal.key, found, causes) if current is not None else None
            if explained is not None and explained is not current:
                self._transactions.commit(result((Change(explained, ("EvidenceUpdated",)),)), p.clock.now())

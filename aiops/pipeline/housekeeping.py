"""What runs beside the flow: retention, gauges about ourselves, snapshots of the banks.

Neighbours: `flow` schedules these.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from aiops.pipeline.board import Board
from aiops.ports.clock import Clock
from aiops.ports.storage import Store
from aiops.ports.telemetry import Telemetry

PURGE_EVERY, GAUGES_EVERY, SNAPSHOT_EVERY, AUTONOMY_EVERY = 3600.0, 5.0, 300.0, 60.0
SIZES_EVERY = 60.0
"""Counting rows reads whole tables, and nobody needs the count sooner."""


@dataclass
class Housekeeping:
    """`keep`: seconds for each table."""

    store: Store
    clock: Clock
    telemetry: Telemetry
    keep: Mapping[str, float]
    _sized_at: float = -math.inf

    def purge(self) -> None:
        """Apply retention once."""
        for table, rows in self.store.purge(self.clock.now(), self.keep).items():
            if rows:
                self.telemetry.count("rows_purged", rows, table=table)

    def gauges(self, board: Board, *, dry_run: bool, paused: bool) -> None:
        """Numbers that are states rather than events."""
        severities = Counter(i.severity.value for i in board)
        for severity in ("info", "warning", "critical"):
            self.telemetry.gauge("incidents_active", severities.get(severity, 0), severity=severity)
        states = self.store.unfinished_states()
        for state in ("awaiting-approval", "running", "verifying", "undoing"):
            self.telemetry.gauge("executions_active", states.get(state, 0), state=state)
        self.telemetry.gauge("outbox_pending", len(self.store.messages_due(float("inf"), 1000)))
        self.telemetry.gauge("dry_run", float(dry_run))
        self.telemetry.gauge("paused", float(paused))
        now = self.clock.now()
        if not 0.0 <= now - self._sized_at < SIZES_EVERY:  # a clock that was set back counts anew
            self._sized_at = now
            for table, rows in self.store.size().items():
                self.telemetry.gauge("store_rows", rows, table=table)

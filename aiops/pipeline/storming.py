"""Keeps storm mode: looks at the active incidents, remembers it in the store, and makes the signals by which people are told once.

Neighbours: `remediate.storm` decides, the flow takes the signals with its tick, `guarding` gives the state to the guard.
"""

from __future__ import annotations

import math
import threading

from aiops.domain.ids import make_id
from aiops.domain.series import series_id
from aiops.domain.signal import Severity, Signal, SignalKind, SignalState
from aiops.pipeline.board import Board
from aiops.ports.storage import Changes, Store
from aiops.ports.telemetry import Telemetry
from aiops.remediate.storm import Storm, StormPolicy, step

STORM = "storm"
"""The store's value: since when, in Unix seconds."""
LOOK_EVERY = 1.0


class Storming:
    """Thread-safe."""

    def __init__(self, store: Store, board: Board, policy: StormPolicy, telemetry: Telemetry) -> None:
        self._store, self._board, self._policy, self._telemetry = store, board, policy, telemetry
        self._lock = threading.Lock()
        self._storm: Storm | None = None
        self._seen = (-1, -math.inf)
        self._told: float | None = None

    def now(self, now: float) -> Storm:
        """The state, with every incident that is on the board. Raises StoreError as long as what was stored could not be read."""
        with self._lock:
            if self._storm is None:
                kept = self._store.value(STORM)
                since = kept.get("since") if isinstance(kept, dict) else None
                self._storm = Storm(since=float(since) if isinstance(since, int | float) else None)
                self._told = self._storm.since
            version, at = self._seen
            if version != self._board.version or not 0.0 <= now - at < LOOK_EVERY:
                self._seen = (self._board.version, now)
                self._storm = step(self._storm, self._board, now, self._policy)
            return self._storm

    def look(self, now: float) -> tuple[Signal, ...]:
        """What people are to be told of it, once each; stored before. Raises StoreError, and then it is told with the next look."""
        storm = self.now(now)
        self._telemetry.gauge("storm", float(storm.since is not None))
        if storm.since == self._told:
            return ()
        self._store.write(Changes(values={STORM: None if storm.since is None else {"since": storm.since}}))
        ended = storm.since is None
        self._told = storm.since
        return (_signal(storm, now, SignalState.CLEARED if ended else SignalState.FIRING),)


def _signal(storm: Storm, now: float, state: SignalState) -> Signal:
    labels = {"symptom": "storm"}
    words = "the storm is over" if state is SignalState.CLEARED else f"too much breaks at once: {storm.words}"
    return Signal(
        make_id("sig", "Storm", state.value, now), "Storm", "storm", SignalKind.SIGHT, state, Severity.CRITICAL, now, series_id(labels), labels, None, words
    )

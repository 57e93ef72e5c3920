"""Memory in two steps. Soft: no new series are taken in, save by rules that must not go blind. Hard: rules are let go of, the least important first.

Each step is told once, as a signal and as decisions that say whom it hit and why, and is a metric. What was let go of begins anew, one rule at a time, when there
has been memory for it for `CALM`. Neighbours: `room` knows who gives way, `observe` has the banks, `flow` asks with its tick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiops.detect.bank import SHED
from aiops.detect.budget import HARD, OPEN, SOFT
from aiops.domain.decision import Decision, Stage
from aiops.domain.ids import make_id
from aiops.domain.series import series_id
from aiops.domain.signal import Severity, Signal, SignalKind, SignalState
from aiops.pipeline.board import Board
from aiops.pipeline.observe import Observer
from aiops.pipeline.room import first_to_go, first_to_return
from aiops.ports.memory import Memory, Usage
from aiops.ports.telemetry import Telemetry

LOOK_EVERY, SETTLE, CALM = 5.0, 15.0, 600.0
"""Seconds between two looks; after something was let go of, until the next may be; of memory enough, before something returns."""
BACK = 0.05
"""A step is left only when so much less is used than leads to it."""
MEMORY = "Memory"
_LABELS = {"symptom": "memory"}


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """Shares of the memory that may be used."""

    soft: float = 0.75
    hard: float = 0.9


def level(before: int, share: float, policy: MemoryPolicy) -> int:
    """The step that a share of memory means, coming from `before`."""
    if share >= policy.hard or (before == HARD and share > policy.hard - BACK):
        return HARD
    return SOFT if share >= policy.soft or (before >= SOFT and share > policy.soft - BACK) else OPEN


class MemoryWatch:
    """Looked at by one thread."""

    def __init__(self, memory: Memory, observer: Observer, board: Board, policy: MemoryPolicy, telemetry: Telemetry) -> None:
        self._memory, self._observer, self._board, self._policy, self._telemetry = memory, observer, board, policy, telemetry
        self._level, self._looked, self._touched, self._calm_since = OPEN, -math.inf, -math.inf, math.inf
        self._fresh = True

    def look(self, now: float) -> tuple[tuple[Signal, ...], tuple[Decision, ...]]:
        """What people are to be told of it, and what was done."""
        if 0.0 <= now - self._looked < LOOK_EVERY:
            return (), ()
        self._looked = now
        usage = self._memory.usage()
        before, self._level = self._level, level(self._level, usage.share, self._policy)
        self._observer.room.freeze(self._level)
        done = self._act(usage, now)
        self._gauges(usage)
        return self._signals(before, usage, now), done

    def _act(self, usage: Usage, now: float) -> tuple[Decision, ...]:
        banks = self._observer.banks()
        settled = not 0.0 <= now - self._touched < SETTLE
        if self._level == HARD:
            bank = first_to_go(banks) if settled else None
            if bank is not None:
                self._touched, self._calm_since = now, math.inf
                held = bank.memory
                bank.shed()
                self._memory.trim()
                words = f"{_words(usage)}; it held about {held / 2**20:.0f} MiB and its priority is {bank.rule.priority.value}"
                return (Decision(now, Stage.OBSERVE, bank.rule.name, passed=False, reason=SHED, detail=words),)
        if self._level != OPEN:
            self._calm_since = math.inf
            return ()
        self._calm_since = min(self._calm_since, now)
        bank = first_to_return(banks)
        if bank is None or now - self._calm_since < CALM or usage.used + bank.shed_memory >= self._policy.soft * usage.limit:
            return ()
        self._calm_since = now
        self._observer.renew(bank.rule.name)
        return (Decision(now, Stage.OBSERVE, bank.rule.name, passed=False, reason="BeginsAnew", detail=_words(usage)),)

    def _signals(self, before: int, usage: Usage, now: float) -> tuple[Signal, ...]:
        fresh, self._fresh = self._fresh, False
        if self._level == before and not fresh:
            return ()
        if self._level == OPEN and before == OPEN and not any(s.rule == MEMORY for i in self._board for s in i.firing):
            return ()
        severity = Severity.CRITICAL if self._level == HARD else Severity.WARNING
        state = SignalState.CLEARED if self._level == OPEN else SignalState.FIRING
        does = {OPEN: "there is memory again", SOFT: "no new series are taken in", HARD: "rules are let go of, the least important first"}[self._level]
        words = f"{does}: {_words(usage)}"
        return (
            Signal(make_id("sig", MEMORY, state.value, now), MEMORY, "memory", SignalKind.SIGHT, state, severity, now, series_id(_LABELS), _LABELS, None, words),
        )

    def _gauges(self, usage: Usage) -> None:
        self._telemetry.gauge("memory_state", self._level)
        self._telemetry.gauge("memory_used_bytes", usage.used)
        self._telemetry.gauge("memory_limit_bytes", usage.limit if math.isfinite(usage.limit) else 0.0)
        self._telemetry.gauge("series_held", self._observer.room.held)
        self._telemetry.gauge("rules_shed", sum(bank.is_shed for bank in self._observer.banks()))


def _words(usage: Usage) -> str:
    return f"{usage.used / 2**20:.0f} of {usage.limit / 2**20:.0f} MiB are used ({100.0 * usage.share:.0f} %)"

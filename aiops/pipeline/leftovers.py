"""What a restart or a reload leaves behind: claims that nobody makes any more, and that nothing would ever clear.

Neighbours: `flow` takes what comes back as signals; `observe` holds the banks. Being no longer claimed is not recovery: such claims EXPIRE.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from aiops.domain.ids import make_id
from aiops.domain.rule import Rule
from aiops.domain.signal import Signal, SignalKind, SignalState
from aiops.pipeline.board import Board
from aiops.pipeline.observe import Observer

OURS = frozenset({SignalKind.METRIC, SignalKind.LOG, SignalKind.OBJECT, SignalKind.FORECAST})
"""Kinds of claims that rules make. Alerts, those that forecast too, and sight are not ours to expire."""


class Leftovers:
    """Remembers since when a rule's bank is new; such a bank gets time to fire again before what it does not claim is over."""

    def __init__(self, board: Board, observer: Observer) -> None:
        self._board, self._observer = board, observer
        self._since: dict[str, float] = {}

    def renewed(self, names: Iterable[str], now: float) -> None:
        """These rules have a new bank, or an old one in a new process."""
        self._since |= dict.fromkeys(names, now)

    def unseen(self, rule: Rule, now: float) -> tuple[Signal, ...] | None:
        """Claims of before that the rule's bank, having had time to fire again, does not make. None if it is not time, or was done already."""
        since = self._since.get(rule.name)
        if since is None or now - since < rule.hold + rule.clear_hold + 3 * rule.every:
            return None
        standing = {f.series for f in self._observer.firing(rule)}
        return tuple(expired(s, now) for i in self._board for s in i.firing if s.rule == rule.name and s.series not in standing)

    def settled(self, rule: Rule) -> None:
        """What was unseen is stored."""
        self._since.pop(rule.name, None)

    def unknown(self, rules: Iterable[str], now: float) -> tuple[Signal, ...]:
        """Claims of rules that are gone can never clear by themselves."""
        known = set(rules)
        return tuple(expired(s, now) for i in self._board for s in i.firing if s.kind in OURS and s.detector != "alertmanager" and s.rule not in known)


def expired(signal: Signal, now: float) -> Signal:
    """The same claim, no longer made: that is not recovery."""
    return replace(signal, id=make_id("sig", signal.key, "expired", now), state=SignalState.EXPIRED, at=now)

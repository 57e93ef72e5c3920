"""How many series all rules together may keep, and who gives way when that is too few.

Each rule has a rank: its priority, and above all priorities what must not go blind (thresholds, severity critical). A series is granted while there is
room that no rule of a higher rank waits for; where a higher rank waits, rules of the lowest rank give up as many, each in proportion to what it holds. Among equals nobody
gives way: what is known is worth more than what is new. Neighbours: `admission` asks for a bank, `pipeline.memory` freezes it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from aiops.domain.rule import Priority, Rule
from aiops.domain.signal import Severity

OPEN, SOFT, HARD = 0, 1, 2
"""How frozen it is: not at all, for what may go blind, for all."""
_RANKS = {Priority.LOW: 0, Priority.NORMAL: 1, Priority.HIGH: 2}


def protected(rule: Rule) -> bool:
    """Whether a rule is kept whatever becomes scarce: it is cheap and tells of harm that is there."""
    return rule.detector.type == "threshold" or rule.severity is Severity.CRITICAL


def rank(rule: Rule) -> int:
    """Greater is more important."""
    return _RANKS[rule.priority] + (len(_RANKS) if protected(rule) else 0)


@dataclass
class _Holder:
    rank: int
    held: int = 0
    unmet: int = 0


class Budget:
    """At most `limit` series. Thread-safe: rules are polled side by side."""

    def __init__(self, limit: int) -> None:
        self.limit, self.frozen = limit, OPEN
        self._holders: dict[str, _Holder] = {}
        self._lock = threading.Lock()

    def place(self, rule: Rule, limit: int) -> Place:
        """What the bank of a rule asks; of its own it may have `limit`. One of the same name before it has nothing any more."""
        with self._lock:
            self._holders[rule.name] = _Holder(rank(rule))
        return Place(self, rule.name, limit)

    def keep(self, names: Collection[str]) -> None:
        """Only these rules are in force."""
        with self._lock:
            self._holders = {name: holder for name, holder in self._holders.items() if name in names}

    @property
    def held(self) -> int:
        """Series that all rules hold."""
        with self._lock:
            return sum(h.held for h in self._holders.values())

    def take(self, name: str, wanted: int) -> int:
        """How many more series the rule may have now; what is not granted is waited for."""
        with self._lock:
            one = self._holders.get(name)
            if one is None:
                return 0
            if self.frozen >= (HARD if one.rank >= len(_RANKS) else SOFT):
                one.unmet = 0
                return 0
            granted = min(wanted, max(0, self.limit - self._sum(lambda h: h.held) - self._sum(lambda h: h.unmet if h.rank > one.rank else 0)))
            one.held, one.unmet = one.held + granted, wanted - granted
            return granted

    def settle(self, name: str, held: int) -> None:
        """What the rule holds now."""
        with self._lock:
            if name in self._holders:
                self._holders[name].held = held

    def surplus(self, name: str) -> int:
        """How many series the rule is to give up."""
        with self._lock:
            one = self._holders.get(name)
            if one is None or not one.held:
                return 0
            need = self._sum(lambda h: h.held) + self._sum(lambda h: h.unmet if h.rank > one.rank else 0) - self.limit
            need -= self._sum(lambda h: h.held if h.rank < one.rank else 0)
            if need <= 0:
                return 0
            return min(one.held, math.ceil(need * one.held / self._sum(lambda h: h.held if h.rank == one.rank else 0)))

    def _sum(self, of: Callable[[_Holder], int]) -> int:
        return sum(map(of, self._holders.values()))


class Place:
    """One rule's part of a budget."""

    def __init__(self, budget: Budget, name: str, limit: int) -> None:
        self._budget, self._name, self.limit = budget, name, limit

    def take(self, held: int, wanted: int) -> int:
        """How many of `wanted` more series there is room for, beside those held."""
        return self._budget.take(self._name, max(0, min(wanted, self.limit - held)))

    def settle(self, held: int) -> None:
        """So many are held now."""
        self._budget.settle(self._name, held)

    def surplus(self, held: int) -> int:
        """How many of those held are to be given up."""
        return max(self._budget.surplus(self._name), held - self.limit)

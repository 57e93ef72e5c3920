"""Room for what is learned: how many series there may be, and which rules give way when memory is short.

One budget holds for all series and one for the few that `focus` may watch. Neighbours: `observe` has its banks made here, `memory` says how scarce memory is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiops.detect.bank import RuleBank
from aiops.detect.budget import Budget, protected, rank
from aiops.domain.rule import Rule

FOCUS = "focus"


@dataclass(frozen=True, slots=True)
class RoomPolicy:
    """Series of a rule that says nothing of its own, of all rules, of all `focus` rules; `ttl`: seconds after which an absent one is forgotten."""

    rule_series: int = 10_000
    series: int = 250_000
    focus_series: int = 5_000
    ttl: float = 6 * 3600.0


class Room:
    """The budgets of one daemon."""

    def __init__(self, policy: RoomPolicy) -> None:
        self.policy = policy
        self.all, self.focus = Budget(policy.series), Budget(policy.focus_series)

    def bank(self, rule: Rule) -> RuleBank:
        """A bank that knows nothing yet."""
        limit = rule.max_series or self.policy.rule_series
        return RuleBank(rule, max_series=limit, budget=self._budget(rule), ttl=self.policy.ttl)

    def again(self, bank: RuleBank, rule: Rule) -> None:
        """A bank goes on under a rule whose priority, or number of series, may be another now."""
        bank.move(rule, self._budget(rule).place(rule, rule.max_series or self.policy.rule_series))

    def _budget(self, rule: Rule) -> Budget:
        return self.focus if rule.detector.type == FOCUS else self.all

    def keep(self, rules: Sequence[Rule]) -> None:
        """Only these are in force."""
        for budget, mine in ((self.all, False), (self.focus, True)):
            budget.keep({rule.name for rule in rules if (rule.detector.type == FOCUS) == mine})

    def freeze(self, level: int) -> None:
        """How scarce memory is, as `detect.budget` has it."""
        self.all.frozen = self.focus.frozen = level

    @property
    def held(self) -> int:
        """Series known."""
        return self.all.held + self.focus.held


def first_to_go(banks: Iterable[RuleBank]) -> RuleBank | None:
    """Whom to let go of when memory is short: of the lowest priority the one that holds most; never what must not go blind, nor what holds nothing."""
    able = [bank for bank in banks if not bank.is_shed and not protected(bank.rule) and bank.memory > 0]
    return min(able, key=lambda bank: (rank(bank.rule), -bank.memory, bank.rule.name), default=None)


def first_to_return(banks: Iterable[RuleBank]) -> RuleBank | None:
    """Who begins anew first when there is memory again: of the highest priority the one that held least."""
    return min((bank for bank in banks if bank.is_shed), key=lambda bank: (-rank(bank.rule), bank.shed_memory, bank.rule.name), default=None)

"""References of drift detectors in the store: each version is kept, a start without a snapshot finds the last, a retraining that we ran begins a new one.

Neighbours: `flow` calls this after a poll, after new rules, and on a run's progress; `detect.groups.Versioned` is the other side.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiops.domain.execution import Execution, StepState
from aiops.domain.outcome import Outcome
from aiops.domain.rule import Rule
from aiops.pipeline.observe import Observer
from aiops.ports.storage import Changes, Store

TRAINING = "retrain"
"""The action that trains a model."""
EARLIER = 10
"""Former versions of which span and rows are remembered."""


def document(rule: str) -> str:
    """The name of a rule's references among the store's documents."""
    return f"reference:{rule}"


class References:
    """Of all rules."""

    def __init__(self, store: Store, observer: Observer) -> None:
        self._store, self._observer = store, observer

    def recall(self, rules: Iterable[Rule]) -> None:
        """Banks that are new take the references that the store has of their rule as it is now. Raises StoreError."""
        for rule in rules:
            bank = self._observer.bank(rule.name)
            held = self._store.value(document(rule.name)) if bank is not None and bank.versioned else None
            if bank is not None and isinstance(held, dict) and held.get("bank") == bank.key:
                bank.recall({key: one["current"] for key, one in held.get("references", {}).items() if one.get("current")})

    def keep(self, rule: Rule) -> None:
        """Store what changed with the last poll. Raises StoreError; the next poll then tries again."""
        bank = self._observer.bank(rule.name)
        changed = bank.references() if bank is not None else {}
        if bank is None or not changed:
            return
        held = self._store.value(document(rule.name))
        known: dict[str, Any] = held["references"] if isinstance(held, dict) and held.get("bank") == bank.key else {}
        for key, current in changed.items():
            before = known.get(key, {"current": None, "earlier": []})
            earlier = list(before["earlier"])
            if before["current"]:
                earlier.append({**{name: before["current"][name] for name in ("version", "start", "end")}, "rows": sum(before["current"]["counts"])})
            known[key] = {"current": current, "earlier": earlier[-EARLIER:]}
        self._store.write(Changes(values={document(rule.name): {"bank": bank.key, "references": known}}))
        bank.kept()

    def ran(self, execution: Execution) -> None:
        """A training that a run carried out: what the model's subject was compared with begins anew at the training's beginning."""
        actions = {step.name: step.action for step in execution.plan.steps}
        for run in execution.steps:
            succeeded = run.state is StepState.DONE and run.result is not None and run.result.outcome is Outcome.SUCCEEDED
            if succeeded and actions.get(run.name) == TRAINING:
                self._observer.retrained(execution.plan.target, run.started_at)

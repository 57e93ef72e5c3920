"""Which runbooks apply to an incident, and a stored reason for each that does not.

Neighbours: `facts` makes what is matched on, `planner` binds the first that may act.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import ExpressionError, trimmed
from aiops.domain.incident import Incident
from aiops.domain.runbook import Runbook

_NAME = re.compile(r"\b(?:incident|target|cluster)\.[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Candidates:
    """`matched` by priority, then name; `decisions` has one line for each runbook that did not match."""

    matched: tuple[Runbook, ...]
    decisions: tuple[Decision, ...]


def candidates(incident: Incident, facts: Mapping[str, Any], runbooks: Iterable[Runbook], now: float) -> Candidates:
    """Evaluate every `match`. Reasons: `NoMatch` (it is false; the detail shows the values it looked at), `ExpressionError` (never counts as true)."""
    matched: list[Runbook] = []
    decisions: list[Decision] = []
    for runbook in sorted(runbooks, key=lambda r: (r.priority, r.name)):
        if runbook.match.text.strip() == "false":
            continue  # it is meant to be called by others, or run by a person
        try:
            holds = runbook.match.evaluate(facts)
        except ExpressionError as error:
            decisions.append(_dropped(incident, runbook, now, "ExpressionError", str(error)))
            continue
        if holds is True:
            matched.append(runbook)
        elif holds is False:
            decisions.append(_dropped(incident, runbook, now, "NoMatch", _seen(runbook.match.text, facts)))
        else:
            decisions.append(_dropped(incident, runbook, now, "ExpressionError", f"gives {type(holds).__name__}, not bool"))
    return Candidates(tuple(matched), tuple(decisions))


def _dropped(incident: Incident, runbook: Runbook, now: float, reason: str, detail: str) -> Decision:
    target = str(incident.target) if incident.target is not None else ""
    return Decision(now, Stage.DECIDE, runbook.name, False, reason, trimmed(detail), target, incident.id)


def _seen(text: str, facts: Mapping[str, Any]) -> str:
    """The values of the names that the expression speaks of, in its order."""
    names = [name for name in _names(text) if name in facts]
    return "false for " + ", ".join(f"{name}={_short(facts[name])}" for name in names) if names else "false"


@lru_cache(maxsize=4096)
def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_NAME.findall(text)))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return trimmed(repr(value), 120)

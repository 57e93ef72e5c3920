"""Which runbooks apply to an incident, and a stored reason for each that does not.

Neighbours: `facts` makes what is matched on, `planner` binds the first that may act.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import ExpressionError, trimmed
from aiops.domain.incident import Incident
from aiops.domain.runbook import Runbook
from aiops.remediate.conjuncts import plain_parts

_NAME = re.compile(r"\b(?:incident|target|cluster)\.[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Candidates:
    """`matched` by priority, then name; `decisions` has one line for each runbook that did not match."""

    matched: tuple[Runbook, ...]
    decisions: tuple[Decision, ...]


def candidates(incident: Incident, facts: Mapping[str, Any], runbooks: Iterable[Runbook], now: float) -> Candidates:
    """Look at every `match`. Reasons: `NoMatch` (it is false; the detail shows the values it looked at), `ExpressionError` (never counts as true)."""
    matched: list[Runbook] = []
    decisions: list[Decision] = []
    seen: dict[str, str] = {}
    symptoms, kind = frozenset(facts["incident.symptoms"]), facts["target.kind"]
    for runbook in sorted(runbooks, key=lambda r: (r.priority, r.name)):
        if runbook.match.text.strip() == "false":
            continue  # it is meant to be called by others, or run by a person
        try:
            holds = not _ruled_out(runbook.match.text, symptoms, kind) and runbook.match.evaluate(facts)
        except ExpressionError as error:
            decisions.append(_dropped(incident, runbook, now, "ExpressionError", str(error)))
            continue
        if holds is True:
            matched.append(runbook)
        elif holds is False:
            decisions.append(_dropped(incident, runbook, now, "NoMatch", _seen(runbook.match.text, facts, seen)))
        else:
            decisions.append(_dropped(incident, runbook, now, "ExpressionError", f"gives {type(holds).__name__}, not bool"))
    return Candidates(tuple(matched), tuple(decisions))


def _dropped(incident: Incident, runbook: Runbook, now: float, reason: str, detail: str) -> Decision:
    target = str(incident.target) if incident.target is not None else ""
    return Decision(now, Stage.DECIDE, runbook.name, False, reason, trimmed(detail), target, incident.id)


def _ruled_out(text: str, symptoms: Collection[str], kind: str) -> bool:
    """Whether a plain part of the expression is false already: of hundreds of runbooks most are for another symptom, and need no evaluation.

    CEL's `&&` is false as soon as one side is, whatever the other gives, an error too (cel-spec, "Logical operators").
    """
    needs_symptoms, needs_kinds = plain_parts(text)
    return not needs_symptoms.issubset(symptoms) or not needs_kinds.issubset((kind,))


def _seen(text: str, facts: Mapping[str, Any], known: dict[str, str]) -> str:
    """The values of the names that the expression speaks of, in its order; `known` are those that were looked at before."""
    told = []
    for name in _names(text):
        if name in facts:
            if name not in known:
                known[name] = f"{name}={_short(facts[name])}"
            told.append(known[name])
    return f"false for {', '.join(told)}" if told else "false"


@lru_cache(maxsize=4096)
def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_NAME.findall(text)))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return trimmed(repr(value), 120)

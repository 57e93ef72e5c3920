"""Which runbooks match, in which order, and why the others do not; with real CEL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.definitions.cel import compile_expression
from aiops.domain.decision import Stage
from aiops.domain.runbook import Mode, Runbook
from aiops.remediate.facts import target_facts
from aiops.remediate.matching import candidates
from aiops.remediate.objects import ClusterObjects
from tests.unit.remediate.shop import CHECKOUT, START, make_incident

FACTS = target_facts(CHECKOUT, ClusterObjects(None), make_incident(), START + 10)


def runbook(name: str, match: str, priority: int = 100) -> Runbook:
    return Runbook(name, Mode.AUTO, compile_expression(match, "match"), (), priority=priority)


def test_by_priority_then_name_and_a_reason_for_each_that_does_not_match() -> None:
    found = candidates(
        make_incident(),
        FACTS,
        [
            runbook("b", "'latency' in incident.symptoms"),
            runbook("a", "true"),
            runbook("last", "true", 900),
            runbook("first", "incident.signals > 0", 1),
            runbook("not", "target.exists && target.replicas > 2"),
            runbook("broken", "incident.labels['absent'] == 'x'"),
        ],
        START + 10,
    )
    assert [r.name for r in found.matched] == ["first", "a", "b", "last"]
    assert [(d.subject, d.passed, d.reason, d.stage) for d in found.decisions] == [
        ("broken", False, "ExpressionError", Stage.DECIDE),
        ("not", False, "NoMatch", Stage.DECIDE),
    ]
    no_match = found.decisions[1]
    assert no_match.detail == "false for target.exists=False, target.replicas=0"
    assert (no_match.at, no_match.target, no_match.incident) == (START + 10, "shop/deployment/checkout", "inc-1")


class Answers:
    """An expression that answers something else than a bool, as no compiled one may."""

    text = "1"

    def evaluate(self, facts: Mapping[str, Any]) -> Any:
        return 1


def test_what_is_no_bool_never_counts_as_true() -> None:
    found = candidates(make_incident(), FACTS, [Runbook("odd", Mode.AUTO, Answers(), ())], START)
    assert found.matched == ()
    assert found.decisions[0].reason == "ExpressionError"


def test_an_incident_without_a_target() -> None:
    found = candidates(make_incident(target=None), FACTS, [runbook("x", "1 > 2")], START)
    assert (found.decisions[0].target, found.decisions[0].detail) == ("", "false")


def test_a_runbook_that_is_only_called_is_not_spoken_of() -> None:
    assert candidates(make_incident(), FACTS, [runbook("x", "false")], START) == candidates(make_incident(), FACTS, [], START)

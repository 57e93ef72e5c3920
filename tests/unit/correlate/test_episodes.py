"""Episodes: what began near and soon after is one fault, what is far, or late, is not."""

from __future__ import annotations

from aiops.correlate.episodes import WITHIN, episodes
from aiops.correlate.topology import Placement
from aiops.domain.incident import Incident, IncidentState, Transition
from aiops.domain.signal import Evidence, Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef


def incident(name: str, *at: float, namespace: str = "shop", score: float = 1.5, target: TargetRef | None = None) -> Incident:
    about = target or TargetRef("Deployment", namespace, name)
    claim = Signal("sig", "r", "threshold", SignalKind.METRIC, SignalState.FIRING, Severity.WARNING, at[0], name, {}, about, "", Evidence(score=score))
    transitions = tuple(Transition(t, IncidentState.OPEN, "Opened" if i == 0 else "Reopened") for i, t in enumerate(at))
    return Incident(f"inc-{name}", name, name, IncidentState.OPEN, Severity.WARNING, at[0], at[0], about, {}, {"k": claim}, transitions)


def names(*incidents: Incident, placement: Placement | None = None) -> list[list[str]]:
    return [[target.name for target in e.origins] for e in episodes(incidents, placement)]


def test_what_begins_soon_after_in_one_namespace_is_one_episode_the_first_is_its_origin() -> None:
    assert names(incident("frontend", 75.0), incident("stock", 0.0), incident("cart", 100.0)) == [["stock", "frontend", "cart"]]


def test_of_those_that_begin_at_once_the_clearest_is_the_origin() -> None:
    assert names(incident("a", 0.0, score=1.1), incident("b", 0.0, score=9.0)) == [["b", "a"]]


def test_a_second_fault_is_another_episode_also_while_the_first_lasts() -> None:
    assert names(incident("stock", 0.0), incident("mail", WITHIN + 1.0)) == [["stock"], ["mail"]]
    # A chain does not grow without end: it is counted from its beginning.
    assert names(incident("a", 0.0), incident("b", 120.0), incident("c", 240.0)) == [["a", "b"], ["c"]]


def test_what_begins_again_is_counted_again() -> None:
    assert names(incident("stock", 0.0, 600.0), incident("cart", 620.0)) == [["stock"], ["stock", "cart"]]


def test_another_namespace_is_another_episode_unless_a_node_is_under_both() -> None:
    node = TargetRef("Node", "", "n1")
    one, two = incident("stock", 0.0), incident("mail", 10.0, namespace="other")
    assert names(one, two) == [["stock"], ["mail"]]
    placed = Placement(nodes_of={TargetRef("Deployment", "shop", "stock"): frozenset({"n1"}), TargetRef("Deployment", "other", "mail"): frozenset({"n1"})})
    assert names(incident("n1", 0.0, target=node), incident("stock", 5.0), two, placement=placed) == [["n1", "stock", "mail"]]

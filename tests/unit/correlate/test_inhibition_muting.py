"""Who mutes whom, and silences."""

from __future__ import annotations

from aiops.correlate.incident_flow import FlowPolicy, absorb
from aiops.correlate.inhibition import inhibited, muted_claims
from aiops.correlate.muting import silencing
from aiops.correlate.topology import Placement
from aiops.domain.incident import Incident, Silence
from aiops.domain.signal import Signal
from aiops.domain.target import TargetRef
from tests.unit.correlate.signals import CHECKOUT, PAYMENT, T0, signal

NODE = TargetRef("Node", "", "worker-1")
INHIBITS = {
    "dependency": ({"symptom": "errors"}, {"symptom": "latency"}),
    "node-down": ({"symptom": "errors"}, {"symptom": "crash-loop"}),
    "slip": ({},),
}


def incident(*signals: Signal, at: float = 0.0) -> Incident:
    found = absorb(None, None, signals, T0 + at, FlowPolicy()).incident
    assert found is not None
    return found


def test_a_node_that_is_down_mutes_what_stands_on_it() -> None:
    node = incident(signal("node-down", target=NODE))
    workload = incident(signal("errors"), at=5)
    elsewhere = incident(signal("errors", target=PAYMENT), at=6)
    placed = Placement(nodes_of={CHECKOUT: frozenset({"worker-1", "worker-2"}), PAYMENT: frozenset({"worker-2"})})
    found = inhibited([node, workload, elsewhere], INHIBITS, placed)
    assert {k: (v.by, v.relation) for k, v in found.items()} == {workload.id: (node.id, "Placement")}
    assert inhibited([node, workload], INHIBITS) == {}


def test_a_claim_that_no_matcher_knows_keeps_an_incident_audible() -> None:
    node = incident(signal("node-down", target=NODE))
    workload = incident(signal("errors"), signal("disk"), at=5)
    assert inhibited([node, workload], INHIBITS, Placement(nodes_of={CHECKOUT: frozenset({"worker-1"})})) == {}


def test_a_dependency_mutes_its_callers() -> None:
    provider = incident(signal("dependency", target=PAYMENT))
    caller = incident(signal("errors", labels={"symptom": "errors", "dependency": "payment"}), at=5)
    assert inhibited([provider, caller], INHIBITS)[caller.id].relation == "Dependency"


def test_an_unrelated_incident_is_not_muted() -> None:
    assert inhibited([incident(signal("dependency", target=PAYMENT)), incident(signal("errors"))], INHIBITS) == {}


def test_an_empty_matcher_mutes_nothing() -> None:
    assert inhibited([incident(signal("slip", target=NODE)), incident(signal())], INHIBITS, Placement(nodes_of={CHECKOUT: frozenset({"worker-1"})})) == {}


def test_two_never_mute_each_other() -> None:
    both = {"a": ({"symptom": "b"},), "b": ({"symptom": "a"},)}
    labels = {"dependency": "bank"}
    first = incident(signal("a", labels={"symptom": "a"} | labels))
    second = incident(signal("b", labels={"symptom": "b"} | labels, target=PAYMENT), at=5)
    assert set(inhibited([second, first], both)) == {second.id}


def test_a_ring_leaves_one_audible() -> None:
    ring = {"a": ({"symptom": "b"},), "b": ({"symptom": "c"},), "c": ({"symptom": "a"},)}
    targets = [CHECKOUT, PAYMENT, TargetRef("Deployment", "shop", "cart")]
    incidents = [
        incident(signal(r, labels={"symptom": r, "dependency": "bank"}, target=t), at=i) for i, (r, t) in enumerate(zip("abc", targets, strict=True))
    ]
    assert len(inhibited(incidents, ring)) == 2


def test_within_an_incident_the_dependency_explains_the_errors() -> None:
    one = incident(signal("dependency"), signal("errors"), signal("memory"))
    muted = muted_claims(one, INHIBITS)
    assert {k.split("/")[0]: v.split("/")[0] for k, v in muted.items()} == {"errors": "dependency"}


def test_within_an_incident_two_claims_never_mute_each_other() -> None:
    one = incident(signal("a"), signal("b", 1))
    assert [k.split("/")[0] for k in muted_claims(one, {"a": ({"symptom": "b"},), "b": ({"symptom": "a"},)})] == ["b"]


def silence(start: float = 0.0, end: float = 100.0, **matchers: str) -> Silence:
    return Silence(f"sil-{end}", matchers, T0 + start, T0 + end, "ann")


def test_a_silence_covers_while_it_lasts_and_every_matcher_equals() -> None:
    one = incident(signal())
    assert silencing(one, [silence(namespace="shop", symptom="errors")], T0) is not None
    assert silencing(one, [silence(namespace="shop", symptom="latency")], T0) is None
    assert silencing(one, [silence(namespace="shop")], T0 + 100) is None
    assert silencing(one, [silence(start=10, namespace="shop")], T0) is None


def test_a_silence_may_name_the_target_and_one_without_matchers_covers_nothing() -> None:
    one = incident(signal())
    assert silencing(one, [silence(target="shop/deployment/checkout")], T0) is not None
    assert silencing(one, [silence(kind="Deployment", name="checkout", severity="warning")], T0) is not None
    assert silencing(one, [silence()], T0) is None


def test_of_several_silences_the_longest_is_named() -> None:
    found = silencing(incident(signal()), [silence(end=50, namespace="shop"), silence(end=90, namespace="shop")], T0)
    assert found is not None
    assert found.ends_at == T0 + 90

"""Facts on real object graphs: releases, restarts, roll-backs, roll-outs, what is missing."""

from __future__ import annotations

from dataclasses import replace

from aiops.domain.incident import IncidentState, Transition
from aiops.domain.target import TargetRef
from aiops.remediate.facts import target_facts
from aiops.remediate.objects import ClusterObjects
from aiops.remediate.releases import UNKNOWN_AGE
from tests.unit.remediate.shop import CHECKOUT, START, Shop, make_incident, signal, workload


def test_a_healthy_workload() -> None:
    shop = Shop(workload())
    incident = make_incident(signal("b", symptom="errors"), signal("a"), signal("c", symptom=""))
    facts = shop.facts(incident=incident)
    assert facts == {
        "incident.severity": "critical",
        "incident.labels": {"namespace": "shop"},
        "incident.rules": ["a", "b", "c"],
        "incident.symptoms": ["errors", "latency"],
        "incident.ageSeconds": 60.0,
        "incident.openSeconds": 60.0,
        "incident.signals": 3,
        "incident.tried": [],
        "incident.summaries": ["b is up", "a is up", "c is up"],
        "incident.forecast": False,
        "target.kind": "Deployment",
        "target.namespace": "shop",
        "target.name": "checkout",
        "target.labels": {"app": "checkout", "tier": "web"},
        "target.replicas": 4,
        "target.readyReplicas": 4,
        "target.availableReplicas": 4,
        "target.revision": 1,
        "target.previousRevision": 0,
        "target.revisionAgeSeconds": 60.0,
        "target.rolling": False,
        "target.settledSeconds": 58.0,
        "target.ownedBy": "",
        "target.crashes": [],
        "target.crashCauses": [],
        "target.configChanges": [],
        "target.probeChanged": False,
        "target.exists": True,
        "cluster.unreadyNodes": 0,
    }


def test_every_fact_is_there_with_the_type_of_the_vocabulary_even_when_nothing_is_known() -> None:
    from aiops.definitions.cel import MATCH, compile_expression

    facts = target_facts(CHECKOUT, ClusterObjects(None), make_incident(target=None), START - 100)
    assert set(facts) == set(MATCH)
    kinds = {"string": str, "int": int, "double": float, "bool": bool, "list(string)": list, "map(string,string)": dict}
    assert all(type(facts[name]) is kinds[kind] for name, kind in MATCH.items())
    assert facts["target.revisionAgeSeconds"] == UNKNOWN_AGE
    assert facts["incident.ageSeconds"] == 0.0
    assert compile_expression("!target.exists && target.replicas == 0", "match").evaluate(facts) is True


def test_a_new_release_is_young_and_has_a_predecessor() -> None:
    shop = Shop(workload())
    shop.pass_time(7200)
    shop.release("shop/checkout:2")
    assert (shop.facts()["target.rolling"], shop.facts()["target.settledSeconds"]) == (True, 0.0)
    shop.pass_time(120)
    facts = shop.facts()
    assert 0.0 < facts["target.settledSeconds"] < 120.0
    assert (facts["target.revision"], facts["target.previousRevision"], facts["target.revisionAgeSeconds"]) == (2, 1, 120.0)
    assert facts["target.rolling"] is False


def test_a_restart_begins_no_new_release() -> None:
    shop = Shop(workload())
    shop.pass_time(7200)
    shop.restart()
    shop.pass_time(60)
    facts = shop.facts()
    assert (facts["target.revision"], facts["target.previousRevision"]) == (2, 0)
    assert facts["target.revisionAgeSeconds"] > 7200
    shop.release("shop/checkout:2")
    shop.pass_time(60)
    shop.restart()
    shop.pass_time(60)
    facts = shop.facts()
    assert (facts["target.revision"], facts["target.previousRevision"], facts["target.revisionAgeSeconds"]) == (4, 2, 120.0)


def test_after_a_rollback_the_age_is_that_of_the_return_and_nothing_offers_the_bad_release_again() -> None:
    shop = Shop(workload())
    shop.pass_time(7200)
    shop.release("shop/checkout:2")
    shop.pass_time(600)
    shop.release("shop/checkout:1")
    shop.pass_time(100)
    facts = shop.facts()
    assert (facts["target.revision"], facts["target.previousRevision"]) == (3, 0)
    assert facts["target.revisionAgeSeconds"] <= 700.0
    shop.restart()
    shop.pass_time(100)
    facts = shop.facts()
    assert (facts["target.revision"], facts["target.previousRevision"]) == (4, 0)
    assert facts["target.revisionAgeSeconds"] <= 800.0
    shop.release("shop/checkout:3")
    shop.pass_time(100)
    assert shop.facts()["target.previousRevision"] == 4


def test_scaling_and_crashing_pods_are_no_rollout() -> None:
    shop = Shop(workload())
    shop.patch({"spec": {"replicas": 8}})
    shop.cluster.step()
    assert shop.facts()["target.rolling"] is False
    shop.pass_time(60)
    for pod in shop.pods():
        shop.cluster.fail(pod, "CrashLoopBackOff")
    shop.pass_time(60)
    facts = shop.facts()
    assert (facts["target.rolling"], facts["target.replicas"], facts["target.readyReplicas"]) == (False, 8, 0)


def test_nodes_that_are_not_ready_are_counted() -> None:
    shop = Shop(workload())
    shop.cluster.set_node_ready("node-1", ready=False)
    assert shop.facts()["cluster.unreadyNodes"] == 1


def test_a_stateful_set() -> None:
    shop = Shop(workload("StatefulSet", "db", replicas=3))
    facts = shop.facts(TargetRef("StatefulSet", "shop", "db"))
    assert (facts["target.replicas"], facts["target.readyReplicas"], facts["target.rolling"]) == (3, 3, False)


def test_pods_and_nodes_as_targets() -> None:
    shop = Shop(workload())
    pod = shop.facts(shop.pods()[0])
    assert (pod["target.replicas"], pod["target.readyReplicas"], pod["target.exists"]) == (1, 1, True)
    node = shop.facts(TargetRef("Node", "", "node-0"))
    assert (node["target.replicas"], node["target.exists"], node["target.namespace"]) == (0, True, "")


def test_other_workloads_do_not_leak_in() -> None:
    shop = Shop(workload(), workload(name="cart", replicas=2))
    objects = shop.objects()
    assert len(objects.pods) == 4
    assert len(objects.revisions) == 1


def test_an_incident_that_was_reopened_counts_anew_how_long_it_is_open() -> None:
    turns = ((-600, IncidentState.OPEN, "Opened"), (-300, IncidentState.RESOLVED, "Quiet"), (-20, IncidentState.OPEN, "Reopened"))
    again = replace(make_incident(), opened_at=START - 600, transitions=tuple(Transition(START + at, state, why) for at, state, why in turns))
    facts = target_facts(CHECKOUT, ClusterObjects(None), again, START)
    assert (facts["incident.ageSeconds"], facts["incident.openSeconds"]) == (600.0, 20.0)

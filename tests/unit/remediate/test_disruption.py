"""What is taken away and what is missing already: read from the in-memory cluster's objects, whoever took it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aiops.domain.execution import ExecutionState
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.target import TargetRef
from aiops.remediate.guards.contract import GuardLimits, amount_of
from aiops.remediate.picture import Load
from aiops.remediate.selectors import matches
from tests.unit.remediate.shop import CHECKOUT, Case, Shop, make_plan, run, workload

RESTART = make_plan("restart", runbook="restart-leaking")


def node_plan(name: str = "node-0", action: str = "drain") -> Plan:
    return make_plan(action, target=TargetRef("Node", "", name), runbook="drain-sick-node")


def pod_plan(shop: Shop, index: int = 0) -> Plan:
    return make_plan("restart-pod", target=sorted(shop.pods(), key=str)[index], runbook="restart-stuck-pod")


def shop_of(**counts: int) -> Shop:
    return Shop(*(workload(name=name, replicas=count) for name, count in counts.items()))


def unready(shop: Shop, name: str, count: int) -> None:
    pods = [p for p in shop.cluster.view().objects("Pod", "shop") if p["metadata"]["labels"]["app"] == name]
    for pod in pods[:count]:
        shop.cluster.set_pod_condition(TargetRef("Pod", "shop", pod["metadata"]["name"]), "Ready", "False")


def evict(shop: Shop, name: str, count: int) -> None:
    """By somebody else, through the Eviction API; what takes their place is not ready yet."""
    pods = [p for p in shop.cluster.view().objects("Pod", "shop") if p["metadata"]["labels"]["app"] == name]
    for pod in pods[:count]:
        shop.cluster.writer("someone").evict(TargetRef("Pod", "shop", pod["metadata"]["name"]), uid=pod["metadata"]["uid"])


def drained(shop: Shop, name: str, *, ready: bool = True, cordoned: bool = False) -> None:
    node = shop.cluster.reader.get(TargetRef("Node", "", name))
    status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    shop.cluster.apply({"kind": "Node", "metadata": {"name": name}, "spec": {**node.get("spec", {}), "unschedulable": cordoned}, "status": status})


@pytest.mark.parametrize(
    ("amount", "total", "number"),
    [(3, 10, 3), ("3", 10, 3), ("25%", 4, 1), ("25%", 5, 2), ("0%", 9, 0), ("100%", 9, 9), ("33.3%", 3, 1)],
)
def test_amounts_are_numbers_or_shares_rounded_up(amount: int | str, total: int, number: int) -> None:
    assert amount_of(amount, total) == number


def test_disruption_of_a_load() -> None:
    assert Load(4, 4, 0).disrupted == 0
    assert Load(4, 3, 1).disrupted == 1  # evicted, and what takes its place is on its way: one disruption
    assert Load(4, 4, 2).disrupted == 2
    assert Load(2, 5, 0).disrupted == 0


# --- everybody's disruption


def spent(shop: Shop, plan: Plan = RESTART, **more: Any) -> str | None:
    limits = GuardLimits(disruption_budget=3, disruption_budget_namespace="100%", maximum_cluster_share=1.0, maximum_namespace_share=1.0)
    return Case(shop, plan, limits=limits).refused(**more).get("disruption-budget")


def test_pods_that_somebody_evicted_count_until_others_serve_in_their_place() -> None:
    shop = shop_of(checkout=4, cart=6)
    assert spent(shop) is None
    evict(shop, "cart", 2)
    assert spent(shop) is None
    evict(shop, "cart", 3)
    assert spent(shop) == "DisruptionBudgetSpent"
    shop.pass_time(30)
    assert spent(shop) is None


def test_unready_pods_count_wherever_they_are_save_on_the_target_itself() -> None:
    shop = shop_of(checkout=4, cart=6)
    unready(shop, "cart", 2)
    assert spent(shop) is None
    unready(shop, "cart", 3)
    assert spent(shop) == "DisruptionBudgetSpent"
    broken = shop_of(checkout=4, cart=6)
    unready(broken, "checkout", 4)
    assert spent(broken) is None  # who repairs what is down is not held up by its being down


def test_a_rollout_of_somebody_else_counts() -> None:
    shop = Shop(workload(), workload(name="cart", replicas=6, strategy={"rollingUpdate": {"maxUnavailable": 3, "maxSurge": 0}}))
    cart = TargetRef("Deployment", "shop", "cart")
    shop.patch([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "cart:2"}], ref=cart)
    shop.cluster.step()
    assert spent(shop) == "DisruptionBudgetSpent"
    shop.pass_time(60)
    assert spent(shop) is None


def test_pods_on_nodes_that_are_not_ready_count_before_they_say_so_themselves() -> None:
    shop = shop_of(checkout=4, cart=12)
    assert spent(shop) is None
    drained(shop, "node-1", ready=False)
    assert all(p["status"]["conditions"] for p in shop.cluster.view().objects("Pod", "shop"))
    assert spent(shop) == "DisruptionBudgetSpent"


def test_the_budget_of_a_namespace_is_its_own() -> None:
    shop = shop_of(checkout=4, cart=6)
    bank = workload(name="ledger", replicas=6)
    bank["metadata"]["namespace"] = "bank"
    shop.cluster.apply(bank)
    shop.pass_time(30)
    limits = GuardLimits(disruption_budget="100%", disruption_budget_namespace=2)
    evict(shop, "cart", 2)
    assert Case(shop, RESTART, limits=limits).refused() == {"disruption-budget": "DisruptionBudgetSpent"}
    elsewhere = make_plan("restart", target=TargetRef("Deployment", "bank", "ledger"))
    assert Case(shop, elsewhere, limits=limits).refused() == {}


def test_what_another_run_of_ours_is_about_to_take_counts_before_the_api_shows_it() -> None:
    shop = shop_of(checkout=4, cart=12)
    cart = make_plan("restart", target=TargetRef("Deployment", "shop", "cart"), runbook="other")
    other = run(plan=cart, state=ExecutionState.RUNNING)
    assert spent(shop, active=[other]) == "DisruptionBudgetSpent"
    assert spent(shop, active=[replace(other, state=ExecutionState.AWAITING_APPROVAL)]) is None
    assert spent(shop, active=[replace(other, simulated=True)]) is None


def test_what_takes_nothing_away_is_not_asked() -> None:
    shop = shop_of(checkout=4, cart=6)
    unready(shop, "cart", 6)
    for plan in (make_plan(), make_plan("redis-flush", {"cache": "c", "pattern": "x"})):
        assert Case(shop, plan).refused() == {}


@pytest.mark.parametrize("kind", ["Pod", "Node", "Deployment", "PodDisruptionBudget"])
def test_a_kind_that_cannot_be_read_makes_counting_worthless(kind: str) -> None:
    shop = shop_of(checkout=4)
    seen = replace(Case(shop).given().cluster, errors={kind: "Forbidden"})  # type: ignore[type-var]
    assert Case(shop, RESTART).refused(cluster=seen) == {"cluster-view": "ClusterPartial"}
    assert Case(shop, RESTART).refused(pictures={}).keys() >= {"blast-radius", "namespace-share", "cluster-share", "disruption-budget", "minimum-healthy"}


# --- the plan's own shares


def test_shares_of_namespace_and_cluster() -> None:
    shop = shop_of(checkout=8, cart=2)
    wide = make_plan("scale", {"by": "-4"})
    roomy = GuardLimits(disruption_budget="100%", disruption_budget_namespace="100%", maximum_cluster_share=1.0)
    assert Case(shop, wide, limits=replace(roomy, maximum_namespace_share=0.4)).refused() == {}
    assert Case(shop, wide, limits=replace(roomy, maximum_namespace_share=0.3)).refused() == {"namespace-share": "TooLargeShare"}
    assert Case(shop, wide, limits=replace(roomy, maximum_cluster_share=0.3)).refused() == {"cluster-share": "TooLargeShare"}


def test_one_pod_may_always_go_or_a_small_cluster_could_never_be_helped() -> None:
    shop = shop_of(checkout=2)
    one = make_plan("scale", {"by": "-1"})
    assert Case(shop, one, limits=GuardLimits(maximum_cluster_share=0.01, maximum_namespace_share=0.01)).refused() == {}


# --- what stays


def test_so_much_of_a_workload_stays() -> None:
    shop = Shop(workload(strategy={"rollingUpdate": {"maxUnavailable": 2, "maxSurge": 0}}))
    limits = GuardLimits(maximum_cluster_share=1.0, disruption_budget="100%")
    assert Case(shop, RESTART, limits=limits).refused() == {}
    for amount in (3, "75%"):
        assert Case(shop, RESTART, limits=replace(limits, minimum_healthy=amount)).refused() == {"minimum-healthy": "TooFewHealthy"}


def test_an_eviction_takes_from_what_serves_now() -> None:
    shop = shop_of(checkout=4)
    plan = pod_plan(shop, 3)
    limits = GuardLimits(minimum_healthy=2)
    assert Case(shop, plan, limits=limits).refused() == {}
    for ref in sorted(shop.pods(), key=str)[:2]:
        shop.cluster.set_pod_condition(ref, "Ready", "False")
    assert Case(shop, plan, limits=limits).refused() == {"minimum-healthy": "TooFewHealthy"}


def test_a_pod_that_does_not_serve_may_go_though_it_is_the_only_one() -> None:
    shop = shop_of(checkout=1)
    assert set(Case(shop, pod_plan(shop)).refused()) == {"blast-radius", "minimum-healthy"}
    unready(shop, "checkout", 1)
    assert Case(shop, pod_plan(shop)).refused() == {}


# --- nodes


def test_nodes_at_once_and_nodes_that_stay() -> None:
    shop = shop_of(checkout=1)
    sick = node_plan(action="cordon")
    limits = GuardLimits(maximum_pods=99, maximum_share=1.0, minimum_healthy=0)
    assert Case(shop, sick, limits=limits).refused() == {}
    drained(shop, "node-1", cordoned=True)
    assert Case(shop, sick, limits=limits).refused() == {"blast-radius": "TooManyNodes", "minimum-healthy": "TooFewNodes"}
    assert Case(shop, sick, limits=replace(limits, maximum_nodes=2)).refused() == {"minimum-healthy": "TooFewNodes"}
    assert Case(shop, sick, limits=replace(limits, maximum_nodes=2, minimum_healthy_nodes=1)).refused() == {}


def test_two_nodes_of_one_plan_count_both() -> None:
    shop = shop_of(checkout=1)
    both = replace(node_plan(), steps=(PlannedStep("a", "cordon", {}), PlannedStep("b", "cordon", {}, target=TargetRef("Node", "", "node-1"))))
    limits = GuardLimits(maximum_pods=99, maximum_share=1.0, minimum_healthy=0)
    assert Case(shop, both, limits=limits).refused() == {"blast-radius": "TooManyNodes", "minimum-healthy": "TooFewNodes"}


def test_a_node_stands_in_the_namespaces_of_its_pods_and_under_their_switches() -> None:
    shop = shop_of(checkout=6)
    roomy = GuardLimits(maximum_share=1.0)
    assert Case(shop, node_plan(), limits=roomy).refused() == {}
    assert Case(shop, node_plan(), limits=replace(roomy, protected_namespaces=("sh*",))).refused() == {"protected-namespace": "ProtectedNamespace"}
    shop.patch({"metadata": {"labels": {"aiops/automation": "disabled"}}})
    assert Case(shop, node_plan(), limits=roomy).refused() == {"opt-out": "OptedOut"}
    assert "deployment checkout of shop/pod/" in Case(shop, node_plan(), limits=roomy).verdicts()["opt-out"].detail
    assert Case(shop, node_plan()).refused(pictures={}).keys() >= {"protected-namespace", "opt-out"}


def test_a_pod_stands_under_the_switch_of_what_controls_it() -> None:
    shop = shop_of(checkout=4)
    assert Case(shop, pod_plan(shop)).refused() == {}
    shop.patch({"metadata": {"labels": {"aiops/automation": "disabled"}}})
    assert Case(shop, pod_plan(shop)).refused() == {"opt-out": "OptedOut"}
    assert Case(shop, pod_plan(shop)).refused(pictures={})["opt-out"] == "GuardUnavailable"


# --- every target of a plan


def test_every_target_of_a_plan_is_judged() -> None:
    shop = shop_of(checkout=4)
    bank = workload(name="ledger", replicas=4)
    bank["metadata"] |= {"namespace": "bank", "labels": {"aiops/automation": "disabled"}}
    shop.cluster.apply(bank)
    shop.pass_time(30)
    ledger = TargetRef("Deployment", "bank", "ledger")
    both = replace(RESTART, steps=(*RESTART.steps, PlannedStep("then", "restart", {}, target=ledger)))
    case = Case(shop, both, limits=GuardLimits(protected_namespaces=("bank",), disruption_budget_namespace="100%"))
    assert case.refused() == {"protected-namespace": "ProtectedNamespace", "opt-out": "OptedOut"}
    busy = run(plan=make_plan(target=ledger), state=ExecutionState.VERIFYING)
    assert case.refused(active=[busy])["one-at-a-time"] == "TargetBusy"
    assert case.refused(others={}).keys() >= {"opt-out", "target-present", "ownership", "rollout", "blast-radius"}
    shop.cluster.remove(ledger)
    shop.pass_time(30)
    assert case.refused()["target-present"] == "TargetVanished"
    told = replace(RESTART, steps=(*RESTART.steps, PlannedStep("then", "notify", {"message": "x"}, target=ledger)))
    assert Case(shop, told).refused() == {}


# --- disruption budgets of the API


def budget(name: str = "pdb", app: str = "checkout", **spec: Any) -> dict[str, Any]:
    return {
        "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": app}}, **spec},
    }  # fmt: skip


def test_an_eviction_asks_the_disruption_budgets() -> None:
    shop = Shop(workload(), budget(maxUnavailable=1))
    plan = pod_plan(shop, 3)
    assert Case(shop, plan).refused() == {}
    assert Case(shop, RESTART).refused() == {}
    shop.cluster.set_pod_condition(min(shop.pods(), key=str), "Ready", "False")
    shop.cluster.step()
    assert Case(shop, plan).refused() == {"minimum-healthy": "BudgetForbids"}
    assert Case(shop, RESTART).refused() == {}


def test_two_budgets_over_one_pod_and_one_that_is_not_counted_yet() -> None:
    shop = Shop(workload(), budget(maxUnavailable=1), budget("more", maxUnavailable=1))
    assert Case(shop, pod_plan(shop)).refused() == {"minimum-healthy": "SeveralBudgets"}
    one = Shop(workload(), budget(maxUnavailable=1))
    picture = one.picture()
    stale = {"shop": tuple({**b, "status": {**b["status"], "observedGeneration": 0}} for b in picture.budgets["shop"])}
    bare = {"shop": tuple({**b, "status": {}} for b in picture.budgets["shop"])}
    for budgets in (stale, bare):
        assert Case(one, pod_plan(one)).refused(pictures={"default": replace(picture, budgets=budgets)}) == {"minimum-healthy": "BudgetForbids"}


@pytest.mark.parametrize(("policy", "refused"), [("AlwaysAllow", {}), ("IfHealthyBudget", {"minimum-healthy": "BudgetForbids"})])
def test_a_sick_pod_under_a_budget_that_is_not_met(policy: str, refused: dict[str, str]) -> None:
    shop = Shop(workload(replicas=2), budget(minAvailable=2, unhealthyPodEvictionPolicy=policy))
    shop.cluster.set_pod_condition(min(shop.pods(), key=str), "Ready", "False")
    shop.cluster.step()
    assert Case(shop, pod_plan(shop)).refused() == refused


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        (None, False), ({}, True), ({"matchLabels": {"a": "1"}}, True), ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
    ],
)  # fmt: skip
def test_selectors(selector: dict[str, Any] | None, fits: bool) -> None:
    assert matches(selector, {"a": "1"}) is fits


def test_a_selector_that_cannot_be_read_refuses() -> None:
    shop = shop_of(checkout=4)
    picture = shop.picture()
    odd = budget() | {"spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}}
    assert Case(shop, pod_plan(shop)).refused(pictures={"default": replace(picture, budgets={"shop": (odd,)})}) == {"minimum-healthy": "GuardUnavailable"}
    assert CHECKOUT in picture.loads

"""What went wrong in the field with automation of this kind, each as a test of the guard that stands against it here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aiops.domain.execution import ExecutionState, StepRun, StepState
from aiops.domain.outcome import Outcome
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.target import TargetRef
from aiops.ports.cluster import Sight
from aiops.remediate.guards.contract import GuardLimits
from aiops.settings import GuardSettings
from tests.scenarios.stage import Stage
from tests.unit.remediate.shop import CHECKOUT, Case, Seen, Shop, make_plan, run, workload
from tests.unit.remediate.test_ownership import hpa

RESTART = make_plan("restart", runbook="restart-leaking")


def node(name: str) -> TargetRef:
    return TargetRef("Node", "", name)


def cordon(*names: str, action: str = "cordon") -> Plan:
    steps = tuple(PlannedStep(f"s{n}", action, {}, target=node(name)) for n, name in enumerate(names))
    return replace(make_plan(action, target=node(names[0]), runbook="drain-sick-node"), steps=steps)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(workload())


@pytest.mark.parametrize("state", ["failing", "dark", "stale", "partial", "unknown"])
@pytest.mark.parametrize("plan", [make_plan(), make_plan(arguments={"by": "-1"}), RESTART], ids=["grow", "shrink", "restart"])
def test_a_source_that_does_not_answer_whole_blocks_and_its_silence_is_no_good_news(shop: Shop, state: str, plan: Plan) -> None:
    refused = Case(shop, plan).refused(sights={"prometheus": Seen(state, shop.now)})
    assert refused == {"loss-of-sight": f"Source{state.capitalize()}"}


def test_at_the_start_nothing_is_known_and_unknown_is_not_healthy(shop: Shop) -> None:
    assert Case(shop).refused(sights={}) == {"loss-of-sight": "GuardUnavailable"}
    assert Case(shop).refused(cluster=Sight(False, 0.0, {})) == {"cluster-view": "ClusterNotSynced"}
    assert Case(shop).refused(cluster=None) == {"cluster-view": "GuardUnavailable"}


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.ERROR])
def test_an_attempt_whose_outcome_is_not_known_backs_off_like_a_failure(shop: Shop, outcome: Outcome) -> None:
    tries = [run(n, plan=RESTART, at=shop.now - 400 - n, outcome=outcome) for n in range(2)]
    assert Case(shop, RESTART).refused(executions=tries[:1]) == {}
    assert Case(shop, RESTART).refused(executions=tries) == {"cooldown": "Cooldown"}
    three = [run(n, plan=RESTART, at=shop.now - 2500 - n, outcome=outcome) for n in range(3)]
    assert Case(shop, RESTART).refused(executions=three) == {"circuit-breaker": "CircuitOpen"}


def test_a_remedy_that_brings_back_what_it_cures_is_stopped_though_each_time_it_is_another_incident_and_runbook(shop: Shop) -> None:
    done = [run(n, plan=make_plan("restart", runbook=f"r{n}", incident=f"inc-{n}"), at=shop.now - 500 * n) for n in range(1, 6)]
    assert Case(shop, make_plan("restart", runbook="r9", incident="inc-9")).refused(executions=done).get("loop") == "Loop"
    elsewhere = Shop(workload(), workload(name="cart"))
    assert Case(elsewhere, make_plan("restart", target=replace(CHECKOUT, name="cart"))).refused(executions=done).get("loop") is None


def test_not_all_nodes_are_cordoned_by_one_plan_or_one_after_the_other() -> None:
    shop = Shop(workload(replicas=1))
    roomy = GuardLimits(maximum_pods=99, maximum_share=1.0)
    everything = Case(shop, cordon("node-0", "node-1", "node-2"), limits=roomy).refused()
    assert everything == {"blast-radius": "TooManyNodes", "minimum-healthy": "TooFewNodes"}
    assert Case(shop, cordon("node-0"), limits=roomy).refused() == {}
    shop.patch({"spec": {"unschedulable": True}}, manager="aiops", ref=node("node-0"))
    assert Case(shop, cordon("node-1"), limits=roomy).refused() == {"blast-radius": "TooManyNodes", "minimum-healthy": "TooFewNodes"}


@pytest.mark.parametrize("action", ["cordon", "drain"])
def test_a_person_who_uncordons_a_node_is_not_overruled(action: str) -> None:
    shop = Shop(workload(replicas=1))
    step = StepRun("s0", StepState.DONE, effect=True, pre_state={"unschedulable": False}, leaves={"unschedulable": True})
    ours = run(plan=cordon("node-0", action=action), at=shop.now - 900, step=step)
    case = Case(shop, cordon("node-0"), limits=GuardLimits(maximum_pods=99, maximum_share=1.0))
    shop.patch({"spec": {"unschedulable": True}}, manager="aiops", ref=node("node-0"))
    assert "reversal" not in case.refused(executions=[ours])
    shop.patch({"spec": {"unschedulable": False}}, manager="kubectl-uncordon", ref=node("node-0"))
    assert case.refused(executions=[ours]) == {"reversal": "ReversedByPerson"}
    other = Case(shop, cordon("node-1"), limits=case.limits)
    assert "reversal" not in other.refused(executions=[ours])


def test_no_fight_over_the_replica_count_with_who_owns_it() -> None:
    assert Case(Shop(workload(), hpa())).refused() in ({"ownership": "OwnedByAutoscaler"}, {})  # its bounds may be the lever
    owned = workload()
    owned["metadata"]["labels"]["scaledobject.keda.sh/name"] = "checkout"
    assert Case(Shop(owned)).refused() == {"ownership": "OwnedByKeda"}


def test_the_lock_lasts_as_long_as_the_run_also_while_it_backs_off_or_is_verified(shop: Shop) -> None:
    for state in ExecutionState:
        busy = run(at=shop.now - 7200, state=state)
        assert ("one-at-a-time" in Case(shop).refused(active=[busy])) is (state is not ExecutionState.DONE), state


def test_every_refusal_says_which_guard_why_and_what_it_saw(shop: Shop) -> None:
    limits = GuardLimits(protected_namespaces=("shop",), opt_in=True, minimum_healthy="100%", disruption_budget=0, maximum_pods=0)
    refused = [v for v in Case(shop, RESTART, limits=limits).verdicts(paused=True, paused_by="paused by ann: migration").values() if v.refuses]
    assert {v.guard for v in refused} >= {"paused", "protected-namespace", "opt-out", "minimum-healthy", "disruption-budget", "blast-radius"}
    assert all(v.reason.isalpha() and v.reason[0].isupper() and v.detail for v in refused), refused
    assert next(v for v in refused if v.guard == "paused").detail == "paused by ann: migration"


def test_limits_do_not_vanish_at_a_restart(tmp_path: Path) -> None:
    stage = Stage(tmp_path, settings={"guards": GuardSettings(maximum_per_hour=1)}).run(60)
    stage.load["checkout"] = 95.0
    stage.until("verifying")
    stage.load["checkout"] = 40.0
    stage.until("done")
    stage.restart()
    stage.load["search"] = 95.0
    stage.run(120)
    assert {w.ref.name for w in stage.writes()} == {"checkout"}, stage.told()
    assert "TooManyAnHour" in stage.reasons()

"""Each guard: what it refuses and why, what it lets pass, and that missing information refuses. On the in-memory cluster's real objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aiops.domain.execution import ExecutionState, StepRun, StepState
from aiops.domain.incident import IncidentState, Silence
from aiops.domain.outcome import GuardMode, Outcome, Result
from aiops.domain.plan import PlannedUndo
from aiops.domain.runbook import GuardSpec, UndoMode
from aiops.domain.signal import SignalKind
from aiops.domain.target import TargetRef
from aiops.ports.cluster import Sight
from aiops.remediate import guardrails
from aiops.remediate.guards.contract import GuardLimits
from aiops.remediate.guards.reversal import template_digest
from tests.unit.remediate.shop import CHECKOUT, RESTARTED_AT, START, Case, Seen, Shop, make_incident, make_plan, run, signal, workload
from tests.unit.remediate.test_ownership import hpa

TELL = make_plan("notify", {"message": "look"}, runbook="page-a-person", verify=False)
RESTART = make_plan("restart", runbook="restart-leaking")
ROLLBACK = make_plan("rollback", runbook="rollback-release")
HISTORY = {"cooldown", "rate", "target-rate", "runbook-rate", "cluster-rate", "loop", "circuit-breaker"}
FLUSH = make_plan("redis-flush", {"cache": "c", "pattern": "x*"}, runbook="flush")


@pytest.fixture
def shop() -> Shop:
    return Shop(workload())


@pytest.fixture
def case(shop: Shop) -> Case:
    return Case(shop)


@pytest.mark.parametrize("plan", [make_plan(), RESTART, ROLLBACK, FLUSH, TELL], ids=lambda p: p.runbook)
def test_in_order_everything_is_allowed(shop: Shop, plan: Any) -> None:
    case = Case(shop, plan)
    assert case.refused() == {}
    assert list(case.verdicts()) == list(guardrails.GUARDS)


# --- standing


def test_paused_stops_acting_and_not_telling(case: Case) -> None:
    assert case.refused(paused=True) == {"paused": "Paused"}
    case.plan = TELL
    assert case.refused(paused=True) == {}


def test_silences(case: Case) -> None:
    now = case.shop.now
    hit = Silence("s", {"namespace": "shop"}, now - 1, now + 1, "ann")
    assert case.refused(silences=[hit]) == {"silenced": "Silenced"}
    misses = [replace(hit, ends_at=now), replace(hit, starts_at=now + 0.5), replace(hit, matchers={"namespace": "other"})]
    assert case.refused(silences=misses) == {}
    assert case.refused(incident=make_incident(silenced_by="s")) == {"silenced": "Silenced"}
    assert case.refused(incident=make_incident(inhibited_by="inc-2")) == {"silenced": "Inhibited"}
    assert case.refused(incident=make_incident(state=IncidentState.RESOLVED)) == {"silenced": "IncidentResolved"}
    case.plan = TELL
    assert case.refused(silences=[hit]) == {"silenced": "Silenced"}


def test_protected_namespaces_even_if_a_runbook_switches_the_guard_off(case: Case) -> None:
    case.limits = GuardLimits(protected_namespaces=("kube-*", "shop"), may_loosen=frozenset(guardrails.GUARDS))
    case.guards = GuardSpec(modes=dict.fromkeys(guardrails.GUARDS, GuardMode.OFF))
    assert case.refused() == {"protected-namespace": "ProtectedNamespace"}
    assert set(case.verdicts()) == guardrails.FIXED


@pytest.mark.parametrize("action", ["scale", "notify"])
def test_what_takes_a_step_back_is_judged_like_a_step(case: Case, action: str) -> None:
    elsewhere = TargetRef("Deployment", "kube-system", "dns")
    plan = make_plan()
    undo = PlannedUndo(UndoMode.OWN, action, {"to": 1}, target=elsewhere)
    case.plan = replace(plan, steps=(replace(plan.steps[0], undo=undo),))
    assert case.verdicts()["protected-namespace"].allowed == (action == "notify")


@pytest.mark.parametrize(
    ("on_namespace", "on_object", "opt_in", "reason"),
    [
        (None, None, False, None),
        (None, None, True, "NotOptedIn"),
        ("enabled", None, True, None),
        ("disabled", None, False, "OptedOut"),
        ("disabled", "enabled", False, None),
        ("disabled", "enabled", True, None),
        ("enabled", "disabled", False, "OptedOut"),
        (None, "perhaps", False, "OptOutUnclear"),
    ],
)
def test_the_switch_on_the_object_goes_before_that_of_the_namespace(
    on_namespace: str | None, on_object: str | None, opt_in: bool, reason: str | None
) -> None:
    obj = workload()
    if on_object:
        obj["metadata"]["labels"]["aiops/automation"] = on_object
    labels = {"aiops/automation": on_namespace} if on_namespace else {}
    case = Case(Shop({"kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}, obj), limits=GuardLimits(opt_in=opt_in))
    assert case.refused() == ({"opt-out": reason} if reason else {})


def test_an_annotation_is_a_switch_too_and_the_stricter_one_counts() -> None:
    obj = workload()
    obj["metadata"]["labels"]["aiops/automation"] = "enabled"
    obj["metadata"]["annotations"] = {"aiops/automation": "disabled"}
    assert Case(Shop(obj)).refused() == {"opt-out": "OptedOut"}


def test_a_namespace_that_cannot_be_seen_refuses(case: Case) -> None:
    objects = replace(case.shop.objects(), namespace=None)
    assert case.refused(objects=objects) == {"opt-out": "GuardUnavailable"}


def test_a_target_that_vanished_or_is_on_its_way_out(case: Case) -> None:
    gone = Case(case.shop, make_plan(target=TargetRef("Deployment", "shop", "cart")))
    assert gone.refused()["target-present"] == "TargetVanished"
    objects = case.shop.objects()
    assert objects.target is not None
    dying = {**objects.target, "metadata": {**objects.target["metadata"], "deletionTimestamp": "2027-01-01T00:00:00Z"}}
    assert case.refused(objects=replace(objects, target=dying)) == {"target-present": "TargetTerminating"}


# --- sight


@pytest.mark.parametrize("state", ["dark", "stale", "partial", "failing", "unknown"])
def test_a_source_that_is_not_well_seen(case: Case, state: str) -> None:
    sights = {"prometheus": Seen(state, case.shop.now), "elasticsearch": Seen("dark", None)}
    assert case.refused(sights=sights) == {"loss-of-sight": f"Source{state.capitalize()}"}
    case.plan = TELL
    assert case.refused(sights=sights) == {}


def test_sources_that_the_runbook_names_are_needed_too(case: Case) -> None:
    seen = {"prometheus": Seen("ok", case.shop.now), "elasticsearch": Seen("dark", None, "refused")}
    assert case.refused(sights=seen) == {}
    assert case.refused(sights=seen, needs_sight=("elasticsearch",)) == {"loss-of-sight": "SourceDark"}
    assert case.refused(sights=seen, needs_sight=("loki",)) == {"loss-of-sight": "GuardUnavailable"}
    assert case.refused(sights={"prometheus": Seen("ok", case.shop.now - 301)}) == {"loss-of-sight": "SourceStale"}
    assert case.refused(sights={"prometheus": Seen("ok", None)}) == {"loss-of-sight": "SourceStale"}


def test_a_target_that_went_dark_itself(case: Case) -> None:
    blind = make_incident(signal("absent", kind=SignalKind.SIGHT, symptom="dark"))
    assert case.refused(incidents=[blind]) == {"loss-of-sight": "TargetDark"}
    assert case.refused(incident=blind) == {"loss-of-sight": "TargetDark"}
    cart = TargetRef("Deployment", "shop", "cart")
    assert case.refused(incidents=[make_incident(signal("absent", kind=SignalKind.SIGHT, target=cart), target=cart)]) == {}


def test_the_view_of_the_cluster(case: Case) -> None:
    now = case.shop.now
    assert case.refused(cluster=Sight(False, now, {})) == {"cluster-view": "ClusterNotSynced"}
    assert case.refused(cluster=Sight(True, now - 601, {})) == {"cluster-view": "ClusterStale"}
    assert case.refused(cluster=Sight(True, now, {"Event": "Forbidden"})) == {}
    hidden = Sight(True, now, {"HorizontalPodAutoscaler": "Forbidden"})
    assert case.refused(cluster=hidden) == {"cluster-view": "ClusterPartial"}
    case.plan = RESTART
    assert case.refused(cluster=hidden) == {}


# --- history


@pytest.mark.parametrize("state", [s for s in ExecutionState if s is not ExecutionState.DONE])
def test_one_run_for_a_target_at_a_time(case: Case, state: ExecutionState) -> None:
    other = run(state=state, plan=make_plan("restart", runbook="restart"), at=START - 9000)
    assert case.refused(active=[other]) == {"one-at-a-time": "TargetBusy"}
    assert case.refused(active=[replace(other, simulated=True)]) == {}
    assert case.refused(active=[replace(other, simulated=True)], simulated=True) == {"one-at-a-time": "TargetBusy"}
    assert case.refused(active=[other], execution=other.id) == {}
    elsewhere = run(state=state, plan=make_plan(target=replace(CHECKOUT, context="west")))
    assert case.refused(active=[elsewhere]) == {}


def test_cooldown_of_the_runbook_and_of_the_target(case: Case) -> None:
    now = case.shop.now
    same, other = run(at=now - 299), run(plan=make_plan(runbook="other"), at=now - 59)
    assert case.refused(executions=[same]) == {"cooldown": "Cooldown"}
    assert case.refused(executions=[replace(same, updated_at=now - 301)]) == {}
    assert case.refused(executions=[other]) == {"cooldown": "Cooldown"}
    assert case.refused(executions=[replace(other, updated_at=now - 61)]) == {}
    assert case.refused(executions=[replace(same, simulated=True)]) == {}
    assert case.refused(executions=[replace(same, simulated=True)], simulated=True) == {"cooldown": "Cooldown"}
    assert case.refused(executions=[replace(same, updated_at=now + 50)]) == {"cooldown": "Cooldown"}


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.ERROR])
def test_cooldown_doubles_with_failures_in_a_row_and_inconclusive_is_one(case: Case, outcome: Outcome) -> None:
    now = case.shop.now
    failed = [run(n, at=now - 400 - n * 1000, outcome=outcome) for n in (1, 0)]
    assert case.refused(executions=failed[:1]) == {}
    assert case.refused(executions=failed) == {"cooldown": "Cooldown"}
    better = run(5, at=now - 700, outcome=Outcome.SUCCEEDED)
    assert case.refused(executions=[*failed, better]) == {}


def test_attempts_for_an_incident(case: Case) -> None:
    old = START - 100_000
    case.limits = GuardLimits(maximum_per_incident=3)
    case.guards = GuardSpec(maximum_per_incident=2)
    mine = [run(n, at=old) for n in range(2)]
    others = [run(n, at=old, plan=make_plan("restart", runbook="other")) for n in range(3)]
    assert case.refused(of_incident=mine[:1]) == {}
    assert case.refused(of_incident=mine) == {"attempts": "TooManyAttempts"}
    assert case.refused(of_incident=others) == {"attempts": "TooManyAttempts"}
    assert case.refused(of_incident=others[:2]) == {}
    told = [run(n, at=old, plan=TELL) for n in range(9)]
    assert case.refused(of_incident=told) == {}


def test_a_run_that_found_nothing_to_do_was_no_attempt(case: Case) -> None:
    idle = [run(n, outcome=Outcome.SKIPPED, at=START - 5000) for n in range(9)]
    assert "attempts" not in case.refused(of_incident=idle)


@pytest.mark.parametrize("reason", ["LossOfSight", "ClusterPartial", "SourceDark"])
def test_a_run_that_lost_sight_before_it_did_anything_is_no_failure(case: Case, reason: str) -> None:
    now = case.shop.now
    case.limits = GuardLimits(maximum_per_incident=3)
    blind = [replace(run(n, at=now - 61 - n, step=StepRun("do", StepState.DONE)), result=Result(Outcome.ERROR, reason)) for n in range(3)]
    assert case.refused(executions=blind, of_incident=blind) == {}
    assert case.refused(executions=[replace(blind[0], updated_at=now - 59)]) == {"cooldown": "Cooldown"}
    begun = [replace(one, steps=(replace(one.steps[0], attempt=1),)) for one in blind]
    assert case.refused(executions=begun, of_incident=begun) == {"cooldown": "Cooldown", "attempts": "TooManyAttempts", "circuit-breaker": "CircuitOpen"}


def test_rate_an_hour(case: Case) -> None:
    now = case.shop.now
    case.limits = GuardLimits(maximum_per_hour=3)
    elsewhere = [run(n, at=now - 3000, plan=make_plan(target=replace(CHECKOUT, name=f"x{n}"), runbook=f"r{n}")) for n in range(3)]
    assert case.refused(executions=elsewhere) == {"rate": "TooManyAnHour"}
    assert case.refused(executions=elsewhere[:2]) == {}
    assert case.refused(executions=[replace(e, created_at=now - 3601) for e in elsewhere]) == {}
    case.limits, case.guards = GuardLimits(), GuardSpec(maximum_per_hour=1)
    assert case.refused(executions=elsewhere) == {}
    assert case.refused(executions=[run(at=now - 3000, plan=make_plan(target=replace(CHECKOUT, name="y")))]) == {"rate": "TooManyAnHour"}


def test_circuit_breaker(case: Case) -> None:
    now = case.shop.now
    case.plan = make_plan(cooldown=1.0)
    case.limits = GuardLimits(target_cooldown=1.0)
    failed = [run(n, at=now - 1000 - n, outcome=Outcome.FAILED) for n in range(3)]
    assert case.refused(executions=failed[:2]) == {}
    assert case.refused(executions=failed) == {"circuit-breaker": "CircuitOpen"}
    assert case.refused(executions=[*failed, run(9, at=now - 999, outcome=Outcome.SKIPPED)]) == {"circuit-breaker": "CircuitOpen"}
    assert case.refused(executions=[*failed, run(9, at=now - 999, outcome=Outcome.SUCCEEDED)]) == {}
    assert case.refused(executions=[replace(e, updated_at=now - 3700) for e in failed]) == {}
    others = [replace(e, plan=make_plan(runbook="other")) for e in failed]
    assert case.refused(executions=others) == {}


def test_a_history_that_is_too_short_refuses(case: Case) -> None:
    case.plan = RESTART
    for since in (None, case.shop.now - 60):
        assert case.refused(history_since=since) == dict.fromkeys(HISTORY, "GuardUnavailable")


# --- the workload


@pytest.mark.parametrize(
    ("arguments", "guards", "reason"),
    [
        ({"to": 50}, GuardSpec(), None),
        ({"to": 51}, GuardSpec(), "AboveMaximum"),
        ({"by": "+50%"}, GuardSpec(maximum_replicas=5), "AboveMaximum"),
        ({"by": "+50%", "maximum": 5}, GuardSpec(maximum_replicas=5), None),
        ({"to": 0}, GuardSpec(maximum_share=1.0), "BelowMinimum"),
        ({"to": 2}, GuardSpec(minimum_replicas=3), "BelowMinimum"),
        ({"to": 5}, GuardSpec(minimum_replicas=10), None),
        ({"to": 3}, GuardSpec(maximum_replicas=2), None),
        ({"by": "twice"}, GuardSpec(), "GuardUnavailable"),
    ],
)
def test_bounds_of_the_replica_count(case: Case, arguments: dict[str, Any], guards: GuardSpec, reason: str | None) -> None:
    case.plan, case.guards = make_plan(arguments=arguments), guards
    assert case.refused().get("replicas") == reason


@pytest.mark.parametrize(
    ("spec", "plan", "words"),
    [
        ({}, make_plan(), "no pod is taken away"),
        ({}, make_plan(arguments={"by": "-3"}), "3 of 4 pods"),
        ({}, RESTART, "1 of 4 pods"),
        ({"strategy": {"rollingUpdate": {"maxUnavailable": 2, "maxSurge": 0}}}, RESTART, "2 of 4 pods"),
        ({"strategy": {"rollingUpdate": {"maxUnavailable": "50%"}}}, ROLLBACK, "2 of 4 pods"),
        ({"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}, RESTART, "no pod that serves is taken away"),
        ({"strategy": {"type": "Recreate"}}, RESTART, "4 of 4 pods"),
        ({}, make_plan("something-new"), "4 of 4 pods"),
        ({}, FLUSH, "no pod is taken away"),
    ],
)
def test_pods_that_are_taken_away(spec: dict[str, Any], plan: Any, words: str) -> None:
    case = Case(Shop(workload(**spec)), plan, limits=GuardLimits(maximum_share=0.3))
    verdict = case.verdicts()["blast-radius"]
    assert verdict.detail == words + ("" if verdict.allowed else ", at most 30% are allowed")
    taken = int(words.split(maxsplit=1)[0]) if words[0].isdigit() else 0
    assert verdict.allowed is (taken / 4 <= 0.3)
    case.limits, case.guards = GuardLimits(maximum_pods=0, maximum_share=1.0), GuardSpec()
    assert case.refused().get("blast-radius") == ("TooManyPods" if taken else None)
    case.guards = GuardSpec(maximum_pods=9, maximum_share=1.0)
    assert case.refused().get("blast-radius") == ("TooManyPods" if taken else None)
    case.limits = GuardLimits(maximum_pods=0, maximum_share=0.1, may_loosen=frozenset({"blast-radius"}))
    assert "blast-radius" not in case.refused()


def test_a_stateful_set_loses_one_pod_at_a_time() -> None:
    db = TargetRef("StatefulSet", "shop", "db")
    case = Case(Shop(workload("StatefulSet", "db", replicas=3)), make_plan("restart", target=db))
    assert case.verdicts()["blast-radius"].detail == "1 of 3 pods"
    assert case.refused() == {}


def test_a_rollout_under_way(case: Case) -> None:
    case.shop.release("shop/checkout:2")
    for plan in (make_plan(), RESTART, ROLLBACK):
        case.plan = plan
        assert case.refused() == {"rollout": "RolloutUnderWay"}
    case.plan = FLUSH
    assert case.refused() == {}


def test_a_stuck_rollout_may_be_rolled_back_and_nothing_else(case: Case) -> None:
    old = set(case.shop.pods())
    case.shop.release("shop/checkout:2")
    for pod in set(case.shop.pods()) - old:
        case.shop.cluster.fail(pod, "CrashLoopBackOff")
    case.plan = ROLLBACK
    assert case.refused() == {"rollout": "RolloutUnderWay"}
    case.shop.pass_time(90)
    assert case.shop.facts()["target.rolling"] is True
    assert case.refused() == {}
    assert "stuck" in case.verdicts()["rollout"].detail
    for plan in (make_plan(), RESTART):
        case.plan = plan
        assert case.refused() == {"rollout": "RolloutUnderWay"}


def test_a_rollout_that_passed_its_deadline_is_stuck(case: Case) -> None:
    old = set(case.shop.pods())
    case.shop.release("shop/checkout:2")
    for pod in set(case.shop.pods()) - old:
        case.shop.cluster.set_pod_condition(pod, "Ready", "False")
    case.shop.pass_time(30)
    case.plan = ROLLBACK
    assert case.refused() == {"rollout": "RolloutUnderWay"}
    case.shop.pass_time(1200)
    assert case.refused() == {}


def test_a_paused_deployment_takes_no_template(case: Case) -> None:
    case.shop.patch({"spec": {"paused": True}})
    case.shop.pass_time(5)
    for plan, reason in ((RESTART, {"rollout": "RolloutPaused"}), (ROLLBACK, {"rollout": "RolloutPaused"}), (make_plan(), {})):
        case.plan = plan
        assert case.refused() == reason


def test_ownership_of_the_replica_count_concerns_only_what_writes_it() -> None:
    keda = hpa(labels={"scaledobject.keda.sh/name": "checkout"})
    shop = Shop(workload(), keda)
    assert Case(shop).refused() == {"ownership": "OwnedByKeda"}
    for plan in (RESTART, ROLLBACK, FLUSH, TELL):
        assert Case(shop, plan).refused() == {}


def test_a_count_that_an_autoscaler_owns_is_moved_by_its_bounds_where_they_leave_room() -> None:
    assert Case(Shop(workload(), hpa())).refused() == {}
    full = hpa()
    full["spec"]["maxReplicas"] = 2
    assert Case(Shop(workload(), full)).refused() == {"ownership": "OwnedByAutoscaler"}
    assert Case(Shop(workload(), hpa(), hpa("second"))).refused() == {"ownership": "OwnedByAutoscaler"}


def test_gitops_puts_a_rolled_back_template_back_and_leaves_a_restart_alone() -> None:
    obj = workload()
    obj["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = "shop"
    shop = Shop(obj)
    assert Case(shop, ROLLBACK).refused() == {"ownership": "OwnedByFlux"}
    assert Case(shop, make_plan()).refused() == {"ownership": "OwnedByFlux"}
    assert Case(shop, RESTART).refused() == {}


# --- a person's reversal


def scaled_by_us(shop: Shop, to: int, before: int, **more: Any) -> Any:
    shop.patch({"spec": {"replicas": to}}, manager="aiops")
    step = StepRun("do", StepState.DONE, effect=True, pre_state={"replicas": before}, leaves={"replicas": to})
    done = run(at=shop.now, step=replace(step, **more))
    shop.pass_time(400)
    return done


def test_a_count_that_a_person_put_back(case: Case) -> None:
    ours = scaled_by_us(case.shop, 6, 4)
    assert case.refused(executions=[ours]) == {}
    case.shop.patch({"spec": {"replicas": 4}}, manager="kubectl-edit")
    case.shop.pass_time(10)
    assert case.refused(executions=[ours]) == {"reversal": "ReversedByPerson"}
    assert "kubectl-edit" in case.verdicts(executions=[ours])["reversal"].detail
    case.plan = RESTART
    assert case.refused(executions=[ours]) == {}
    case.plan = make_plan()
    assert case.refused(executions=[replace(ours, simulated=True)]) == {}
    case.shop.pass_time(3700)
    assert case.refused(executions=[replace(ours, updated_at=case.shop.now - 400)]) == {}


def test_bounds_of_an_autoscaler_that_a_person_put_back(case: Case) -> None:
    before = {"autoscaler": "checkout-hpa", "minReplicas": 2, "maxReplicas": 9}
    step = StepRun("do", StepState.DONE, effect=True, pre_state=before, leaves={**before, "minReplicas": 6})
    ours = run(at=case.shop.now - 400, step=step)
    for low, manager, expected in ((6, "aiops", None), (2, "aiops", None), (2, "kubectl-edit", "ReversedByPerson")):
        fields = [{"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:minReplicas": {}}}}]
        scaler = hpa(managedFields=fields)
        scaler["spec"]["minReplicas"] = low
        objects = replace(case.shop.objects(), autoscalers=(scaler,))
        assert case.refused(executions=[ours], objects=objects).get("reversal") == expected, (low, manager)


def test_a_count_that_we_undid_ourselves_is_no_reversal(case: Case) -> None:
    undone = scaled_by_us(case.shop, 6, 4, state=StepState.UNDONE)
    case.shop.patch({"spec": {"replicas": 4}}, manager="aiops")
    assert case.refused(executions=[undone]) == {}


def test_a_count_that_changed_without_a_trace_is_a_reversal(case: Case) -> None:
    ours = scaled_by_us(case.shop, 6, 4)
    case.shop.patch({"spec": {"replicas": 4}})
    objects = case.shop.objects()
    assert objects.target is not None
    bare = {**objects.target, "metadata": {k: v for k, v in objects.target["metadata"].items() if k != "managedFields"}}
    assert case.refused(executions=[ours], objects=replace(objects, target=bare)) == {"reversal": "ReversedByPerson"}


def test_a_release_that_was_rolled_back_and_is_deployed_again(case: Case) -> None:
    shop = case.shop

    def digest() -> str:
        target = shop.objects().target
        assert target is not None
        return template_digest(target["spec"]["template"])

    good = digest()
    shop.release("shop/checkout:2")
    bad = digest()
    shop.release("shop/checkout:1", manager="aiops")
    step = StepRun("do", StepState.DONE, effect=True, pre_state={"template": bad}, leaves={"template": good})
    ours = run(plan=ROLLBACK, at=shop.now, step=step)
    shop.pass_time(400)
    case.plan = ROLLBACK
    assert case.refused(executions=[ours]) == {}
    shop.release("shop/checkout:2")
    shop.pass_time(60)
    assert case.refused(executions=[ours]) == {"reversal": "ReversedByPerson"}
    shop.release("shop/checkout:3")
    shop.pass_time(60)
    assert case.refused(executions=[ours]) == {}


def test_a_restart_reverses_nothing(case: Case) -> None:
    ours = run(plan=RESTART, at=case.shop.now, step=StepRun("do", StepState.DONE, effect=True, pre_state={"template": "x"}, leaves={"template": "y"}))
    case.shop.patch({"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: "now"}}}}})
    case.shop.pass_time(400)
    case.plan = RESTART
    assert case.refused(executions=[ours]) == {}


# --- modes, and being total


def test_modes(case: Case) -> None:
    case.limits = GuardLimits(modes={"rate": GuardMode.OFF, "cooldown": GuardMode.SHADOW, "opt-out": GuardMode.SHADOW})
    case.guards = GuardSpec(modes={"opt-out": GuardMode.ENFORCE})
    case.plan = make_plan()
    verdicts = case.verdicts(executions=[run(at=case.shop.now)])
    assert "rate" not in verdicts
    assert (verdicts["cooldown"].mode, verdicts["cooldown"].allowed, verdicts["cooldown"].refuses) == (GuardMode.SHADOW, False, False)
    assert verdicts["opt-out"].mode is GuardMode.ENFORCE
    assert verdicts["paused"].mode is GuardMode.ENFORCE


def test_a_runbook_can_only_be_stricter_than_the_daemon_unless_that_lets_it_be_looser(case: Case) -> None:
    case.plan = make_plan(arguments={"to": 60})
    case.guards = GuardSpec(maximum_replicas=100, minimum_replicas=0, modes={"replicas": GuardMode.OFF, "cooldown": GuardMode.SHADOW})
    assert case.refused(executions=[run(at=case.shop.now)]) == {"replicas": "AboveMaximum", "cooldown": "Cooldown"}
    case.limits = GuardLimits(may_loosen=frozenset({"cooldown"}))
    assert case.refused(executions=[run(at=case.shop.now)]) == {"replicas": "AboveMaximum"}
    case.limits = GuardLimits(may_loosen=frozenset({"replicas"}))
    assert case.refused() == {}
    case.limits, case.guards = GuardLimits(), GuardSpec(maximum_replicas=20)
    assert case.refused() == {"replicas": "AboveMaximum"}


def test_a_person_who_was_told_keeps_no_cure_waiting(case: Case) -> None:
    """A page is a run too, on the same target; the next page waits as its runbook says."""
    case.plan = make_plan()
    page = run(plan=replace(TELL, runbook="page-a-person"), at=case.shop.now)
    cure = run(plan=replace(make_plan(), runbook="other"), at=case.shop.now)
    assert "cooldown" not in case.refused(executions=[page])
    assert case.refused(executions=[page, cure])["cooldown"] == "Cooldown"
    case.plan = replace(TELL, runbook="page-a-person", cooldown=1800.0)
    assert case.refused(executions=[page])["cooldown"] == "Cooldown"


@pytest.mark.parametrize(
    ("missing", "guards"),
    [
        ("executions", {*HISTORY, "reversal"}),
        ("active", {"one-at-a-time"}),
        ("of_incident", {"attempts"}),
        ("incidents", {"loss-of-sight", "storm"}),
        ("storm", {"storm"}),
        ("silences", {"silenced"}),
        ("cluster", {"cluster-view"}),
        ("paused", {"paused"}),
    ],
)
def test_missing_information_refuses(case: Case, missing: str, guards: set[str]) -> None:
    assert case.refused(**{missing: None}) == dict.fromkeys(guards, "GuardUnavailable")


def test_the_horizon_is_enough_for_every_guard(case: Case) -> None:
    case.plan = make_plan(cooldown=GuardLimits().cooldown_maximum)
    assert case.refused(history_since=case.shop.now - GuardLimits().horizon) == {}


def test_a_guard_that_breaks_refuses_and_says_why(case: Case) -> None:
    broken = replace(case.shop.objects(), target={"metadata": 7, "spec": {"replicas": "many"}})
    verdicts = case.verdicts(objects=broken)
    assert verdicts["replicas"].reason == guardrails.UNAVAILABLE
    assert "ValueError" in verdicts["replicas"].detail
    assert guardrails.refusals(tuple(verdicts.values()))

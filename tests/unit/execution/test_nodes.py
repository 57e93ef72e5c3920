"""Cordon, uncordon, drain, and the restart of one pod: whose cordon it is, budgets, crashes, what is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.adapters.dry_run import DryRunWriter
from aiops.domain.errors import ClusterUnavailableError
from aiops.domain.execution import Execution
from aiops.domain.outcome import GuardMode, Outcome, Verdict
from aiops.domain.plan import PlannedStep
from aiops.domain.target import TargetRef
from aiops.execution.actions.contract import STAMP
from aiops.execution.actions.cordon import CORDON
from tests.unit.execution.stage import Stage, deployment, step

NODE = TargetRef("Node", "", "node-0")


@pytest.fixture
def stage():
    stage = Stage(replicas=6)
    stage.pass_time(10)
    return stage


def on_node(action: str, **fields: Any) -> PlannedStep:
    return step(action, target=NODE, **fields)


def node(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = stage.memory.reader.get(NODE)
    return found


def marks(stage: Stage) -> dict[str, str]:
    found: dict[str, str] = node(stage)["metadata"].get("annotations") or {}
    return found


def by_person(stage: Stage, *, cordoned: bool | None) -> None:
    stage.memory.writer("ada", "kubectl-cordon").patch(NODE, {"spec": {"unschedulable": cordoned}})


def pods(stage: Stage, name: str = "node-0") -> list[dict[str, Any]]:
    found = stage.memory.reader.list("Pod", field_selector=f"spec.nodeName={name}").items
    return [p for p in found if "deletionTimestamp" not in p["metadata"]]


def evictions(stage: Stage) -> list[str]:
    return [w.ref.name for w in stage.memory.write_log if w.verb == "evict" and w.code == 201 and not w.dry_run]


def budget(stage: Stage, minimum: int) -> None:
    spec = {"minAvailable": minimum, "selector": {"matchLabels": {"app": "checkout"}}}
    stage.memory.apply({"kind": "PodDisruptionBudget", "metadata": {"name": "checkout", "namespace": "shop"}, "spec": spec})
    stage.pass_time(2)


def bare(name: str = "alone", **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}},
        "spec": {"nodeName": "node-0", "containers": [{"name": "main", "image": "x:1"}], **spec},
    }


def result(stage: Stage, *steps: PlannedStep, **plan: Any) -> tuple[str, str]:
    done = stage.run(stage.submit(*steps, **plan))
    assert done.result is not None
    return done.result.outcome.value, done.result.reason


# --- cordon and uncordon


def test_a_cordon_is_marked_as_ours_and_uncordoned(stage):
    assert result(stage, on_node("cordon")) == ("succeeded", "Completed")
    assert node(stage)["spec"]["unschedulable"] is True
    assert marks(stage)[CORDON.mark] == marks(stage)[STAMP]
    assert result(stage, on_node("uncordon"), id="plan-2") == ("succeeded", "Completed")
    assert "unschedulable" not in node(stage)["spec"]
    assert CORDON.mark not in marks(stage)


def test_what_a_person_cordoned_stays_so(stage):
    by_person(stage, cordoned=True)
    assert result(stage, on_node("cordon")) == ("skipped", "NothingToDo")
    assert result(stage, on_node("uncordon"), id="plan-2") == ("failed", "CordonedByPerson")
    assert node(stage)["spec"]["unschedulable"] is True
    assert not stage.writes
    assert result(stage, on_node("uncordon", arguments={"force": True}), id="plan-3") == ("succeeded", "Completed")


def test_a_person_who_uncordons_and_cordons_again_owns_it_though_our_mark_is_still_there(stage):
    stage.run(stage.submit(on_node("cordon")))
    by_person(stage, cordoned=None)
    by_person(stage, cordoned=True)
    assert CORDON.mark in marks(stage)
    assert result(stage, on_node("uncordon"), id="plan-2") == ("failed", "CordonedByPerson")


def test_a_forced_uncordon_is_taken_back_as_the_persons_cordon(stage):
    by_person(stage, cordoned=True)
    bad = step("set-image", "bad", arguments={"image": "?"}, needs=("uncordon",), on_failure="undo")
    done = stage.run(stage.submit(on_node("uncordon", arguments={"force": True}), bad))
    assert done.steps[0].undo is not None
    assert done.steps[0].undo.outcome is Outcome.SUCCEEDED
    assert node(stage)["spec"]["unschedulable"] is True
    assert CORDON.mark not in marks(stage)


def test_a_cordon_is_not_taken_back_once_a_person_has_touched_it(stage):
    execution = stage.submit(on_node("cordon"), step("wait", "rest", arguments={"for": 60}, needs=("cordon",)), step("set-image", "bad", arguments={"image": "?"}, needs=("rest",), on_failure="undo"))
    stage.run(execution, seconds=20)
    by_person(stage, cordoned=None)
    by_person(stage, cordoned=True)
    done = stage.run(execution)
    assert done.steps[0].undo is not None
    assert done.steps[0].undo.reason == "ChangedByOther"
    assert node(stage)["spec"]["unschedulable"] is True


@pytest.mark.parametrize("action", ["cordon", "drain", "uncordon"])
def test_a_node_that_is_gone(stage, action):
    assert result(stage, step(action, target=TargetRef("Node", "", "node-9"))) == ("failed", "TargetVanished")


def test_actions_on_nodes_take_nothing_else(stage):
    assert result(stage, step("cordon")) == ("error", "WrongKind")


# --- drain


def test_a_drain_moves_every_pod_and_counts_down(stage):
    before = len(pods(stage))
    assert before
    done = stage.run(stage.submit(on_node("drain")))
    assert (done.result.outcome, done.result.reason) == (Outcome.SUCCEEDED, "Completed")
    assert not pods(stage)
    assert len(evictions(stage)) == len(set(evictions(stage))) == before
    assert done.steps[0].output["left"] == 0
    assert node(stage)["spec"]["unschedulable"] is True
    stage.pass_time(10)
    assert stage.checkout()["status"]["readyReplicas"] == 6


def test_each_eviction_has_an_intent_with_its_uid(stage):
    uids = {p["metadata"]["uid"] for p in pods(stage)}
    done = stage.run(stage.submit(on_node("drain")))
    intents = [e.data["request"] for e in stage.store.journal(done.id) if e.kind.value == "intent"]
    assert isinstance(intents[0], list)  # the cordon
    assert {i["evict"]["uid"] for i in intents[1:]} == uids
    sent = [w.body["deleteOptions"]["preconditions"]["uid"] for w in stage.memory.write_log if w.verb == "evict"]
    assert set(sent) == uids


def test_a_budget_is_honoured_until_it_allows(stage):
    budget(stage, 6)
    execution = stage.submit(on_node("drain", timeout=300))
    stage.run(execution, seconds=30)
    assert not evictions(stage)
    budget(stage, 5)
    done = stage.run(execution)
    assert done.result.outcome is Outcome.SUCCEEDED
    assert not pods(stage)
    assert done.steps[0].tries == 0


def test_a_budget_that_never_allows_ends_it_at_the_deadline_with_the_rest_still_running(stage):
    budget(stage, 6)
    left = len(pods(stage))
    done = stage.run(stage.submit(on_node("drain", timeout=60)))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "DisruptionRefused")
    assert done.updated_at - done.created_at <= 70
    assert len(pods(stage)) == left
    assert stage.checkout()["status"]["readyReplicas"] == 6


def test_other_pods_go_while_a_budget_blocks_some(stage):
    stage.memory.apply(deployment("cart", replicas=6))
    stage.pass_time(20)
    budget(stage, 6)
    others = [p["metadata"]["name"] for p in pods(stage) if p["metadata"]["labels"]["app"] == "cart"]
    assert others
    execution = stage.submit(on_node("drain", timeout=120))
    stage.run(execution, seconds=110)
    assert set(evictions(stage)) == set(others)
    assert stage.run(execution).result.reason == "DisruptionRefused"


@pytest.mark.parametrize(("argument", "why", "extra"), [("force", "BarePods", {}), ("deleteEmptyDirData", "LocalData", {"volumes": [{"name": "x", "emptyDir": {}}]})])
def test_pods_that_would_be_lost_are_not_evicted_unless_said(stage, argument, why, extra):
    pod = bare(**extra)
    if extra:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "u", "controller": True}
        pod["metadata"]["ownerReferences"] = [owner]
    stage.memory.apply(pod)
    stage.pass_time(5)
    assert result(stage, on_node("drain")) == ("failed", why)
    assert not stage.writes
    assert result(stage, on_node("drain", arguments={argument: True}), id="plan-2") == ("succeeded", "Completed")
    assert not pods(stage)


def test_daemons_static_pods_and_what_has_ended_stay(stage):
    daemon, static, ended = bare("daemon"), bare("static"), bare("ended")
    daemon["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}]
    static["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    for pod in (daemon, static, ended):
        stage.memory.apply(pod)
    stage.pass_time(5)
    stage.memory.writer("kubelet").patch(TargetRef("Pod", "shop", "ended"), {"status": {"phase": "Succeeded"}}, subresource="status")
    assert result(stage, on_node("drain")) == ("succeeded", "Completed")
    assert sorted(p["metadata"]["name"] for p in pods(stage)) == ["daemon", "ended", "static"]


def test_a_drain_of_what_a_person_cordoned_leaves_the_cordon_when_undone(stage):
    by_person(stage, cordoned=True)
    bad = step("set-image", "bad", arguments={"image": "?"}, needs=("drain",), on_failure="undo")
    done = stage.run(stage.submit(on_node("drain"), bad))
    assert done.steps[0].result.outcome is Outcome.SUCCEEDED
    assert done.steps[0].undo is None
    assert node(stage)["spec"]["unschedulable"] is True
    assert not pods(stage)


def test_a_drain_of_ours_is_uncordoned_when_undone(stage):
    bad = step("set-image", "bad", arguments={"image": "?"}, needs=("drain",), on_failure="undo")
    done = stage.run(stage.submit(on_node("drain"), bad))
    assert done.steps[0].undo.outcome is Outcome.SUCCEEDED
    assert "unschedulable" not in node(stage)["spec"]


def test_a_drain_that_ran_out_of_time_is_uncordoned_when_undone(stage):
    budget(stage, 6)
    done = stage.run(stage.submit(on_node("drain", timeout=60, on_failure="undo")))
    assert done.result.reason == "DisruptionRefused"
    assert done.steps[0].undo.outcome is Outcome.SUCCEEDED, done.steps[0].undo
    assert "unschedulable" not in node(stage)["spec"]
    assert not evictions(stage)


def test_the_kill_switch_stops_a_drain_between_two_evictions(stage):
    before = len(pods(stage))
    execution = stage.submit(on_node("drain"))
    stage.executor.advance(execution.id)  # the cordon
    stage.verdict = Verdict("paused", GuardMode.ENFORCE, allowed=False, reason="Paused", detail="somebody pulled it")
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "Paused")
    assert len(pods(stage)) == before
    assert not evictions(stage)


def test_a_person_who_uncordons_during_a_drain_stops_it(stage):
    budget(stage, 6)
    execution = stage.submit(on_node("drain", timeout=300))
    stage.run(execution, seconds=20)
    by_person(stage, cordoned=None)
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "UncordonedByPerson")
    assert not evictions(stage)


def test_a_node_that_is_dead_is_drained_once_its_pods_are_told_to_go(stage):
    stage.memory.set_node_ready("node-0", ready=False)
    done = stage.run(stage.submit(on_node("drain", timeout=120)))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert "wait for the node to come back" in done.steps[0].result.detail
    stage.pass_time(10)
    assert stage.checkout()["status"]["readyReplicas"] == 6


class Dying:
    """A writer that ends the process at the n-th write, before it is sent or after it was done."""

    def __init__(self, writer: Any, *, at: int, done: bool) -> None:
        self._writer, self._at, self._done, self.calls = writer, at, done, 0

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls != self._at:
                return getattr(self._writer, name)(*args, **kwargs)
            if self._done:
                getattr(self._writer, name)(*args, **kwargs)
            raise KeyboardInterrupt

        return call


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_drain_goes_on_after_a_crash_at_each_write(stage, at, done):
    before = {p["metadata"]["name"] for p in pods(stage)}
    stage.writer = Dying(stage.memory.writer(), at=at, done=done)
    stage.restart()
    execution = stage.submit(on_node("drain"))
    with pytest.raises(KeyboardInterrupt):
        stage.run(execution)
    stage.writer = stage.memory.writer()
    stage.restart(owner="two").recover()
    stage.pass_time(stage.settings.lease_ttl + 1)
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert sorted(evictions(stage)) == sorted(before)
    assert len([w for w in stage.writes if w.verb == "patch"]) == 1


def test_lost_answers_evict_nobody_twice(stage):
    real, calls = stage.memory.writer(), []

    class Lost:
        def __getattr__(self, name: str) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                calls.append(name)
                getattr(real, name)(*args, **kwargs)
                raise ClusterUnavailableError("TimedOut", "no answer")

            return call

    before = {p["metadata"]["name"] for p in pods(stage)}
    stage.writer = Lost()
    stage.restart()
    assert stage.run(stage.submit(on_node("drain"))).result.outcome is Outcome.SUCCEEDED
    assert sorted(evictions(stage)) == sorted(before)
    assert calls == ["patch", *["evict"] * len(before)]


def test_a_rehearsal_of_a_drain_says_whom_it_would_evict_and_touches_nothing(stage):
    done = stage.run(stage.submit(on_node("drain"), simulated=True))
    assert done.result.outcome is Outcome.SIMULATED
    (change,) = done.plan.changes
    assert "unschedulable: true" in change.diff
    assert f"evicts {len(pods(stage))} pods: shop/checkout-" in change.note
    assert not stage.writes
    assert not evictions(stage)


# --- restart-pod


def one(stage: Stage) -> TargetRef:
    return TargetRef("Pod", "shop", pods(stage)[0]["metadata"]["name"])


def restart_pod(stage: Stage, **fields: Any) -> PlannedStep:
    return step("restart-pod", target=one(stage), **fields)


def test_a_pod_is_evicted_and_its_successor_waited_for(stage):
    old = one(stage)
    done = stage.run(stage.submit(step("restart-pod", target=old)))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert evictions(stage) == [old.name]
    fresh = stage.memory.reader.get(TargetRef("Pod", "shop", done.steps[0].output["replacement"]))
    assert any(c["type"] == "Ready" and c["status"] == "True" for c in fresh["status"]["conditions"])
    assert fresh["metadata"]["creationTimestamp"] > "2027-01-15T08:00:15"


def test_a_pod_of_a_stateful_set_comes_back_under_its_name(stage):
    stage.memory.apply({"kind": "StatefulSet", "metadata": {"name": "db", "namespace": "shop"}, "spec": deployment("db")["spec"] | {"serviceName": "db"}})
    stage.pass_time(20)
    done = stage.run(stage.submit(step("restart-pod", target=TargetRef("Pod", "shop", "db-0"))))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert done.steps[0].output["replacement"] == "db-0"


def test_a_budgets_refusal_is_a_wait_and_then_a_failure(stage):
    budget(stage, 6)
    execution = stage.submit(restart_pod(stage, timeout=60))
    stage.run(execution, seconds=30)
    assert stage.get(execution).state == "running"
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "DisruptionRefused")
    assert not evictions(stage)


def test_a_budget_that_gives_way_lets_it_go_on(stage):
    budget(stage, 6)
    execution = stage.submit(restart_pod(stage, timeout=120))
    stage.run(execution, seconds=30)
    budget(stage, 5)
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED


def test_a_pod_that_nobody_makes_anew_is_not_evicted(stage):
    stage.memory.apply(bare())
    assert result(stage, step("restart-pod", target=TargetRef("Pod", "shop", "alone"))) == ("failed", "NotReplaced")
    assert not evictions(stage)


def test_a_pod_that_is_gone(stage):
    target = one(stage)
    stage.memory.remove(target)
    stage.pass_time(5)
    assert result(stage, step("restart-pod", target=target)) == ("failed", "TargetVanished")


@pytest.mark.parametrize("done", [False, True])
def test_a_pod_is_evicted_once_whenever_the_process_dies(stage, done):
    target = one(stage)
    stage.writer = Dying(stage.memory.writer(), at=1, done=done)
    stage.restart()
    execution: Execution = stage.submit(step("restart-pod", target=target))
    with pytest.raises(KeyboardInterrupt):
        stage.run(execution)
    stage.writer = stage.memory.writer()
    stage.restart(owner="two").recover()
    stage.pass_time(stage.settings.lease_ttl + 1)
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert evictions(stage) == [target.name]


def test_a_smaller_count_meanwhile_leaves_no_successor_to_wait_for(stage):
    target = one(stage)
    execution = stage.submit(step("restart-pod", target=target))
    stage.executor.advance(execution.id)
    stage.patch_by("ada", {"spec": {"replicas": 3}})
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED


def test_a_rehearsal_of_a_pods_restart_with_a_full_budget_says_what_would_be_waited_for(stage):
    budget(stage, 6)
    assert isinstance(stage.cluster(simulated=True).writer, DryRunWriter)
    done = stage.run(stage.submit(restart_pod(stage), simulated=True))
    assert done.result.outcome is Outcome.SIMULATED
    assert not evictions(stage)

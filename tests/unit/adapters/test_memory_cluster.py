"""What only the in-memory cluster has: virtual time, hooks that break things, its write log, replaying a recording, determinism."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.adapters.kubernetes import emit_event
from aiops.adapters.memory_cluster import MemoryCluster, Rule, rules_of
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.domain.errors import ForbiddenError, GoneError, InvalidError, NotFoundError
from aiops.domain.target import JsonObject, TargetRef
from aiops.ports.cluster import WatchEvent

STARTED = 1_800_000_000.0
WEB = TargetRef("Deployment", "shop", "web")


class Stage:
    def __init__(self, **options: Any) -> None:
        self.time = VirtualTime(STARTED)
        self.cluster = MemoryCluster(self.time, **options)

    def deploy(self, name: str = "web", replicas: int = 2, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        meta = {"labels": {"app": name}, "annotations": annotations or {}}
        template = {"metadata": meta, "spec": {"containers": [{"name": "app", "image": f"{name}:1"}]}}
        body = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}
        self.cluster.apply({"kind": "Deployment", "metadata": {"name": name, "namespace": "shop"}, "spec": body})

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.time.run_until(self.time.now() + 1)
            self.cluster.step()

    def pods(self) -> list[JsonObject]:
        return list(self.cluster.view().objects("Pod", "shop"))

    def pod(self, index: int = 0) -> TargetRef:
        return TargetRef("Pod", "shop", self.pods()[index]["metadata"]["name"])

    def status(self, name: str = "web") -> JsonObject:
        found: JsonObject = self.cluster.reader.get(TargetRef("Deployment", "shop", name))["status"]
        return found

    def container(self, ref: TargetRef) -> JsonObject:
        found: JsonObject = self.cluster.reader.get(ref)["status"]["containerStatuses"][0]
        return found


def ready(pod: JsonObject) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def test_pods_are_ready_when_their_time_has_come_and_not_before():
    stage = Stage(ready_after=5)
    stage.deploy()
    stage.wait(4)
    assert not any(map(ready, stage.pods()))
    assert stage.cluster.next_due() == STARTED + 5
    stage.wait(1)
    assert all(map(ready, stage.pods()))
    assert stage.status()["readyReplicas"] == 2


def test_a_pod_may_have_a_pace_of_its_own():
    stage = Stage()
    stage.deploy(annotations={"testbed.aiops/ready-after": "90s"})
    stage.wait(89)
    assert "readyReplicas" not in stage.status()
    stage.wait(1)
    assert stage.status()["readyReplicas"] == 2


def test_min_ready_seconds_hold_availability_back():
    stage = Stage(ready_after=2)
    stage.deploy(minReadySeconds=10)
    stage.wait(11)
    assert (stage.status()["readyReplicas"], stage.status().get("availableReplicas", 0)) == (2, 0)
    stage.wait(1)
    assert stage.status()["availableReplicas"] == 2


def test_pods_are_spread_over_nodes_that_take_them():
    stage = Stage(nodes=3)
    stage.cluster.writer().patch(TargetRef("Node", "", "node-1"), {"spec": {"unschedulable": True}})
    stage.deploy(replicas=6)
    stage.wait(3)
    nodes = [p["spec"]["nodeName"] for p in stage.pods()]
    assert sorted(nodes) == ["node-0"] * 3 + ["node-2"] * 3


def test_without_a_node_pods_wait_for_one():
    stage = Stage(nodes=1)
    stage.cluster.set_node_ready("node-0", ready=False)
    stage.deploy(replicas=1)
    stage.wait(5)
    conditions = {c["type"]: c["status"] for c in stage.pods()[0]["status"]["conditions"]}
    assert conditions == {"PodScheduled": "False"}
    stage.cluster.set_node_ready("node-0", ready=True)
    stage.wait(3)
    assert all(map(ready, stage.pods()))


def test_a_lost_node_takes_its_pods_with_it_after_the_toleration():
    stage = Stage(nodes=2)
    stage.deploy(replicas=2)
    stage.wait(5)
    lost = stage.pods()[0]["spec"]["nodeName"]
    stage.cluster.set_node_ready(lost, ready=False)
    assert stage.status()["readyReplicas"] == 1
    stage.wait(299)
    assert len(stage.pods()) == 2
    stage.wait(5)
    assert stage.status()["readyReplicas"] == 2
    assert [p["spec"]["nodeName"] for p in stage.pods() if not p["metadata"].get("deletionTimestamp")].count(lost) == 0
    stage.cluster.set_node_ready(lost, ready=True)
    stage.wait(3)
    assert len(stage.pods()) == 2


@pytest.mark.parametrize(
    ("state", "seconds", "reason", "exit_code"), [("CrashLoopBackOff", 2, "CrashLoopBackOff", 1), ("OOMKilled", 6, "CrashLoopBackOff", 137)]
)
def test_a_failing_pod_fails_again_and_again_until_it_recovers(state: str, seconds: int, reason: str, exit_code: int):
    stage = Stage()
    stage.deploy()
    stage.wait(3)
    pod = stage.pod()
    stage.cluster.fail(pod, state)
    stage.wait(seconds)
    container = stage.container(pod)
    assert container["state"]["waiting"]["reason"] == reason
    assert container["lastState"]["terminated"]["exitCode"] == exit_code
    assert stage.status()["readyReplicas"] == 1
    stage.wait(30)
    assert stage.container(pod)["restartCount"] >= 2
    event = stage.cluster.reader.list("Event", "shop", field_selector=f"involvedObject.name={pod.name}").items[0]
    assert (event["reason"], event["type"]) == ("BackOff", "Warning")
    assert event["count"] >= 2
    stage.cluster.recover(pod)
    stage.wait(8)
    assert stage.status()["readyReplicas"] == 2


def test_an_unknown_failure_is_refused():
    stage = Stage()
    stage.deploy()
    with pytest.raises(ValueError, match="OOMKilled"):
        stage.cluster.fail(stage.pod(), "Sulking")
    with pytest.raises(NotFoundError):
        stage.cluster.fail(TargetRef("Pod", "shop", "missing"), "OOMKilled")


def test_what_is_set_by_hand_stays_until_it_is_let_go():
    stage = Stage()
    stage.deploy()
    stage.wait(3)
    pod = stage.pod()
    stage.cluster.set_pod_condition(pod, "Ready", "False", "ContainersNotReady")
    stage.cluster.set_container(pod, state={"waiting": {"reason": "CreateContainerConfigError"}}, restarts=7, ready=False)
    stage.wait(60)
    assert stage.status()["readyReplicas"] == 1
    assert (stage.container(pod)["restartCount"], stage.container(pod)["state"]) == (
        7,
        {"waiting": {"reason": "CreateContainerConfigError"}},
    )
    stage.cluster.set_container(pod, state={"running": {}}, ready=True)
    stage.cluster.recover(pod)
    stage.wait(3)
    assert stage.status()["readyReplicas"] == 2


def test_the_write_log_has_every_write_and_its_answer():
    stage = Stage()
    stage.deploy()
    assert stage.cluster.write_log == []
    stage.time.run_until(STARTED + 7)
    stage.cluster.writer().patch(WEB, {"spec": {"replicas": 3}})
    stage.cluster.writer(dry_run=True).patch(WEB, {"spec": {"replicas": 4}}, subresource="scale")
    with pytest.raises(InvalidError):
        stage.cluster.writer("someone", "kubectl").patch(WEB, [{"op": "test", "path": "/spec/replicas", "value": 9}])
    with pytest.raises(ForbiddenError):
        stage.cluster.writer("nobody", rules=[]).delete(WEB, uid="x")
    rows = [(w.user, w.manager, w.verb, str(w.ref), w.subresource, w.code, w.dry_run, w.time - STARTED) for w in stage.cluster.write_log]
    assert rows == [
        ("aiops", "aiops", "patch", "shop/deployment/web", "", 200, False, 7),
        ("aiops", "aiops", "patch", "shop/deployment/web", "scale", 200, True, 7),
        ("someone", "kubectl", "patch", "shop/deployment/web", "", 422, False, 7),
        ("nobody", "aiops", "delete", "shop/deployment/web", "", 403, False, 7),
    ]
    assert stage.cluster.write_log[0].body == {"spec": {"replicas": 3}}


def test_the_same_story_gives_the_same_cluster():
    def story() -> list[JsonObject]:
        stage = Stage()
        stage.deploy(replicas=3)
        stage.wait(5)
        stage.cluster.writer().patch(WEB, {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}})
        stage.cluster.fail(stage.pod(), "CrashLoopBackOff")
        stage.wait(20)
        return [o for kind in ("Deployment", "ReplicaSet", "Pod", "Event") for o in stage.cluster.view().objects(kind)]

    assert story() == story()


def test_what_was_handed_out_does_not_change_with_the_cluster():
    stage = Stage()
    stage.deploy()
    stage.wait(3)
    handed = stage.cluster.reader.get(WEB)
    handed["spec"]["replicas"] = 99
    handed["metadata"]["labels"] = {"mine": "now"}
    assert stage.cluster.reader.get(WEB)["spec"]["replicas"] == 2
    seen = stage.cluster.view().find(WEB)
    assert seen is not None
    version = seen["metadata"]["resourceVersion"]
    stage.cluster.writer().patch(WEB, {"spec": {"replicas": 3}})
    assert (seen["spec"]["replicas"], seen["metadata"]["resourceVersion"]) == (2, version)


def test_applying_again_changes_what_the_manifest_says_and_keeps_the_rest():
    stage = Stage()
    stage.deploy(replicas=2)
    stage.wait(3)
    before = stage.cluster.reader.get(WEB)
    stage.deploy(replicas=4)
    after = stage.cluster.reader.get(WEB)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert after["spec"]["replicas"] == 4
    stage.cluster.remove(WEB)
    stage.wait(3)
    assert stage.pods() == []
    with pytest.raises(NotFoundError):
        stage.cluster.remove(WEB)


def test_history_is_bounded_and_what_is_older_is_gone():
    stage = Stage(history=5)
    since = stage.cluster.reader.list("ConfigMap").resource_version
    for number in range(5):
        stage.cluster.apply({"kind": "ConfigMap", "metadata": {"name": f"c{number}"}})
    assert len(list(stage.cluster.reader.watch("ConfigMap", since))) == 5
    stage.cluster.apply({"kind": "ConfigMap", "metadata": {"name": "c5"}})
    with pytest.raises(GoneError):
        list(stage.cluster.reader.watch("ConfigMap", since))


def test_a_recording_is_replayed_without_controllers():
    live = Stage()
    since = live.cluster.reader.list("Pod").resource_version
    live.deploy(replicas=1)
    live.wait(3)
    events = [e for kind in ("Deployment", "ReplicaSet", "Pod") for e in live.cluster.reader.watch(kind, since)]
    copy = Stage(controllers=False)
    for event in events:
        copy.cluster.replay(event)
    copy.cluster.replay(WatchEvent("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "1"}}))
    copy.cluster.replay(WatchEvent("ADDED", {"kind": "Gizmo", "metadata": {"name": "x"}}))
    for kind in ("Deployment", "ReplicaSet", "Pod"):
        then, now = live.cluster.view().objects(kind), copy.cluster.view().objects(kind)
        for obj in (*then, *now):
            obj["metadata"].pop("resourceVersion")
        assert list(now) == list(then)
    copy.wait(400)
    assert len(copy.pods()) == 1
    assert not copy.cluster.step()
    copy.cluster.replay(WatchEvent("DELETED", copy.pods()[0]))
    assert copy.pods() == []


def test_the_rules_of_a_role_count():
    role: JsonObject = {"kind": "Role", "metadata": {"name": "r", "namespace": "shop"}}
    role |= {"rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"], "resourceNames": ["web"]}]}
    rules = [*rules_of(role), Rule(("create",), ("",), ("*/eviction",))]
    reader = Stage().cluster.reader_as("limited", rules)
    assert reader.can("patch", "apps", "deployments", "shop", name="web")
    assert not reader.can("patch", "apps", "deployments", "shop", name="api")
    assert not reader.can("patch", "apps", "deployments", "other", name="web")
    assert reader.can("create", "", "pods", "any", subresource="eviction")
    assert not reader.can("create", "", "pods", "any")
    everywhere = rules_of({**role, "kind": "ClusterRole"})
    assert Stage().cluster.reader_as("limited", everywhere).can("get", "apps", "deployments", "other", name="web")
    assert rules_of({"kind": "ClusterRole", "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]}) == ()


def test_an_event_is_told_once_for_each_key():
    stage = Stage()
    stage.deploy()
    told: dict[str, Any] = {"reason": "ScaledOut", "message": "2 → 3\n" + "x" * 5000, "now": STARTED, "name_key": "run-1/step-1"}
    assert emit_event(stage.cluster.writer(), WEB, **told)
    assert not emit_event(stage.cluster.writer(), WEB, **told)
    node = TargetRef("Node", "", "node-0")
    assert emit_event(stage.cluster.writer(), node, reason="Cordoned", message="m", type="Warning", now=STARTED, name_key="k", uid="u")
    (event,) = stage.cluster.reader.list("Event", "shop", field_selector="involvedObject.name=web").items
    assert (event["involvedObject"]["kind"], event["reason"], event["type"], event["source"]["component"]) == (
        "Deployment",
        "ScaledOut",
        "Normal",
        "aiops",
    )
    assert len(event["message"]) == 1024
    (other,) = stage.cluster.reader.list("Event", "default", field_selector="involvedObject.kind=Node").items
    assert other["involvedObject"]["uid"] == "u"


def test_a_rollout_in_the_middle_of_another_ends_with_the_last_template():
    stage = Stage()
    stage.deploy(replicas=6)
    stage.wait(5)
    for number in range(4):
        stage.cluster.writer().patch(WEB, {"spec": {"template": {"metadata": {"annotations": {"n": str(number)}}}}})
        stage.wait(1)
    stage.cluster.writer().patch(WEB, {"spec": {"replicas": 9}})
    stage.wait(40)
    status = stage.status()
    assert [status[k] for k in ("replicas", "updatedReplicas", "availableReplicas")] == [9, 9, 9]
    assert {p["metadata"]["annotations"]["n"] for p in stage.pods()} == {"3"}
    assert len(stage.pods()) == 9


def test_a_resize_in_the_middle_of_a_stuck_rollout_keeps_the_proportions():
    stage = Stage()
    stage.deploy(replicas=8)
    stage.wait(5)
    bad = {"metadata": {"annotations": {"testbed.aiops/state": "ImagePullBackOff"}}}
    stage.cluster.writer().patch(WEB, {"spec": {"template": bad}})
    stage.wait(5)
    counts = sorted(s["spec"]["replicas"] for s in stage.cluster.view().objects("ReplicaSet"))
    stage.cluster.writer().patch(WEB, {"spec": {"replicas": 16}})
    stage.wait(5)
    grown = sorted(s["spec"]["replicas"] for s in stage.cluster.view().objects("ReplicaSet"))
    assert sum(grown) == 16 + 4
    assert grown[0] > counts[0]
    assert grown[1] > counts[1]
    assert stage.status()["availableReplicas"] >= 12

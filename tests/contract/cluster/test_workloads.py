"""Roll-outs, revisions, scaling, and eviction under a disruption budget."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from aiops.domain.errors import ConflictError, DisruptionRefusedError, NotFoundError
from aiops.domain.target import JsonObject
from tests.contract.cluster.bench import Bench, is_ready, pods, ref, rolled_out, running, workload

REVISION = "deployment.kubernetes.io/revision"
RESTARTED = "kubectl.kubernetes.io/restartedAt"


def replica_sets(bench: Bench) -> dict[str, JsonObject]:
    """By revision."""
    return {s["metadata"]["annotations"][REVISION]: s for s in bench.reader.list("ReplicaSet", bench.namespace).items}


def restart(bench: Bench, when: str, kind: str = "Deployment") -> None:
    body = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: when}}}}}
    bench.writer.patch(ref(bench, kind, "web"), body)


def uids(found: list[JsonObject]) -> set[str]:
    return {p["metadata"]["uid"] for p in found}


def test_a_deployment_becomes_ready_through_a_replica_set(bench: Bench):
    found = running(bench, replicas=3)
    assert found["metadata"]["annotations"][REVISION] == "1"
    status = found["status"]
    assert [status[k] for k in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")] == [3, 3, 3, 3]
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert conditions == {"Available": ("True", "MinimumReplicasAvailable"), "Progressing": ("True", "NewReplicaSetAvailable")}
    (owned,) = replica_sets(bench).values()
    assert owned["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]
    assert owned["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] in owned["metadata"]["name"]
    assert (owned["status"]["replicas"], owned["status"]["readyReplicas"], owned["status"]["availableReplicas"]) == (3, 3, 3)
    members = pods(bench, "web")
    assert all(is_ready(p) and p["status"]["phase"] == "Running" and p["spec"]["nodeName"] for p in members)
    assert {p["metadata"]["ownerReferences"][0]["uid"] for p in members} == {owned["metadata"]["uid"]}
    assert all(p["metadata"]["name"].startswith(owned["metadata"]["name"]) for p in members)
    assert all(p["status"]["containerStatuses"][0]["restartCount"] == 0 for p in members)


def test_a_rollout_restart_of_twenty_ends_with_all_pods_new(bench: Bench):
    running(bench, replicas=20)
    before = uids(pods(bench, "web"))
    restart(bench, "2026-11-23T10:00:00Z")
    after = bench.until("the restart is complete", lambda: rolled_out(bench, "web"))
    assert after["metadata"]["annotations"][REVISION] == "2"
    now = pods(bench, "web")
    assert len(now) == 20
    assert not uids(now) & before
    assert all(p["metadata"]["annotations"][RESTARTED] == "2026-11-23T10:00:00Z" for p in now)
    assert {r: s["spec"]["replicas"] for r, s in replica_sets(bench).items()} == {"1": 0, "2": 20}


def test_a_rollout_stays_within_its_limits(bench: Bench):
    limits = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    running(bench, replicas=4, strategy=limits)
    restart(bench, "now")
    seen: list[int] = []

    def done() -> bool:
        found = bench.reader.get(ref(bench, "Deployment", "web"))
        seen.append(found["status"].get("availableReplicas", 0))
        assert sum(s["spec"]["replicas"] for s in replica_sets(bench).values()) <= 5
        return rolled_out(bench, "web") is not None

    bench.until("the restart is complete", done)
    assert min(seen) >= 4


def test_rolling_back_by_the_template_of_an_older_set_makes_a_new_revision(bench: Bench):
    running(bench, replicas=2, image="web:1")
    image = "/spec/template/spec/containers/0/image"
    bench.writer.patch(ref(bench, "Deployment", "web"), [{"op": "replace", "path": image, "value": "web:2"}])
    bench.until("web:2 is out", lambda: rolled_out(bench, "web"))
    first = replica_sets(bench)["1"]
    template = copy.deepcopy(first["spec"]["template"])
    del template["metadata"]["labels"]["pod-template-hash"]
    bench.writer.patch(ref(bench, "Deployment", "web"), [{"op": "replace", "path": "/spec/template", "value": template}])
    after = bench.until("web:1 is back", lambda: rolled_out(bench, "web"))
    assert after["metadata"]["annotations"][REVISION] == "3"
    sets = replica_sets(bench)
    assert set(sets) == {"2", "3"}
    assert sets["3"]["metadata"]["uid"] == first["metadata"]["uid"]
    assert sets["3"]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    assert {p["spec"]["containers"][0]["image"] for p in pods(bench, "web")} == {"web:1"}


def test_a_paused_deployment_scales_but_does_not_roll(bench: Bench):
    running(bench, replicas=2)
    target = ref(bench, "Deployment", "web")
    bench.writer.patch(target, {"spec": {"paused": True}})
    restart(bench, "now")
    bench.writer.patch(target, {"spec": {"replicas": 3}})
    bench.until("three pods are ready", lambda: len([p for p in pods(bench, "web") if is_ready(p)]) == 3)
    assert set(replica_sets(bench)) == {"1"}
    bench.writer.patch(target, {"spec": {"paused": None}})
    bench.until("the restart is complete", lambda: rolled_out(bench, "web"))
    assert set(replica_sets(bench)) == {"1", "2"}


def test_recreate_has_no_two_revisions_at_once(bench: Bench):
    running(bench, replicas=2, strategy={"type": "Recreate"})
    restart(bench, "now")

    def done() -> bool:
        wanted = [s["spec"]["replicas"] for s in replica_sets(bench).values()]
        assert len([w for w in wanted if w]) <= 1
        return rolled_out(bench, "web") is not None

    bench.until("the restart is complete", done)
    assert len(pods(bench, "web")) == 2


def test_scaling_down_and_up_keeps_the_revision(bench: Bench):
    running(bench, replicas=3)
    for wanted in (1, 4, 0):
        bench.writer.patch(ref(bench, "Deployment", "web"), {"spec": {"replicas": wanted}})
        bench.until(f"{wanted} pods", lambda: rolled_out(bench, "web"))
        assert len(pods(bench, "web")) == wanted
    assert set(replica_sets(bench)) == {"1"}


def test_only_so_many_old_revisions_are_kept(bench: Bench):
    running(bench, replicas=1, revisionHistoryLimit=1)
    for when in ("one", "two", "three"):
        restart(bench, when)
        bench.until("the restart is complete", lambda: rolled_out(bench, "web"))
    bench.until("old sets are gone", lambda: set(replica_sets(bench)) == {"3", "4"})


def test_a_bad_image_stops_the_rollout_and_the_old_pods_serve_on(bench: Bench):
    running(bench, replicas=4, progressDeadlineSeconds=3)
    template = {"metadata": {"annotations": {"testbed.aiops/state": "ImagePullBackOff"}}}
    bench.writer.patch(ref(bench, "Deployment", "web"), {"spec": {"template": template}})

    def stuck() -> bool:
        found = bench.reader.get(ref(bench, "Deployment", "web"))
        progressing = next(c for c in found["status"]["conditions"] if c["type"] == "Progressing")
        return bool(progressing["reason"] == "ProgressDeadlineExceeded" and found["status"]["availableReplicas"] == 3)

    bench.until("the deadline is exceeded and three serve on", stuck)

    def waiting() -> set[str]:
        bad = [p for p in pods(bench, "web") if not is_ready(p) and p.get("status", {}).get("containerStatuses")]
        return {p["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] for p in bad}

    assert bench.until("their pods say why", waiting) <= {"ErrImagePull", "ImagePullBackOff"}
    assert bench.reader.get(ref(bench, "Deployment", "web"))["status"]["availableReplicas"] == 3


def test_a_crash_loop_counts_restarts(bench: Bench):
    body = workload(bench, replicas=1)
    body["spec"]["template"]["metadata"]["annotations"] = {"testbed.aiops/state": "CrashLoopBackOff", "testbed.aiops/back-off": "1s", "testbed.aiops/exit-code": "143"}
    bench.writer.create("Deployment", bench.namespace, body)

    def looping() -> Any:
        for pod in pods(bench, "web"):
            for container in pod.get("status", {}).get("containerStatuses", []):
                if container["restartCount"] >= 2 and "waiting" in container["state"]:
                    return container
        return None

    container = bench.until("two restarts", looping)
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["exitCode"] == 143
    assert not container["ready"]
    selector = "reason=BackOff,type=Warning"
    events = bench.until("it is told", lambda: bench.reader.list("Event", bench.namespace, field_selector=selector).items)
    assert events[0]["involvedObject"]["kind"] == "Pod"


def test_stateful_sets_number_their_pods_and_restart_them(bench: Bench):
    running(bench, kind="StatefulSet", replicas=3, serviceName="web")
    before = {p["metadata"]["name"]: p["metadata"]["uid"] for p in pods(bench, "web")}
    assert set(before) == {"web-0", "web-1", "web-2"}
    restart(bench, "now", "StatefulSet")
    bench.until("the restart is complete", lambda: rolled_out(bench, "web", "StatefulSet"))
    after = {p["metadata"]["name"]: p["metadata"]["uid"] for p in pods(bench, "web")}
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    found = bench.reader.get(ref(bench, "StatefulSet", "web"))
    assert found["status"]["currentRevision"] == found["status"]["updateRevision"]
    revisions = bench.reader.list("ControllerRevision", bench.namespace).items
    assert {r["revision"] for r in revisions} == {1, 2}
    bench.writer.patch(ref(bench, "StatefulSet", "web"), {"spec": {"replicas": 1}})
    bench.until("one is left", lambda: {p["metadata"]["name"] for p in pods(bench, "web")} == {"web-0"})


# --- eviction


STATE = "testbed.aiops/state"


def guarded(bench: Bench, *, replaced: bool = True, **budget: object) -> None:
    """Two ready pods under a budget; unless `replaced`, a pod that takes the place of one stays unready until `heal`."""
    if replaced:
        running(bench, replicas=2)
    else:
        body = workload(bench, replicas=2)
        body["spec"]["template"]["metadata"]["annotations"] = {STATE: "NotReady"}
        bench.writer.create("Deployment", bench.namespace, body)
        bench.until("two pods run", lambda: len([p for p in pods(bench, "web") if p.get("status", {}).get("phase") == "Running"]) == 2)
        heal(bench)
    body = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **budget}}
    bench.writer.create("PodDisruptionBudget", bench.namespace, body)
    bench.until("the budget was counted", lambda: (counted(bench).get("expectedPods"), counted(bench).get("currentHealthy")) == (2, 2))


def heal(bench: Bench) -> None:
    for pod in pods(bench, "web"):
        bench.writer.patch(ref(bench, "Pod", pod["metadata"]["name"]), {"metadata": {"annotations": {STATE: None}}})
    bench.until("two pods are ready", lambda: len([p for p in pods(bench, "web") if is_ready(p)]) == 2)


def counted(bench: Bench) -> JsonObject:
    found = bench.reader.get(ref(bench, "PodDisruptionBudget", "web"))
    status: JsonObject = found.get("status", {})
    return status if status.get("observedGeneration") == found["metadata"]["generation"] else {}


def test_a_budget_blocks_an_eviction(bench: Bench):
    guarded(bench, minAvailable=2)
    assert counted(bench)["disruptionsAllowed"] == 0
    victim = pods(bench, "web")[0]
    for writer in (bench.dry, bench.writer):
        with pytest.raises(DisruptionRefusedError) as caught:
            writer.evict(ref(bench, "Pod", victim["metadata"]["name"]), uid=victim["metadata"]["uid"])
        assert caught.value.status == 429
    assert len(pods(bench, "web")) == 2


def test_a_budget_lets_one_go_at_a_time(bench: Bench):
    guarded(bench, replaced=False, maxUnavailable=1)
    assert counted(bench) | {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1} == counted(bench)
    first, second = pods(bench, "web")
    shown = bench.dry.evict(ref(bench, "Pod", first["metadata"]["name"]), uid=first["metadata"]["uid"])
    assert (shown.applied, shown.origin) == (False, "server")
    assert len(pods(bench, "web")) == 2
    done = bench.writer.evict(ref(bench, "Pod", first["metadata"]["name"]), uid=first["metadata"]["uid"])
    assert (done.applied, done.after) == (True, None)
    bench.until("another took its place", lambda: len(pods(bench, "web")) == 2)
    with pytest.raises(DisruptionRefusedError):
        bench.writer.evict(ref(bench, "Pod", second["metadata"]["name"]), uid=second["metadata"]["uid"])
    heal(bench)
    bench.until("one may go again", lambda: counted(bench).get("disruptionsAllowed") == 1)
    assert first["metadata"]["uid"] not in uids(pods(bench, "web"))


def test_eviction_asks_for_the_uid(bench: Bench):
    running(bench, replicas=1)
    victim = pods(bench, "web")[0]
    target = ref(bench, "Pod", victim["metadata"]["name"])
    with pytest.raises(ConflictError) as caught:
        bench.writer.evict(target, uid="00000000-0000-4000-8000-000000000000")
    assert caught.value.status == 409
    assert uids(pods(bench, "web")) == {victim["metadata"]["uid"]}
    bench.writer.evict(target, uid=victim["metadata"]["uid"])
    bench.until("another took its place", lambda: rolled_out(bench, "web") and victim["metadata"]["uid"] not in uids(pods(bench, "web")))
    with pytest.raises(NotFoundError):
        bench.writer.evict(ref(bench, "Pod", "missing"), uid="")

"""Actions on workloads, nodes, Jobs and configuration, on both clusters: carried out, found again, taken back, and refused as the real API refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.dry_run import DryRunWriter
from aiops.domain.errors import ConflictError, DisruptionRefusedError, InvalidError, NotFoundError
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions.contract import Again, Checked, Context, Done, Failed, Looked, Prepared, Waiting
from aiops.execution.actions.cordon import CORDON
from aiops.execution.actions.registry import REGISTRY
from aiops.ports.cluster import Cluster
from tests.contract.cluster.bench import Bench, pods, ref, rolled_out, running, workload

RUN = "run-1"
LIMITS = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}


def context(bench: Bench, target: TargetRef, attempt: int = 1, step: str = "step", *, dry: bool = False) -> Context:
    writer = DryRunWriter(bench.reader, cast("Any", bench.dry)) if dry else bench.writer
    cluster = Cluster("default", bench.reader, writer, cast("Any", None), dry, {})
    return Context(target, cluster, {}, SystemClock().now(), f"{RUN}.{step}.{attempt}", execution=RUN)


def carried_out(bench: Bench, name: str, target: TargetRef, arguments: Mapping[str, Any], step: str = "step") -> Prepared:
    """As the engine would: prepare, send, check, and again if there is more to send; a budget that says no is tried again."""
    action, attempt = REGISTRY[name], 0
    found: list[Prepared] = []

    def through() -> bool:
        nonlocal attempt
        attempt += 1
        here = context(bench, target, attempt, step)
        prepared = action.prepare(here, arguments)
        assert prepared.skip is None, prepared.skip
        try:
            effect = action.start(here, prepared)
        except DisruptionRefusedError:
            return False
        assert effect.applied
        assert action.look(here, prepared).looked is Looked.HAPPENED or prepared.request == {"evict": None}
        found.append(Prepared(prepared.pre_state, effect.leaves or prepared.leaves, prepared.inverse, None, None, {**prepared.output, **effect.output}))

        def checked() -> Checked | None:
            seen = action.check(here, found[-1], here.now)
            return None if isinstance(seen, Waiting) else seen

        seen = bench.until(f"{name} is complete", checked)
        assert not isinstance(seen, Failed), seen
        return isinstance(seen, Done) or (not isinstance(seen, Again))

    bench.until(f"{name} needs nothing more", through)
    return found[-1]


def spec_of(bench: Bench, name: str = "web") -> JsonObject:
    found: JsonObject = bench.reader.get(ref(bench, "Deployment", name))["spec"]
    return found


# --- templates and roll-outs


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set-image", {"image": "web:2"}),
        ("set-env", {"name": "MODE", "value": "slow"}),
        ("set-env", {"name": "EMPTY", "value": ""}),
        ("set-env", {"name": "LEVEL", "remove": True}),
        ("set-resources", {"memoryLimit": "+50%", "memoryMaximum": "1Gi", "cpuRequest": "0.25"}),
        ("pause-rollout", {}),
    ],
)
def test_a_change_of_the_template_is_rolled_out_and_taken_back(bench: Bench, name: str, arguments: Any) -> None:
    body = workload(bench)
    body["spec"]["template"]["spec"]["containers"][0] |= {"resources": LIMITS, "env": [{"name": "LEVEL", "value": "1"}, {"name": "MODE", "value": "fast"}]}
    bench.writer.create("Deployment", bench.namespace, body)
    bench.until("web is rolled out", lambda: rolled_out(bench, "web"))
    before = spec_of(bench)
    target = ref(bench, "Deployment", "web")
    here = context(bench, target, dry=True)
    shown = REGISTRY[name].start(here, REGISTRY[name].prepare(here, arguments))
    assert (shown.applied, shown.write is not None and shown.write.origin) == (False, "server")
    assert spec_of(bench) == before
    done = carried_out(bench, name, target, arguments)
    assert spec_of(bench) != before
    if "template" in done.leaves:
        # What the server stores is what was foreseen: a look after a lost answer must find the same.
        again = REGISTRY[name].prepare(context(bench, target, 7), arguments)
        assert again.skip is not None or again.pre_state["template"] == done.leaves["template"]
    carried_out(bench, name, target, done.inverse, "step~undo")
    assert spec_of(bench) == before


def test_the_foreseen_template_is_the_stored_one(bench: Bench) -> None:
    running(bench)
    target = ref(bench, "Deployment", "web")
    steps = [("set-resources", {"cpuLimit": "1500m", "cpuRequest": "0.5", "memoryLimit": "1000000k", "memoryRequest": "100Mi"}), ("set-env", {"name": "A", "value": "1"}), ("set-image", {"image": "web:2"})]
    for number, (name, arguments) in enumerate(steps):
        here = context(bench, target, 1, f"s{number}")
        prepared = REGISTRY[name].prepare(here, arguments)
        assert REGISTRY[name].start(here, prepared).leaves["template"] == prepared.leaves["template"], name


def test_a_pause_and_its_end(bench: Bench) -> None:
    running(bench)
    target = ref(bench, "Deployment", "web")
    carried_out(bench, "pause-rollout", target, {})
    carried_out(bench, "resume-rollout", target, {}, "resume")
    assert not spec_of(bench).get("paused")
    bench.writer.patch(target, {"spec": {"paused": True}})
    done = REGISTRY["resume-rollout"].prepare(context(bench, target), {})
    assert done.skip is not None


def test_a_rollback_to_a_revision_and_back(bench: Bench) -> None:
    running(bench)
    target = ref(bench, "Deployment", "web")
    for image in ("web:2", "web:3"):
        carried_out(bench, "set-image", target, {"image": image}, image[-1])
    done = carried_out(bench, "rollback", target, {"toRevision": 1})
    assert spec_of(bench)["template"]["spec"]["containers"][0]["image"] == "web:1"
    assert done.output["fromRevision"] == 3
    carried_out(bench, "rollback", target, done.inverse, "step~undo")
    assert spec_of(bench)["template"]["spec"]["containers"][0]["image"] == "web:3"


# --- an autoscaler's bounds


def autoscaler(bench: Bench, low: int, high: int) -> TargetRef:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]
    body = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": reference, "minReplicas": low, "maxReplicas": high, "metrics": metrics}}
    bench.writer.create("HorizontalPodAutoscaler", bench.namespace, body)
    return ref(bench, "HorizontalPodAutoscaler", "web")


def bounds(bench: Bench, target: TargetRef) -> tuple[int, int]:
    spec = bench.reader.get(target)["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def test_scaling_moves_the_bounds_and_the_autoscaler_the_count(bench: Bench) -> None:
    running(bench, replicas=2)
    scaler, target = autoscaler(bench, 1, 3), ref(bench, "Deployment", "web")
    done = carried_out(bench, "scale", target, {"by": "+1"})
    assert bounds(bench, scaler) == (3, 3)
    assert spec_of(bench)["replicas"] == 3
    skip = REGISTRY["scale"].prepare(context(bench, target), {"by": "+1"}).skip
    assert skip is not None
    assert skip.reason == "AtMaximum"
    lifted = carried_out(bench, "scale", target, {"by": "+1", "liftMaximum": True, "maximum": 4}, "lift")
    assert bounds(bench, scaler) == (4, 4)
    carried_out(bench, "scale", target, lifted.inverse, "lift~undo")
    assert bounds(bench, scaler) == (3, 3)
    carried_out(bench, "scale", target, done.inverse, "step~undo")
    assert bounds(bench, scaler) == (1, 3)


def test_bounds_that_make_no_sense_are_refused(bench: Bench) -> None:
    running(bench, replicas=1)
    scaler = autoscaler(bench, 1, 3)
    for low, high in ((4, 3), (0, 3), (1, 0)):
        with pytest.raises(InvalidError) as caught:
            bench.writer.patch(scaler, {"spec": {"minReplicas": low, "maxReplicas": high}})
        assert caught.value.status == 422
    assert bounds(bench, scaler) == (1, 3)


def test_a_patch_of_bounds_that_somebody_moved_is_refused(bench: Bench) -> None:
    running(bench, replicas=1)
    scaler, target = autoscaler(bench, 1, 3), ref(bench, "Deployment", "web")
    prepared = REGISTRY["scale"].prepare(context(bench, target), {"by": "+1"})
    bench.writer.patch(scaler, {"spec": {"maxReplicas": 5}})
    with pytest.raises(InvalidError) as caught:
        REGISTRY["scale"].start(context(bench, target), prepared)
    assert caught.value.status == 422


# --- nodes


@contextmanager
def own_node(bench: Bench) -> Iterator[TargetRef]:
    """A node for this test, Ready."""
    name = f"own-{bench.namespace}"
    room = {"cpu": "16", "memory": "64Gi", "pods": "110"}
    bench.apply({
        "kind": "Node", "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {"own": name}}, "spec": {},
        "status": {"allocatable": room, "capacity": room, "conditions": [{"type": "Ready", "status": "True"}]},
    })  # fmt: skip
    target = TargetRef("Node", "", name)

    def ready() -> bool:
        conditions = bench.reader.get(target).get("status", {}).get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    bench.until("the node is ready", ready)
    try:
        yield target
    finally:
        bench.writer.delete(target, uid="")


def on_node(bench: Bench, node: TargetRef, replicas: int = 3) -> None:
    body = workload(bench, replicas=replicas)
    body["spec"]["template"]["spec"]["nodeSelector"] = {"own": node.name}
    bench.writer.create("Deployment", bench.namespace, body)
    bench.until("web is rolled out", lambda: rolled_out(bench, "web"))


def here(bench: Bench, node: TargetRef) -> list[JsonObject]:
    return list(bench.reader.list("Pod", bench.namespace, field_selector=f"spec.nodeName={node.name}").items)


def test_a_cordon_is_ours_until_a_person_touches_it(bench: Bench) -> None:
    with own_node(bench) as node:
        done = carried_out(bench, "cordon", node, {})
        assert bench.reader.get(node)["spec"]["unschedulable"] is True
        carried_out(bench, "cordon", node, done.inverse, "step~undo")
        assert not bench.reader.get(node)["spec"].get("unschedulable")
        carried_out(bench, "cordon", node, {}, "again")
        carried_out(bench, "uncordon", node, {}, "back")
        assert CORDON.mark not in bench.reader.get(node)["metadata"]["annotations"]
        # The server keeps who set it: a field of another manager is a person's.
        bench.apply({"kind": "Node", "metadata": {"name": node.name, "annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {"own": node.name}}, "spec": {"unschedulable": True}})
        skip = REGISTRY["uncordon"].prepare(context(bench, node), {}).skip
        assert skip is not None
        assert skip.reason == "CordonedByPerson"


def test_a_drain_evicts_every_pod_of_the_node(bench: Bench) -> None:
    with own_node(bench) as node:
        on_node(bench, node)
        before = {p["metadata"]["uid"] for p in here(bench, node)}
        assert len(before) == 3
        done = carried_out(bench, "drain", node, {})
        bench.until("the node is empty", lambda: not here(bench, node))
        assert bench.reader.get(node)["spec"]["unschedulable"] is True
        carried_out(bench, "drain", node, done.inverse, "step~undo")
        bench.until("their successors run there again", lambda: rolled_out(bench, "web"))
        assert not {p["metadata"]["uid"] for p in here(bench, node)} & before


def test_a_drain_is_refused_by_a_budget_and_what_it_covers_stays(bench: Bench) -> None:
    with own_node(bench) as node:
        on_node(bench, node, replicas=2)
        budget = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 2}}
        bench.writer.create("PodDisruptionBudget", bench.namespace, budget)

        def counted() -> bool:
            status = bench.reader.get(ref(bench, "PodDisruptionBudget", "web")).get("status", {})
            return bool(status.get("currentHealthy") == 2 and status.get("expectedPods") == 2)

        bench.until("the budget was counted", counted)
        action = REGISTRY["drain"]
        action.start(context(bench, node, 1), action.prepare(context(bench, node, 1), {}))
        prepared = action.prepare(context(bench, node, 2), {})
        with pytest.raises(DisruptionRefusedError):
            action.start(context(bench, node, 2), prepared)
        assert action.look(context(bench, node, 2), prepared).looked is Looked.NOT
        assert len(here(bench, node)) == 2


def test_one_pod_is_restarted(bench: Bench) -> None:
    running(bench)
    old = pods(bench, "web")[0]
    done = carried_out(bench, "restart-pod", ref(bench, "Pod", old["metadata"]["name"]), {})
    assert done.pre_state["uid"] == old["metadata"]["uid"]
    bench.until("web is whole again", lambda: rolled_out(bench, "web"))
    assert old["metadata"]["uid"] not in {p["metadata"]["uid"] for p in pods(bench, "web")}


# --- jobs


def template(*, stuck: bool = False, **spec: Any) -> JsonObject:
    annotations = {"testbed.aiops/state": "ImagePullBackOff"} if stuck else {}
    pod = {"metadata": {"labels": {"app": "clean"}, "annotations": annotations}, "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "clean:1"}]}}
    return {"spec": {"template": pod, **spec}}


def cron_job(bench: Bench) -> TargetRef:
    body = {"metadata": {"name": "clean"}, "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": template()}}
    bench.writer.create("CronJob", bench.namespace, body)
    return ref(bench, "CronJob", "clean")


def test_a_job_from_a_cron_job_runs_to_its_end_once_and_is_deleted(bench: Bench) -> None:
    target = cron_job(bench)
    action = REGISTRY["run-job"]
    done = carried_out(bench, "run-job", target, {})
    (job,) = bench.reader.list("Job", bench.namespace).items
    assert job["status"]["succeeded"] == 1
    labels = bench.reader.list("Pod", bench.namespace, label_selector=f"job-name={job['metadata']['name']}").items
    assert [p["status"]["phase"] for p in labels] == ["Succeeded"]
    second = action.prepare(context(bench, target, 2), {})
    with pytest.raises(ConflictError):
        action.start(context(bench, target, 2), second)
    assert action.look(context(bench, target, 2), second).key == f"{RUN}.step.1"
    carried_out(bench, "run-job", target, done.inverse, "step~undo")
    with pytest.raises(NotFoundError):
        bench.reader.get(ref(bench, "Job", job["metadata"]["name"]))
    bench.until("its pods are gone", lambda: not bench.reader.list("Pod", bench.namespace, label_selector="app=clean").items)


def test_a_job_that_misses_its_deadline_has_failed(bench: Bench) -> None:
    target = cron_job(bench)
    action = REGISTRY["run-job"]
    here = context(bench, target)
    prepared = action.prepare(here, {"template": template(stuck=True, activeDeadlineSeconds=3)})
    assert action.start(here, prepared).applied

    def failed() -> Failed | None:
        seen = action.check(here, prepared, here.now)
        return seen if isinstance(seen, Failed) else None

    seen = bench.until("the Job has failed", failed)
    assert seen.result.reason == "JobFailed"
    assert "DeadlineExceeded" in seen.result.detail


def test_a_stuck_job_is_deleted_by_its_uid(bench: Bench) -> None:
    bench.writer.create("Job", bench.namespace, {"metadata": {"name": "import"}, **template(stuck=True)})
    target = ref(bench, "Job", "import")
    bench.until("its pod is there", lambda: pods(bench, "clean"))
    action = REGISTRY["delete-job"]
    skip = action.prepare(context(bench, target), {}).skip
    assert skip is not None
    assert skip.reason == "NotStuck"
    job = bench.reader.get(target)
    prepared = Prepared({"uid": job["metadata"]["uid"], "job": "import"}, output={"pods": 1})
    with pytest.raises(ConflictError):
        action.start(context(bench, target), Prepared({"uid": "another", "job": "import"}, output={"pods": 1}))
    action.start(context(bench, target), prepared)
    bench.until("it is gone", lambda: isinstance(action.check(context(bench, target), prepared, 0), Done))
    bench.until("its pods are gone", lambda: not bench.reader.list("Pod", bench.namespace, label_selector="app=clean").items)


@pytest.mark.parametrize("policy", ["Always", ""])
def test_a_job_whose_pods_would_never_end_is_refused(bench: Bench, policy: str) -> None:
    body = {"metadata": {"name": "bad"}, **template()}
    change: JsonObject = {"restartPolicy": policy} if policy else {"containers": []}
    body["spec"]["template"]["spec"] |= change
    with pytest.raises(InvalidError) as caught:
        bench.writer.create("Job", bench.namespace, body)
    assert caught.value.status == 422


# --- configuration


def test_a_key_of_a_config_map_is_set_and_put_back(bench: Bench) -> None:
    bench.writer.create("ConfigMap", bench.namespace, {"metadata": {"name": "web"}, "data": {"mode": "fast"}})
    target = ref(bench, "ConfigMap", "web")
    for arguments, after in (({"key": "mode", "value": "slow"}, {"mode": "slow"}), ({"key": "mode", "remove": True}, {}), ({"key": "new.key", "value": ""}, {"mode": "fast", "new.key": ""})):
        done = carried_out(bench, "set-config", target, arguments)
        assert (bench.reader.get(target).get("data") or {}) == after
        carried_out(bench, "set-config", target, done.inverse, "step~undo")
        assert bench.reader.get(target)["data"] == {"mode": "fast"}


def test_an_empty_config_map_takes_a_first_key(bench: Bench) -> None:
    bench.writer.create("ConfigMap", bench.namespace, {"metadata": {"name": "web"}})
    target = ref(bench, "ConfigMap", "web")
    carried_out(bench, "set-config", target, {"key": "a", "value": "b"})
    assert bench.reader.get(target)["data"] == {"a": "b"}


def test_an_immutable_config_map_takes_no_change(bench: Bench) -> None:
    bench.writer.create("ConfigMap", bench.namespace, {"metadata": {"name": "web"}, "data": {"a": "b"}, "immutable": True})
    target = ref(bench, "ConfigMap", "web")
    skip = REGISTRY["set-config"].prepare(context(bench, target), {"key": "a", "value": "c"}).skip
    assert skip is not None
    assert skip.reason == "Immutable"
    with pytest.raises(InvalidError) as caught:
        bench.writer.patch(target, {"data": {"a": "c"}})
    assert caught.value.status == 422


def test_a_kind_that_the_cluster_does_not_have_is_no_owner(bench: Bench) -> None:
    running(bench, replicas=1)
    prepared = REGISTRY["set-resources"].prepare(context(bench, ref(bench, "Deployment", "web")), {"cpuRequest": "50m"})
    assert prepared.skip is None

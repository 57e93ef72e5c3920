"""The kinds of fault beyond the first six: each shows in what is measured, its cure is a state of the cluster, and what does not cure does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.domain.target import TargetRef
from tests.testbed.world.virtual import VirtualWorld
from tests.unit.world.helpers import deployment, failing, new_world, run, slowest, value

SET_LIMIT = [{"op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": "768Mi"}]


def pods_of(world: VirtualWorld, app: str, namespace: str = "shop") -> list[str]:
    found = world.cluster.view().objects("Pod", namespace)
    return [pod["metadata"]["name"] for pod in found if pod["metadata"]["labels"].get("app") == app]


def evict(world: VirtualWorld, name: str) -> None:
    ref = TargetRef("Pod", "shop", name)
    world.cluster.writer("someone").evict(ref, uid=world.cluster.reader.get(ref)["metadata"]["uid"])


def recovered(world: VirtualWorld, fault: str) -> None:
    episode = world.episode(fault)
    assert episode.cured is not None
    assert episode.recovered is not None, "the objective held for two minutes after the cure"
    assert episode.recovered >= episode.cured
    assert episode.right
    assert episode.wrong == ()


def test_slow_ramp_saturates_after_minutes_and_growth_cures() -> None:
    world = new_world()
    world.switch_on("slow-ramp")
    run(world, 60)
    assert value(world, 'avg(worker_utilization_ratio{workload="checkout"})') < 0.75
    run(world, 240)
    assert value(world, 'avg(worker_utilization_ratio{workload="checkout"})') > 0.95
    world.cluster.writer("someone").patch(deployment("checkout"), {"spec": {"replicas": 6}})
    run(world, 240)
    recovered(world, "slow-ramp")


def test_a_stuck_pod_is_ready_and_fails_its_share_until_it_is_replaced() -> None:
    world = new_world()
    world.switch_on("stuck-pod")
    run(world, 60)
    assert 0.2 < failing(world, "checkout") < 0.45
    by_pod = world.metrics.instant('sum by (pod) (rate(http_requests_total{workload="checkout",code=~"5.."}[30s]))', world.time.now())
    failures = {labels["pod"]: float(v) for labels, v in zip(by_pod.labels, by_pod.values, strict=True)}
    bad = [pod for pod, rate in failures.items() if rate > 1]
    assert len(bad) == 1
    assert value(world, 'kube_deployment_status_replicas_available{deployment="checkout"}') == 3
    evict(world, next(pod for pod in pods_of(world, "checkout") if pod not in bad))
    run(world, 60)
    assert world.episode("stuck-pod").cured is None, "another pod than the stuck one was replaced"
    evict(world, bad[0])
    run(world, 180)
    assert failing(world, "checkout") < 0.01
    recovered(world, "stuck-pod")


def test_a_bad_configuration_is_a_revision() -> None:
    world = new_world()
    world.switch_on("bad-configuration")
    run(world, 60)
    assert 0.15 < failing(world, "storefront") < 0.35
    found = world.cluster.reader.get(deployment("storefront"))
    assert found["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "CURRENCY_TABLE", "value": "broken"}]
    good = [{"op": "replace", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "CURRENCY_TABLE", "value": "2026-11"}]}]
    world.cluster.writer("someone").patch(deployment("storefront"), good)
    run(world, 180)
    recovered(world, "bad-configuration")


def test_a_limit_that_is_too_low_kills_again_and_again_until_it_is_raised() -> None:
    world = new_world()
    world.switch_on("oom-by-limit")
    run(world, 60)
    assert value(world, 'min(kube_pod_container_status_restarts_total{pod=~"recommender-.*"})') >= 3
    assert value(world, 'max(kube_pod_container_status_last_terminated_reason{pod=~"recommender-.*",reason="OOMKilled"})') == 1
    world.cluster.writer("someone").patch(deployment("recommender"), SET_LIMIT)
    run(world, 200)
    assert failing(world, "recommender") < 0.01
    recovered(world, "oom-by-limit")


def test_pods_of_a_sick_node_serve_nobody_and_are_cured_elsewhere() -> None:
    world = new_world()
    world.switch_on("sick-node")
    run(world, 30)
    assert value(world, 'count(kube_node_status_condition{condition="Ready",status="true"} == 1)') == 2
    assert value(world, 'kube_deployment_status_replicas_available{deployment="checkout"}') == 2
    node = next(n for n in world.cluster.view().objects("Node") if any(c["status"] == "False" for c in n["status"]["conditions"] if c["type"] == "Ready"))
    name = node["metadata"]["name"]
    for pod in world.cluster.view().objects("Pod", "shop"):
        if pod["spec"].get("nodeName") == name:
            evict(world, pod["metadata"]["name"])
    healthy = next(p for p in world.cluster.view().objects("Pod", "shop") if p["spec"].get("nodeName") not in ("", None, name))
    run(world, 180)
    recovered(world, "sick-node")
    evict(world, healthy["metadata"]["name"])
    run(world, 5)
    assert [write.name for write in world.episode("sick-node").wrong] == [healthy["metadata"]["name"]], "it stood on no sick node"


def test_a_volume_is_cleaned_by_a_job_that_the_workload_names() -> None:
    world = new_world()
    world.switch_on("disk-filling")
    run(world, 120)
    name = world.cluster.reader.get(deployment("recommender"))["metadata"]["labels"]["aiops/cleanup-job"]
    template = world.cluster.reader.get(TargetRef("CronJob", "shop", name))["spec"]["jobTemplate"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "clean-now", "namespace": "shop"}, "spec": template["spec"]}
    world.cluster.writer("someone").create("Job", "shop", job)
    run(world, 200)
    used = 'kubelet_volume_stats_used_bytes{persistentvolumeclaim="recommender-data"} / kubelet_volume_stats_capacity_bytes'
    assert value(world, used) < 0.55
    recovered(world, "disk-filling")


def test_a_full_volume_fails_every_request() -> None:
    world = new_world()
    world.switch_on("disk-filling")
    run(world, 120)
    used = 'kubelet_volume_stats_used_bytes{persistentvolumeclaim="recommender-data"} / kubelet_volume_stats_capacity_bytes'
    assert 0.8 < value(world, used) < 0.95
    run(world, 90)
    assert failing(world, "recommender") > 0.9


def test_a_backlog_waits_outside_of_the_pods_and_more_consumers_work_it_off() -> None:
    world = new_world()
    world.switch_on("queue-backlog")
    run(world, 90)
    waiting = value(world, 'queue_length{queue="mails"}')
    assert waiting > 200
    assert failing(world, "mailer") < 0.01
    world.cluster.writer("someone").patch(deployment("mailer"), {"spec": {"replicas": 0}})
    run(world, 10)
    assert value(world, 'queue_length{queue="mails"}') > waiting, "nobody takes them, none is lost"
    world.cluster.writer("someone").patch(deployment("mailer"), {"spec": {"replicas": 4}})
    run(world, 300)
    assert value(world, 'queue_length{queue="mails"}') < 20
    recovered(world, "queue-backlog")


def test_an_image_that_cannot_be_pulled_never_comes_up() -> None:
    world = new_world()
    world.switch_on("crash-loop-by-image")
    run(world, 60)
    assert value(world, 'max(kube_pod_container_status_waiting_reason{pod=~"storefront-.*",reason=~"ImagePullBackOff|ErrImagePull"})') == 1
    assert failing(world, "storefront") < 0.01, "those of before serve on"
    assert value(world, 'kube_deployment_status_replicas_unavailable{deployment="storefront"}') == 1
    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "shop/storefront:1.0.0"}]
    annotation = [{"op": "remove", "path": "/spec/template/metadata/annotations/testbed.aiops~1state"}]
    world.cluster.writer("someone").patch(deployment("storefront"), image + annotation)
    run(world, 180)
    recovered(world, "crash-loop-by-image")


OWN = """
apiVersion: aiops-testbed/v1
kind: Service
name: quokka
namespace: zoo
replicas: 3
workers: 4
serviceTime: 50ms
load: {rate: 40}
config: {MODE: calm}
---
apiVersion: aiops-testbed/v1
kind: Fault
name: wrong-file
service: quokka
effects: [{what: configuration, through: configMap, env: MODE, value: wild, errors: 0.4}]
cures: releasePods == 0 and rolledOut
---
apiVersion: aiops-testbed/v1
kind: Fault
name: rocky-start
service: quokka
effects: [{what: release, errors: 0.5, settles: 20s, startup: 10s, by: person}]
cures: never
act: wrong
---
apiVersion: aiops-testbed/v1
kind: Fault
name: somebody-disagrees
service: quokka
effects: [{what: person, does: reverts, delay: 20s}, {what: load, after: 60s, curve: {to: 2}}]
cures: never
allowed: [{verb: patch, resource: deployments, fields: [spec.replicas], times: 1}]
"""


PLACED = """
apiVersion: aiops-testbed/v1
kind: Service
name: quokka
namespace: zoo
replicas: 3
workers: 8
serviceTime: 50ms
load: {rate: 40}
scheduler: pack-model
---
apiVersion: aiops-testbed/v1
kind: Fault
name: bad-places
service: quokka
effects: [{what: placement, curve: {to: 3}}]
cures: podsOfScheduler == 0 and rolledOut
endsWhenCured: false
allowed: [{verb: patch, resource: deployments, fields: [spec.template.spec.schedulerName]}]
"""


def test_what_a_scheduler_with_a_bad_model_placed_is_slow(tmp_path: Path) -> None:
    (tmp_path / "any.yaml").write_text(PLACED)
    world = new_world(services=tmp_path, faults=tmp_path)
    usual = slowest(world, "quokka")
    assert value(world, 'scheduler_model_psi{workload="quokka"}') < 0.1
    world.switch_on("bad-places")
    run(world, 60)
    assert value(world, 'scheduler_model_psi{workload="quokka"}') > 0.25
    assert slowest(world, "quokka") > 2 * usual
    back = [{"op": "replace", "path": "/spec/template/spec/schedulerName", "value": "default-scheduler"}]
    world.cluster.writer("someone").patch(deployment("quokka", "zoo"), back)
    run(world, 180)
    assert slowest(world, "quokka") < 1.5 * usual
    recovered(world, "bad-places")


def own_world(folder: Path) -> VirtualWorld:
    (folder / "any.yaml").write_text(OWN)
    return new_world(services=folder, faults=folder)


def test_a_configuration_may_come_from_a_config_map(tmp_path: Path) -> None:
    world = own_world(tmp_path)
    before = world.cluster.reader.get(deployment("quokka", "zoo"))["spec"]["template"]
    world.switch_on("wrong-file")
    run(world, 60)
    assert failing(world, "quokka") > 0.3
    assert world.cluster.reader.get(TargetRef("ConfigMap", "zoo", "quokka-next"))["data"] == {"MODE": "wild"}
    world.cluster.writer("someone").patch(deployment("quokka", "zoo"), [{"op": "replace", "path": "/spec/template", "value": before}])
    run(world, 60)
    assert failing(world, "quokka") < 0.01
    assert world.episode("wrong-file").cured is not None


def test_a_release_may_settle_by_itself_and_is_somebodys_own(tmp_path: Path) -> None:
    world = own_world(tmp_path)
    world.switch_on("rocky-start")
    run(world, 30)
    assert failing(world, "quokka") > 0.02
    managers = {entry["manager"] for entry in world.cluster.reader.get(deployment("quokka", "zoo"))["metadata"]["managedFields"]}
    assert "kubectl-edit" in managers
    run(world, 120)
    assert failing(world, "quokka") < 0.01


def test_a_person_puts_back_what_somebody_changed_and_the_next_try_is_wrong(tmp_path: Path) -> None:
    world = own_world(tmp_path)
    world.switch_on("somebody-disagrees")
    run(world, 30)
    world.cluster.writer("someone").patch(deployment("quokka", "zoo"), {"spec": {"replicas": 6}})
    run(world, 30)
    assert world.cluster.reader.get(deployment("quokka", "zoo"))["spec"]["replicas"] == 3
    assert world.episode("somebody-disagrees").wrong == ()
    assert 35 < value(world, 'sum(rate(http_requests_total{workload="quokka"}[20s]))') < 45, "the load comes later"
    world.cluster.writer("someone").patch(deployment("quokka", "zoo"), {"spec": {"replicas": 6}})
    run(world, 60)
    assert world.cluster.reader.get(deployment("quokka", "zoo"))["spec"]["replicas"] == 6, "once is enough"
    assert len(world.episode("somebody-disagrees").wrong) == 1
    assert value(world, 'sum(rate(http_requests_total{workload="quokka"}[20s]))') > 60


ZONED = """
apiVersion: aiops-testbed/v1
kind: Service
name: quokka
namespace: zoo
replicas: 2
workers: 8
serviceTime: 50ms
load: {rate: 40}
zones: [zone-a, zone-b]
---
apiVersion: aiops-testbed/v1
kind: Fault
name: lost
service: quokka
effects: [{what: node, zone: zone-a, mode: MODE}]
cures: endpoints >= 2 and endpointsOnSickNodes == 0
endsWhenCured: false
allowed: [{verb: patch, resource: services, fields: [spec.selector]}]
"""
TO_B = {"spec": {"selector": {"topology.kubernetes.io/zone": "zone-b"}}}


@pytest.mark.parametrize("mode", ["not-ready", "unreachable"])
def test_a_zone_that_is_lost_serves_nobody_until_its_service_selects_another(tmp_path: Path, mode: str) -> None:
    (tmp_path / "any.yaml").write_text(ZONED.replace("MODE", mode))
    world = new_world(services=tmp_path, faults=tmp_path, warm=30)
    by_zone = 'sum by (workload) (rate(http_requests_total{workload="%s"}[15s]))'
    assert value(world, by_zone % "quokka") > 30
    assert value(world, by_zone % "quokka-zone-b") == 0
    world.switch_on("lost")
    run(world, 30)
    assert value(world, 'avg_over_time(probe_success{service="quokka",zone="zone-a"}[15s])') == 0
    assert value(world, 'avg_over_time(probe_success{service="quokka",zone="zone-b"}[15s])') > 0.9
    assert world.simulation.failing(("zoo", "quokka")) > 0.5
    world.cluster.writer("someone").patch(TargetRef("Service", "zoo", "quokka"), TO_B)
    run(world, 160)
    assert value(world, by_zone % "quokka-zone-b") > 30
    recovered(world, "lost")


def test_traffic_that_a_service_directs_nowhere_is_lost(tmp_path: Path) -> None:
    (tmp_path / "any.yaml").write_text(ZONED.replace("MODE", "not-ready"))
    world = new_world(services=tmp_path, faults=tmp_path, warm=30)
    nowhere = {"spec": {"selector": {"topology.kubernetes.io/zone": "zone-c"}}}
    world.cluster.writer("someone").patch(TargetRef("Service", "zoo", "quokka"), nowhere)
    run(world, 30)
    assert world.simulation.failing(("zoo", "quokka")) > 0.9
    assert value(world, 'sum(rate(http_requests_total{namespace="zoo"}[15s]))') == 0

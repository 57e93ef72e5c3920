"""The world in virtual time: each shipped fault shows, is cured by what cures it and by nothing else, and a quiet world stays quiet."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.domain.rule import LogQuery
from aiops.domain.target import TargetRef
from tests.unit.world.helpers import RESTART, deployment, failing, new_world, run, slowest, value


def test_quiet_world_is_quiet() -> None:
    world = new_world(warm=300)
    for name in ("storefront", "catalog", "checkout", "recommender"):
        assert failing(world, name) < 0.01
        assert slowest(world, name) < 0.5
        assert value(world, f'avg(worker_utilization_ratio{{workload="{name}"}})') < 0.6
    assert value(world, "min(up)") == 1
    assert world.episodes() == ()


def test_requests_follow_the_offered_load() -> None:
    world = new_world(warm=330)
    # 90 a second with 5 % of slow noise; 80 for the catalog, of which 60 are calls of the storefront.
    assert value(world, 'sum(rate(http_requests_total{workload="checkout"}[5m]))') == pytest.approx(90, rel=0.05)
    assert value(world, 'sum(rate(http_requests_total{workload="catalog"}[5m]))') == pytest.approx(80, rel=0.05)
    assert value(world, 'sum(rate(http_client_requests_total{dependency="card-network"}[5m]))') == pytest.approx(45, rel=0.05)


def test_a_seed_gives_the_same_world_and_another_one_another() -> None:
    query = "sum(http_requests_total)"
    same = {value(new_world(seed=4), query) for _ in range(2)}
    assert len(same) == 1
    assert value(new_world(seed=5), query) not in same


def test_surge_is_cured_by_replicas_that_are_ready() -> None:
    world = new_world()
    world.switch_on("traffic-surge")
    run(world, 90)
    assert failing(world, "checkout") > 0.05
    assert slowest(world, "checkout") > 1
    assert value(world, 'sum(queue_length{workload="checkout"})') > 300
    world.cluster.writer("someone").patch(deployment("checkout"), {"spec": {"replicas": 6}})
    assert world.episode("traffic-surge").cured is None, "replicas that were asked for are not ready yet"
    run(world, 120)
    assert failing(world, "checkout") < 0.02
    assert slowest(world, "checkout") < 0.5
    episode = world.episode("traffic-surge")
    assert episode.cured is not None
    assert episode.cured_by is not None
    assert episode.cured_by.user == "someone"
    assert not episode.wrong
    assert value(world, 'sum(rate(http_requests_total{workload="checkout"}[1m]))') > 240, "the requests keep coming"
    run(world, 1200)
    assert world.episode("traffic-surge").ended is not None


def test_leak_ends_in_kills_for_memory() -> None:
    world = new_world()
    world.switch_on("memory-leak")
    run(world, 360)
    assert value(world, 'sum(kube_pod_container_status_restarts_total{pod=~"recommender-.*"})') >= 2
    assert value(world, 'max(kube_pod_container_status_last_terminated_reason{pod=~"recommender-.*",reason="OOMKilled"})') == 1
    pods = [pod for pod in world.cluster.view().objects("Pod", "shop") if pod["metadata"]["name"].startswith("recommender")]
    ended = [pod["status"]["containerStatuses"][0]["lastState"]["terminated"] for pod in pods]
    assert {each["exitCode"] for each in ended} == {137}
    assert world.episode("memory-leak").cured is None, "a container that starts again leaks again"
    run(world, 120)
    assert value(world, 'max(container_memory_working_set_bytes{pod=~"recommender-.*"})') > 300 * 2**20


def test_leak_is_cured_by_new_pods() -> None:
    world = new_world()
    world.switch_on("memory-leak")
    run(world, 180)
    assert value(world, 'max(container_memory_working_set_bytes{pod=~"recommender-.*"})') > 350 * 2**20
    world.cluster.writer("someone").patch(deployment("recommender"), RESTART)
    run(world, 120)
    assert value(world, 'max(container_memory_working_set_bytes{pod=~"recommender-.*"})') < 250 * 2**20
    episode = world.episode("memory-leak")
    assert episode.cured is not None
    assert len(episode.right) == 1
    assert not episode.wrong


def test_bad_release_is_a_revision_and_only_its_template_cures() -> None:
    world = new_world()
    world.switch_on("bad-release")
    run(world, 60)
    assert 0.2 < failing(world, "storefront") < 0.4
    found = world.cluster.reader.get(deployment("storefront"))
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "shop/storefront:1.1.0"

    world.cluster.writer("someone").patch(deployment("storefront"), {"spec": {"replicas": 6}})
    run(world, 60)
    assert world.episode("bad-release").cured is None
    assert failing(world, "storefront") > 0.2

    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "shop/storefront:1.0.0"}]
    world.cluster.writer("someone").patch(deployment("storefront"), image)
    run(world, 90)
    assert failing(world, "storefront") < 0.01
    episode = world.episode("bad-release")
    assert episode.cured is not None
    assert [write.fields for write in episode.wrong] == [("spec.replicas",)]
    assert [write.user for write in episode.right] == ["someone"]

    image[0]["value"] = "shop/storefront:1.1.0"
    world.cluster.writer("someone").patch(deployment("storefront"), image)
    run(world, 60)
    assert failing(world, "storefront") > 0.2, "an image does the same whenever it is released"


def test_stale_cache_is_cured_by_keys_that_are_gone() -> None:
    world = new_world()
    world.switch_on("stale-cache")
    run(world, 60)
    stale = 'sum(rate(cache_requests_total{cache="catalog",result="stale"}[30s])) / sum(rate(cache_requests_total{cache="catalog"}[30s]))'
    assert 0.4 < value(world, stale) < 0.7
    run(world, 60)
    assert world.episode("stale-cache").cured is None
    removed = world.caches["catalog"].flush("catalog:*").removed
    assert removed >= 160
    run(world, 60)
    assert value(world, stale) == 0
    episode = world.episode("stale-cache")
    assert episode.cured is not None
    assert [write.verb for write in episode.right] == ["flush"]
    assert len(world.caches["catalog"].keys) == 100, "the cache fills again"
    hits = 'sum(rate(cache_requests_total{cache="catalog",result="hit"}[30s])) / sum(rate(cache_requests_total{cache="catalog"}[30s]))'
    assert value(world, hits) > 0.8


def test_outage_of_a_dependency_is_cured_by_nobody_and_acting_is_wrong() -> None:
    world = new_world()
    world.switch_on("dependency-outage")
    run(world, 60)
    calls = 'http_client_requests_total{dependency="card-network"'
    assert value(world, f'sum(rate({calls},code="504"}}[30s])) / sum(rate({calls}}}[30s]))') > 0.8
    assert failing(world, "checkout") > 0.3
    assert value(world, 'avg(worker_utilization_ratio{workload="checkout"})') > 0.9, "what waits looks busy"
    world.cluster.writer("someone").patch(deployment("checkout"), {"spec": {"replicas": 9}})
    run(world, 120)
    assert failing(world, "checkout") > 0.3, "more of them wait with the others"
    run(world, 480)
    episode = world.episode("dependency-outage")
    assert episode.act == "wrong"
    assert episode.cured is None
    assert episode.ended is not None
    assert [write.fields for write in episode.wrong] == [("spec.replicas",)]
    assert failing(world, "checkout") < 0.01


def test_dark_telemetry_hides_a_service_that_does_well() -> None:
    world = new_world()
    world.switch_on("dark-telemetry")
    run(world, 30)
    assert value(world, 'up{workload="checkout"}') == 0
    assert not len(world.metrics.instant('http_requests_total{workload="checkout"}', world.time.now()).values)
    assert value(world, 'kube_deployment_status_replicas_available{deployment="checkout"}') == 3
    run(world, 500)
    assert value(world, 'up{workload="checkout"}') == 1
    assert failing(world, "checkout") < 0.01


def test_dry_run_and_refused_writes_cure_nothing_and_are_told_apart() -> None:
    world = new_world()
    world.switch_on("traffic-surge")
    run(world, 30)
    world.cluster.writer("someone", dry_run=True).patch(deployment("checkout"), {"spec": {"replicas": 6}})
    run(world, 30)
    episode = world.episode("traffic-surge")
    assert episode.cured is None
    assert not episode.right
    assert not episode.wrong
    assert [write.dry_run for write in episode.tried] == [True]


def test_switching_off_puts_right_what_the_fault_wrote() -> None:
    world = new_world()
    world.switch_on("bad-release")
    world.switch_on("stale-cache")
    run(world, 30)
    world.switch_off("bad-release")
    world.switch_off("stale-cache")
    run(world, 60)
    assert failing(world, "storefront") < 0.01
    assert world.cluster.reader.get(deployment("storefront"))["spec"]["template"]["spec"]["containers"][0]["image"] == "shop/storefront:1.0.0"
    assert value(world, 'sum(rate(cache_requests_total{result="stale"}[10s]))') == 0
    assert not any(episode.right or episode.wrong for episode in world.episodes()), "what the world writes is nobody's act"


def test_script_follows_the_times_of_the_files() -> None:
    world = new_world(warm=119, script=True)
    assert world.episodes() == ()
    run(world, 2)
    assert {episode.fault for episode in world.episodes()} == set(world.simulation.faults)


def test_no_ready_replica_serves_nobody_and_callers_feel_it() -> None:
    world = new_world()
    world.cluster.writer("someone").patch(deployment("catalog"), {"spec": {"replicas": 0}})
    run(world, 60)
    assert failing(world, "storefront") > 0.9
    assert value(world, 'sum(rate(http_client_requests_total{dependency="catalog",code="503"}[30s]))') > 50
    assert not len(world.metrics.instant('http_requests_total{workload="catalog"}', world.time.now()).values)
    world.cluster.writer("someone").patch(deployment("catalog"), {"spec": {"replicas": 3}})
    run(world, 60)
    assert failing(world, "storefront") < 0.01


def test_a_pod_that_is_not_ready_gets_no_requests() -> None:
    world = new_world()
    pod = next(p["metadata"]["name"] for p in world.cluster.view().objects("Pod", "shop") if p["metadata"]["name"].startswith("checkout"))
    world.cluster.fail(TargetRef("Pod", "shop", pod), "NotReady")
    run(world, 60)
    assert value(world, f'sum(rate(http_requests_total{{pod="{pod}"}}[30s]))') == 0
    assert value(world, 'sum(rate(http_requests_total{workload="checkout"}[30s]))') > 75


def test_errors_are_told_in_the_logs() -> None:
    world = new_world(warm=120)

    def errors() -> float:
        query = LogQuery("logs-*", 60.0, {"level": ("ERROR",)}, group_by=("kubernetes.namespace", "kubernetes.labels.app"))
        batch = world.logs.counts(query, world.time.now())
        return sum(float(v) for labels, v in zip(batch.labels, batch.values, strict=True) if labels["kubernetes.labels.app"] == "storefront")

    quiet = errors()
    assert quiet < 20
    world.switch_on("bad-release")
    run(world, 90)
    assert errors() > 200


def test_services_and_faults_of_other_folders(tmp_path: Path) -> None:
    (tmp_path / "any.yaml").write_text(
        """
apiVersion: aiops-testbed/v1
kind: Service
name: quokka
namespace: zoo
replicas: 2
workers: 2
serviceTime: 100ms
load: {rate: 20}
---
apiVersion: aiops-testbed/v1
kind: Fault
name: slow-old-pods
service: quokka
effects:
  - {what: service-time, pods: startedBefore, curve: {to: 4}}
cures: podsStartedAfterFault
allowed:
  - {verb: patch, resource: deployments, fields: [spec.template.metadata.annotations]}
"""
    )
    world = new_world(services=tmp_path, faults=tmp_path)
    before = slowest(world, "quokka")
    world.switch_on("slow-old-pods")
    run(world, 60)
    assert slowest(world, "quokka") > 3 * before
    world.cluster.writer("someone").patch(deployment("quokka", "zoo"), RESTART)
    run(world, 90)
    assert slowest(world, "quokka") < 2 * before
    assert world.episode("slow-old-pods").cured is not None

"""The world on real servers: what Prometheus, Elasticsearch, Redis and the API server hold follows from what stands on the cluster.

Services and faults are of a folder of its own, so the names are none that are shipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testbed import web
from tests.testbed.elasticsearch import Elasticsearch
from tests.testbed.plane import KubernetesPlane
from tests.testbed.process import PATIENCE_S, eventually
from tests.testbed.prometheus import Prometheus
from tests.testbed.redis import Redis
from tests.testbed.world import control
from tests.testbed.world.faults import read_faults
from tests.testbed.world.kube import Api
from tests.testbed.world.live import LiveWorld
from tests.testbed.world.process import WorldProcess
from tests.testbed.world.services import read_services

SPACE = "kiosk-world"
FILES = f"""
apiVersion: aiops-testbed/v1
kind: Service
name: kiosk
namespace: {SPACE}
replicas: 2
workers: 4
serviceTime: 50ms
startup: 1s
load: {{rate: 60}}
memory: {{base: 100Mi, limit: 200Mi}}
dependencies:
  - {{name: bank, external: true, latency: 10ms}}
caches:
  - {{name: prices, entries: 40}}
---
apiVersion: aiops-testbed/v1
kind: Fault
name: rush
service: kiosk
effects:
  - {{what: load, curve: {{to: 4}}}}
cures: readyReplicas >= 5
endsWhenCured: false
allowed:
  - {{verb: patch, resource: deployments, fields: [spec.replicas]}}
---
apiVersion: aiops-testbed/v1
kind: Fault
name: broken-release
service: kiosk
effects:
  - {{what: release, image: "kiosk-world/kiosk:2.0.0", errors: 0.5}}
cures: releasePods == 0 and rolledOut
allowed:
  - {{verb: patch, resource: deployments, fields: [spec.template]}}
---
apiVersion: aiops-testbed/v1
kind: Fault
name: old-prices
service: kiosk
effects:
  - {{what: stale-cache}}
cures: staleKeys == 0
allowed:
  - {{verb: flush, name: prices}}
---
apiVersion: aiops-testbed/v1
kind: Fault
name: quick-leak
service: kiosk
effects:
  - {{what: memory-leak, curve: {{to: 20Mi}}}}
cures: podsStartedAfterFault
allowed:
  - {{verb: patch, resource: deployments, fields: [spec.template.metadata.annotations]}}
---
apiVersion: aiops-testbed/v1
kind: Fault
name: dark
service: kiosk
effects:
  - {{what: telemetry}}
cures: never
act: wrong
"""
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SPACE}/deployments/kiosk"


@pytest.fixture(scope="module")
def world(
    plane: KubernetesPlane,
    prometheus_server: Prometheus,
    elasticsearch: Elasticsearch,
    redis: Redis,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LiveWorld]:
    folder: Path = tmp_path_factory.mktemp("world")
    (folder / "kiosk.yaml").write_text(FILES)
    services = read_services([folder])
    world = LiveWorld(
        services,
        read_faults([folder], services),
        api=Api(plane.url, plane.ca_file, plane.world_token),
        audit_log=plane.audit_log,
        elasticsearch_url=elasticsearch.url,
        redis_url=redis.url,
        ignore=frozenset(),
    )
    world.start()
    jobs = [target.job for target in world.targets()]
    prometheus_server.scrape(*world.targets())
    for job in dict.fromkeys(jobs):
        prometheus_server.wait_up(job)
    yield world
    for job in dict.fromkeys(jobs):
        prometheus_server.forget(job)
    world.stop()
    plane.request("DELETE", f"/api/v1/namespaces/{SPACE}")


def value(prometheus: Prometheus, query: str) -> float:
    found = prometheus.instant(query)
    return found[0][1] if found else float("nan")


def wait(prometheus: Prometheus, query: str, deadline_s: float = PATIENCE_S) -> None:
    """Until the query has an answer."""
    eventually(lambda: bool(prometheus.instant(query)), deadline_s=deadline_s, what=query)


def failing(compared: str) -> str:
    ratio = 'sum(rate(http_requests_total{workload="kiosk",code=~"5.."}[10s])) / sum(rate(http_requests_total{workload="kiosk"}[10s]))'
    return f"({ratio}) {compared}"


def patch(plane: KubernetesPlane, body: Any, path: str = DEPLOYMENT) -> None:
    plane.must("PATCH", path, body, content_type="application/merge-patch+json")


def test_metrics_logs_and_keys_of_a_world_that_is_well(
    world: LiveWorld, prometheus_server: Prometheus, elasticsearch: Elasticsearch, redis: Redis
) -> None:
    wait(prometheus_server, 'sum(rate(http_requests_total{workload="kiosk"}[10s])) > 40')
    assert value(prometheus_server, f'count(worker_utilization_ratio{{namespace="{SPACE}",workload="kiosk"}})') == 2
    assert value(prometheus_server, f'kube_deployment_status_replicas_available{{namespace="{SPACE}",deployment="kiosk"}}') == 2
    assert value(prometheus_server, f'max(container_memory_working_set_bytes{{namespace="{SPACE}",container="app"}})') > 90 * 2**20
    assert value(prometheus_server, f'max(kube_pod_container_resource_limits{{namespace="{SPACE}",resource="memory"}})') == 200 * 2**20
    assert value(prometheus_server, f'up{{job="services",namespace="{SPACE}",workload="kiosk"}}') == 1
    assert value(prometheus_server, 'count(kube_node_status_condition{condition="Ready",status="true"} == 1)') == 3
    assert redis.command("EXISTS", "kiosk:0", "kiosk:39") == b":2\r\n"

    def logged() -> bool:
        elasticsearch.request("POST", f"/logs-{SPACE}/_refresh")
        query = {"query": {"term": {"kubernetes.labels.app": "kiosk"}}}
        status, answer = elasticsearch.request("GET", f"/logs-{SPACE}/_search", query)
        return status == 200 and answer["hits"]["total"]["value"] > 0

    eventually(logged, what="a log record")
    _, mapping = elasticsearch.request("GET", f"/logs-{SPACE}/_mapping")
    fields = mapping[f"logs-{SPACE}"]["mappings"]["properties"]
    assert fields["level"]["type"] == "keyword"
    assert fields["@timestamp"]["type"] == "date"


def test_rush_is_cured_by_replicas(world: LiveWorld, plane: KubernetesPlane, prometheus_server: Prometheus) -> None:
    world.switch_on("rush")
    wait(prometheus_server, 'avg(worker_utilization_ratio{workload="kiosk"}) > 0.95')
    wait(prometheus_server, 'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{workload="kiosk"}[10s]))) > 1')
    patch(plane, {"spec": {"replicas": 5}})
    wait(prometheus_server, 'avg(worker_utilization_ratio{workload="kiosk"}) < 0.85')
    eventually(lambda: world.episode("rush").cured is not None, what="the cure")
    episode = world.episode("rush")
    assert episode.cured_by is not None
    assert (episode.cured_by.user, episode.cured_by.fields) == ("admin", ("spec.replicas",))
    assert not episode.wrong
    world.switch_off("rush")
    patch(plane, {"spec": {"replicas": 2}})
    plane.wait_rollout(SPACE, "kiosk")


def test_bad_release_is_a_real_revision(world: LiveWorld, plane: KubernetesPlane, prometheus_server: Prometheus) -> None:
    before = plane.must("GET", DEPLOYMENT)["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    world.switch_on("broken-release")
    wait(prometheus_server, failing("> 0.4"))
    found = plane.must("GET", DEPLOYMENT)
    assert int(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"]) == int(before) + 1
    plane.kubectl("rollout", "restart", "deployment/kiosk", "-n", SPACE)
    plane.wait_rollout(SPACE, "kiosk")
    assert world.episode("broken-release").cured is None, "a restart brings the same image"
    plane.kubectl("rollout", "undo", "deployment/kiosk", f"--to-revision={before}", "-n", SPACE)
    eventually(lambda: world.episode("broken-release").cured is not None, what="the cure")
    wait(prometheus_server, failing("< 0.05"))
    assert all(write.user == "admin" for write in world.episode("broken-release").right)
    assert not world.episode("broken-release").wrong
    world.switch_off("broken-release")


def test_stale_keys_are_real(world: LiveWorld, redis: Redis, prometheus_server: Prometheus) -> None:
    world.switch_on("old-prices")
    wait(prometheus_server, 'sum(rate(cache_requests_total{cache="prices",result="stale"}[10s])) > 10')
    assert redis.command("EXISTS", "kiosk:old:0") == b":1\r\n"
    redis.command("UNLINK", *[f"kiosk:old:{index}" for index in range(40)])
    eventually(lambda: world.episode("old-prices").cured is not None, what="the cure")
    wait(prometheus_server, 'sum(rate(cache_requests_total{cache="prices",result="stale"}[10s])) == 0')
    assert [write.verb for write in world.episode("old-prices").right] == ["flush"]
    world.switch_off("old-prices")


def test_leak_is_killed_for_memory_and_cured_by_a_restart(world: LiveWorld, plane: KubernetesPlane, prometheus_server: Prometheus) -> None:
    world.switch_on("quick-leak")
    where = f'namespace="{SPACE}",container="app"'
    wait(prometheus_server, f'kube_pod_container_status_last_terminated_reason{{{where},reason="OOMKilled"}} == 1')
    wait(prometheus_server, f"max(kube_pod_container_status_restarts_total{{{where}}}) >= 1")
    assert world.episode("quick-leak").cured is None
    plane.kubectl("rollout", "restart", "deployment/kiosk", "-n", SPACE)
    eventually(lambda: world.episode("quick-leak").cured is not None, what="the cure")
    assert not world.episode("quick-leak").wrong, "what the world does to its pods is nobody's act"
    world.switch_off("quick-leak")
    plane.wait_rollout(SPACE, "kiosk")


def test_dark_telemetry_and_a_wrong_act(world: LiveWorld, plane: KubernetesPlane, prometheus_server: Prometheus) -> None:
    world.switch_on("dark")
    wait(prometheus_server, f'up{{job="services",namespace="{SPACE}"}} == 0')
    wait(prometheus_server, f'absent(http_requests_total{{namespace="{SPACE}"}})')
    assert value(prometheus_server, f'kube_deployment_status_replicas_available{{namespace="{SPACE}"}}') == 2
    patch(plane, {"spec": {"replicas": 3}})
    eventually(lambda: bool(world.episode("dark").wrong), what="the wrong act")
    world.switch_off("dark")
    wait(prometheus_server, f'up{{job="services",namespace="{SPACE}"}} == 1')


def test_switches_over_http(world: LiveWorld) -> None:
    def ask(method: str, path: str) -> tuple[int, Any]:
        answer = web.call(method, f"{world.url}{path}", body=b"" if method == "POST" else None)
        return answer.status, answer.json()

    assert ask("POST", "/faults/nothing/on")[0] == 404
    assert "rush" in ask("POST", "/faults/nothing/on")[1]["error"]
    assert ask("POST", "/faults/rush/on") == (200, {"fault": "rush", "on": True})
    assert {fault["name"]: fault["on"] for fault in ask("GET", "/faults")[1]}["rush"] is True
    assert ask("POST", "/faults/rush/off")[0] == 200
    assert ask("GET", "/episodes")[1][-1]["fault"] == "rush"
    assert ask("GET", "/metrics/nowhere/none")[0] == 404
    assert ask("GET", "/ready")[0] == 200


def test_the_world_as_a_process_of_its_own(plane: KubernetesPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    space = f"{SPACE}-2"
    (tmp_path / "files.yaml").write_text(FILES.replace(f"namespace: {SPACE}", f"namespace: {space}"))
    process = WorldProcess(plane, services=[tmp_path / "files.yaml"], faults=[tmp_path / "files.yaml"])
    try:
        process.start()
        plane.wait_rollout(space, "kiosk")
        assert {target.job for target in process.targets()} == {"services", "cluster"}
        text = web.call("GET", f"{process.url}/metrics/{space}/kiosk").body.decode()
        assert f'http_requests_total{{namespace="{space}",workload="kiosk",pod="kiosk-' in text
        assert control.ask("POST", "/faults/rush/on") == {"fault": "rush", "on": True}
        assert [episode["fault"] for episode in control.ask("GET", "/episodes")] == ["rush"]
    finally:
        process.stop()
    assert not control.address_file().exists()
    plane.request("DELETE", f"/api/v1/namespaces/{space}")

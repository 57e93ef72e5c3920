"""The testbed itself: each server really answers, the cluster behaves as clusters do, and what goes wrong is said."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.testbed import binaries, cache, debian, web
from tests.testbed.alertmanager import Alertmanager
from tests.testbed.audit import Write
from tests.testbed.elasticsearch import Elasticsearch
from tests.testbed.errors import TestbedError
from tests.testbed.plane import KubernetesPlane
from tests.testbed.ports import free_port
from tests.testbed.process import Server, eventually
from tests.testbed.prometheus import Prometheus, Target
from tests.testbed.redis import Redis

ROOT = Path(__file__).parents[2]


def deployment(namespace: str, name: str, *, replicas: int, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    container = {"name": "main", "image": f"registry.example/{name}:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}, "annotations": annotations or {}}, "spec": {"containers": [container]}},
        },
    }


def pods(plane: KubernetesPlane, namespace: str, app: str) -> list[dict[str, Any]]:
    found = plane.must("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{app}")
    return [item for item in found["items"] if "deletionTimestamp" not in item["metadata"]]


def container(pod: dict[str, Any]) -> dict[str, Any]:
    statuses: list[dict[str, Any]] = pod["status"].get("containerStatuses") or [{}]
    return statuses[0]


# --- Kubernetes ---


def test_the_plane_is_the_kubernetes_version_it_says(plane: KubernetesPlane) -> None:
    assert plane.must("GET", "/version")["gitVersion"] == f"v{binaries.KUBERNETES_VERSION}"
    assert plane.kubectl("get", "nodes", "-o", "name").split() == ["node/node-0", "node/node-1", "node/node-2"]


def test_a_deployment_becomes_ready_and_its_restart_finishes(plane: KubernetesPlane) -> None:
    plane.namespace("rollout")
    plane.apply(deployment("rollout", "web", replicas=3))
    plane.wait_rollout("rollout", "web")
    before = {pod["metadata"]["uid"] for pod in pods(plane, "rollout", "web")}
    plane.kubectl("-n", "rollout", "rollout", "restart", "deployment/web")
    plane.wait_rollout("rollout", "web")
    eventually(lambda: len(pods(plane, "rollout", "web")) == 3, what="three pods")
    after = pods(plane, "rollout", "web")
    assert not before & {pod["metadata"]["uid"] for pod in after}
    assert all(container(pod)["ready"] and pod["status"]["podIP"] for pod in after)
    found = plane.must("GET", "/apis/apps/v1/namespaces/rollout/deployments/web")
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_an_unbound_account_is_refused(plane: KubernetesPlane) -> None:
    token = plane.service_account_token("rbac", "nobody")
    status, answer = plane.request("GET", "/api/v1/namespaces/rbac/pods", token=token)
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert "system:serviceaccount:rbac:nobody" in answer["message"]
    status, _ = plane.request("GET", "/api/v1/namespaces/rbac/pods", token="no such token")
    assert status == 401


def test_a_bound_account_may_do_what_its_role_says_and_no_more(plane: KubernetesPlane) -> None:
    token = plane.service_account_token("rbac-bound", "reader")
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    subject = {"kind": "ServiceAccount", "namespace": "rbac-bound", "name": "reader"}
    plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"namespace": "rbac-bound", "name": "reader"},
            "rules": rules,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"namespace": "rbac-bound", "name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [subject],
        },
    )
    eventually(
        lambda: plane.request("GET", "/api/v1/namespaces/rbac-bound/pods", token=token)[0] == 200,
        what="the role is in force",
    )
    assert plane.request("DELETE", "/api/v1/namespaces/rbac-bound/pods/any", token=token)[0] == 403


def test_the_audit_log_shows_a_patch_with_its_body_and_who_sent_it(plane: KubernetesPlane) -> None:
    plane.namespace("audited")
    plane.apply(deployment("audited", "web", replicas=1))
    patch = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    path = "/apis/apps/v1/namespaces/audited/deployments/web"
    plane.must("PATCH", f"{path}?dryRun=All", patch, content_type="application/json-patch+json")
    plane.must("PATCH", path, patch, content_type="application/json-patch+json")
    token = plane.service_account_token("audited", "stranger")
    refused, _ = plane.request("PATCH", path, patch, content_type="application/json-patch+json", token=token)
    assert refused == 403

    def written() -> list[Write]:
        return [write for write in plane.audit_events() if (write.namespace, write.name, write.verb) == ("audited", "web", "patch")]

    eventually(lambda: len(written()) == 3, what="three patches logged")
    dry, real, stranger = written()
    assert dry.request_body == real.request_body == patch
    assert (dry.user, dry.dry_run, dry.response_code) == ("admin", True, 200)
    assert (real.user, real.dry_run, real.response_code, real.resource, real.group) == ("admin", False, 200, "deployments", "apps")
    assert real.response_body["spec"]["replicas"] == 2
    assert real.user_agent == "testbed"
    # What is refused by authorization is never read.
    assert (stranger.user, stranger.response_code, stranger.request_body) == ("system:serviceaccount:audited:stranger", 403, None)
    assert plane.audit_events(users=["system:serviceaccount:audited:stranger"]) == [stranger]


def test_tokens_never_reach_the_audit_log(plane: KubernetesPlane) -> None:
    token = plane.service_account_token("audited-tokens", "holder")
    eventually(
        lambda: any(write.subresource == "token" and write.namespace == "audited-tokens" for write in plane.audit_events()),
        what="the token request is logged",
    )
    log = plane.audit_log.read_text()
    assert token not in log
    assert plane.admin_token not in log


@pytest.mark.parametrize(
    ("state", "phase", "reason", "ended"),
    [("CrashLoopBackOff", "Running", "CrashLoopBackOff", ("Error", 1)), ("OOMKilled", "Running", "CrashLoopBackOff", ("OOMKilled", 137))],
)
def test_pods_that_fail_restart_and_recover(plane: KubernetesPlane, state: str, phase: str, reason: str, ended: tuple[str, int]) -> None:
    name = state.lower()
    plane.namespace("failing")
    notes = {"testbed.aiops/state": state, "testbed.aiops/run-for": "1s", "testbed.aiops/back-off": "1s"}
    plane.apply(deployment("failing", name, replicas=1, annotations=notes))

    seen: list[dict[str, Any]] = []

    def waits_after_two_restarts() -> bool:
        # Kept as it was seen: a moment later it may run again.
        seen[:] = pods(plane, "failing", name)
        status = container(seen[0]) if seen else {}
        return status.get("restartCount", 0) >= 2 and bool(status["state"].get("waiting", {}).get("reason") == reason)

    eventually(waits_after_two_restarts, what=f"{state} twice")
    (pod,) = seen
    last = container(pod)["lastState"]["terminated"]
    assert pod["status"]["phase"] == phase
    assert (last["reason"], last["exitCode"]) == ended
    assert not container(pod)["ready"]
    plane.kubectl("-n", "failing", "annotate", "pod", pod["metadata"]["name"], "testbed.aiops/state-")
    eventually(lambda: container(pods(plane, "failing", name)[0]).get("ready") is True, what="recovery")
    assert container(pods(plane, "failing", name)[0])["restartCount"] >= 2


def test_an_image_that_cannot_be_pulled_leaves_the_pod_pending(plane: KubernetesPlane) -> None:
    plane.namespace("pulling")
    plane.apply(deployment("pulling", "web", replicas=1, annotations={"testbed.aiops/state": "ImagePullBackOff"}))

    def reason() -> str:
        found = pods(plane, "pulling", "web")
        return str(container(found[0]).get("state", {}).get("waiting", {}).get("reason", "")) if found else ""

    eventually(lambda: reason() == "ImagePullBackOff", what="ImagePullBackOff")
    assert pods(plane, "pulling", "web")[0]["status"]["phase"] == "Pending"

    def told() -> bool:
        events = plane.must("GET", "/api/v1/namespaces/pulling/events")["items"]
        return any(event["type"] == "Warning" and "ImagePullBackOff" in event["message"] for event in events)

    eventually(told, what="the event")


def test_a_failing_readiness_probe_takes_a_pod_out_and_lets_it_back(plane: KubernetesPlane) -> None:
    plane.namespace("probing")
    plane.apply(deployment("probing", "web", replicas=1, annotations={"testbed.aiops/ready-after": "1s"}))
    plane.wait_rollout("probing", "web")
    name = pods(plane, "probing", "web")[0]["metadata"]["name"]
    plane.kubectl("-n", "probing", "annotate", "pod", name, "testbed.aiops/state=NotReady")
    eventually(lambda: container(pods(plane, "probing", "web")[0])["ready"] is False, what="not ready")
    plane.kubectl("-n", "probing", "annotate", "pod", name, "testbed.aiops/state-")
    plane.wait_rollout("probing", "web")


def test_kubectl_failures_are_told_in_its_own_words(plane: KubernetesPlane) -> None:
    with pytest.raises(TestbedError, match="NotFound"):
        plane.kubectl("get", "deployment", "no-such-thing")


# --- the other servers ---


def test_prometheus_scrapes_what_it_is_told(prometheus_server: Prometheus, plane: KubernetesPlane) -> None:
    prometheus_server.scrape(Target("apiserver", f"{plane.url}/metrics", bearer_token=plane.admin_token, ca_file=plane.ca_file))
    prometheus_server.wait_up("apiserver")
    assert prometheus_server.instant('count(apiserver_request_total{job="apiserver"}) > 0')
    prometheus_server.forget("apiserver")


def test_prometheus_asks_for_a_password() -> None:
    server = Prometheus(basic_auth=("reader", "a password"))
    try:
        server.start()
        assert web.call("GET", f"{server.url}/api/v1/query?query=1").status == 401
        import base64

        header = "Basic " + base64.b64encode(b"reader:a password").decode()
        assert web.call("GET", f"{server.url}/api/v1/query?query=1", headers={"Authorization": header}).status == 200
    finally:
        server.stop()


class _Inbox(BaseHTTPRequestHandler):
    received: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        self.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing to say."""


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    _Inbox.received = []
    server = HTTPServer(("127.0.0.1", 0), _Inbox)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/alerts", _Inbox.received
    server.shutdown()
    server.server_close()
    thread.join()


def test_alertmanager_sends_to_the_webhook(alertmanager: Alertmanager, inbox: tuple[str, list[dict[str, Any]]]) -> None:
    url, received = inbox
    alertmanager.route_to(url)
    alertmanager.fire([{"labels": {"alertname": "TestbedAlert", "namespace": "shop"}}])
    labels = {"alertname": "TestbedAlert", "namespace": "shop"}

    def ours() -> list[dict[str, Any]]:
        """Other tests' alerts may still stand."""
        return [body for body in list(received) if [alert["labels"] for alert in body["alerts"]] == [labels]]

    eventually(lambda: bool(ours()), what="the webhook is called")
    alertmanager.route_to(None)
    assert ours()[0]["version"] == "4"


def test_elasticsearch_indexes_and_counts(elasticsearch: Elasticsearch) -> None:
    lines: list[Any] = []
    for level in ("error", "error", "info"):
        lines += [{"index": {"_index": "testbed-logs"}}, {"level": level}]
    status, answer = elasticsearch.request("POST", "/_bulk?refresh=true", lines)
    assert (status, answer["errors"]) == (200, False)
    body = {"size": 0, "aggs": {"levels": {"terms": {"field": "level.keyword"}}}}
    _, answer = elasticsearch.request("POST", "/testbed-logs/_search", body)
    assert {item["key"]: item["doc_count"] for item in answer["aggregations"]["levels"]["buckets"]} == {"error": 2, "info": 1}


def test_secure_elasticsearch_wants_a_password_or_an_api_key(elasticsearch_secure: Elasticsearch) -> None:
    assert elasticsearch_secure.request("GET", "/_cluster/health", headers={})[0] == 401
    assert elasticsearch_secure.request("GET", "/_cluster/health")[0] == 200
    logs_only = {"reader": {"cluster": ["monitor"], "indices": [{"names": ["logs-*"], "privileges": ["read"]}]}}
    key = {"Authorization": f"ApiKey {elasticsearch_secure.api_key(roles=logs_only)}"}
    assert elasticsearch_secure.request("GET", "/_cluster/health", headers=key)[0] == 200
    assert elasticsearch_secure.request("PUT", "/logs-1", headers=key)[0] == 403


def test_redis_keeps_a_key(redis: Redis) -> None:
    assert redis.command("SET", "testbed", "kept") == b"+OK\r\n"
    assert redis.command("GET", "testbed") == b"$4\r\nkept\r\n"


# --- what goes wrong ---


def test_a_killed_server_reports_with_its_log(tmp_path: Path) -> None:
    server = Server("talker", [sys.executable, "-c", "print('last words', flush=True); import time; time.sleep(60)"], folder=tmp_path)
    server.start()
    eventually(lambda: "last words" in server.log.read_text(), what="it talks")
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not server.alive, what="it is dead")
    with pytest.raises(TestbedError) as caught:
        server.require_alive()
    server.stop()
    assert "talker is not running (exit status -9)" in str(caught.value)
    assert str(tmp_path / "talker.log") in str(caught.value)
    assert "| last words" in str(caught.value)


def test_a_server_that_never_gets_ready_reports_with_its_log(tmp_path: Path) -> None:
    server = Server("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], folder=tmp_path)
    server.start()
    with pytest.raises(TestbedError, match=r"sleeper was not ready within 0\.2 s\nlog kept at "):
        server.wait_ready(lambda: False, deadline_s=0.2)
    server.stop()
    assert not server.alive


def test_a_server_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    parent = (
        f"import subprocess, sys, time\nchild = subprocess.Popen([sys.executable, '-c', {child!r}])\nprint(child.pid, flush=True)\n{child}"
    )
    server = Server("stubborn", [sys.executable, "-c", parent], folder=tmp_path)
    server.start()
    eventually(lambda: server.log.read_text().count("up") == 2, what="both run")
    pid = int(next(line for line in server.log.read_text().splitlines() if line.isdigit()))
    server.stop(grace_s=0.2)
    eventually(lambda: not _runs(pid), what="the child is dead")


def test_servers_end_with_an_owner_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom tests.testbed.process import Server\n"
        f"server = Server('orphan', [sys.executable, '-c', 'import time; time.sleep(60)'], folder=Path({str(tmp_path)!r}))\n"
        "server.start()\nprint(server.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert _runs(pid)
        owner.kill()
    eventually(lambda: not _runs(pid), what="the orphan is dead")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_missing_package_is_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(debian, "_EXTRA_PATH", ())
    with pytest.raises(TestbedError) as caught:
        debian.ensure(debian.Program("etcd", "etcd-server"))
    assert str(caught.value) == "missing: etcd (Debian package etcd-server), and there is no apt-get here"


def test_a_build_that_fails_leaves_nothing_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fails(folder: Path) -> None:
        (folder / "half").write_text("done")
        raise TestbedError("no more")

    with pytest.raises(TestbedError, match="no more"):
        cache.build_once("thing", "1", fails)
    assert [path.name for path in (tmp_path / "aiops-testbed").iterdir()] == ["thing-1.lock"]


def test_two_processes_build_a_thing_once(tmp_path: Path) -> None:
    program = (
        "import time\nfrom pathlib import Path\nfrom tests.testbed.cache import build_once\n"
        "def make(folder):\n    time.sleep(0.5)\n    (folder / 'made').touch()\n    print('built', flush=True)\n"
        "print((build_once('thing', '1', make) / 'made').exists(), flush=True)\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = "".join(process.communicate(timeout=300)[0] for process in both).split()
    assert sorted(said) == ["True", "True", "built"]


def test_the_command_line_starts_says_where_and_stops_on_a_signal() -> None:
    command = [sys.executable, "-m", "tests.testbed", "--only", "redis"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        where = running.stdout.readline().split()
        assert running.stdout.readline().startswith("ready")
        port = int(where[1].rsplit(":", 1)[1].split("/")[0])
        assert _listens(port)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=300) == 0
    assert not _listens(port)


def test_the_command_line_names_what_it_knows() -> None:
    command = [sys.executable, "-m", "tests.testbed", "--only", "mainframe"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "unknown mainframe; allowed: plane, redis" in result.stderr


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_ports_are_never_handed_out_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_prometheus_and_alertmanager_tools_are_at_hand() -> None:
    for program in (binaries.PROMTOOL, binaries.AMTOOL):
        assert shutil.which(str(binaries.debian_program(program)))


def test_prometheus_asks_for_a_client_certificate() -> None:
    server = Prometheus(mutual_tls=True)
    try:
        server.start()
        assert server.certificates is not None
        query = f"{server.url}/api/v1/query?query=1"
        with pytest.raises(OSError, match=r"certificate|handshake|reset"):
            web.call("GET", query, ca_file=server.certificates.ca)
        context = ssl.create_default_context(cafile=str(server.certificates.ca))
        context.load_cert_chain(server.certificates.client_cert, server.certificates.client_key)
        with urllib.request.urlopen(query, context=context) as answer:
            assert answer.status == 200
    finally:
        server.stop()


def test_a_node_is_made_not_ready_by_a_label(plane: KubernetesPlane) -> None:
    def ready() -> str:
        found = plane.must("GET", "/api/v1/nodes/node-2")
        return next(str(item["status"]) for item in found["status"]["conditions"] if item["type"] == "Ready")

    plane.kubectl("label", "node", "node-2", "node-not-ready.stage.kwok.x-k8s.io=true")
    eventually(lambda: ready() == "False", what="node-2 is not ready")
    plane.kubectl("label", "node", "node-2", "node-not-ready.stage.kwok.x-k8s.io-")
    eventually(lambda: ready() == "True", what="node-2 is ready")
    eventually(lambda: not plane.must("GET", "/api/v1/nodes/node-2")["spec"].get("taints"), what="node-2 takes pods again")

"""The manifests of deploy/ on a real API server: accepted under restricted Pod Security, with rights that are exactly what is needed.

The accounts are tried twice: the API server is asked what they may do, and they try. Effects are counted in its audit log.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.adapters.kubernetes import DEFAULT_KINDS
from aiops.app.check import check
from aiops.app.config import read_settings
from aiops.domain.runbook import ActionSpec
from aiops.domain.target import KINDS
from aiops.execution.actions.registry import SPECS
from aiops.replay.record import RECORDED_KINDS
from tests.testbed import binaries
from tests.testbed.plane import KubernetesPlane
from tests.testbed.process import PATIENCE_S, eventually

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
READ = {"get", "list", "watch"}
WRITE = {"create", "update", "patch", "delete", "deletecollection"}
NAMESPACE, ACCOUNT = "aiops", "aiops"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
Rights = set[tuple[str, str, str]]


def rendered(overlay: str) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    done = subprocess.run([str(binaries.kubectl()), "kustomize", str(DEPLOY / overlay)], check=True, capture_output=True, text=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def one(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The object of that kind and name."""
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)


def rights(role: dict[str, Any]) -> Rights:
    """(group, resource, verb) of every rule."""
    assert all(not rule.get("resourceNames") and not rule.get("nonResourceURLs") for rule in role["rules"])
    return {(g, r, v) for rule in role["rules"] for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}


READ_ROLE = rights(one(rendered("base"), "ClusterRole", "aiops-read"))
ACT_ROLE = rights(one(rendered("act"), "ClusterRole", "aiops-act"))
OPTIONAL = {path.stem: rights(one(list(yaml.safe_load_all(path.read_text())), "ClusterRole", f"aiops-act-{path.stem}")) for path in sorted((DEPLOY / "rights").glob("*.yaml"))}
NEEDED = {(p.group, p.resource, verb) for spec in SPECS.values() for p in spec.permissions for verb in p.verbs}


# --- the roles against the code


def test_reading_role_only_reads():
    assert {verb for _, _, verb in READ_ROLE} == READ
    assert not [r for r in READ_ROLE if r[1] in ("secrets", "*") or r[0] == "*"]


@pytest.mark.parametrize("kind", sorted({*DEFAULT_KINDS, *RECORDED_KINDS}))
def test_every_kind_that_is_watched_can_be_read(kind):
    assert {(KINDS[kind].group, KINDS[kind].plural, verb) for verb in READ} <= READ_ROLE


def test_every_kind_that_a_shipped_rule_is_about_is_watched():
    """What is not in the view does not exist for a runbook."""
    kinds = {rule["target"]["kind"] for file in (ROOT / "rules").glob("*.yaml") for rule in yaml.safe_load(file.read_text()).get("rules", ()) if "target" in rule}
    assert "Service" in kinds
    assert kinds <= set(DEFAULT_KINDS)


def test_reading_role_covers_every_kind_of_target_and_no_others():
    # Leases are how components choose a leader; nothing here is about them.
    assert {(g, r) for g, r, _ in READ_ROLE} == {(k.group, k.plural) for k in KINDS.values() if k.name != "Lease"}


def test_acting_roles_are_what_the_actions_declare_and_events():
    assert {r for r in NEEDED if r[2] in READ} <= READ_ROLE
    optional = set().union(*OPTIONAL.values())
    assert {r for r in NEEDED if r[2] not in READ} | {("", "events", "create")} == ACT_ROLE | optional
    assert not optional & ACT_ROLE


def test_the_table_of_optional_rights_names_the_actions_that_need_each():
    rows = re.findall(r"^\| `rights/([a-z-]+)\.yaml` \| (.+) \|$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    told = {file: {part.strip() for part in re.sub(r"\([^)]*\)", "", actions).split(",")} for file, actions in rows}
    assert set(told) == set(OPTIONAL)
    wanting = {name: _written(spec) - ACT_ROLE for name, spec in SPECS.items()}
    assert set().union(*told.values()) == {name for name, rights in wanting.items() if rights}
    for file, actions in told.items():
        for action in actions:
            assert wanting[action] <= OPTIONAL[file], (file, action)
        assert OPTIONAL[file] == set().union(*(wanting[a] for a in actions)), file


def _written(spec: ActionSpec) -> Rights:
    return {(p.group, p.resource, verb) for p in spec.permissions for verb in p.verbs if verb not in READ}


def test_base_binds_no_acting_role_and_does_not_act():
    objects = rendered("base")
    assert {o["metadata"]["name"] for o in objects if o["kind"] in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")} == {"aiops-read"}
    assert "--act" not in one(objects, "Deployment", "aiops")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--act" in one(rendered("act"), "Deployment", "aiops")["spec"]["template"]["spec"]["containers"][0]["args"]


# --- the ConfigMaps against the loaders


def test_the_shipped_settings_load(tmp_path):
    file = tmp_path / "aiops.yaml"
    file.write_text(one(rendered("base"), "ConfigMap", "aiops-config")["data"]["aiops.yaml"])
    settings = read_settings(file)
    spec = one(rendered("base"), "Deployment", "aiops")["spec"]["template"]["spec"]
    mounts = {m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
    assert settings.state_dir in mounts, "the store is on the volume"
    assert Path(settings.pause_file).parent == Path(settings.state_dir)
    assert {p for p in (*settings.rules, *settings.runbooks) if "/own/" in p} <= mounts
    assert settings.web.port == spec["containers"][0]["ports"][0]["containerPort"]
    assert settings.web.host == "0.0.0.0"
    assert settings.grace < spec["terminationGracePeriodSeconds"]


def test_own_rules_and_runbooks_come_by_config_map_as_the_kubelet_mounts_them(tmp_path):
    for name in ("aiops-rules", "aiops-runbooks"):
        data = one(rendered("own"), "ConfigMap", name)["data"]
        folder = tmp_path / name
        (folder / "..2026_11_23").mkdir(parents=True)
        (folder / "..data").symlink_to("..2026_11_23")
        for file, text in data.items():
            (folder / "..2026_11_23" / file).write_text(text)
            (folder / file).symlink_to(Path("..data") / file)
    result = check(None, (ROOT / "rules", ROOT / "runbooks", tmp_path / "aiops-rules", tmp_path / "aiops-runbooks"))
    packs = check(None, (ROOT / "rules", ROOT / "runbooks"))
    assert (result.problems, result.rules, result.runbooks) == ((), packs.rules + 1, packs.runbooks + 1)


# --- on the API server


@pytest.fixture(scope="module")
def installed(plane: KubernetesPlane) -> Iterator[KubernetesPlane]:
    """deploy/base applied; taken away at the end."""
    try:
        yield plane
    finally:
        for overlay in ("act", "base"):
            plane.kubectl("delete", "-k", str(DEPLOY / overlay), "--ignore-not-found", "--wait=false")
        plane.kubectl("delete", "-f", str(DEPLOY / "rights"), "--ignore-not-found", "--wait=false")


def apply(plane: KubernetesPlane, overlay: str) -> str:
    """`kubectl apply -k`, with what it warned of."""
    config = plane.kubeconfig(plane.folder / "deploy.kubeconfig")
    command = [str(binaries.kubectl()), f"--kubeconfig={config}", f"--cache-dir={plane.folder / 'kubectl-cache'}", "apply", "-k", str(DEPLOY / overlay)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def offer_volumes(plane: KubernetesPlane) -> None:
    """The plane has no provisioner: a volume for the claim, as a cluster's storage would make it."""
    volume = {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "aiops-state-test"},
        "spec": {
            "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Delete",
            "hostPath": {"path": "/nonexistent"}, "claimRef": {"namespace": NAMESPACE, "name": "aiops-state"},
        },
    }  # fmt: skip
    plane.apply(volume)


def may(plane: KubernetesPlane, token: str, group: str, resource: str, verb: str) -> bool:
    """The API server's own answer for the account of the token, in any namespace."""
    name, _, subresource = resource.partition("/")
    attributes = {"group": group, "resource": name, "subresource": subresource, "verb": verb}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    answer = plane.must("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, token=token)
    return bool(answer["status"].get("allowed"))


RESOURCES = sorted(
    {(k.group, k.plural) for k in KINDS.values()}
    | {("", "secrets"), ("", "pods/eviction"), ("", "pods/exec"), ("apps", "deployments/scale"), ("rbac.authorization.k8s.io", "clusterroles")}
)


def granted(plane: KubernetesPlane, token: str) -> Rights:
    """Every right of the account among the resources that matter."""
    return {(g, r, v) for g, r in RESOURCES for v in sorted(READ | WRITE) if may(plane, token, g, r, v)}


def writes(plane: KubernetesPlane, since: int) -> list[Any]:
    """What the account tried to write, access reviews apart: they ask, and store nothing."""
    return [w for w in plane.audit_events(users=[USER])[since:] if w.resource != "selfsubjectaccessreviews"]


def test_base_is_accepted_and_its_pod_runs_under_restricted_pod_security(installed):
    plane = installed
    # A namespace that is being deleted from an earlier run would refuse everything.
    assert "Warning" not in apply(plane, "base")
    offer_volumes(plane)
    plane.wait_rollout(NAMESPACE, "aiops")
    pods = plane.must("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    assert len(pods) == 1
    context = pods[0]["spec"]["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert pods[0]["spec"]["securityContext"]["runAsNonRoot"] is True
    events = plane.must("GET", f"/api/v1/namespaces/{NAMESPACE}/events")["items"]
    assert not [e["message"] for e in events if e["reason"] in ("FailedCreate", "FailedMount")]


def test_base_account_reads_all_that_is_watched_and_can_write_nothing(installed):
    plane = installed
    apply(plane, "base")
    token = plane.service_account_token(NAMESPACE, ACCOUNT)
    assert granted(plane, token) == READ_ROLE
    for kind in sorted({*DEFAULT_KINDS, *RECORDED_KINDS}):
        place = f"/apis/{KINDS[kind].api_version}" if KINDS[kind].group else "/api/v1"
        assert plane.request("GET", f"{place}/{KINDS[kind].plural}", token=token)[0] == 200, kind
    seen = len(plane.audit_events(users=[USER]))
    deployment = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/aiops"
    before = plane.must("GET", deployment)["spec"]
    attempts = [
        ("PATCH", deployment, {"spec": {"replicas": 0}}, "application/merge-patch+json"),
        ("PATCH", f"{deployment}?dryRun=All", {"spec": {"replicas": 0}}, "application/merge-patch+json"),
        ("PATCH", f"{deployment}/scale", {"spec": {"replicas": 0}}, "application/merge-patch+json"),
        ("DELETE", deployment, None, "application/json"),
        ("POST", f"/api/v1/namespaces/{NAMESPACE}/events", {"metadata": {"name": "x"}, "involvedObject": {}}, "application/json"),
        ("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", {"metadata": {"name": "x"}}, "application/json"),
    ]
    for method, path, body, kind in attempts:
        assert plane.request(method, path, body, token=token, content_type=kind)[0] == 403, (method, path)
    assert plane.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets", token=token)[0] == 403
    assert plane.must("GET", deployment)["spec"] == before
    eventually(lambda: len(writes(plane, seen)) == len(attempts), what="refused writes in the audit log")
    assert {w.response_code for w in writes(plane, seen)} == {403}


def test_the_daemon_itself_as_the_reading_account_is_ready_and_writes_nothing(installed, tmp_path):
    plane = installed
    apply(plane, "base")
    token = plane.service_account_token(NAMESPACE, ACCOUNT)
    seen = len(plane.audit_events(users=[USER]))
    with daemon(plane, token, tmp_path) as url:
        eventually(lambda: "\naiops_dry_run 1.0" in _get(f"{url}/metrics"), what="the daemon says that it is dry")
        eventually(lambda: 'aiops_cluster_synced{cluster="default"} 1.0' in _get(f"{url}/metrics"), what="every kind listed")
    assert [(w.verb, w.resource, w.uri) for w in writes(plane, seen) if not w.dry_run] == []
    log = (tmp_path / "daemon.log").read_text()
    assert not [line for line in log.splitlines() if "Forbidden" in line or '"level": "error"' in line]


def test_acting_account_has_the_rights_of_the_actions_and_no_more(installed):
    plane = installed
    assert "Warning" not in apply(plane, "act")
    offer_volumes(plane)
    token = plane.service_account_token(NAMESPACE, ACCOUNT)
    assert granted(plane, token) == READ_ROLE | ACT_ROLE
    assert plane.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets", token=token)[0] == 403
    plane.wait_rollout(NAMESPACE, "aiops")


def test_optional_rights_are_accepted_and_are_those_of_their_actions(installed):
    plane = installed
    apply(plane, "act")
    plane.kubectl("apply", "-f", str(DEPLOY / "rights"))
    token = plane.service_account_token(NAMESPACE, ACCOUNT)
    everything = READ_ROLE | ACT_ROLE | set().union(*OPTIONAL.values())
    # The authoriser learns of bindings through a watch of its own.
    eventually(lambda: granted(plane, token) == everything, what="the optional rights count")


def test_changed_rules_reach_the_cluster_as_config_maps(installed):
    plane = installed
    assert "Warning" not in apply(plane, "own")
    names = {c["metadata"]["name"] for c in plane.must("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps")["items"]}
    assert {"aiops-config", "aiops-rules", "aiops-runbooks"} <= names


# --- the daemon as a process


@contextmanager
def daemon(plane: KubernetesPlane, token: str, folder: Path) -> Iterator[str]:
    """`aiops run` with a kubeconfig that holds the token alone; gives its address once it is ready, and ends it in order."""
    config = {
        "apiVersion": "aiops/v1", "kind": "Config", "stateDir": str(folder / "state"),
        "clusters": [{"name": "default", "kubeconfig": str(plane.kubeconfig(folder / "kubeconfig", token=token, user=ACCOUNT))}],
        "rules": [str(ROOT / "rules")], "runbooks": [str(ROOT / "runbooks")], "web": {"port": 0},
    }  # fmt: skip
    (folder / "aiops.yaml").write_text(json.dumps(config))
    log = folder / "daemon.log"
    environment = {k: v for k, v in os.environ.items() if k not in ("KUBECONFIG", "AIOPS_CONFIG")}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "aiops", "run", "--config", str(folder / "aiops.yaml")],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, env={**environment, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        port = 0

        def ready() -> bool:
            nonlocal port
            assert process.poll() is None, log.read_text()[-3000:]
            for line in log.read_text().splitlines():
                if line.startswith("{") and json.loads(line).get("event") == "ready":
                    port = json.loads(line)["port"]
            return bool(port)

        eventually(ready, what=f"the daemon ready (log in {log})")
        url = f"http://127.0.0.1:{port}"
        _get(f"{url}/readyz")
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0, log.read_text()[-3000:]


def _get(url: str) -> str:
    """The text of an answer 200; HTTPError otherwise."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())

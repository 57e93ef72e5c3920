"""SIGKILL around the writes of a run on a real API server: what counts is its audit log and its objects."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.store import SqlStore, open_store
from aiops.domain.command import Command, CommandKind
from aiops.domain.execution import Execution, ExecutionState, StepState
from aiops.domain.outcome import Outcome
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.runbook import Mode
from aiops.domain.target import TargetRef
from aiops.execution.actions.contract import STAMP
from tests.integration.kill_execution_child import executor, work
from tests.testbed.audit import Write
from tests.testbed.plane import KubernetesPlane
from tests.testbed.process import eventually

ROOT = Path(__file__).parents[2]
NAMESPACE, ACCOUNT = "kill-execution", "engine"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"


@dataclass(frozen=True)
class Case:
    """What is done, and when the process dies; `undo`: the forward part went well, it dies at the undo."""

    action: str
    fate: str
    undo: bool = False

    @property
    def name(self) -> str:
        return f"{'undo' if self.undo else 'do'}-{self.action}-{self.fate.replace(':', '-')}"


CASES = [
    *(Case(action, fate) for action in ("scale", "restart", "rollback") for fate in ("before:1", "after:1")),
    *(Case("scale", f"during:1:{ms}") for ms in (0, 3, 6)),
    *(Case(action, fate, undo=True) for action in ("scale", "rollback") for fate in ("before:1", "after:1")),
]
ARGUMENTS: dict[str, dict[str, Any]] = {"scale": {"by": "+50%"}, "restart": {}, "rollback": {}}


@dataclass
class Scene:
    """One Deployment with two releases and one store for a case; what was seen on the way."""

    case: Case
    plane: KubernetesPlane
    kubeconfig: Path
    store: SqlStore
    url: str
    run: str = ""
    code: int | None = None
    at_death: int = 0

    def live(self) -> dict[str, Any]:
        found: dict[str, Any] = self.plane.must("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{self.case.name}")
        return found

    def submit(self) -> None:
        step = PlannedStep(self.case.action, self.case.action, ARGUMENTS[self.case.action], timeout=90)
        target = TargetRef("Deployment", NAMESPACE, self.case.name)
        plan = Plan(f"plan-{self.case.name}", "inc-1", "runbook", "hash", Mode.AUTO, target, (step,), 0.0, "hash")
        made = executor(self.kubeconfig, self.store).submit(plan, simulated=False)
        assert made is not None
        self.run = made.id

    def turn_round(self) -> None:
        engine = executor(self.kubeconfig, self.store)
        assert engine.commands(Command("cmd-1", CommandKind.UNDO, self.run, "ada", 0.0)).accepted
        engine.stop()

    def go_on(self) -> None:
        """A new life: nothing of the one before but the store and the cluster."""
        work(executor(self.kubeconfig, self.store), self.store, self.run)

    def die(self) -> None:
        command = [sys.executable, "-m", "tests.integration.kill_execution_child", str(self.kubeconfig), self.url, self.run, self.case.fate]
        self.code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if self.case.fate.startswith("after"):
            # The log may be a moment behind the answer.
            eventually(lambda: len(self.accepted()) > self.case.undo, what=f"the write of {self.case.name} in the audit log")
        self.at_death = len(self.accepted())

    def done(self) -> Execution:
        found = self.store.execution(self.run)
        assert found is not None
        return found

    def accepted(self) -> list[Write]:
        """Writes on our Deployment that the server carried out."""
        events = self.plane.audit_events(users=[USER])
        return [w for w in events if w.name == self.case.name and w.response_code < 300 and not w.dry_run]


@pytest.fixture(scope="module")
def kubeconfig(plane: KubernetesPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    token = plane.service_account_token(NAMESPACE, ACCOUNT)
    rules = [
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": ["get", "patch"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list"]},
    ]
    about = {"namespace": NAMESPACE, "name": ACCOUNT}
    plane.apply(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": about, "rules": rules},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": about,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
        },
    )
    return plane.kubeconfig(tmp_path_factory.mktemp("engine") / "kubeconfig", token=token, user=ACCOUNT, namespace=NAMESPACE)


def deployment(name: str, release: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": f"registry.example/x:{release}"}]}},
        },
    }


@pytest.fixture(scope="module")
def scenes(plane: KubernetesPlane, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Scene]]:
    """All cases are played side by side: every process is killed once, then every run is taken up again."""
    for release in (1, 2):
        plane.apply(*(deployment(case.name, release) for case in CASES))
        for case in CASES:
            plane.wait_rollout(NAMESPACE, case.name)
    made = []
    for case in CASES:
        url = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db"
        made.append(Scene(case, plane, kubeconfig, open_store(url), url))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Scene.submit, made))
        undone = [scene for scene in made if scene.case.undo]
        list(pool.map(Scene.go_on, undone))
        list(pool.map(Scene.turn_round, undone))
        list(pool.map(Scene.die, made))
        list(pool.map(Scene.go_on, made))
    yield {scene.case: scene for scene in made}
    for scene in made:
        scene.store.close()
        plane.must("DELETE", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{scene.case.name}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_around_a_write_it_is_made_once(scenes: dict[Case, Scene], case: Case) -> None:
    scene = scenes[case]
    assert scene.code == -signal.SIGKILL
    eventually(lambda: len(scene.accepted()) > case.undo, what="the writes in the audit log")
    writes = scene.accepted()
    assert len(writes) == 1 + case.undo
    if not case.fate.startswith("during"):
        assert scene.at_death == case.undo + case.fate.startswith("after")
    done, live = scene.done(), scene.live()
    assert done.result is not None
    assert (done.state, done.result.outcome) == (ExecutionState.DONE, Outcome.FAILED if case.undo else Outcome.SUCCEEDED), done.result
    assert writes[-1].verb == "patch"
    assert writes[-1].request_body[-1]["value"] == live["metadata"]["annotations"][STAMP]
    image = live["spec"]["template"]["spec"]["containers"][0]["image"]
    scaled, rolled_back = case.action == "scale" and not case.undo, case.action == "rollback" and not case.undo
    assert (live["spec"]["replicas"], image) == (3 if scaled else 2, f"registry.example/x:{1 if rolled_back else 2}")
    assert ("kubectl.kubernetes.io/restartedAt" in live["spec"]["template"]["metadata"].get("annotations", {})) == (case.action == "restart")
    if case.undo:
        assert done.step(case.action).state is StepState.UNDONE
    kinds = [entry.kind.value for entry in scene.store.journal(scene.run)]
    assert {"taken-over", "looked"} <= set(kinds)
    assert scene.store.leases() == []


def test_an_object_without_annotations_is_stamped_on_the_real_server(plane: KubernetesPlane, kubeconfig: Path, tmp_path: Path) -> None:
    """The server's own `test` on an absent member, which the in-memory cluster imitates: a former stamp that is none, on an object without annotations."""
    spec = deployment("bare", 1)["spec"] | {"serviceName": "bare", "replicas": 1}
    plane.must("POST", f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets", {"metadata": {"name": "bare"}, "spec": spec})
    store = open_store("sqlite:///:memory:")
    engine = executor(kubeconfig, store)
    target = TargetRef("StatefulSet", NAMESPACE, "bare")
    plan = Plan("plan-bare", "inc-1", "runbook", "hash", Mode.AUTO, target, (PlannedStep("scale", "scale", {"to": 2}),), 0.0, "hash")
    (change,) = engine.preview(plan)
    assert "-  replicas: 1\n+  replicas: 2" in change.diff
    assert change.origin == "server"
    made = engine.submit(plan, simulated=False)
    assert made is not None
    engine.advance(made.id)
    live = plane.must("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/bare")
    assert live["spec"]["replicas"] == 2
    assert live["metadata"]["annotations"] == {STAMP: f"{made.id}.scale.1"}
    owners = {field["manager"] for field in live["metadata"]["managedFields"] if "f:replicas" in field["fieldsV1"].get("f:spec", {})}
    assert "aiops" in owners
    plane.must("DELETE", f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/bare")

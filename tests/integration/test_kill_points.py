"""SIGKILL at every point of a run, by effect class, on a real API server: before and after the intent is committed, after the request's bytes have
left and before the answer (it was carried out, or it arrives when the next life has long gone on), after the answer, after the record.

Effects are counted in the API server's audit log and by a loopback server. The run has a branch, a retry, a wait and an undo. Journals lie in SQLite
and in PostgreSQL in turn. Neighbours: `kill_points_child` dies, `gate` holds requests back, `test_kill_execution` has more of the stamped actions.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.store import SqlStore, open_store
from aiops.domain.execution import Execution, ExecutionState, StepState
from aiops.domain.outcome import Outcome
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.runbook import Mode, OnFailure, Retry
from aiops.domain.target import TargetRef
from tests.integration.gate import Gate, Request
from tests.integration.kill_points_child import EFFECTS, INTENTS, LABEL, doomed, engine, work
from tests.testbed import kwok
from tests.testbed.audit import Write
from tests.testbed.plane import KubernetesPlane
from tests.testbed.postgres import Postgres
from tests.testbed.process import eventually

pytestmark = pytest.mark.timeout(900)
NAMESPACE, ACCOUNT = "kill-points", "engine"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
WAYS = ("intent-before", "intent-after", "effect-before", "effect-after")

INTENDED = {"story": 7, "named": 1, "uid": 1, "drain": 2, "convergent": 1, "once": 1}
"""How many intents an undisturbed run has: grow, rest, mark, call twice (the first is turned away), doom, and the undo of grow; a drain cordons and evicts one pod."""
SENT = {"story": 3, "named": 1, "uid": 1, "drain": 2, "convergent": 1, "once": 0}
"""How many of them go to the API server."""


@dataclass(frozen=True)
class Case:
    """What is done, and where the process dies."""

    kind: str
    point: str

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.point.replace(':', '-')}"


CASES = [
    Case(kind, point)
    for kind, intents in INTENDED.items()
    for point in (
        "never", *(f"{way}:{n}" for way in WAYS for n in range(1, intents + 1)),
        *(f"{fate}:{n}" for fate in ("swallow", "hold") for n in range(1, SENT[kind] + 1)), *(("web-hold:1",) if kind == "once" else ()),
    )
]


class Web:
    """Counts what reaches it: `/CASE/once`, `/CASE/flaky` (turns the first request of each away), `/CASE/refuse`, and can let a case wait for ever."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.silent: dict[str, threading.Event] = {}
        web = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                web.hits[self.path] += 1
                if waits := web.silent.get(self.path):
                    waits.set()
                    threading.Event().wait(20)
                    return
                turned_away = self.path.endswith("flaky") and web.hits[self.path] == 1
                self.send_response(429 if turned_away else 404 if self.path.endswith("refuse") else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = _any

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class' name)
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="web", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Scene:
    """One case: its object, its store, what was seen on the way."""

    case: Case
    plane: KubernetesPlane
    web: Web
    store: SqlStore
    place: tuple[str, str]
    target: TargetRef
    run: str = ""
    code: int | None = None
    late: list[int] = field(default_factory=list)

    def plan(self) -> Plan:
        def step(name: str, action: str, *needs: str, **more: Any) -> PlannedStep:
            return PlannedStep(name, action, more.pop("arguments", {}), needs=needs, timeout=300.0, **more)

        def call(path: str, method: str, **more: Any) -> dict[str, Any]:
            return {"url": f"{self.web.url}/{self.case.name}/{path}", "method": method, **more}

        again = Retry(limit=3, initial=0.1, on=("transient",))
        steps = {
            "story": (
                step("grow", "scale", arguments={"to": 1}), step("rest", "wait", "grow", arguments={"for": 1.0}),
                step("mark", "mark", "rest", when='steps.grow.outcome == "succeeded"'),
                step("other", "mark", "rest", when='steps.grow.outcome != "succeeded"'),
                step("call", "http-request", "mark", "other", arguments=call("flaky", "POST", idempotencyKey=True), retry=again),
                step("doom", "http-request", "call", arguments=call("refuse", "GET"), on_failure=OnFailure.UNDO),
            ),
            "named": (step("make", "run-job", arguments={"template": {"spec": {"template": {"spec": {"containers": [CONTAINER]}}}}}),),
            "uid": (step("evict", "restart-pod"),),
            "drain": (step("empty", "drain"),),
            "convergent": (step("mark", "mark"),),
            "once": (step("call", "http-request", arguments=call("once", "POST")),),
        }[self.case.kind]
        return Plan(f"plan-{self.case.name}", "inc-1", "runbook", "hash", Mode.AUTO, self.target, steps, 0.0, "hash")

    def done(self) -> Execution:
        found = self.store.execution(self.run)
        assert found is not None
        return found

    def accepted(self) -> list[Write]:
        """What the server carried out on our objects."""
        events = self.plane.audit_events(users=[USER])
        return [w for w in events if w.name.startswith((self.case.name, self.target.name)) and w.response_code < 300 and not w.dry_run]

    def live(self) -> dict[str, Any]:
        found: dict[str, Any] = self.plane.must("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{self.case.name}")
        return found


class Theatre:
    """Plays all cases side by side: every process is killed once, then every run is taken up again."""

    def __init__(self, plane: KubernetesPlane, postgres: Postgres, folder: Path) -> None:
        self.plane, self.postgres, self.folder, self.web = plane, postgres, folder, Web()
        token = plane.service_account_token(NAMESPACE, ACCOUNT)
        self._rights()
        self.gate = Gate(plane.url, ca_file=Path(plane.ca_file))
        self.gate.judge = self._judge
        self.direct = plane.kubeconfig(folder / "direct", token=token, user=ACCOUNT, namespace=NAMESPACE)
        self.gated = self.gate.kubeconfig(folder / "gated", token)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tests.integration.kill_points_child"])
        # The standard library looks after other threads' processes too when it starts one: two that read one exit status lose it.
        self.processes = threading.Lock()
        self.reached: dict[str, threading.Event] = {}
        self.sent: Counter[str] = Counter()
        self.scenes: dict[Case, Scene] = {}

    def _rights(self) -> None:
        rules = [
            {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list", "patch"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
            {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["get", "list", "patch"]},
            {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "create"]},
        ]
        drains = [
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]}, {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        ]
        about = {"namespace": NAMESPACE, "name": ACCOUNT}
        group, subjects = "rbac.authorization.k8s.io", [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]
        self.plane.apply(
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": about, "rules": rules},
            {
                "apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": about, "roleRef": {"apiGroup": group, "kind": "Role", "name": ACCOUNT},
                "subjects": subjects,
            },
            {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": NAMESPACE}, "rules": drains},
            {
                "apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": NAMESPACE},
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": NAMESPACE}, "subjects": subjects,
            },
        )

    def _judge(self, request: Request) -> str:
        """The N-th write of a case that dies on its way is kept from it; all else passes."""
        if request.method == "GET":
            return "pass"
        scene = next((s for s in self.scenes.values() if f"/{s.target.name}" in request.path or s.case.name.encode() in request.body), None)
        if scene is None:
            return "pass"
        fate, _, number = scene.case.point.partition(":")
        self.sent[scene.case.name] += 1
        if fate not in ("swallow", "hold") or self.sent[scene.case.name] != int(number):
            return "pass"
        self.reached[scene.case.name].set()
        return fate

    def prepare(self) -> None:
        """Objects, stores and runs."""
        for case in CASES:
            if case.kind == "drain":
                self.plane.must("POST", "/api/v1/nodes", _node(case.name))
        self.plane.apply(*(_deployment(case.name, replicas=int(case.kind in ("uid", "drain")), node=case.kind == "drain") for case in CASES))
        template = self.postgres.database()
        open_store(self.postgres.url(template), password_file=str(self.postgres.password_file)).close()
        for number, case in enumerate(CASES):
            place = f"sqlite:///{self.folder}/{case.name}.db", ""
            if number % 2:
                place = self.postgres.url(self.postgres.database(template)), str(self.postgres.password_file)
            store = open_store(place[0], password_file=place[1])
            self.scenes[case] = Scene(case, self.plane, self.web, store, place, TargetRef("Deployment", NAMESPACE, case.name))
            self.reached[case.name] = threading.Event()
        for scene in self.scenes.values():
            if scene.case.kind in ("uid", "drain"):
                self.plane.wait_rollout(NAMESPACE, scene.case.name)
                pod = TargetRef("Pod", NAMESPACE, self._pod(scene.case.name))
                scene.target = pod if scene.case.kind == "uid" else TargetRef("Node", "", scene.case.name)
            if scene.case.point == "web-hold:1":
                self.web.silent[f"/{scene.case.name}/once"] = self.reached[scene.case.name]
            made = engine(self.direct, self.web.url, scene.store).submit(scene.plan(), simulated=False)
            assert made is not None
            scene.run = made.id

    def _pod(self, app: str) -> str:
        (pod,) = self.plane.must("GET", f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3D{app}")["items"]
        return str(pod["metadata"]["name"])

    def kill(self, scene: Scene) -> None:
        """The first life."""
        words = (str(self.gated), self.web.url, *scene.place, scene.run, scene.case.point)
        process = self.context.Process(target=doomed, args=words)

        def ended() -> bool:
            with self.processes:
                scene.code = process.exitcode
            return scene.code is not None

        with self.processes:
            process.start()
        if "hold" in scene.case.point or scene.case.point.startswith("swallow"):
            reached = self.reached[scene.case.name]
            eventually(lambda: reached.is_set() or ended(), deadline_s=120, what=f"{scene.case.name} to send")
            assert reached.is_set(), f"{scene.case.name} ended by itself: {scene.done().result}"
            if scene.case.point.startswith("swallow"):  # the server has carried it out when it is among those kept
                eventually(lambda: any(r.status for r in self._kept(scene)), deadline_s=60, what="the server's answer")
            process.kill()
        eventually(ended, deadline_s=150, what=f"{scene.case.name} to end")

    def _kept(self, scene: Scene) -> list[Request]:
        return [r for r in self.gate.kept if f"/{scene.target.name}" in r.path or scene.case.name.encode() in r.body]

    def go_on(self, scene: Scene) -> None:
        """The second life: nothing of the first but the store and the cluster. What was held back arrives when it is through."""
        work(engine(self.direct, self.web.url, scene.store), scene.store, scene.run)
        for request in self._kept(scene):
            if not request.status:
                scene.late.append(self.gate.deliver(request))
            request.let_go.set()

    def close(self) -> None:
        self.web.stop()
        for scene in self.scenes.values():
            scene.store.close()
            with suppress(Exception):
                self.plane.must("DELETE", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{scene.case.name}")
                if scene.case.kind == "drain":
                    self.plane.must("DELETE", f"/api/v1/nodes/{scene.case.name}")


CONTAINER = {"name": "main", "image": "registry.example/x:1"}
HOST = "kubernetes.io/hostname"


def _node(name: str) -> dict[str, Any]:
    """A node on which nobody's pods are but those that ask for it."""
    made = kwok.node(200)
    made["metadata"] |= {"name": name, "labels": made["metadata"]["labels"] | {HOST: name}}
    return made | {"spec": {"taints": [{"key": NAMESPACE, "effect": "NoSchedule"}]}}


def _deployment(name: str, *, replicas: int, node: bool) -> dict[str, Any]:
    pod: dict[str, Any] = {"containers": [CONTAINER]}
    if node:
        pod |= {"nodeSelector": {HOST: name}, "tolerations": [{"key": NAMESPACE, "operator": "Exists"}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": NAMESPACE, "name": name}, "spec": spec}


@pytest.fixture(scope="module")
def scenes(plane: KubernetesPlane, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Scene]]:
    theatre = Theatre(plane, postgres, tmp_path_factory.mktemp("points"))
    with theatre.gate:
        theatre.prepare()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(theatre.kill, theatre.scenes.values()))
            list(pool.map(theatre.go_on, theatre.scenes.values()))
        yield theatre.scenes
        theatre.close()


def _check_story(scene: Scene, done: Execution) -> None:
    grow, mark, other, call, doom = (done.step(name) for name in ("grow", "mark", "other", "call", "doom"))
    assert (grow.state, mark.result.outcome if mark.result else None) == (StepState.UNDONE, Outcome.SUCCEEDED), done
    assert other.result is not None
    assert other.result.reason == "ConditionFalse"
    assert call.result is not None
    assert call.result.outcome is Outcome.SUCCEEDED, call.result
    assert doom.result is not None
    assert doom.result.reason == "Status404"
    counts = [operation["value"] for w in scene.accepted() if isinstance(w.request_body, list) for operation in w.request_body if operation["op"] == "replace"]
    assert counts == [1, 0], "grown once, taken back once"
    assert scene.live()["spec"]["replicas"] == 0
    assert scene.live()["metadata"]["labels"][LABEL] == "yes"
    assert scene.web.hits[f"/{scene.case.name}/flaky"] >= 2


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_at_any_point_each_effect_is_as_its_class_says(scenes: dict[Case, Scene], case: Case) -> None:
    scene = scenes[case]
    assert scene.code == (0 if case.point == "never" else -signal.SIGKILL)
    done, writes = scene.done(), scene.accepted()
    assert done.state is ExecutionState.DONE, done
    assert done.result is not None
    assert scene.store.unfinished() == []
    assert scene.store.leases() == []
    outcome, unknown = done.result.outcome, False
    if case.kind == "story":
        _check_story(scene, done)
    elif case.kind == "named":
        assert [(w.verb, w.resource) for w in writes] == [("create", "jobs")]
    elif case.kind == "uid":
        assert [(w.verb, w.resource, w.subresource) for w in writes] == [("create", "pods", "eviction")]
    elif case.kind == "drain":
        assert [(w.verb, w.resource, w.subresource) for w in writes] == [("patch", "nodes", ""), ("create", "pods", "eviction")]
        assert scene.plane.must("GET", f"/api/v1/nodes/{case.name}")["spec"]["unschedulable"] is True
    elif case.kind == "convergent":
        assert writes
        assert scene.live()["metadata"]["labels"][LABEL] == "yes"
    else:
        hits = scene.web.hits[f"/{case.name}/once"]
        unknown = case.point in ("intent-after:1", "effect-before:1", "web-hold:1")
        assert hits == (0 if case.point == "intent-after:1" else 1)
        assert (done.step("call").result or done.result).reason == ("EffectUnknown" if unknown else "Completed")
    assert outcome is (Outcome.ERROR if case.kind == "story" else Outcome.INCONCLUSIVE if unknown else Outcome.SUCCEEDED), done.result
    if case.point.startswith("hold"):
        assert scene.late
        convergent = case.kind == "convergent" or case.name == "story-hold-2"  # the label once more
        assert convergent or all(status >= 400 for status in scene.late), "what arrives late is refused by the server"


@pytest.mark.parametrize("kind", INTENDED)
def test_the_points_are_all_there_are(scenes: dict[Case, Scene], kind: str) -> None:
    """An undisturbed run has as many intents and answers as there are points above."""
    scene = scenes[Case(kind, "never")]
    entries = [e for e in scene.store.journal(scene.run) if e.data.get("key")]
    assert sum(e.kind in INTENTS for e in entries) == sum(e.kind in EFFECTS for e in entries) == INTENDED[kind], [(e.kind.value, e.step) for e in entries]

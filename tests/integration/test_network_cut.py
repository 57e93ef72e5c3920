"""The network to the API server is cut in the middle of a run, for longer than requests and leases last: connections stand, nothing moves, and then all
that was under way arrives. The network is a relay in a process of its own, stopped by SIGSTOP.

Neighbours: `kill_points_child` composes the engine, `tests/testbed/relay.py` is the network.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from aiops.adapters.store import SqlStore, open_store
from aiops.domain.execution import EntryKind, StepState
from aiops.domain.outcome import Outcome
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.runbook import Mode, OnFailure
from aiops.domain.target import TargetRef
from aiops.execution.settings import EngineSettings
from aiops.ports.storage import Changes, Store
from tests.integration.kill_points_child import engine, work
from tests.testbed.plane import KubernetesPlane
from tests.testbed.relay import RelayProcess

pytestmark = pytest.mark.timeout(600)
NAMESPACE = "network-cut"
CUT_S = 8.0
SETTINGS = EngineSettings(request_timeout=2.0, lease_ttl=5.0, lease_margin=0.5, look_after=0.3, again_after=0.5)


class Cutting:
    """The store, and at one line of the journal the end of the network for a while."""

    def __init__(self, store: SqlStore, relay: RelayProcess, kind: EntryKind) -> None:
        self._store, self._relay, self._kind = store, relay, kind
        self.cuts: list[threading.Timer] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, changes: Changes, **options: Any) -> None:
        self._store.write(changes, **options)
        if not self.cuts and any(entry.kind is self._kind and entry.data.get("key") for entry in changes.entries):
            self._relay.freeze()
            self.cuts.append(threading.Timer(CUT_S, self._relay.thaw))
            self.cuts[0].start()


@pytest.fixture
def relay(plane: KubernetesPlane) -> Iterator[RelayProcess]:
    where = urlsplit(plane.url)
    made = RelayProcess(str(where.hostname), int(where.port or 0))
    made.start()
    with ExitStack() as stack:
        stack.callback(made.stop)
        yield made


@pytest.mark.parametrize("kind", [EntryKind.INTENT, EntryKind.EFFECT, EntryKind.UNDO_INTENT], ids=lambda kind: kind.value)
def test_the_run_ends_right_and_nothing_is_done_twice(plane: KubernetesPlane, relay: RelayProcess, tmp_path: Path, kind: EntryKind) -> None:
    """Cut just before the first request is sent (it arrives when the network is back), while its work is checked, and before the undo is sent."""
    name = f"cut-{kind.value}"
    plane.namespace(NAMESPACE)
    spec = {"selector": {"matchLabels": {"app": name}}, "replicas": 0}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "registry.example/x:1"}]}}
    plane.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": NAMESPACE, "name": name}, "spec": {**spec, "template": template}})
    token = plane.service_account_token(NAMESPACE, name)
    user = f"system:serviceaccount:{NAMESPACE}:{name}"
    group = "rbac.authorization.k8s.io"
    plane.apply({
        "apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"namespace": NAMESPACE, "name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
    })
    kubeconfig = plane.kubeconfig(tmp_path / "kubeconfig", token=token, user=name)
    kubeconfig.write_text(kubeconfig.read_text().replace(plane.url, f"https://127.0.0.1:{relay.port}"))

    cutting = Cutting(open_store(f"sqlite:///{tmp_path}/store.db"), relay, kind)
    store = cast("Store", cutting)
    executor = engine(kubeconfig, "http://127.0.0.1:9", store, SETTINGS)
    refused = PlannedStep("doom", "http-request", {"url": "http://127.0.0.1:10/", "method": "GET"}, needs=("grow",), on_failure=OnFailure.UNDO)
    steps = (PlannedStep("grow", "scale", {"to": 1}, timeout=120.0), refused)
    made = executor.submit(Plan(f"plan-{name}", "inc-1", "runbook", "hash", Mode.AUTO, TargetRef("Deployment", NAMESPACE, name), steps, 0.0, "hash"), simulated=False)
    assert made is not None
    work(executor, store, made.id, deadline_s=240)
    for timer in cutting.cuts:
        timer.join()

    assert cutting.cuts, "the network was never cut"
    done = store.execution(made.id)
    assert done is not None
    assert done.result is not None
    assert (done.step("grow").state, done.result.outcome) == (StepState.UNDONE, Outcome.ERROR), done
    # A request whose client has gone may be logged as 504, or not at all, and yet have been carried out: what was done is counted on the object.
    # Each change of its spec is one generation, and it began with the first.
    found = plane.must("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}")
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (0, 3)
    counts = [
        operation["value"] for write in plane.audit_events(users=[user]) if write.response_code < 300 and not write.dry_run
        for operation in write.request_body if operation["op"] == "replace"
    ]
    assert counts == [count for count in (1, 0) if count in counts]
    assert store.leases() == []
    store.close()

"""The two clusters that the suite runs over, behind one face: in memory in virtual time, and a real control plane."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from aiops.adapters.clock import SystemClock
from aiops.adapters.kubernetes import Connection, KubernetesReader, KubernetesWriter, connect
from aiops.adapters.kubernetes.informer import Informer, Watcher
from aiops.adapters.memory_cluster import MemoryCluster, Rule
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.domain.target import JsonObject, TargetRef
from aiops.ports.cluster import ClusterReader, ClusterWriter
from tests.testbed import web
from tests.testbed.plane import KubernetesPlane
from tests.testbed.process import eventually, pause

_numbers = itertools.count()
STARTED = 1_800_000_000.0


class Bench(Protocol):
    """One cluster, and a namespace of its own for the test."""

    namespace: str
    reader: ClusterReader
    writer: ClusterWriter
    dry: ClusterWriter

    def apply(self, obj: JsonObject) -> None: ...

    def account(self, *rules: JsonObject) -> tuple[ClusterReader, ClusterWriter, ClusterWriter]: ...

    def manager(self, name: str) -> ClusterWriter:
        """A writer under another field manager, with all rights."""

    def until(self, what: str, holds: Callable[[], Any]) -> Any: ...

    def compact(self) -> None:
        """Forget the history up to now."""

    def informer(self, *kinds: str, reader: ClusterReader | None = None, on_event: Watcher | None = None) -> Informer:
        """A started one of the whole cluster; stopped at the end of the test."""


class MemoryBench:
    def __init__(self) -> None:
        self.namespace = "shop"
        self.time = VirtualTime(STARTED)
        # Informers watch from threads of their own, in real time; so a watch waits a little for what comes.
        self.cluster = MemoryCluster(self.time, watch_wait=0.05)
        self._informers: list[Informer] = []
        self.cluster.apply({"kind": "Namespace", "metadata": {"name": self.namespace}})
        self.reader: ClusterReader = self.cluster.reader
        self.writer: ClusterWriter = self.cluster.writer()
        self.dry: ClusterWriter = self.cluster.writer(dry_run=True)

    def apply(self, obj: JsonObject) -> None:
        self.cluster.apply(obj)

    def account(self, *rules: JsonObject) -> tuple[ClusterReader, ClusterWriter, ClusterWriter]:
        own = [Rule(tuple(r["verbs"]), tuple(r["apiGroups"]), tuple(r["resources"]), namespaces=(self.namespace,)) for r in rules]
        writers = [self.cluster.writer("limited", rules=own, dry_run=dry) for dry in (False, True)]
        return self.cluster.reader_as("limited", own), *writers  # type: ignore[return-value]

    def manager(self, name: str) -> ClusterWriter:
        return self.cluster.writer(name, name)

    def compact(self) -> None:
        self.cluster.compact()

    def informer(self, *kinds: str, reader: ClusterReader | None = None, on_event: Watcher | None = None) -> Informer:
        made = Informer(reader or self.reader, self.time, kinds=kinds, jitter=lambda: 0.0, on_event=on_event)
        self._informers.append(made)
        made.start()
        return made

    def close(self) -> None:
        for informer in self._informers:
            # Virtual time stands still here, so threads are given as long as they need.
            assert informer.stop()

    def until(self, what: str, holds: Callable[[], Any]) -> Any:
        for _ in range(600):
            if found := holds():
                return found
            self.time.run_until(self.time.now() + 1)
            self.cluster.step()
            if self._informers:
                # Their threads live in real time.
                pause(0.02)
        raise AssertionError(f"not within 600 virtual seconds: {what}")


class RealBench:
    def __init__(self, plane: KubernetesPlane, folder: Path) -> None:
        self.namespace = f"contract-{next(_numbers)}"
        self._plane, self._folder = plane, folder
        self._connections: list[Connection] = []
        self._informers: list[Informer] = []
        plane.namespace(self.namespace)
        reader, writer, dry = self._clients(None)
        self.reader: ClusterReader = reader
        self.writer: ClusterWriter = writer
        self.dry: ClusterWriter = dry

    def manager(self, name: str) -> ClusterWriter:
        return KubernetesWriter(self._connections[0], field_manager=name)

    def _clients(self, token: str | None) -> tuple[KubernetesReader, KubernetesWriter, KubernetesWriter]:
        config = self._plane.kubeconfig(self._folder / f"config-{len(self._connections)}", token=token)
        connection = connect("default", SystemClock(), kubeconfig=config)
        self._connections.append(connection)
        return KubernetesReader(connection), KubernetesWriter(connection), KubernetesWriter(connection, dry_run=True)

    def apply(self, obj: JsonObject) -> None:
        self._plane.apply({"apiVersion": "v1", **obj})

    def account(self, *rules: JsonObject) -> tuple[ClusterReader, ClusterWriter, ClusterWriter]:
        token = self._plane.service_account_token(self.namespace, "limited")
        subject = {"kind": "ServiceAccount", "name": "limited", "namespace": self.namespace}
        meta = {"name": "limited", "namespace": self.namespace}
        api = "rbac.authorization.k8s.io"
        self._plane.apply(
            {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": meta, "rules": list(rules)},
            {
                "apiVersion": f"{api}/v1",
                "kind": "RoleBinding",
                "metadata": meta,
                "roleRef": {"apiGroup": api, "kind": "Role", "name": "limited"},
                "subjects": [subject],
            },
        )
        clients = self._clients(token)
        first = rules[0]
        # The authoriser learns of the binding through a watch of its own.
        self.until(
            "the role counts",
            lambda: clients[0].can(first["verbs"][0], first["apiGroups"][0], first["resources"][0], self.namespace),
        )
        return clients

    def until(self, what: str, holds: Callable[[], Any]) -> Any:
        found: list[Any] = []

        def look() -> bool:
            found.append(holds())
            return bool(found[-1])

        eventually(look, what=what)
        return found[-1]

    def compact(self) -> None:
        """As the API server does each five minutes."""
        version = self.reader.list("Event", self.namespace).resource_version
        answer = web.call("POST", f"{self._plane._etcd.url}/v3/kv/compaction", body=json.dumps({"revision": version}).encode())
        assert answer.status == 200, answer

    def informer(self, *kinds: str, reader: ClusterReader | None = None, on_event: Watcher | None = None) -> Informer:
        def interrupt() -> None:
            for connection in self._connections:
                connection.interrupt()

        own = reader or self.reader
        made = Informer(own, SystemClock(), kinds=kinds, jitter=lambda: 0.0, interrupt=interrupt, on_event=on_event)
        self._informers.append(made)
        made.start()
        return made

    def close(self) -> None:
        for informer in self._informers:
            assert informer.stop()
        for connection in self._connections:
            connection.close()
        self._plane.request("DELETE", f"/api/v1/namespaces/{self.namespace}")


def workload(
    bench: Bench, name: str = "web", *, kind: str = "Deployment", replicas: int = 2, image: str = "web:1", **spec: Any
) -> JsonObject:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    body: JsonObject = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": bench.namespace, "labels": labels}}
    body["spec"] = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template} | copy.deepcopy(spec)
    return body


def ref(bench: Bench, kind: str, name: str) -> TargetRef:
    return TargetRef(kind, bench.namespace, name)


def pods(bench: Bench, app: str) -> list[JsonObject]:
    """Those that are not leaving."""
    found = bench.reader.list("Pod", bench.namespace, label_selector=f"app={app}").items
    return [p for p in found if "deletionTimestamp" not in p["metadata"]]


def is_ready(pod: JsonObject) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))


def rolled_out(bench: Bench, name: str, kind: str = "Deployment") -> JsonObject | None:
    """The object once its roll-out is complete, as `kubectl rollout status` understands it."""
    found = bench.reader.get(ref(bench, kind, name))
    status, wanted = found.get("status", {}), found["spec"]["replicas"]
    done = all(status.get(k, 0) == wanted for k in ("replicas", "updatedReplicas", "availableReplicas"))
    return found if done and status.get("observedGeneration", 0) >= found["metadata"]["generation"] else None


def running(bench: Bench, name: str = "web", **options: Any) -> JsonObject:
    """Create a workload and wait for it."""
    body = workload(bench, name, **options)
    bench.writer.create(body["kind"], bench.namespace, body)
    found: JsonObject = bench.until(f"{name} is rolled out", lambda: rolled_out(bench, name, body["kind"]))
    return found

"""A real Kubernetes control plane with fake nodes: etcd, kube-apiserver, controllers, scheduler, kwok; the centre of the testbed.

Start order: etcd, API server, then controller-manager, scheduler, kwok and the nodes side by side.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.testbed import audit, binaries, controllers, kubeconfig, kwok, web
from tests.testbed.apiserver import ADMIN, WORLD, ApiServer
from tests.testbed.errors import TestbedError
from tests.testbed.etcd import Etcd
from tests.testbed.process import PATIENCE_S, Server, eventually, new_folder, remove_folder


class KubernetesPlane:
    """The control plane. `start()` returns when all nodes are Ready; `stop()` ends everything, last started first."""

    def __init__(self, *, nodes: int = 3, schedulers: Sequence[str] = ()) -> None:
        """`nodes` is the number of fake nodes, named node-0, node-1, …; `schedulers` are names beside `default-scheduler` that pods may ask for."""
        self.folder = new_folder("plane")
        self.nodes, self._schedulers = nodes, tuple(schedulers)
        self._etcd = Etcd(self.folder)
        self._api = ApiServer(self.folder, self._etcd.url)
        self._others: list[controllers.ControlProgram | kwok.Kwok] = []

    @property
    def url(self) -> str:
        """The API server's address, `https://127.0.0.1:PORT`."""
        return self._api.url

    @property
    def ca_file(self) -> Path:
        """The certificate to trust for `url`."""
        return self._api.ca_file

    @property
    def admin_token(self) -> str:
        """A bearer token in `system:masters`; its writes are in the audit log as user `admin`."""
        return self._api.tokens[ADMIN]

    @property
    def world_token(self) -> str:
        """A second token in `system:masters`, user `world`: what the simulated world writes is told apart by it."""
        return self._api.tokens[WORLD]

    @property
    def audit_log(self) -> Path:
        """The audit log file, one JSON object a line; `audit_events()` reads it."""
        return self._api.audit_log

    def start(self) -> None:
        """Start everything. On failure all that was started is stopped, logs are kept and TestbedError names them."""
        try:
            self._etcd.start()
            self._api.start()
            self._others = [controllers.controller_manager(self.folder, self._api), controllers.scheduler(self.folder, self._api, self._schedulers)]
            self._others.append(kwok.Kwok(self.folder, self._api))
            for program in self._others:
                program.start()
            for index in range(self.nodes):
                self.must("POST", "/api/v1/nodes", kwok.node(index))
            for program in self._others:
                program.wait_ready()
            eventually(self._nodes_ready, what=f"{self.nodes} nodes Ready (logs in {self.folder})")
            # A pod is refused until its namespace has a default service account; so the plane is not ready before.
            eventually(
                lambda: self.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200,
                what=f"the default service account (logs in {self.folder})",
            )
        except BaseException:
            self.stop(keep_logs=True)
            raise

    def stop(self, *, keep_logs: bool = False) -> None:
        """Stop everything; the folder with logs and the audit log goes unless `keep_logs`."""
        for program in reversed(self._others):
            program.stop()
        self._api.stop()
        self._etcd.stop()
        if not keep_logs:
            remove_folder(self.folder)

    @property
    def servers(self) -> list[Server]:
        """All processes, in start order; `servers[1]` is the API server."""
        return [self._etcd.server, self._api.server, *(program.server for program in self._others)]

    def server(self, name: str) -> Server:
        """One process by name: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok."""
        return next(server for server in self.servers if server.name == name)

    def _nodes_ready(self) -> bool:
        status, answer = self.request("GET", "/api/v1/nodes")
        if status != 200:
            return False
        ready = [
            item["metadata"]["name"]
            for item in answer["items"]
            for condition in item["status"].get("conditions", [])
            if condition["type"] == "Ready" and condition["status"] == "True" and not item["spec"].get("taints")
        ]
        return len(ready) == self.nodes

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, Any]:
        """One call of the API: (status, decoded answer). As admin unless `token` is given. OSError when nothing answers."""
        headers = {"Authorization": f"Bearer {token or self.admin_token}", "Accept": "application/json", "User-Agent": "testbed"}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        answer = web.call(method, f"{self.url}{path}", body=payload, headers=headers, ca_file=self.ca_file)
        return answer.status, answer.json()

    def must(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Like `request`, but an answer of 400 or above is a TestbedError; returns the decoded answer."""
        status, answer = self.request(method, path, body, **options)
        if status >= 400:
            raise TestbedError(f"{method} {path} answered {status}: {answer.get('message', answer)}")
        return answer

    def kubeconfig(self, path: Path, *, token: str | None = None, user: str = ADMIN, namespace: str = "default") -> Path:
        """Write a kubeconfig to `path`, for admin unless `token` is given; returns `path`."""
        return kubeconfig.write(path, url=self.url, ca_file=self.ca_file, token=token or self.admin_token, user=user, namespace=namespace)

    def namespace(self, name: str) -> None:
        """Create the namespace `name` unless it is there, and wait until pods may be made in it."""
        status, answer = self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        if status not in (201, 409):
            raise TestbedError(f"namespace {name}: {status} {answer.get('message')}")
        eventually(
            lambda: self.request("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")[0] == 200,
            what=f"the default service account of namespace {name}",
        )

    def service_account_token(self, namespace: str, name: str, *, seconds: int = 3600) -> str:
        """A bearer token of the service account, which is made (with its namespace) when missing. It has no rights of its own."""
        self.namespace(namespace)
        status, answer = self.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
        if status not in (201, 409):
            raise TestbedError(f"service account {namespace}/{name}: {status} {answer.get('message')}")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}}
        made = self.must("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", body)
        return str(made["status"]["token"])

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True, token: str | None = None) -> str:
        """Run kubectl, as admin unless `token` is given; its standard output. TestbedError with its complaint when it fails and `check`."""
        config = self.folder / f"kubectl-{hash(token or self.admin_token) & 0xFFFFFFFF:08x}.kubeconfig"
        if not config.exists():
            self.kubeconfig(config, token=token)
        command = [str(binaries.kubectl()), f"--kubeconfig={config}", f"--cache-dir={self.folder / 'kubectl-cache'}", *arguments]
        result = subprocess.run(command, input=stdin or "", check=False, capture_output=True, text=True)
        if check and result.returncode != 0:
            raise TestbedError(f"kubectl {' '.join(arguments)} ended with {result.returncode}: {result.stderr.strip()}")
        return result.stdout

    def apply(self, *objects: Any) -> None:
        """`kubectl apply` these objects (mappings), server-side checks and all."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def wait_rollout(self, namespace: str, deployment: str, *, deadline_s: float = PATIENCE_S) -> None:
        """Wait until the Deployment's roll-out is complete, as `kubectl rollout status` understands it."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"

        def done() -> bool:
            found = self.must("GET", path)
            status, wanted = found.get("status", {}), found["spec"]["replicas"]
            counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
            return status.get("observedGeneration", 0) >= found["metadata"]["generation"] and counts == [wanted] * 3

        eventually(done, deadline_s=deadline_s, what=f"roll-out of {namespace}/{deployment}")

    def audit_events(self, *, users: Sequence[str] | None = None) -> list[audit.Write]:
        """Every write the API server saw, oldest first; only those of `users` when given.

        A service account's user is `system:serviceaccount:NAMESPACE:NAME`. Writes of the control plane and of kwok are
        there without bodies. The log is flushed when the answer is sent; a reader may be a few milliseconds ahead of it.
        """
        writes = audit.read(self._api.audit_log)
        return writes if users is None else [write for write in writes if write.user in users]

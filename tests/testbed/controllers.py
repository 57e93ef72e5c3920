"""kube-controller-manager and kube-scheduler; started by `plane` when the API server is ready."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.testbed import binaries, kubeconfig, web
from tests.testbed.apiserver import ApiServer
from tests.testbed.ports import free_port
from tests.testbed.process import Server

# Calls each second that a client of the control plane may send. The shipped 20 to 50 suit big clusters; here they
# would only make a roll-out of many replicas slow.
_QPS = 500


def controller_manager(folder: Path, api: ApiServer) -> ControlProgram:
    """The controllers: Deployments, ReplicaSets, Jobs, garbage collection, disruption budgets, node lifecycle and the others."""
    user = "system:kube-controller-manager"
    config = kubeconfig.write(folder / "controller-manager.kubeconfig", url=api.url, ca_file=api.ca_file, token=api.tokens[user], user=user)
    port = free_port()
    options = [
        f"--kubeconfig={config}",
        f"--service-account-private-key-file={api.service_account_key}",
        f"--root-ca-file={api.ca_file}",
        "--use-service-account-credentials=true",
        f"--kube-api-qps={_QPS}",
        f"--kube-api-burst={2 * _QPS}",
        "--concurrent-deployment-syncs=10",
        "--concurrent-replicaset-syncs=10",
        # A HorizontalPodAutoscaler is looked at each 15 s by default.
        "--horizontal-pod-autoscaler-sync-period=5s",
        "--profiling=false",
    ]
    return ControlProgram("kube-controller-manager", folder, port, options)


def scheduler(folder: Path, api: ApiServer, names: Sequence[str] = ()) -> ControlProgram:
    """The scheduler; it does the work of those of other `names` too."""
    user = "system:kube-scheduler"
    config = kubeconfig.write(folder / "scheduler.kubeconfig", url=api.url, ca_file=api.ca_file, token=api.tokens[user], user=user)
    settings = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(config), "qps": _QPS, "burst": 2 * _QPS},
        "leaderElection": {"leaderElect": False},
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 2,
        "profiles": [{"schedulerName": name} for name in ("default-scheduler", *names)],
    }
    path = folder / "scheduler.json"
    path.write_text(json.dumps(settings))
    return ControlProgram("kube-scheduler", folder, free_port(), [f"--config={path}"])


class ControlProgram:
    """A program of the control plane with a health address of its own."""

    def __init__(self, name: str, folder: Path, port: int, options: list[str]) -> None:
        self._health = f"https://127.0.0.1:{port}/healthz"
        command = [
            str(binaries.kubernetes(name)),
            *options,
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder / name}",
            "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
            "--v=1",
        ]
        self.server = Server(name, command, folder=folder)

    def start(self) -> None:
        """Start; `wait_ready()` is apart, so that several can start side by side."""
        self.server.start()

    def wait_ready(self) -> None:
        """Wait until its health address answers."""
        self.server.wait_ready(lambda: web.answers(self._health))

    def stop(self) -> None:
        """Stop."""
        self.server.stop()

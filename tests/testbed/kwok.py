"""kwok, which plays the kubelets: nodes and pods that behave, with no container run; started by `plane`.

What a pod does is chosen by annotations of the pod (so usually of a Deployment's pod template); `stages/pods.yaml`
beside this file and README.md document them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.testbed import binaries, kubeconfig, web
from tests.testbed.apiserver import ApiServer
from tests.testbed.ports import free_port
from tests.testbed.process import Server

OWN_STAGES = Path(__file__).parent / "stages"
_KWOK_STAGES = ("node/fast", "node/heartbeat-with-lease", "node/chaos", "pod/fast")
ZONES = ("zone-a", "zone-b", "zone-c")


class Kwok:
    """The kwok controller, managing all nodes."""

    def __init__(self, folder: Path, api: ApiServer) -> None:
        config = kubeconfig.write(folder / "kwok.kubeconfig", url=api.url, ca_file=api.ca_file, token=api.tokens["kwok"], user="kwok")
        port = free_port()
        self._health = f"http://127.0.0.1:{port}/healthz"
        command = [
            str(binaries.kwok()),
            f"--kubeconfig={config}",
            f"--config={_write_stages(folder)}",
            "--manage-all-nodes=true",
            "--node-lease-duration-seconds=40",
            "--cidr=10.0.0.1/16",
            f"--server-address=127.0.0.1:{port}",
        ]
        # Its client would ask for streamed lists, which need progress notices that Debian's etcd 3.4 lacks: each watch then
        # ends in an error and pods become ready tens of seconds late.
        self.server = Server("kwok", command, folder=folder, env={"KUBE_FEATURE_WatchListClient": "false"})

    def start(self) -> None:
        """Start; `wait_ready()` is apart."""
        self.server.start()

    def wait_ready(self) -> None:
        """Wait until its health address answers."""
        self.server.wait_ready(lambda: web.answers(self._health))

    def stop(self) -> None:
        """Stop."""
        self.server.stop()


def _write_stages(folder: Path) -> Path:
    """One file of all stages; the kustomization files of kwok's folders are not stages."""
    shipped = binaries.kwok_stages()
    files = [path for part in _KWOK_STAGES for path in sorted((shipped / part).glob("*.yaml")) if path.name != "kustomization.yaml"]
    files += sorted(OWN_STAGES.glob("*.yaml"))
    target = folder / "stages.yaml"
    target.write_text("\n---\n".join(path.read_text() for path in files))
    return target


def node(index: int, *, cpu: str = "16", memory: str = "64Gi", pods: str = "110") -> dict[str, Any]:
    """The object of fake node number `index`: 16 cores, 64 GiB and 110 pods unless told; zones go round."""
    name = f"node-{index}"
    room = {"cpu": cpu, "memory": memory, "pods": pods}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": ZONES[index % len(ZONES)],
                "type": "kwok",
            },
        },
        "status": {
            "allocatable": room,
            "capacity": room,
            "phase": "Running",
            "addresses": [{"type": "InternalIP", "address": f"10.255.0.{index + 1}"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {"kubeletVersion": f"v{binaries.KUBERNETES_VERSION}"},
        },
    }

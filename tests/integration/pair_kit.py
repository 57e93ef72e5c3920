"""A stand with a control plane and a Prometheus only: for those who need neither a world nor Elasticsearch nor Redis. Neighbour: `hard_kit`, whose cases it carries."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.testbed.daemon import Daemon
from tests.testbed.plane import KubernetesPlane
from tests.testbed.prometheus import Prometheus


class SmallStand:
    """What `Case` needs of a stand, without Elasticsearch, Redis and a world."""

    def __init__(self, plane: KubernetesPlane, prometheus: Prometheus) -> None:
        self.plane, self.prometheus = plane, prometheus
        self.folder = Path(tempfile.mkdtemp(prefix="aiops-pair-"))
        self.stack = ExitStack()

    def daemon(self, name: str, *, act: bool, token: str, change: Callable[[dict[str, Any]], None]) -> Daemon:
        """As `Stand.daemon`."""
        kubeconfig = self.plane.kubeconfig(self.folder / f"{name}.kubeconfig", token=token, user="aiops")
        settings: dict[str, Any] = {
            "sources": {"prometheus": {"type": "prometheus", "url": self.prometheus.url}, "elasticsearch": {}},
            "clusters": [{"name": "testbed", "kubeconfig": str(kubeconfig)}],
        }
        change(settings)
        made = Daemon(self.folder / name, settings, act=act)
        self.stack.callback(made.kill)
        return made

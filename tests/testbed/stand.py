"""Everything at once: control plane, Prometheus, Elasticsearch, Redis, a world, and the daemon under the account that ships.

Neighbours: `tests/integration/test_loop.py`, `benchmarks/loop.py` and `tools/record_demo.py` stand on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.testbed.daemon import Daemon, apply_account
from tests.testbed.elasticsearch import Elasticsearch
from tests.testbed.plane import KubernetesPlane
from tests.testbed.process import eventually
from tests.testbed.prometheus import Prometheus
from tests.testbed.redis import Redis
from tests.testbed.world.faults import read_faults
from tests.testbed.world.kube import Api
from tests.testbed.world.live import LiveWorld
from tests.testbed.world.services import read_services

WORLD = Path(__file__).parent / "world"


class Stand:
    """`with Stand() as stand:` starts all servers and the world; `stand.daemon(act=True)` makes a daemon, which the test starts."""

    def __init__(self, *, services: Sequence[Path] = (WORLD / "services",), faults: Sequence[Path] = (WORLD / "faults",), seed: int = 0, nodes: int = 3) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aiops-stand-"))
        self._services = read_services(list(services))
        own = sorted({service.scheduler for service in self._services if service.scheduler})
        self.plane, self.prometheus = KubernetesPlane(nodes=nodes, schedulers=own), Prometheus()
        self.elasticsearch, self.redis = Elasticsearch(), Redis()
        self._faults = read_faults(list(faults), self._services)
        self._seed = seed
        self._stack = ExitStack()
        self.world: LiveWorld

    def __enter__(self) -> Self:
        """Start in an order in which each finds what it needs."""
        try:
            for server in (self.plane, self.prometheus, self.elasticsearch, self.redis):
                server.start()
                self._stack.callback(server.stop)
            api = Api(self.plane.url, self.plane.ca_file, self.plane.world_token)
            self.world = LiveWorld(
                self._services, self._faults, api=api, audit_log=self.plane.audit_log, elasticsearch_url=self.elasticsearch.url,
                redis_url=self.redis.url, seed=self._seed,
            )
            self.world.start()
            self._stack.callback(self.world.stop)
            self.prometheus.scrape(*self.world.targets())
            eventually(lambda: len(self.prometheus.instant("worker_utilization_ratio")) > 0, what="Prometheus to scrape the world")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop in reverse order."""
        self._stack.close()

    def settings(self, *, token: str | None = None) -> dict[str, Any]:
        """Settings for a daemon here; `token` None is the shipped account with the rights to act."""
        if token is None:
            token = apply_account(self.plane, "act")
        kubeconfig = self.plane.kubeconfig(self.folder / f"kubeconfig-{abs(hash(token)) % 10**8}", token=token, user="aiops")
        caches = {cache.name: {"url": self.redis.url} for service in self._services for cache in service.caches}
        return {
            "sources": {
                "prometheus": {"type": "prometheus", "url": self.prometheus.url, "darkAfter": "20s"},
                "elasticsearch": {"type": "elasticsearch", "url": self.elasticsearch.url},
            },
            "clusters": [{"name": "testbed", "kubeconfig": str(kubeconfig)}],
            "caches": caches,
        }

    def daemon(self, name: str, *, act: bool, token: str | None = None, change: Callable[[dict[str, Any]], None] | None = None) -> Daemon:
        """A daemon in a folder of its own; `change` may alter its settings. The test starts it, and it is killed at the end if it still runs."""
        settings = self.settings(token=token)
        if change is not None:
            change(settings)
        daemon = Daemon(self.folder / name, settings, act=act)
        self._stack.callback(daemon.kill)
        return daemon

"""The live world as a process of its own, as `python -m tests.testbed` runs it. Neighbours: `__main__` is the process, `live` what it does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.testbed import web
from tests.testbed.plane import KubernetesPlane
from tests.testbed.process import Server, new_folder, remove_folder
from tests.testbed.prometheus import Target

_ROOT = Path(__file__).parents[3]


class WorldProcess:
    """`start()` returns when the services are ready; then `.url` and `.targets()` are good."""

    def __init__(
        self,
        plane: KubernetesPlane,
        *,
        elasticsearch_url: str | None = None,
        redis_url: str | None = None,
        services: Sequence[Path] = (),
        faults: Sequence[Path] = (),
        seed: int = 0,
        script: bool = False,
    ) -> None:
        self.folder = new_folder("world")
        self.url = ""
        self._plane = plane
        self._token, self._targets = self.folder / "world.token", self.folder / "targets.json"
        words = ["--plane-url", plane.url, "--ca-file", str(plane.ca_file), "--token-file", str(self._token)]
        words += ["--audit-log", str(plane.audit_log), "--targets-file", str(self._targets), "--seed", str(seed)]
        words += ["--elasticsearch-url", elasticsearch_url] if elasticsearch_url else []
        words += ["--redis-url", redis_url] if redis_url else []
        words += [word for path in services for word in ("--services", str(path.absolute()))]
        words += [word for path in faults for word in ("--faults", str(path.absolute()))]
        words += ["--script"] if script else []
        paths = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])])
        self.server = Server("world", [sys.executable, "-m", "tests.testbed.world", *words], folder=self.folder, env={"PYTHONPATH": paths})

    def start(self) -> None:
        """Start and wait until the services are on the cluster and ready. TestbedError with what it complained of."""
        descriptor = os.open(self._token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as sink:
            sink.write(self._plane.world_token)
        self.server.start()
        self.server.wait_ready(self._ready)

    def _ready(self) -> bool:
        if not self._targets.exists():
            return False
        self.url = json.loads(self._targets.read_text())["url"]
        return web.answers(f"{self.url}/ready")

    def targets(self) -> list[Target]:
        """What Prometheus is to scrape."""
        rows = json.loads(self._targets.read_text())["targets"]
        return [Target(row["job"], row["url"], row["labels"]) for row in rows]

    def stop(self, *, keep_logs: bool = False) -> None:
        """Stop; what is on the cluster stays."""
        self.server.stop(grace_s=20)
        if not keep_logs:
            remove_folder(self.folder)

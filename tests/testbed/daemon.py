"""The product as a process of its own: its settings written out, its account's rights those of the shipped Roles, killed and restarted at will.

Neighbours: `stand` puts it beside the servers and the world.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.testbed import reaper
from tests.testbed.errors import TestbedError
from tests.testbed.plane import KubernetesPlane
from tests.testbed.ports import free_port
from tests.testbed.process import PATIENCE_S, eventually

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def apply_account(plane: KubernetesPlane, overlay: str) -> str:
    """Apply the shipped namespace, account and Roles of `deploy/<overlay>`, nothing else of it; the account's token."""
    rendered = subprocess.run(["kubectl", "kustomize", str(DEPLOY / overlay)], check=True, capture_output=True, text=True).stdout
    wanted = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    plane.apply(*[d for d in yaml.safe_load_all(rendered) if d and d["kind"] in wanted])
    return plane.service_account_token("aiops", "aiops")


class Daemon:
    """`aiops run` over `settings` (as in the settings file), in `folder`; `act` adds `--act`."""

    def __init__(self, folder: Path, settings: dict[str, Any], *, act: bool) -> None:
        self.folder, self.act = folder, act
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        web = {"host": "127.0.0.1", "port": self.port, **settings.get("web", {})}
        document = {"apiVersion": "aiops/v1", "kind": "Config", "stateDir": str(folder / "state"), **settings, "web": web}
        self.config = folder / "aiops.yaml"
        self.config.write_text(yaml.safe_dump(document))
        self.log = folder / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, deadline_s: float = PATIENCE_S) -> float:
        """Start and wait until /readyz says so; the seconds that took."""
        command = [str(Path(sys.executable).with_name("aiops")), "run", "--config", str(self.config), *(["--act"] if self.act else [])]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, "AIOPS_CONFIG": ""}, start_new_session=True)
        reaper.watch(self._process.pid)
        began = time.monotonic()
        try:
            eventually(lambda: self._require_alive() and self.get("/readyz")[0] == 200, deadline_s=deadline_s, what="the daemon to be ready")
        except BaseException:
            self.kill()
            raise
        return time.monotonic() - began

    def _require_alive(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise TestbedError(f"the daemon ended with {self._process.returncode}:\n{self.tail()}")
        return True

    def stop(self, *, deadline_s: float = PATIENCE_S) -> int:
        """SIGTERM; the exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(deadline_s)
        reaper.forget(self._process.pid)
        return status

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
            reaper.forget(self._process.pid)

    def signal(self, number: int) -> None:
        """Any signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def get(self, path: str) -> tuple[int, str]:
        """One request to its web server; status 0 if it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):  # it may die in the middle of an answer
            return 0, ""

    def json(self, path: str) -> Any:
        """A JSON answer."""
        status, body = self.get(path)
        if status != 200:
            raise TestbedError(f"{path}: {status} {body[:300]}")
        return json.loads(body)

    def metric(self, name: str) -> float:
        """The sum over all series of one metric; 0 if there is none."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith((f"{name} ", f"{name}{{")):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def cli(self, *arguments: str, check: bool = True) -> str:
        """The command line over the same settings; standard output."""
        command: Sequence[str] = [str(Path(sys.executable).with_name("aiops")), *arguments, "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if check and done.returncode:
            raise TestbedError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

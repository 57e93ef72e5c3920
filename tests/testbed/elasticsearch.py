"""A real single-node Elasticsearch 8, with security or without; used by fixtures and by `python -m tests.testbed`."""

from __future__ import annotations

import base64
import json
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.testbed import binaries, maven, web
from tests.testbed.errors import TestbedError
from tests.testbed.ports import free_port
from tests.testbed.process import Server, new_folder, remove_folder

# Elasticsearch refuses to run as root; this is whom it runs as when the testbed is root.
UNPRIVILEGED = "nobody"
USER = "testbed"


class Elasticsearch:
    """One node with a heap of 512 MB; `.url`; with security also `.user`, `.password` (superuser) and `.api_key()`."""

    def __init__(self, *, security: bool = False, heap: str = "512m") -> None:
        self.folder = new_folder("elasticsearch")
        self.security = security
        self.user, self.password = USER, secrets.token_hex(12)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._owner = _unprivileged()
        plugins = [binaries.elasticsearch_analysis()] if security else []
        self._home = _link_home(binaries.elasticsearch(), plugins, self.folder / "home")
        self._config = self.folder / "config"
        self._env = {
            "ES_JAVA_HOME": str(maven.java_home()),
            # The quick compiler alone: start-up is what costs here, and the machine is small.
            "ES_JAVA_OPTS": f"-Xms{heap} -Xmx{heap} -XX:TieredStopAtLevel=1",
            "ES_PATH_CONF": str(self._config),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "HOME": str(self.folder),
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        }
        settings = {
            "discovery.type": "single-node",
            "cluster.name": "testbed",
            "node.name": "testbed",
            "network.host": "127.0.0.1",
            "http.port": str(port),
            "transport.port": str(free_port()),
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            "xpack.security.enabled": str(security).lower(),
            # The disks of test machines are often fuller than the watermarks allow.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "action.destructive_requires_name": "false",
        }
        if security:
            settings |= {"xpack.security.http.ssl.enabled": "false", "xpack.security.autoconfiguration.enabled": "false"}
        self._settings = settings
        self.server = Server(
            "elasticsearch", [str(self._home / "bin" / "elasticsearch")], folder=self.folder, env=self._env, user=self._owner
        )

    def start(self) -> None:
        """Start and wait until the cluster's health is at least yellow."""
        self._prepare()
        self.server.start()
        health = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s"
        self.server.wait_ready(lambda: web.answers(health, headers=self._headers()))

    def stop(self, *, keep_logs: bool = False) -> None:
        """Stop, and forget all indices."""
        self.server.stop(grace_s=20)
        if not keep_logs:
            remove_folder(self.folder)

    def request(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """One call: (status, decoded answer); with the superuser's credentials when security is on and no `headers` are given.

        A list as body is sent as newline-delimited JSON (`_bulk`).
        """
        sent = dict(self._headers() if headers is None else headers)
        payload = None
        if isinstance(body, list):
            payload = "".join(json.dumps(line) + "\n" for line in body).encode()
            sent["Content-Type"] = "application/x-ndjson"
        elif body is not None:
            payload = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        answer = web.call(method, f"{self.url}{path}", body=payload, headers=sent)
        return answer.status, answer.json() if answer.body else None

    def api_key(self, name: str = "testbed", *, roles: dict[str, Any] | None = None) -> str:
        """A new API key in the encoded form that clients send; limited to `roles` (role descriptors) when given. Security only."""
        status, answer = self.request("POST", "/_security/api_key", {"name": name, "role_descriptors": roles or {}})
        if status != 200:
            raise TestbedError(f"Elasticsearch made no API key: {answer}")
        return str(answer["encoded"])

    def _headers(self) -> dict[str, str]:
        if not self.security:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()}

    def _prepare(self) -> None:
        if not self._config.exists():
            shutil.copytree(self._home / "config", self._config)
            for name in ("data", "logs", "tmp"):
                (self.folder / name).mkdir()
            (self._config / "elasticsearch.yml").write_text(
                "".join(f"{key}: {json.dumps(value)}\n" for key, value in self._settings.items())
            )
            self._hand_over()
            if self.security:
                self._add_user()

    def _hand_over(self) -> None:
        if self._owner is None:
            return
        for path in [self.folder, *(self._config, *self._config.rglob("*")), *(self.folder / name for name in ("data", "logs", "tmp"))]:
            os.chown(path, *self._owner)

    def _add_user(self) -> None:
        """A superuser in the file realm, made by Elasticsearch's own tool."""
        uid, gid = self._owner or (None, None)
        result = subprocess.run(
            [str(self._home / "bin" / "elasticsearch-users"), "useradd", self.user, "-p", self.password, "-r", "superuser"],
            env={**os.environ, **self._env, "ES_JAVA_OPTS": "-XX:TieredStopAtLevel=1"},
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            user=uid,
            group=gid,
            extra_groups=[] if gid is not None else None,
        )
        if result.returncode != 0:
            raise TestbedError(f"elasticsearch-users failed: {result.stderr.strip() or result.stdout.strip()}")


def _unprivileged() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError as error:
        raise TestbedError(f"Elasticsearch refuses to run as root, and there is no user {UNPRIVILEGED!r} to run it as") from error
    return entry.pw_uid, entry.pw_gid


def _link_home(home: Path, plugins: Sequence[Path], target: Path) -> Path:
    """The program's folder as `target`, with `plugins`: root's cache is closed to other users, so its files are linked, not used in place."""
    shutil.copytree(home, target, copy_function=_link_or_copy)
    for plugin in plugins:
        shutil.copytree(plugin, target / "plugins" / plugin.name, copy_function=_link_or_copy)
    for path in target.rglob("*"):
        wanted = 0o755 if path.is_dir() or path.parent.name == "bin" else 0o644
        if path.stat().st_mode & 0o777 != wanted:
            path.chmod(wanted)
    target.chmod(0o755)
    return target


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)

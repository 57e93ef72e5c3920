"""A real Prometheus that scrapes what it is told each second; used by fixtures and by `python -m tests.testbed`."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.testbed import binaries, certificates, web
from tests.testbed.errors import TestbedError
from tests.testbed.ports import free_port
from tests.testbed.process import PATIENCE_S, Server, eventually, new_folder, remove_folder


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to scrape. Several may share a job: its scheme, token and certificate are those of the first."""

    job: str
    url: str
    """Full address, `http://127.0.0.1:PORT/metrics`."""
    labels: dict[str, str] = field(default_factory=dict)
    bearer_token: str | None = None
    ca_file: Path | None = None
    honor_labels: bool = True
    """Labels in what is scraped win over `job` and `instance`: the world exports for many services from one address."""


class Prometheus:
    """One Prometheus server; `.url` is its address without a trailing slash."""

    def __init__(
        self,
        targets: Sequence[Target] = (),
        *,
        scrape_interval: str = "1s",
        alertmanager_url: str | None = None,
        rules: str = "",
        basic_auth: tuple[str, str] | None = None,
        mutual_tls: bool = False,
    ) -> None:
        """`rules` is the text of a rules file; `basic_auth` (user, password) and `mutual_tls` guard its own API."""
        self.folder = new_folder("prometheus")
        self.targets = list(targets)
        self.certificates = certificates.make(self.folder / "certs") if mutual_tls else None
        self._interval = scrape_interval
        self._alertmanager_url = alertmanager_url
        self._rules = rules
        self._basic_auth = basic_auth
        port = free_port()
        self.url = f"{'https' if mutual_tls else 'http'}://127.0.0.1:{port}"
        self.server = Server(
            "prometheus",
            [
                str(binaries.debian_program(binaries.PROMETHEUS)),
                f"--config.file={self.folder / 'prometheus.json'}",
                f"--web.config.file={self.folder / 'web.json'}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                "--web.enable-lifecycle",
                "--web.enable-admin-api",
                "--query.lookback-delta=5m",
                "--log.level=warn",
            ],
            folder=self.folder,
        )

    def start(self) -> None:
        """Start and wait until it is ready."""
        self._write()
        self.server.start()
        # With authentication on, its own health address answers 401; that is ready enough. With mutual TLS a client
        # without a certificate is refused in the handshake, so there the port is what can be seen.
        if self.certificates is None:
            self.server.wait_ready(lambda: web.answers(f"{self.url}/-/ready", statuses=(200, 401)))
        else:
            self.server.wait_ready(self._accepts)

    def _accepts(self) -> bool:
        import socket

        try:
            with socket.create_connection(("127.0.0.1", urlsplit(self.url).port or 0), timeout=1):
                return True
        except OSError:
            return False

    def stop(self, *, keep_logs: bool = False) -> None:
        """Stop, and forget all samples."""
        self.server.stop()
        if not keep_logs:
            remove_folder(self.folder)

    def restart(self) -> None:
        """Start again on the same port with the samples it had, after `server.stop()` or `server.kill()`."""
        self.server.stop()
        self.start()

    def scrape(self, *targets: Target) -> None:
        """Scrape these too; a job given again replaces the former of that name."""
        names = {target.job for target in targets}
        self.targets = [target for target in self.targets if target.job not in names] + list(targets)
        self._reload()

    def forget(self, job: str) -> None:
        """Scrape that job no more; its series go stale."""
        self.targets = [target for target in self.targets if target.job != job]
        self._reload()

    def _reload(self) -> None:
        self._write()
        answer = web.call("POST", f"{self.url}/-/reload")
        if answer.status != 200:
            raise TestbedError(f"Prometheus refused its configuration: {answer.body.decode(errors='replace').strip()}")

    def wait_up(self, job: str, *, deadline_s: float = PATIENCE_S) -> None:
        """Wait until `up{job=…}` is 1."""
        eventually(
            lambda: any(value == 1 for _, value in self.instant(f'up{{job="{job}"}}')), deadline_s=deadline_s, what=f"{job} is scraped"
        )

    def instant(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The answer to an instant query: (labels, value) for each series."""
        answer = web.call("GET", f"{self.url}/api/v1/query?query={quote(query)}")
        content = answer.json()
        if content["status"] != "success":
            raise TestbedError(f"{query}: {content.get('error')}")
        return [(item["metric"], float(item["value"][1])) for item in content["data"]["result"]]

    def raw(self, selector: str) -> list[tuple[float, float]]:
        """The raw samples (time, value) of a range selector such as `up[5m]`, of all its series."""
        content = web.call("GET", f"{self.url}/api/v1/query?query={quote(selector)}").json()
        if content["status"] != "success":
            raise TestbedError(f"{selector}: {content.get('error')}")
        return [(float(at), float(value)) for item in content["data"]["result"] for at, value in item["values"]]

    def _write(self) -> None:
        config: dict[str, Any] = {
            "global": {"scrape_interval": self._interval, "scrape_timeout": self._interval, "evaluation_interval": self._interval},
            "scrape_configs": [
                self._job([target for target in self.targets if target.job == job])
                for job in dict.fromkeys(target.job for target in self.targets)
            ],
        }
        if self._rules:
            rules = self.folder / "rules.yaml"
            rules.write_text(self._rules)
            config["rule_files"] = [str(rules)]
        if self._alertmanager_url:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [urlsplit(self._alertmanager_url).netloc]}]}]}
        # JSON is YAML; so label values need no quoting of our own.
        (self.folder / "prometheus.json").write_text(json.dumps(config, indent=1))
        own: dict[str, Any] = {}
        if self.certificates:
            own["tls_server_config"] = {
                "cert_file": str(self.certificates.server_cert),
                "key_file": str(self.certificates.server_key),
                "client_auth_type": "RequireAndVerifyClientCert",
                "client_ca_file": str(self.certificates.ca),
            }
        if self._basic_auth:
            user, password = self._basic_auth
            own["basic_auth_users"] = {user: _bcrypt(password)}
        (self.folder / "web.json").write_text(json.dumps(own))

    def _job(self, targets: Sequence[Target]) -> dict[str, Any]:
        target = targets[0]
        job: dict[str, Any] = {
            "job_name": target.job,
            "scheme": urlsplit(target.url).scheme,
            "honor_labels": target.honor_labels,
            "static_configs": [
                {"targets": [where.netloc], "labels": {"__metrics_path__": where.path or "/metrics", **each.labels}}
                for each in targets
                for where in (urlsplit(each.url),)
            ],
        }
        if target.bearer_token:
            job["authorization"] = {"credentials": target.bearer_token}
        if target.ca_file:
            job["tls_config"] = {"ca_file": str(target.ca_file)}
        return job


def _bcrypt(password: str) -> str:
    """A bcrypt hash, which Prometheus wants for basic authentication, by the system's own crypt(3)."""
    name = ctypes.util.find_library("crypt")
    if name is None:
        raise TestbedError("missing: libcrypt (Debian package libcrypt1), needed for basic authentication of Prometheus")
    crypt = ctypes.CDLL(name).crypt
    crypt.restype = ctypes.c_char_p
    # Cost 4, the lowest: each request pays for it. 22 characters of salt; the last must be one of "./" to "Oeu" in its alphabet.
    salt = f"$2b$04${secrets.token_hex(11)[:21]}e"
    hashed = crypt(password.encode(), salt.encode())
    if not hashed or not hashed.startswith(b"$2b$"):
        raise TestbedError("this system's crypt(3) knows no bcrypt, needed for basic authentication of Prometheus")
    return str(hashed.decode())

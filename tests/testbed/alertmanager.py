"""A real Alertmanager that sends what it gets to one webhook; used by fixtures and by `python -m tests.testbed`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.testbed import binaries, web
from tests.testbed.errors import TestbedError
from tests.testbed.ports import free_port
from tests.testbed.process import Server, new_folder, remove_folder


class Alertmanager:
    """One Alertmanager, alone; `.url` is its address. Groups are sent after 100 ms and again each second when they change."""

    def __init__(self, webhook_url: str | None = None, *, bearer_token: str | None = None) -> None:
        """Without `webhook_url` alerts are kept and sent nowhere until `route_to()`."""
        self.folder = new_folder("alertmanager")
        self._webhook_url = webhook_url
        self._bearer_token = bearer_token
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.server = Server(
            "alertmanager",
            [
                str(binaries.debian_program(binaries.ALERTMANAGER)),
                f"--config.file={self.folder / 'alertmanager.json'}",
                f"--storage.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            folder=self.folder,
        )

    def start(self) -> None:
        """Start and wait until it is ready."""
        self._write()
        self.server.start()
        self.server.wait_ready(lambda: web.answers(f"{self.url}/-/ready"))

    def stop(self, *, keep_logs: bool = False) -> None:
        """Stop."""
        self.server.stop()
        if not keep_logs:
            remove_folder(self.folder)

    def route_to(self, webhook_url: str | None, *, bearer_token: str | None = None) -> None:
        """Send to this webhook from now on (format version 4); None sends nowhere."""
        self._webhook_url, self._bearer_token = webhook_url, bearer_token
        self._write()
        answer = web.call("POST", f"{self.url}/-/reload")
        if answer.status != 200:
            raise TestbedError(f"Alertmanager refused its configuration: {answer.body.decode(errors='replace').strip()}")

    def fire(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Post alerts as Prometheus would: mappings with `labels` and, when wanted, `annotations`, `startsAt`, `endsAt`, `generatorURL`."""
        answer = web.call(
            "POST", f"{self.url}/api/v2/alerts", body=json.dumps(list(alerts)).encode(), headers={"Content-Type": "application/json"}
        )
        if answer.status != 200:
            raise TestbedError(f"Alertmanager refused the alerts: {answer.status} {answer.body.decode(errors='replace')}")

    def _write(self) -> None:
        receiver: dict[str, Any] = {"name": "daemon"}
        if self._webhook_url:
            hook: dict[str, Any] = {"url": self._webhook_url, "send_resolved": True}
            if self._bearer_token:
                hook["http_config"] = {"authorization": {"credentials": self._bearer_token}}
            receiver["webhook_configs"] = [hook]
        route = {"receiver": "daemon", "group_by": ["..."], "group_wait": "100ms", "group_interval": "1s", "repeat_interval": "1h"}
        (self.folder / "alertmanager.json").write_text(json.dumps({"route": route, "receivers": [receiver]}))

"""What a real Alertmanager sends becomes signals: fired, with hostile labels, and resolved."""

from __future__ import annotations

import http.server
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from aiops.adapters.alertmanager import parse_webhook
from aiops.adapters.clock import SystemClock
from aiops.domain.signal import Severity, Signal, SignalState
from tests.testbed.alertmanager import Alertmanager
from tests.testbed.process import eventually

CLOCK = SystemClock()


class Inbox:
    """A webhook on loopback that keeps the signals of what it is sent."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        inbox = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.signals += parse_webhook(body, received_at=CLOCK.now())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/v1/alerts"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, name: str) -> list[Signal]:
        return [s for s in self.signals if s.labels["alertname"] == name]


@pytest.fixture
def inbox(alertmanager: Alertmanager) -> Iterator[Inbox]:
    box = Inbox()
    alertmanager.route_to(box.url)
    yield box
    alertmanager.route_to(None)
    box.server.shutdown()
    box.server.server_close()


def test_an_alert_fires_and_resolves(alertmanager: Alertmanager, inbox: Inbox) -> None:
    name = f"Latency{uuid.uuid4().hex[:8]}"
    hostile = '<img src=x>"}} or 1==1 \u202e\u0007 {{ x }}'
    labels = {"alertname": name, "namespace": "shop", "deployment": "checkout", "severity": "critical", "hostile": hostile}
    began = datetime.now(UTC) - timedelta(minutes=1)  # noqa: TID251 (a real server's clock)
    alert = {"labels": labels, "annotations": {"summary": "slow"}, "startsAt": began.isoformat(), "generatorURL": "http://prometheus.example/graph"}
    alertmanager.fire([alert])
    eventually(lambda: bool(inbox.of(name)), what="the alert arrives")
    fired = inbox.of(name)[0]
    assert (fired.state, fired.severity, str(fired.target), fired.summary) == (SignalState.FIRING, Severity.CRITICAL, "shop/deployment/checkout", "slow")
    assert fired.labels["hostile"] == '<img src=x>"}} or 1==1    {{ x }}'
    alertmanager.fire([{**alert, "endsAt": (began + timedelta(seconds=1)).isoformat()}])
    eventually(lambda: any(s.state is SignalState.CLEARED for s in inbox.of(name)), what="the end arrives")
    assert {s.key for s in inbox.of(name)} == {fired.key}

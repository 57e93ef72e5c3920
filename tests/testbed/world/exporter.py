"""The world's loopback server: what Prometheus scrapes, and the switches of the faults.

GET  /metrics/NAMESPACE/SERVICE, /metrics/cluster,
     /metrics/probes                                the text format of Prometheus, 503 when telemetry is dark
GET  /faults                                        what there is and what is on
POST /faults/NAME/on, /faults/NAME/off
GET  /episodes                                      what became of each fault
GET  /ready                                         200 once the world ticks
Neighbours: `live` hands in frames, `control` is the client of the switches.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from tests.testbed.world.service_metrics import Labels
from tests.testbed.world.simulation import Frame, TargetFrame

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
# Prometheus puts these on itself, from its configuration.
_TARGETS_OWN = ("__name__", "job", "instance")


class Switches(Protocol):
    """What the server needs of the world."""

    def latest(self) -> Frame | None:
        """The newest frame, or None when it is too old to be told."""
        ...

    def switch(self, name: str, *, on: bool) -> None:
        """Begin or end a fault. KeyError for an unknown name."""
        ...

    def faults_as_json(self) -> list[dict[str, Any]]:
        """For GET /faults."""
        ...

    def episodes_as_json(self) -> list[dict[str, Any]]:
        """For GET /episodes."""
        ...


class Texts:
    """The text format of a target's frame; a series' text is made once for as long as the series are the same."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[Labels, ...], list[str]]] = {}
        self._lock = threading.Lock()

    def text(self, target: TargetFrame) -> bytes:
        """What Prometheus reads."""
        with self._lock:
            known = self._known.get(target.instance)
            if known is None or known[0] is not target.series:
                known = self._known[target.instance] = (target.series, [_series(labels) for labels in target.series])
        lines = [f"{name} {value!r}" for name, value in zip(known[1], target.values.tolist(), strict=True)]
        return ("\n".join(lines) + "\n").encode()


def _series(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items() if name not in _TARGETS_OWN)
    return f"{labels['__name__']}{{{pairs}}}"


class Exporter:
    """The server; `.url` is good at once, answers begin with `start()`."""

    def __init__(self, switches: Switches) -> None:
        texts = Texts()
        routes = _routes(switches, texts)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer("GET")

            def do_POST(self) -> None:
                self._answer("POST")

            def _answer(self, method: str) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, kind, body = routes(method, self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # who asked has given up
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Scrapes each second are no news."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="world-exporter", daemon=True)

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


Answer = tuple[int, str, bytes]


def _routes(switches: Switches, texts: Texts) -> Callable[[str, str], Answer]:
    def answer(method: str, path: str) -> Answer:
        parts = path.partition("?")[0].strip("/").split("/")
        if method == "GET" and parts[0] == "metrics" and len(parts) in (2, 3):
            return _metrics(switches, texts, "/".join(parts[1:]))
        if method == "GET" and parts == ["faults"]:
            return _json(200, switches.faults_as_json())
        if method == "GET" and parts == ["episodes"]:
            return _json(200, switches.episodes_as_json())
        if method == "GET" and parts == ["ready"]:
            return _json(200 if switches.latest() is not None else 503, {})
        if method == "POST" and len(parts) == 3 and parts[0] == "faults" and parts[2] in ("on", "off"):
            try:
                switches.switch(parts[1], on=parts[2] == "on")
            except KeyError:
                names = ", ".join(sorted(fault["name"] for fault in switches.faults_as_json()))
                return _json(404, {"error": f"there is no fault {parts[1]!r}; there are: {names}"})
            return _json(200, {"fault": parts[1], "on": parts[2] == "on"})
        return _json(404, {"error": "see the head of tests/testbed/world/exporter.py for what there is"})

    return answer


def _metrics(switches: Switches, texts: Texts, instance: str) -> Answer:
    frame = switches.latest()
    target = next((each for each in frame.targets if each.instance == instance), None) if frame else None
    if frame is not None and target is None:
        return _json(404, {"error": f"there is no target {instance!r}"})
    if target is None or not target.up:
        return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"no telemetry\n"
    return 200, "text/plain; version=0.0.4", texts.text(target)


def _json(status: int, content: Any) -> Answer:
    return status, "application/json", json.dumps(content).encode() + b"\n"

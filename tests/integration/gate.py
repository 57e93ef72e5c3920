"""A door in front of a server on loopback: it lets requests through, holds them, withholds answers, or changes what the answer's head says.

Neighbours: `test_hard_times.py` puts it between the daemon and the API server, and between the daemon and Prometheus. Plain HTTP on the daemon's
side, so that each request can be read; TLS towards the server where it has that.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

_HOP = {"connection", "transfer-encoding", "keep-alive", "host", "content-length"}
LONGEST_S = 120.0


@dataclass
class Request:
    """One request as it came. `deliver` sends it to the server, whoever sent it may be long gone."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    let_go: threading.Event = field(default_factory=threading.Event)
    status: int = 0
    """Of the server's answer, once it was delivered."""

    @property
    def name(self) -> str:
        """The last part of the path: the object's name where one is named."""
        return urlsplit(self.path).path.rsplit("/", 1)[-1]


Judge = Callable[[Request], str]
"""`pass`, `hold` (nothing reaches the server until someone delivers it), or `swallow` (the server carries it out, its answer is withheld)."""


class Gate:
    """`with Gate(url) as gate:`; `gate.judge` may be replaced at any time, `gate.kept` has what was held or swallowed, in order."""

    def __init__(self, url: str, *, ca_file: Path | None = None, answer_heads: Callable[[str, str], str] | None = None) -> None:
        """`answer_heads` (name, value) gives the value of each header of an answer as it is to be told."""
        self._to = urlsplit(url)
        self._tls = ssl.create_default_context(cafile=str(ca_file)) if ca_file else None
        self._heads = answer_heads or (lambda _name, value: value)
        self.judge: Judge = lambda _request: "pass"
        self.kept: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="gate", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for request in self.kept:
            request.let_go.set()
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, path: Path, token: str) -> Path:
        """A kubeconfig that leads through the gate."""
        path.touch(mode=0o600)
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "gate",
            "clusters": [{"name": "gate", "cluster": {"server": self.url}}], "users": [{"name": "gate", "user": {"token": token}}],
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate"}}],
        }))
        return path

    def held(self, name: str) -> list[Request]:
        """What was kept of requests on the object of this name, oldest first."""
        return [each for each in self.kept if each.name == name]

    def deliver(self, request: Request) -> int:
        """Send a held request to the server now; the status of its answer, which nobody else is told."""
        with contextlib.closing(self._connection()) as connection:
            connection.request(request.method, request.path, request.body or None, request.headers)
            answer = connection.getresponse()
            answer.read()
            request.status = answer.status
        return request.status

    def _connection(self) -> http.client.HTTPConnection:
        where = (self._to.hostname or "", self._to.port)
        if self._tls is not None:
            return http.client.HTTPSConnection(*where, context=self._tls, timeout=LONGEST_S)
        return http.client.HTTPConnection(*where, timeout=LONGEST_S)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
                request = Request(self.command, self.path, headers, body)
                fate = gate.judge(request)
                if fate != "pass":
                    if fate == "swallow":
                        gate.deliver(request)
                    gate.kept.append(request)
                    request.let_go.wait(LONGEST_S)
                    self.close_connection = True  # no answer: the connection breaks off
                    return
                with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(gate._connection()) as connection:
                    connection.request(request.method, request.path, request.body or None, request.headers)
                    self._pass_on(connection.getresponse())

            def _pass_on(self, answer: http.client.HTTPResponse) -> None:
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _HOP:
                        self.send_header(name, gate._heads(name, value))
                self.send_header("Connection", "close")
                self.end_headers()
                while piece := answer.read1(65536):  # a watch goes on for long: each piece as it comes
                    self.wfile.write(piece)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class' name)
                """Say nothing."""

        return Handler

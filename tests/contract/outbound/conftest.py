"""`outside`: the port with an end that does by path what it is told, in memory and over a real server on loopback."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.memory_outbound import MemoryOutbound
from aiops.adapters.outbound import Door, HttpOutbound
from aiops.adapters.outbound_policy import Allowed
from aiops.domain.errors import OutsideUnavailableError
from aiops.ports.outbound import Outbound, OutboundAnswer, OutboundRequest

NAME = "hooks.example.org"
LOOPBACK = ("127.0.0.0/8",)


def answer(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes] | None:
    """What the end says; None: it hangs up."""
    word = path.split("?", 1)[0].rsplit("/", 1)[-1]
    if word == "lost":
        return None
    if word.isdecimal():
        return int(word), {}, b"as asked"
    if word == "redirect":
        return 302, {"Location": "/hooks/echo"}, b""
    if word == "big":
        return 200, {}, b"x" * 200_000
    told = {"method": method, "path": path, "body": body.decode(), "headers": {k.lower(): v for k, v in headers.items()}}
    return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()


@dataclass
class Outside:
    """The port under test, the base address to use, and the requests that reached the end."""

    make: Callable[..., Outbound]
    base: str
    seen: Callable[[], list[tuple[str, str]]]
    port: Outbound = field(init=False)

    def __post_init__(self) -> None:
        self.port = self.make((Allowed(f"{self.base}/hooks", LOOPBACK),), {NAME: "127.0.0.1"})

    def ask(self, method: str = "POST", path: str = "/hooks/echo", body: bytes = b"{}", **headers: str) -> OutboundAnswer:
        return self.port.send(OutboundRequest(method, f"{self.base}{path}", body, {n.replace("_", "-"): v for n, v in headers.items()}), timeout=5)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    def _answer(self) -> None:
        assert isinstance(self.server, _Server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path))
        told = answer(self.command, self.path, body, dict(self.headers))
        if told is None:
            return
        self.send_response(told[0])
        for name, value in told[1].items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(told[2])))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(told[2])

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=["memory", "network"])
def outside(request: pytest.FixtureRequest) -> Iterator[Outside]:
    if request.param == "memory":
        yield _in_memory()
        return
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()

    def resolver(hosts: Mapping[str, str]) -> Callable[[str, int], list[str]]:
        def of(host: str, _port: int) -> list[str]:
            if host not in hosts:
                raise OSError(-2, "Name or service not known")
            return [hosts[host]]

        return of

    def make(allow: tuple[Allowed, ...], hosts: Mapping[str, str]) -> Outbound:
        return HttpOutbound(tuple(Door(entry) for entry in allow), SystemClock(), resolver=resolver(hosts))

    yield Outside(make, f"http://{NAME}:{server.server_port}", lambda: server.seen)
    server.shutdown()
    thread.join()
    server.server_close()


def _in_memory() -> Outside:
    seen: list[tuple[str, str]] = []
    base = f"http://{NAME}:8080"

    def handler(request: OutboundRequest) -> OutboundAnswer:
        path = request.url.removeprefix(base)
        seen.append((request.method, path))
        told = answer(request.method, path, request.body, request.headers)
        if told is None:
            raise OutsideUnavailableError("ConnectionLost", "hung up")
        return OutboundAnswer(told[0], {name.lower(): value for name, value in told[1].items()}, b"" if request.method == "HEAD" else told[2])

    return Outside(lambda allow, hosts: MemoryOutbound(allow, handler, hosts=hosts), base, lambda: seen)

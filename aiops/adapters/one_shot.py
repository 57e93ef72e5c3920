"""One HTTP exchange over one connection of its own: sent once, no redirect, no proxy, a deadline over everything, and the address pinned.

Unlike `adapters.http`, which reads and may ask again, nothing here is ever repeated. The name is looked up once, each address is judged, and the
connection goes to the address that was judged. Neighbours: `outbound`, `alertmanager_silences`.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiops import __version__
from aiops.adapters.credentials import SecretFile
from aiops.adapters.http_deadline import DeadlineResponse, Limit, limited
from aiops.adapters.outbound_policy import Address
from aiops.domain.errors import OutsideRefusedError, OutsideUnavailableError, OutsideUnsentError
from aiops.ports.clock import Clock
from aiops.ports.outbound import OutboundAnswer

CONNECT_TIMEOUT = 3.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_HEADERS = 50
Resolver = Callable[[str, int], list[str]]
"""Host and port in, addresses out; raises OSError."""
Judge = Callable[[Address], str]
"""Why a connection to this address is not made, or empty."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How we show who we are; an empty text means "not used". Files are read at each use, so a rotated secret needs no restart."""

    headers: Mapping[str, str] = field(default_factory=dict)
    header_files: Mapping[str, str] = field(default_factory=dict)
    bearer_file: str = ""
    username: str = ""
    password_file: str = ""
    api_key_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""


def resolve(host: str, port: int) -> list[str]:
    """The system's own answer."""
    return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


class OneShot:
    """Exchanges with one place. `judge` is asked about each address of the host; one that is refused refuses all."""

    def __init__(self, clock: Clock, credentials: Credentials, judge: Judge = lambda _address: "", *, resolver: Resolver = resolve) -> None:
        self._clock, self._credentials, self._judge, self._resolver = clock, credentials, judge, resolver
        c = credentials
        self._files = {name: SecretFile(path) for name, path in c.header_files.items()}
        secret = c.bearer_file or c.password_file or c.api_key_file
        self._secret = SecretFile(secret) if secret else None

    def exchange(
        self, method: str, *, tls: bool, host: str, port: int, target: str, headers: Mapping[str, str], body: bytes, timeout: float,
        maximum: int = MAX_ANSWER_BYTES,
    ) -> OutboundAnswer:
        """Send and read. Raises the OutsideError family: nothing was sent unless it is OutsideUnavailableError."""
        limit = Limit(self._clock, self._clock.monotonic() + timeout, timeout)
        own, secrets = self._own_headers()
        sock = self._connected(host, port, limit)
        connection = http.client.HTTPConnection(host, port)
        connection.response_class = DeadlineResponse
        try:
            connection.sock = self._secured(sock, host, limit) if tls else sock
            connection.sock.settimeout(_left(limit))
            mine = {name.lower() for name in own}
            sent = {**{n: v for n, v in headers.items() if n.lower() not in mine}, **own, "Connection": "close", "Accept-Encoding": "identity", "User-Agent": f"aiops/{__version__}"}
            return _asked(connection, method, target, sent, body, limit, secrets, maximum)
        finally:
            connection.close()
            sock.close()

    def _own_headers(self) -> tuple[dict[str, str], tuple[bytes, ...]]:
        """Our own headers, and what of them must not be seen in any answer."""
        c = self._credentials
        try:
            read = {name: file.read() for name, file in self._files.items()}
            secret = self._secret.read() if self._secret else ""
        except OSError as error:
            raise OutsideUnsentError("NoCredential", f"{error.filename}: {error.strerror}") from error
        except ValueError as error:
            raise OutsideUnsentError("NoCredential", f"a file with a secret {error}") from error
        hidden = [*read.values(), *([secret] if secret else [])]
        if c.bearer_file:
            read["Authorization"] = f"Bearer {secret}"
        elif c.api_key_file:
            read["Authorization"] = f"ApiKey {secret}"
        elif c.username:
            hidden.append(base64.b64encode(f"{c.username}:{secret}".encode()).decode())
            read["Authorization"] = f"Basic {hidden[-1]}"
        return {**c.headers, **read}, tuple(text.encode() for text in hidden)

    def _connected(self, host: str, port: int, limit: Limit) -> socket.socket:
        """A connection to an address that was judged."""
        addresses = self._addresses(host, port, limit)
        for address in addresses:
            if refused := self._judge(ipaddress.ip_address(address.partition("%")[0])):
                raise OutsideRefusedError("AddressRefused", f"{host}: {refused}")
        last: OSError | None = None
        for address in addresses:
            try:
                return socket.create_connection((address, port), timeout=min(CONNECT_TIMEOUT, _left(limit)))
            except OSError as error:
                last = error
        reason = "Timeout" if isinstance(last, TimeoutError) else "Unreachable"
        raise OutsideUnsentError(reason, f"{host}:{port}: {last}") from last

    def _addresses(self, host: str, port: int, limit: Limit) -> list[str]:
        """The resolver knows no deadline, so it gets a thread that is left behind when it takes too long."""
        found: list[str] = []
        failed: list[OSError] = []

        def ask() -> None:
            try:
                found.extend(self._resolver(host, port))
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=ask, name="resolve", daemon=True)
        thread.start()
        thread.join(_left(limit))
        if failed or not found:
            why = failed[0].strerror if failed else "no answer in time" if thread.is_alive() else "no address"
            raise OutsideUnsentError("Unresolved", f"{host}: {why}") from (failed[0] if failed else None)
        return found

    def _secured(self, sock: socket.socket, host: str, limit: Limit) -> ssl.SSLSocket:
        c = self._credentials
        try:
            context = ssl.create_default_context(cafile=c.ca_file or None)
            if c.cert_file:
                context.load_cert_chain(c.cert_file, c.key_file or None)
            sock.settimeout(_left(limit))
            return context.wrap_socket(sock, server_hostname=c.server_name or host)
        except OSError as error:
            raise OutsideUnsentError("TlsFailed", f"{host}: {getattr(error, 'verify_message', '') or error.strerror or error}") from error


def _asked(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: bytes, limit: Limit,
    secrets: tuple[bytes, ...], maximum: int,
) -> OutboundAnswer:
    place = f"{connection.host}:{connection.port}"
    try:
        with limited(limit):
            connection.request(method, target, body=body if body or method not in ("GET", "HEAD", "DELETE") else None, headers=dict(headers))
            response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise OutsideUnavailableError(_reason(error, limit), f"{place}: no answer: {type(error).__name__} {error}") from error
    told, truncated = _body(response, maximum)
    for secret in secrets:
        told = told.replace(secret, b"***")
    shown = {name.lower(): value for name, value in response.getheaders()[:MAX_HEADERS]}
    return OutboundAnswer(response.status, shown, told[:maximum], truncated or len(told) > maximum)


def _body(response: http.client.HTTPResponse, maximum: int) -> tuple[bytes, bool]:
    """What there is of it: the status has been given already, so a body that breaks off is only a body that is cut."""
    pieces: list[bytes] = []
    size = 0
    while size <= maximum:
        try:
            piece = response.read1(maximum + 1 - size)
        except (OSError, http.client.HTTPException):
            return b"".join(pieces), True
        if not piece:
            # `read1` says nothing of a body that is shorter than announced; what is left of the announced length does.
            return b"".join(pieces), bool(response.length)
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)[:maximum], True


def _reason(error: BaseException, limit: Limit) -> str:
    if isinstance(error, TimeoutError) or limit.remaining() <= 0:
        return "Timeout"
    return "ConnectionLost" if isinstance(error, ConnectionError) else "Garbled"


def _left(limit: Limit) -> float:
    return max(limit.remaining(), 0.001)

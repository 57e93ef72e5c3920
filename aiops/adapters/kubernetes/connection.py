"""One connection to one API server: who we are, requests with a deadline, streams that can be broken off. JSON in, JSON out.

Built on the `kubernetes` package for what it knows best (kubeconfig, contexts, exec plugins, in-cluster configuration, TLS); requests go
through its ApiClient's connection pool, past its typed models, which cost time and memory for each object. Nothing is ever retried here,
and no redirect followed: a write whose answer is lost must not be sent twice. Neighbours: `reader`, `writer`, `errors`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
import urllib3

from aiops.domain.errors import ClusterError, ClusterUnavailableError
from aiops.domain.target import JsonObject
from aiops.ports.clock import Clock

from .errors import refusal

if TYPE_CHECKING:
    from kubernetes.client.api_client import ApiClient

USER_AGENT = "aiops"
"""As the audit log names us."""
_CONNECT_SECONDS = 5.0
_MOST_BYTES = 128 * 1024 * 1024
_MOST_LINE = 16 * 1024 * 1024
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class TokenFile:
    """A bearer token in a file, read again whenever the file changed: the tokens of service accounts rotate."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: tuple[int, int, int] | None = None
        self._token = ""
        self._lock = threading.Lock()

    def token(self) -> str:
        """The present token. Raises ClusterUnavailableError when the file cannot be read."""
        with self._lock:
            try:
                # The kubelet swaps a symlink, so the inode tells as well as the time.
                found = self._path.stat()
                mark = (found.st_ino, found.st_mtime_ns, found.st_size)
                if mark != self._mark:
                    self._token = self._path.read_text(encoding="ascii").strip()
                    self._mark = mark
            except (OSError, UnicodeError) as error:
                raise ClusterUnavailableError("NoToken", f"{self._path}: {type(error).__name__}") from error
            return self._token


class Connection:
    """`context` is our name of the cluster, for messages; `clock` bounds slow answers."""

    def __init__(self, context: str, client: ApiClient, clock: Clock, token: TokenFile | None = None) -> None:
        self.context = context
        self._client = client
        self._pool: urllib3.PoolManager = client.rest_client.pool_manager
        self._clock = clock
        self._token = token
        self._streams: set[urllib3.BaseHTTPResponse] = set()
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float = 10.0,
    ) -> JsonObject:
        """One request, one answer. Raises the ClusterError family; ClusterUnavailableError says nothing about whether a write happened.

        `timeout` (seconds) bounds the whole of it, a dripping answer too.
        """
        payload = None if body is None else msgspec.json.encode(body)
        deadline = self._clock.monotonic() + timeout
        with closing(self._send(method, path, query, payload, content_type, timeout, timeout)) as answer:
            code, raw = answer.status, self._read(answer, deadline)
        decoded = _decode(raw)
        if code >= 300:
            raise refusal(code, decoded or {})
        if decoded is None:
            raise ClusterUnavailableError("Garbled", f"answer {code} to {method} {path} is not a JSON object", code)
        return decoded

    def lines(self, path: str, query: Mapping[str, str], *, silence: float) -> Iterator[JsonObject]:
        """A stream of JSON lines (a watch), until the server ends it or `interrupt`; `silence` seconds without a byte are an error."""
        answer = self._send("GET", path, query, None, "application/json", silence, None)
        with self._lock:
            self._streams.add(answer)
        try:
            if answer.status >= 300:
                raise refusal(answer.status, _decode(self._read(answer, self._clock.monotonic() + silence)) or {})
            yield from self._split(answer)
        finally:
            with self._lock:
                self._streams.discard(answer)
            answer.close()

    def interrupt(self) -> None:
        """Break off every stream, from any thread: their readers see an error at once."""
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            try:
                stream.shutdown()
            except (ValueError, RuntimeError, OSError):
                # It ended by itself in the meantime.
                continue

    def close(self) -> None:
        """Break off streams and drop connections."""
        self.interrupt()
        self._client.close()  # type: ignore[no-untyped-call]

    def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: bytes | None, kind: str, read: float, total: float | None
    ) -> urllib3.BaseHTTPResponse:
        url = f"{self._client.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = self._headers()
        if body is not None:
            headers["Content-Type"] = kind
        limits = urllib3.Timeout(connect=min(_CONNECT_SECONDS, read), read=read, total=total)
        try:
            return self._pool.request(
                method, url, body=body, headers=headers, timeout=limits, retries=False, redirect=False, preload_content=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_answer(method, path, error) from error

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.token()}"
            return headers
        # Asks the package, whose hook refreshes what an exec plugin gave.
        for setting in self._client.configuration.auth_settings().values():
            if setting.get("in") == "header" and setting.get("value"):
                headers[str(setting["key"])] = str(setting["value"])
        return headers

    def _read(self, answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while part := answer.read1(1 << 16):
                parts.append(part)
                size += len(part)
                if size > _MOST_BYTES:
                    raise ClusterUnavailableError("TooLarge", f"an answer of more than {_MOST_BYTES} bytes", answer.status)
                if self._clock.monotonic() > deadline:
                    raise ClusterUnavailableError("TimedOut", "the answer came too slowly")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_answer("answer of", "the server", error) from error
        return b"".join(parts)

    def _split(self, answer: urllib3.BaseHTTPResponse) -> Iterator[JsonObject]:
        rest = b""
        try:
            while part := answer.read1(1 << 16):
                *whole, rest = (rest + part).split(b"\n")
                if len(rest) > _MOST_LINE:
                    raise ClusterUnavailableError("TooLarge", f"an event of more than {_MOST_LINE} bytes")
                for line in filter(None, whole):
                    decoded = _decode(line)
                    if decoded is None:
                        raise ClusterUnavailableError("Garbled", "an event of the watch is not a JSON object")
                    yield decoded
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_answer("watch of", "the server", error) from error
        if rest.strip():
            raise ClusterUnavailableError("Garbled", "the watch ended in the middle of an event")


def _decode(raw: bytes) -> JsonObject | None:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _no_answer(method: str, path: str, error: Exception) -> ClusterUnavailableError:
    reason = "TimedOut" if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError) else "NoAnswer"
    return ClusterUnavailableError(reason, f"{method} {path}: {type(error).__name__}: {error}")


def connect(context: str, clock: Clock, *, kubeconfig: Path | None = None, kube_context: str = "") -> Connection:
    """Open (lazily) the connection: a kubeconfig and one of its contexts (its current one if empty), or the pod's own service account.

    Raises ClusterError naming the file and what is wrong with it. Nothing is sent yet.
    """
    # The package is 0.6 s and 17 MiB with what it needs; commands that touch no cluster do without.
    import yaml
    from kubernetes import config
    from kubernetes.client.api_client import ApiClient
    from kubernetes.client.configuration import Configuration

    settings = Configuration()
    # A lost connection is an answer we did not get, and the caller decides; a watch for each kind needs its own connection.
    settings.retries = False
    settings.connection_pool_maxsize = 32
    where = "in-cluster configuration"
    try:
        if kubeconfig is None:
            config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=settings, try_refresh_token=False
            )
            token: TokenFile | None = TokenFile(_SERVICE_ACCOUNT / "token")
        else:
            where = str(kubeconfig)
            config.load_kube_config(where, kube_context or None, settings, persist_config=False)  # type: ignore[no-untyped-call]
            token = _token_file(kubeconfig, kube_context)
        return Connection(context, ApiClient(settings), clock, token)
    except (
        config.ConfigException,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        yaml.YAMLError,
        msgspec.MsgspecError,
    ) as error:
        raise ClusterError("BadKubeconfig", f"{where}: {error or type(error).__name__}") from error


def _token_file(kubeconfig: Path, kube_context: str) -> TokenFile | None:
    """The token file that the context's user names; the package reads it once only."""
    document = msgspec.yaml.decode(kubeconfig.read_bytes())
    name = kube_context or document["current-context"]
    user = next((c["context"].get("user") for c in document["contexts"] if c["name"] == name), None)
    found = next((u.get("user") or {} for u in document.get("users") or () if u["name"] == user), {})
    path = found.get("tokenFile")
    return TokenFile(kubeconfig.parent / path) if path and not found.get("token") else None

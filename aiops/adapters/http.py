"""One place for HTTP to sources: time-outs, a total deadline, TLS, credentials, a bound on size, and errors by our own names.

Neighbours: `adapters.prometheus` and `adapters.elasticsearch` speak through it, `adapters.breaker` stands before them.
All requests made here are reads, so one that a kept-alive connection dropped before an answer is sent once more.
"""

from __future__ import annotations

import base64
import email.utils
import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from aiops.adapters.credentials import SecretFile, Stamp, stamp
from aiops.adapters.http_deadline import DeadlineAdapter, Limit, limited
from aiops.adapters.http_errors import named, retry_after, root_of, sentence
from aiops.domain.errors import SourceError, SourceGarbledError, SourceRejectedError, SourceThrottledError, SourceUnavailableError, trimmed
from aiops.ports.clock import Clock

CHUNK_BYTES = 512 * 1024
ERROR_BODY_BYTES = 64 * 1024
MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BY_STATUS = {400: "BadQuery", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "NotFound", 413: "BadQuery", 414: "BadQuery", 422: "BadQuery"}


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How one server is reached. Seconds and bytes; an empty text means "not used".

    `url` is the base address without credentials. `connect_timeout` holds for each address tried, `read_timeout` between two bytes,
    `deadline` for the whole exchange. `max_bytes` bounds the answer after decompression. At most one of bearer, basic
    (`username` with `password_file`) and API key (header `Authorization: ApiKey …`); `cert_file` and `key_file` are the client's for mTLS.
    `server_name` is what the server's certificate must be for, where that is not the host of `url`.
    Secret files and certificates are read again when they change. Proxies and .netrc of the environment are not used.
    """

    url: str
    connect_timeout: float = 3.0
    read_timeout: float = 10.0
    deadline: float = 15.0
    max_bytes: int = 256 * 1024 * 1024
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    bearer_file: str = ""
    username: str = ""
    password_file: str = ""
    api_key_file: str = ""
    proxy: str = ""
    pool_size: int = 8
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError that names the option and says what is allowed."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url: must be http://host[:port][/path] or https://…")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("url: must hold neither credentials, query nor fragment; credentials go into files (bearer_file, password_file, api_key_file)")
        for name in ("connect_timeout", "read_timeout", "deadline", "max_bytes", "pool_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be above 0")
        if sum((bool(self.bearer_file), bool(self.username or self.password_file), bool(self.api_key_file))) > 1:
            raise ValueError("bearer_file, username with password_file, api_key_file: give one of them at most")
        if bool(self.username) != bool(self.password_file):
            raise ValueError("username and password_file: give both or neither")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file: needs cert_file")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: any status, the body decompressed. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Requests to one server, from any number of threads. `name` is the source's, for errors."""

    def __init__(self, name: str, options: HttpOptions, clock: Clock) -> None:
        self.name, self.options = name, options
        self._clock = clock
        self._origin = _origin(options.url)
        self._base = options.url.rstrip("/") + "/"
        self._secret = next((SecretFile(p) for p in (options.bearer_file, options.password_file, options.api_key_file) if p), None)
        self._lock = threading.Lock()
        self._session: requests.Session | None = None
        self._stamps: tuple[Stamp, ...] = ()
        self._skew: float | None = None

    @property
    def last_skew(self) -> float | None:
        """Seconds by which the server's `Date` was ahead of our clock at the last answer, good to about a second; None before the first."""
        return self._skew

    def close(self) -> None:
        """Close the pooled connections; the client stays usable."""
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def call(self, method: str, path: str, *, form: Mapping[str, str] | None = None, body: bytes | None = None,
             headers: Mapping[str, str] | None = None, deadline: float | None = None) -> Answer:  # fmt: skip
        """One exchange, read whole; any status is an answer. Raises the SourceError family."""
        with self.stream(method, path, form=form, body=body, headers=headers, deadline=deadline) as opened:
            return Answer(opened.status, opened.headers, opened.read())

    @contextmanager
    def stream(self, method: str, path: str, *, form: Mapping[str, str] | None = None, body: bytes | None = None,
               headers: Mapping[str, str] | None = None, deadline: float | None = None) -> Iterator[Streamed]:  # fmt: skip
        """One exchange whose body is read in chunks within the block. `deadline` may only shorten the configured one."""
        span = self.options.deadline if deadline is None else min(deadline, self.options.deadline)
        limit = Limit(self._clock, self._clock.monotonic() + span, self.options.read_timeout)
        sent = {"Accept": "application/json", **self.options.headers, **(headers or {}), **self._authorization()}
        data = dict(form) if form is not None else body
        with self.mapped(limit):
            response = self._send(method, self._base + path.lstrip("/"), data, sent, limit)
        try:
            self._note_date(response.headers.get("Date"))
            yield Streamed(self, response, limit)
        finally:
            response.close()

    def error_for(self, status: int, headers: Mapping[str, str], detail: str) -> SourceError:
        """What a status other than 2xx means. `detail` is the server's text; secrets are taken out of it."""
        text = self.scrubbed(f"HTTP {status}: {detail}" if detail else f"HTTP {status}")
        if status == 429:
            return SourceThrottledError(self.name, text, retry_after(headers.get("Retry-After"), self._clock))
        if status in (408, 504):
            return SourceUnavailableError(self.name, "Timeout", text)
        if status >= 500:
            return SourceUnavailableError(self.name, "ServerError", text)
        return SourceRejectedError(self.name, _BY_STATUS.get(status, "BadRequest"), text)

    def scrubbed(self, text: str) -> str:
        """The text without the current secret, in plain and in base64."""
        if self._secret is None:
            return trimmed(text)
        try:
            secret = self._secret.read()
        except (OSError, ValueError):
            return trimmed(text)
        for form in (base64.b64encode(f"{self.options.username}:{secret}".encode()).decode(), secret):
            text = text.replace(form, "***")
        return trimmed(text)

    def _authorization(self) -> dict[str, str]:
        if self._secret is None:
            return {}
        try:
            secret = self._secret.read()
        except OSError as error:
            raise SourceUnavailableError(self.name, "NoCredential", f"{self._secret.path}: {error.strerror}") from error
        except ValueError as error:
            raise SourceUnavailableError(self.name, "NoCredential", f"{self._secret.path}: {error}") from error
        if self.options.bearer_file:
            return {"Authorization": f"Bearer {secret}"}
        if self.options.api_key_file:
            return {"Authorization": f"ApiKey {secret}"}
        return {"Authorization": "Basic " + base64.b64encode(f"{self.options.username}:{secret}".encode()).decode()}

    def _ready_session(self) -> requests.Session:
        """The session; a new one when a certificate file changed, since a pool keeps the context it began with."""
        files = [f for f in (self.options.ca_file, self.options.cert_file, self.options.key_file) if f]
        try:
            stamps = tuple(stamp(f) for f in files)
        except OSError as error:
            raise SourceUnavailableError(self.name, "NoCredential", f"{error.filename}: {error.strerror}") from error
        with self._lock:
            if self._session is None or stamps != self._stamps:
                self._session, self._stamps = self._new_session(), stamps
            return self._session

    def _new_session(self) -> requests.Session:
        session = _Session()
        session.trust_env = False
        if self.options.proxy:
            session.proxies = {"http": self.options.proxy, "https": self.options.proxy}
        session.verify = self.options.ca_file or True
        if self.options.cert_file:
            session.cert = (self.options.cert_file, self.options.key_file) if self.options.key_file else self.options.cert_file
        session.mount("http://", DeadlineAdapter(pool_maxsize=self.options.pool_size))
        session.mount("https://", DeadlineAdapter(self.options.server_name, pool_maxsize=self.options.pool_size))
        return session

    def _send(self, method: str, url: str, data: dict[str, str] | bytes | None, headers: Mapping[str, str], limit: Limit) -> requests.Response:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._once(method, url, data, headers, limit)
            if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            try:
                target = urljoin(url, response.headers["Location"])
            except ValueError:
                target = ""
            place = _origin(target)
            if place != self._origin:
                raise SourceRejectedError(self.name, "Redirected", f"to {place}; not followed: give that address as url if it is meant")
            if response.status_code not in (307, 308) and method != "GET":
                raise SourceRejectedError(self.name, "Redirected", f"HTTP {response.status_code} would lose the query: give the final address as url")
            url = target
        raise SourceRejectedError(self.name, "Redirected", f"more than {MAX_REDIRECTS} times")

    def _once(self, method: str, url: str, data: dict[str, str] | bytes | None, headers: Mapping[str, str], limit: Limit) -> requests.Response:
        session = self._ready_session()
        for last in (False, True):
            remaining = max(limit.remaining(), 0.001)
            timeouts = (min(self.options.connect_timeout, remaining), min(self.options.read_timeout, remaining))
            try:
                with limited(limit):
                    return session.request(method, url, data=data, headers=dict(headers), timeout=timeouts, stream=True, allow_redirects=False)
            except requests.ConnectionError as error:
                if last or not isinstance(root_of(error), http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
                    raise
        raise AssertionError("not reached")

    def _note_date(self, text: str | None) -> None:
        if text:
            try:
                # The header is cut to whole seconds, so half a second is its mean error.
                self._skew = email.utils.parsedate_to_datetime(text).timestamp() + 0.5 - self._clock.now()
            except (ValueError, OverflowError):
                return

    @contextmanager
    def mapped(self, limit: Limit, *, begun: bool = False) -> Iterator[None]:
        """What the libraries raise within the block becomes our errors; `begun` says that the answer's head was there already."""
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, http.client.HTTPException) as error:
            raise self._error(error, limit, begun=begun) from error

    def _error(self, error: BaseException, limit: Limit, *, begun: bool) -> SourceError:
        """Our name for an error. The libraries' texts hold addresses with queries, so only the innermost one is shown."""
        text = self.scrubbed(f"{self._origin}: {sentence(error)}")
        if limit.remaining() <= 0:
            return SourceUnavailableError(self.name, "Timeout", f"{self._origin}: no whole answer within {self.options.deadline:g} s")
        return named(self.name, error, text, begun=begun)


class _Session(requests.Session):
    """Sees no redirects: even when told not to follow, requests would look into the target and stumble over a bad one."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


class Streamed:
    """An answer being read. Its methods raise the SourceError family."""

    def __init__(self, client: HttpClient, response: requests.Response, limit: Limit) -> None:
        self._client, self._response, self._limit = client, response, limit
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    def chunks(self) -> Iterator[bytes]:
        """The body, decompressed, in pieces of about half a MiB; of an error's body the first 64 KiB only."""
        if not self.ok:
            yield self._piece(ERROR_BODY_BYTES)
            return
        bound = self._client.options.max_bytes
        declared = self._response.headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared) > bound:
            raise SourceGarbledError(self._client.name, "TooLarge", f"{declared} bytes are announced, {bound} are allowed")
        seen = 0
        while piece := self._piece(CHUNK_BYTES):
            seen += len(piece)
            if seen > bound:
                raise SourceGarbledError(self._client.name, "TooLarge", f"more than {bound} bytes")
            yield piece

    def read(self) -> bytes:
        """All of it."""
        return b"".join(self.chunks())

    def _piece(self, size: int) -> bytes:
        with self._client.mapped(self._limit, begun=True):
            piece: bytes = self._response.raw.read(size, decode_content=True)
        return piece


def _origin(url: str) -> str:
    """scheme://host:port in lower case, without anything that could be secret."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
    except ValueError:
        return "an unreadable address"
    if not parts.hostname:
        return "an unreadable address"
    return f"{parts.scheme.lower()}://{(parts.hostname or '').lower()}:{port}"

"""A deadline over a whole HTTP exchange, which read time-outs alone do not give: they begin anew with each byte.

The response's socket is read through `_DeadlineReader`, which shortens the socket's time-out to what remains. So a server that
drips its status line, its headers or its body is cut off on time, with no watcher thread.
Neighbours: `adapters.http`, `adapters.one_shot`. Name resolution is the system's own and is not covered.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from aiops.ports.clock import Clock

READ_BUFFER = 128 * 1024


@dataclass(frozen=True, slots=True)
class Limit:
    """`ends` on the clock's monotonic scale; `idle` seconds between two bytes at most."""

    clock: Clock
    ends: float
    idle: float

    def remaining(self) -> float:
        """Seconds left; below zero once it is over."""
        return self.ends - self.clock.monotonic()


_current = threading.local()


@contextmanager
def limited(limit: Limit) -> Iterator[None]:
    """Responses begun by this thread within the block obey `limit`, also when their body is read later."""
    before = getattr(_current, "limit", None)
    _current.limit = limit
    try:
        yield
    finally:
        _current.limit = before


class _DeadlineReader(io.RawIOBase):
    """Reads a socket, never for longer than what remains."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, limit: Limit) -> None:
        super().__init__()
        self._raw, self._sock, self._limit = raw, sock, limit

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:
        """Raises TimeoutError when the deadline has passed or nothing came for `idle` seconds."""
        remaining = self._limit.remaining()
        if remaining <= 0:
            raise TimeoutError("the deadline has passed")
        self._sock.settimeout(min(remaining, self._limit.idle))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


class DeadlineResponse(http.client.HTTPResponse):
    """Takes the limit that stands while the request is sent."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        limit = getattr(_current, "limit", None)
        if limit is not None:
            raw = self.fp.detach()  # it is a BufferedReader over a SocketIO
            self.fp = io.BufferedReader(_DeadlineReader(raw, sock, limit), READ_BUFFER)


class _Http(HTTPConnection):
    response_class = DeadlineResponse


class _Https(HTTPSConnection):
    response_class = DeadlineResponse


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https


class DeadlineAdapter(HTTPAdapter):
    """The transport of `requests` with the connections above; it never retries by itself."""

    def __init__(self, server_name: str = "", **kwargs: Any) -> None:
        """`server_name`, if any, is asked for by SNI and must stand in the server's certificate instead of the host."""
        self._tls: dict[str, Any] = {"server_hostname": server_name, "assert_hostname": server_name} if server_name else {}
        super().__init__(**kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As the base does, with our connections."""
        kwargs.update(self._tls)
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """As the base does, with our connections."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager

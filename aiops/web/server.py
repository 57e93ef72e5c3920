"""uvicorn in a thread of its own, with a port that is known once it listens, and a clean stop.

Neighbours: `routes.build_app` makes what is served; `app.live` starts and stops it.
"""

from __future__ import annotations

import asyncio
import socket
import threading

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from aiops.domain.errors import AiopsError

HEAD_SECONDS = 10.0
"""A connection on which no whole request head comes within one to two of these is closed: otherwise a few hundred silent ones would
use up `limit_concurrency`, and the kubelet's own question would go unanswered."""


class ImpatientProtocol(H11Protocol):
    """uvicorn's, with a bound on how long a request's head may take; what is between two requests is bounded by the keep-alive time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        self._waited = False
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch no more."""
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        half = self.conn.their_state is h11.IDLE and (self.cycle is None or bool(self.conn.trailing_data[0]))
        if half and self._waited:
            self.transport.close()
            return
        self._waited = half
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)


class WebServer:
    """`host` and `port` (0: a free one). Raises AiopsError from `start` when it cannot listen."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._config = uvicorn.Config(
            app, host=host, port=port, log_config=None, access_log=False, lifespan="off", timeout_keep_alive=15, limit_concurrency=200,
            h11_max_incomplete_event_size=16384, server_header=False, http=ImpatientProtocol, timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(self._config)
        self._host, self._asked = host, port
        self._thread: threading.Thread | None = None
        self.port = 0

    def start(self) -> None:
        """Listen, then serve in the background."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._asked))
        except OSError as error:
            listener.close()
            raise AiopsError(f"web: cannot listen on {self._host}:{self._asked}: {error.strerror}") from error
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Answer what is under way for at most `grace` seconds, then go."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(grace)

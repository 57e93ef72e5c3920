"""uvicorn in a thread of its own, with a port that is known once it listens, and a clean stop.

Neighbours: `routes.build_app` makes what is served; `app.live` starts and stops it.
"""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from aiops.domain.errors import AiopsError


class WebServer:
    """`host` and `port` (0: a free one). Raises AiopsError from `start` when it cannot listen."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._config = uvicorn.Config(
            app, host=host, port=port, log_config=None, access_log=False, lifespan="off", timeout_keep_alive=15, limit_concurrency=200,
            h11_max_incomplete_event_size=16384, server_header=False, timeout_graceful_shutdown=5,
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

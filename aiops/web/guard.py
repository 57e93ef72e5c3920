"""What every answer gets: headers that keep a page from running foreign code, an access log line, a count.

Neighbours: `routes` puts these round the site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("aiops.access")

HEADERS = (
    (b"content-security-policy", b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
METHODS = {"GET", "HEAD", "POST"}
QUIET = {"/livez", "/readyz", "/metrics"}
"""Asked all the time: counted, not logged, unless they fail."""


class SecurityHeaders:
    """Adds `HEADERS` to each answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await self._app(scope, receive, sending)


class AccessLog:
    """One line and one count for each request.

    `names`: the route of each endpoint, as it is written (`/incidents/{id}`): the count has these and never a path that someone asked
    for, so that nobody can make new time series by asking. `clock`: monotonic seconds.
    """

    def __init__(self, app: ASGIApp, count: Callable[[str, str, int, float], None], clock: Callable[[], float], names: Mapping[Any, str]) -> None:
        self._app, self._count, self._clock, self._names = app, count, clock, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, code = self._clock(), 500

        async def sending(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            took = self._clock() - began
            path = scope["path"]
            self._count(scope["method"] if scope["method"] in METHODS else "other", self._names.get(scope.get("endpoint"), "unknown"), code, took)
            if path not in QUIET or code >= 500:
                peer = scope["client"][0] if scope.get("client") else ""
                log.info("request", method=scope["method"], path=path[:200], code=code, seconds=round(took, 4), peer=peer)

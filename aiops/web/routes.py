"""Routes: health, metrics, the webhook, the JSON API and the pages. Handlers are synchronous: Starlette runs them in its thread pool.

Neighbours: `status.Site` is what they read; `pages` renders HTML; `guard` bounds bodies and adds headers.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import math

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from aiops.domain.errors import AiopsError, StoreError
from aiops.web.guard import AccessLog, SecurityHeaders
from aiops.web.pages import Pages
from aiops.web.status import Site

MAX_BODY = 4 * 1024 * 1024
MAX_ROWS = 1000
BODY_SECONDS = 15.0
MAX_BODIES = 50
"""Webhook bodies that are read at one time: slow ones must not use up the server's connections, or the kubelet's question would go unanswered."""


def build_app(site: Site) -> Starlette:
    """The whole site."""
    api = Api(site)
    pages = Pages(site)
    routes = [
        Route("/livez", api.livez),
        Route("/readyz", api.readyz),
        Route("/metrics", api.metrics),
        Route("/api/v1/status", api.status),
        Route("/api/v1/alerts", api.alerts, methods=["POST"]),
        Route("/api/v1/incidents", api.incidents),
        Route("/api/v1/incidents/{id}", api.incident),
        Route("/api/v1/executions/{id}", api.execution),
        Route("/api/v1/decisions", api.decisions),
        Route("/api/v1/feedback", api.feedback),
        *pages.routes(),
        Mount("/static", app=pages.static()),
    ]
    names = {route.endpoint: route.path for route in routes if isinstance(route, Route)} | {pages.file: "/static/{name}"}
    middleware = [Middleware(AccessLog, count=site.count, clock=site.clock, names=names), Middleware(SecurityHeaders)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers={StoreError: _no_store})


class Api:
    """JSON over `ports.storage.Reading`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._reading = 0

    def livez(self, _request: Request) -> Response:
        """The process answers; nothing else is asked, so that a slow disk does not get us restarted."""
        return PlainTextResponse("ok\n")

    def readyz(self, _request: Request) -> Response:
        """Store writable and everything started; 503 with the reason otherwise."""
        why = self._site.ready()
        return PlainTextResponse(f"{why}\n", 503) if why else PlainTextResponse("ok\n")

    def metrics(self, _request: Request) -> Response:
        """Prometheus' text format."""
        return Response(self._site.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def status(self, _request: Request) -> Response:
        """The daemon now."""
        return self._json(self._site.status())

    def incidents(self, request: Request) -> Response:
        """Newest first; `active=true` for those that are not resolved."""
        if request.query_params.get("active") == "true":
            return self._json(self._site.reading.active_incidents())
        return self._json(self._site.reading.incidents(limit=_limit(request)))

    def incident(self, request: Request) -> Response:
        """One incident with its signals, decisions and executions."""
        reading, identity = self._site.reading, request.path_params["id"]
        found = reading.incident(identity)
        if found is None:
            return _error(404, "no such incident")
        return self._json({
            "incident": found, "signals": reading.signals(identity), "executions": reading.executions(incident=identity),
            "decisions": reading.decisions(incident=identity),
        })

    def execution(self, request: Request) -> Response:
        """One run with its journal."""
        reading, identity = self._site.reading, request.path_params["id"]
        found = reading.execution(identity)
        return _error(404, "no such execution") if found is None else self._json({"execution": found, "journal": reading.journal(identity)})

    def decisions(self, request: Request) -> Response:
        """Why, for `target` or `incident`."""
        target, incident = request.query_params.get("target", ""), request.query_params.get("incident", "")
        if not target and not incident:
            return _error(400, "give target=[namespace/]kind/name or incident=ID")
        return self._json(self._site.reading.decisions(target=target, incident=incident, limit=_limit(request)))

    def feedback(self, _request: Request) -> Response:
        """What people called no anomaly, oldest first, with what was taken back or is too old."""
        return self._json(self._site.reading.value("feedback") or [])

    async def alerts(self, request: Request) -> Response:
        """Alertmanager's webhook, version 4. Acknowledged only after it is stored: 503 asks the sender to try again."""
        try:
            token = self._site.webhook_token()
        except (OSError, ValueError) as error:
            return _error(503, f"the token file cannot be read: {type(error).__name__}")  # without it nobody is let in
        given = request.headers.get("authorization", "")
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return _error(401, "a bearer token is needed")
        if self._reading >= MAX_BODIES:
            return _error(503, f"{MAX_BODIES} others are being read, send it again")
        self._reading += 1
        try:
            body = await _body(request)
        finally:
            self._reading -= 1
        return body if isinstance(body, Response) else await run_in_threadpool(self._take, body)

    def _take(self, body: bytes) -> Response:
        try:
            signals = self._site.parse_alerts(body)
        except (ValueError, AiopsError) as error:
            return _error(400, str(error))
        try:
            self._site.take(signals)
        except StoreError as error:
            return _error(503, f"not stored, send it again: {error}")
        return JSONResponse({"accepted": len(signals)})

    def _json(self, value: object) -> Response:
        rows = self._site.plain(value)
        try:
            text = _dump(rows)
        except ValueError:  # NaN or infinity somewhere, which JSON does not have
            text = _dump(_finite(rows))
        return Response(text.encode(errors="backslashreplace"), media_type="application/json")


async def _body(request: Request) -> bytes | Response:
    """The body, or why it is not taken."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY:
                    return _error(413, f"more than {MAX_BODY} bytes")
    except TimeoutError:
        return _error(408, f"the body did not come within {BODY_SECONDS:g} s")
    except ClientDisconnect:
        return _error(400, "broken off")
    return bytes(body)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)


def _finite(value: object) -> object:
    """The same with null for numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "100")
    return max(1, min(int(text), MAX_ROWS)) if text.isascii() and text.isdigit() and len(text) < 10 else 100


def _error(code: int, text: str) -> Response:
    return JSONResponse({"error": text}, code)


def _no_store(_request: Request, error: Exception) -> Response:
    """The store could not be read; trying again may help."""
    return _error(503, str(error))

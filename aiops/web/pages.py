"""The status pages as HTML. Neighbours: `status.Site`; `routes` mounts them."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route, Router

from aiops.web.status import Site


class Pages:
    """Server-rendered, escaped, without foreign resources."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The overview."""
        return [Route("/", self.overview)]

    def static(self) -> Router:
        """CSS and JS."""
        return Router()

    def overview(self, _request: Request) -> Response:
        """What stands now."""
        rows = "".join(f"<li>{escape(i.title)}</li>" for i in self._site.reading.incidents(limit=20))
        return HTMLResponse(f"<!doctype html><title>aiops</title><ul>{rows}</ul>")

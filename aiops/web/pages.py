"""The status pages as HTML, rendered here, escaped by the template engine, without any foreign resource.

Neighbours: `status.Site` is what they read; `charts` and `texts` prepare, `templates/` draw; `routes` mounts them. Time is the
status' own `now`, so a replay's pages show the replay's time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route, Router

from aiops.domain.errors import StoreError
from aiops.domain.feedback import DAMPED
from aiops.web import charts, texts
from aiops.web.status import Site

FLOW_SECONDS = 3600.0
FLOW_ROWS = 2000
PLOTS = 8
STATIC: Mapping[str, str] = {"style.css": "text/css; charset=utf-8", "refresh.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}
"""What is served, and nothing else: no path from a request ever reaches a file system."""


class Pages:
    """Server-rendered, escaped, without foreign resources."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._environment = Environment(
            loader=PackageLoader("aiops.web", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
            finalize=texts.clean, auto_reload=False,
        )
        self._environment.filters |= {
            "span": texts.span, "moment": texts.moment, "ago": texts.ago, "number": charts.number, "diff_lines": texts.diff_lines, "clock": charts.clock_time,
        }
        self._files = {name: resources.files("aiops.web").joinpath("static", name).read_bytes() for name in STATIC}

    def routes(self) -> list[BaseRoute]:
        """The pages."""
        return [
            Route("/", self._guarded(self.overview)), Route("/incidents/{id}", self._guarded(self.incident)), Route("/review", self._guarded(self.review)),
        ]

    def static(self) -> Router:
        """CSS, JS and the icon."""
        return Router([Route("/{name}", self.file)])

    def file(self, request: Request) -> Response:
        """One of `STATIC`."""
        name = request.path_params["name"]
        if name not in self._files:
            return Response("not found\n", 404, media_type="text/plain")
        return Response(self._files[name], media_type=STATIC[name])

    def overview(self, _request: Request) -> Response:
        """What stands now."""
        reading, status = self._site.reading, self._site.status()
        since = status.now - FLOW_SECONDS
        decisions = reading.decisions(since=since, limit=FLOW_ROWS)
        deliveries = [state for message, state in reading.messages(limit=FLOW_ROWS) if message.created_at >= since]
        flow = texts.stage_counts(decisions, [s.state for s in status.sources], reading.executions(since=since), deliveries)
        return self._page(
            "overview.html", status=status, flow=flow, active=sorted(reading.active_incidents(), key=lambda i: -i.opened_at),
            resolved=[i for i in reading.incidents(limit=30) if not i.active][:10], runs=reading.executions(limit=12),
        )

    def incident(self, request: Request) -> Response:
        """One incident: timeline, evidence, runs, why."""
        reading, status, identity = self._site.reading, self._site.status(), request.path_params["id"]
        found = reading.incident(identity)
        if found is None:
            return self._page("missing.html", 404, status=status, what="no such incident")
        signals, runs = reading.signals(identity), reading.executions(incident=identity)
        journals = {run.id: reading.journal(run.id) for run in runs}
        newest = sorted(found.signals.values(), key=lambda s: (s.state.value != "firing", -s.at))
        return self._page(
            "incident.html", status=status, incident=found, runs=runs, journals=journals,
            timeline=charts.timeline(found, signals, runs, journals, status.now),
            evidence=[(signal, charts.evidence_plot(signal)) for signal in newest[:PLOTS]], unshown=max(0, len(newest) - PLOTS),
            levels={run.id: charts.verification_plot(run) for run in runs},
            words=[word for word in reading.value("feedback") or () if word.get("incident") == identity],
            learned=any(s.detector in DAMPED for s in found.signals.values()),
            decisions=reading.decisions(incident=identity, limit=200), messages=reading.messages(identity, limit=50),
        )

    def review(self, _request: Request) -> Response:
        """What dry-run would have done, with people's marks."""
        reading, status = self._site.reading, self._site.status()
        marks = {mark.execution: mark for mark in reading.reviews()}
        runs = [e for e in reading.executions(limit=500) if e.simulated or (e.result and e.result.reason == "Suggested")][:50]
        titles = {run.plan.incident: found.title for run in runs if (found := reading.incident(run.plan.incident)) is not None}
        return self._page("review.html", status=status, runs=runs, marks=marks, titles=titles)

    def _guarded(self, page: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """A store that cannot be read is a page that says so."""

        def answer(request: Request) -> Response:
            try:
                return page(request)
            except StoreError as error:
                return self._page("missing.html", 503, status=None, what=f"the store cannot be read: {error}")

        return answer

    def _page(self, template: str, code: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._environment.get_template(template).render(**values), code)

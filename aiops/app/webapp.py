"""The web room over a running core: what its pages read, how its webhook is taken in.

Neighbours: `app.live` serves the daemon, `cli demo` a replay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from aiops import __version__
from aiops.adapters.alertmanager import AlertPayloadError, parse_webhook
from aiops.adapters.credentials import SecretFile
from aiops.app.compose import Core
from aiops.app.desk import plain
from aiops.app.virtual import VirtualRun
from aiops.domain.signal import Signal
from aiops.pipeline.watchfulness import Watchfulness
from aiops.ports.telemetry import Telemetry
from aiops.settings import Settings
from aiops.web.routes import build_app
from aiops.web.server import WebServer
from aiops.web.status import Site, SourceStatus, Status

AT_ONCE = 100
"""Alerts of one body that are taken in one transaction."""


def build_web(core: Core, settings: Settings, telemetry: Telemetry, render: Callable[[], bytes], ready: Callable[[], str], *, started_at: float) -> WebServer:
    """The daemon's server; not started."""
    clock = core.outside.clock
    token = SecretFile(str(Path(settings.web.webhook_token_file))) if settings.web.webhook_token_file else None

    def count(method: str, path: str, code: int, seconds: float) -> None:
        telemetry.count("http_requests", method=method, path=path, code=str(code))
        telemetry.observe("http_request", seconds, path=path)

    def take(signals: Sequence[Signal]) -> None:
        # Each part is stored by itself, and others have their turn in between: thousands of alerts in one body must not hold up acting. After a
        # failure all of it is sent again, and what was stored is known by then.
        for first in range(0, len(signals), AT_ONCE):
            core.flow.take(signals[first : first + AT_ONCE])
        telemetry.count("webhook_alerts", len(signals), result="stored")

    def parse(body: bytes) -> Sequence[Signal]:
        try:
            return parse_webhook(body, received_at=clock.now())
        except AlertPayloadError:
            telemetry.count("webhook_alerts", result="refused")
            raise

    site = Site(
        reading=core.outside.store, status=lambda: status_of(core, started_at), ready=ready, metrics=render,
        parse_alerts=parse, take=take, plain=plain, count=count,
        webhook_token=lambda: token.read() if token is not None else "", clock=clock.monotonic,
    )
    return WebServer(build_app(site), settings.web.host, settings.web.port)


def replay_page(run: VirtualRun, port: int) -> WebServer:
    """The same pages over a replay, on loopback; the webhook takes nothing there."""
    core = run.core
    site = Site(
        reading=run.store, status=lambda: status_of(core, run.start), ready=lambda: "", metrics=lambda: b"", parse_alerts=lambda _body: (),
        take=lambda _signals: None, plain=plain, count=lambda *_: None, webhook_token=lambda: "", clock=core.outside.clock.monotonic,
    )
    return WebServer(build_app(site), "127.0.0.1", port)


def status_of(core: Core, started_at: float) -> Status:
    """Everything the overview shows beside the store."""
    store, why = core.outside.store, core.paused.why()
    return Status(
        now=core.outside.clock.now(), started_at=started_at, version=__version__, dry_run=core.dry_run, paused=bool(why), paused_by=why,
        rules=core.flow.rule_count, runbooks=core.flow.runbook_count, resting=core.resting, sources=sources_of(core.watch),
        active=len(core.board), unfinished=sum(store.unfinished_states().values()),
    )


def sources_of(watch: Watchfulness) -> tuple[SourceStatus, ...]:
    """Sight of each source, by name."""
    return tuple(SourceStatus(s.source, s.state.value, s.answered_at, s.detail or s.reason) for _, s in sorted(watch.all().items()))

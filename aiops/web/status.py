"""What the pages and the API are given to show. Neighbours: `app.webapp` fills it, `routes` and `pages` read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiops.domain.signal import Signal
from aiops.ports.storage import Reading


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source: `state` is ok, unknown, failing, partial, stale or dark; `answered_at` Unix seconds."""

    name: str
    state: str
    answered_at: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class Status:
    """The daemon now. Times Unix seconds. `resting`: rules whose source is not configured."""

    now: float
    started_at: float
    version: str
    dry_run: bool
    paused: bool
    rules: int
    runbooks: int
    resting: tuple[str, ...]
    sources: Sequence[SourceStatus]
    active: int
    unfinished: int
    paused_by: str = ""
    """Which part of the kill switch is on, and why."""


class AlertParser(Protocol):
    """Alertmanager's webhook body to signals; raises ValueError with one clear sentence."""

    def __call__(self, body: bytes) -> Sequence[Signal]:
        """See `adapters.alertmanager`."""
        ...


@dataclass(frozen=True)
class Site:
    """Everything the web room needs. `take` stores signals before it returns (StoreError otherwise). `token` empty: the webhook asks for none."""

    reading: Reading
    status: Callable[[], Status]
    ready: Callable[[], str]
    metrics: Callable[[], bytes]
    parse_alerts: AlertParser
    take: Callable[[Sequence[Signal]], None]
    plain: Callable[[object], object]
    count: Callable[[str, str, int, float], None]
    webhook_token: Callable[[], str]
    clock: Callable[[], float]

"""One HTTP request to somewhere that the settings allow. Neighbours: `adapters.outbound`, `adapters.memory_outbound`, `adapters.dry_run`.

Never a redirect, never a second try: whoever asks decides what a lost answer means. What may be asked is an allow-list; credentials are the
adapter's and appear in no request, answer or error text here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiops.domain.errors import OutsideRefusedError


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """What is to be sent. `headers` hold nothing secret: they are journalled."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutboundAnswer:
    """Any status is an answer. `body` is cut at the bound (`truncated`). `applied` is False, and `status` 0, where the request was only recorded."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    truncated: bool = False
    applied: bool = True


class Outbound(Protocol):
    """Requests to the outside."""

    def refusal(self, method: str, url: str) -> str:
        """Why this would be refused by the allow-list, in words; empty if it is on it. Asks no network."""
        ...

    def send(self, request: OutboundRequest, *, timeout: float = 10.0) -> OutboundAnswer:
        """One exchange within `timeout` seconds in all.

        Raises OutsideRefusedError (not allowed, nothing was sent), OutsideUnsentError (no connection, nothing was sent),
        OutsideUnavailableError (no whole answer: whether it took effect is unknown).
        """
        ...


class ClosedOutbound:
    """Where the settings allow nothing."""

    def refusal(self, method: str, url: str) -> str:  # noqa: ARG002 (the port's signature)
        """Always refused."""
        return "the settings allow no request to the outside (outbound.allow is empty)"

    def send(self, request: OutboundRequest, *, timeout: float = 10.0) -> OutboundAnswer:  # noqa: ARG002 (the port's signature)
        """Always refused."""
        raise OutsideRefusedError("NotAllowed", self.refusal(request.method, request.url))

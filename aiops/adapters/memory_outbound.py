"""HTTP to the outside in memory, for the virtual world and tests: passes the suite that the real one passes. Neighbours: `ports.outbound`, `outbound`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from aiops.adapters.one_shot import MAX_ANSWER_BYTES
from aiops.adapters.outbound_policy import Allowed, OutboundPolicy, address_refusal, check_request
from aiops.domain.errors import OutsideRefusedError, OutsideUnsentError
from aiops.ports.outbound import OutboundAnswer, OutboundRequest

Handler = Callable[[OutboundRequest], OutboundAnswer]
"""What stands at the other end; it may raise OutsideUnavailableError to lose an answer."""


def accepted(_request: OutboundRequest) -> OutboundAnswer:
    """An end that takes everything."""
    return OutboundAnswer(200, {}, b"")


class MemoryOutbound:
    """Requests that the allow-list takes go to `handler` and are kept in `received`. `hosts` is the resolver: a name that is missing has no address."""

    def __init__(
        self, allow: tuple[Allowed, ...] = (), handler: Handler = accepted, *, hosts: Mapping[str, str] | None = None,
    ) -> None:
        self.policy = OutboundPolicy(allow)
        self.handler = handler
        self.received: list[OutboundRequest] = []
        self._hosts = hosts

    def refusal(self, method: str, url: str) -> str:
        """See the port."""
        return self.policy.refusal(method, url)

    def send(self, request: OutboundRequest, *, timeout: float = 10.0) -> OutboundAnswer:  # noqa: ARG002 (nothing takes time here)
        """See the port."""
        admitted = self.policy.admit(request.method, request.url)
        check_request(request)
        if self._hosts is not None:
            found = self._hosts.get(admitted.host)
            if found is None:
                raise OutsideUnsentError("Unresolved", f"{admitted.host} has no address")
            if refused := address_refusal(ipaddress.ip_address(found), admitted.entry.networks):
                raise OutsideRefusedError("AddressRefused", refused)
        self.received.append(request)
        answer = self.handler(request)
        body = answer.body[: MAX_ANSWER_BYTES]
        return OutboundAnswer(answer.status, answer.headers, body, len(body) < len(answer.body))

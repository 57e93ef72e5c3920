"""HTTP to where the settings allow, over the network. Neighbours: `outbound_policy` judges, `one_shot` sends, `memory_outbound` stands in for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from aiops.adapters.one_shot import Credentials, OneShot, Resolver, resolve
from aiops.adapters.outbound_policy import Allowed, OutboundPolicy, address_refusal, check_request
from aiops.ports.clock import Clock
from aiops.ports.outbound import OutboundAnswer, OutboundRequest


@dataclass(frozen=True, slots=True)
class Door:
    """One allowed place and how we show who we are there."""

    allowed: Allowed
    credentials: Credentials = field(default_factory=Credentials)


class HttpOutbound:
    """`ports.outbound.Outbound` over sockets. `resolver` looks names up."""

    def __init__(self, doors: tuple[Door, ...], clock: Clock, *, resolver: Resolver = resolve) -> None:
        self.policy = OutboundPolicy(tuple(door.allowed for door in doors))
        self._shots: Mapping[int, OneShot] = {
            id(door.allowed): OneShot(clock, door.credentials, partial(address_refusal, networks=door.allowed.networks), resolver=resolver) for door in doors
        }

    def refusal(self, method: str, url: str) -> str:
        """See the port."""
        return self.policy.refusal(method, url)

    def send(self, request: OutboundRequest, *, timeout: float = 10.0) -> OutboundAnswer:
        """See the port."""
        admitted = self.policy.admit(request.method, request.url)
        check_request(request)
        return self._shots[id(admitted.entry)].exchange(
            request.method, tls=admitted.tls, host=admitted.host, port=admitted.port, target=admitted.target, headers=request.headers,
            body=request.body, timeout=timeout,
        )

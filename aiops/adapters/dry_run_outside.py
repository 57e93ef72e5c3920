"""Dry-run of what goes outside the clusters: judged and read as for real, nothing sent. Neighbours: `dry_run`, `ports.outbound`, `ports.alerts`."""

from __future__ import annotations

from collections.abc import Sequence

from aiops.adapters.outbound_policy import check_request
from aiops.domain.errors import OutsideRefusedError
from aiops.ports.alerts import AlertSilence, Silences, SilenceWrite
from aiops.ports.outbound import Outbound, OutboundAnswer, OutboundRequest


class DryRunOutbound:
    """`ports.outbound.Outbound` that judges by the allow-list of the real one and sends nothing."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def refusal(self, method: str, url: str) -> str:
        """As the real one."""
        return self._outbound.refusal(method, url)

    def send(self, request: OutboundRequest, *, timeout: float = 10.0) -> OutboundAnswer:  # noqa: ARG002 (the port's signature)
        """Nothing leaves."""
        if refused := self._outbound.refusal(request.method, request.url):
            raise OutsideRefusedError("NotAllowed", refused)
        check_request(request)
        return OutboundAnswer(0, applied=False)


class DryRunSilences:
    """`ports.alerts.Silences` that reads from the real one and writes nothing."""

    def __init__(self, silences: Silences) -> None:
        self._silences = silences

    def create(self, silence: AlertSilence, *, timeout: float = 10.0) -> SilenceWrite:  # noqa: ARG002 (the port's signature)
        """Nothing is created, so there is no id."""
        return SilenceWrite("", applied=False)

    def expire(self, silence_id: str, *, timeout: float = 10.0) -> SilenceWrite:  # noqa: ARG002 (the port's signature)
        """Nothing is ended."""
        return SilenceWrite(silence_id, applied=False)

    def list(self, *, timeout: float = 10.0) -> Sequence[AlertSilence]:
        """As the real one."""
        return self._silences.list(timeout=timeout)

"""Silences of a real Alertmanager over its API v2. Neighbours: `ports.alerts`, `memory_alerts` stands in for it, `one_shot` sends.

The API: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Nothing is sent twice, since a repeated POST makes a second silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from aiops.adapters.one_shot import Credentials, OneShot
from aiops.domain.errors import OutsideRefusedError, OutsideUnavailableError, OutsideUnsentError, trimmed
from aiops.domain.url import url_parts, url_port
from aiops.ports.alerts import AlertSilence, Matcher, SilenceWrite
from aiops.ports.clock import Clock
from aiops.ports.outbound import OutboundAnswer

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAX_LIST_BYTES = 16 * 1024 * 1024


class _Matcher(msgspec.Struct, rename="camel"):
    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class _Status(msgspec.Struct):
    state: str


class _Silence(msgspec.Struct, rename="camel"):
    id: str
    status: _Status
    matchers: list[_Matcher]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str


class _Created(msgspec.Struct):
    silence_id: str = msgspec.field(name="silenceID")


_list = msgspec.json.Decoder(list[_Silence]).decode
_created = msgspec.json.Decoder(_Created).decode


class AlertmanagerSilences:
    """`ports.alerts.Silences`. `url` is Alertmanager's address, with its route prefix if it has one. Raises ValueError on one that is none."""

    def __init__(self, url: str, clock: Clock, credentials: Credentials | None = None) -> None:
        self._parts = url_parts(url.rstrip("/"))
        self._shot = OneShot(clock, credentials or Credentials())

    def create(self, silence: AlertSilence, *, timeout: float = 10.0) -> SilenceWrite:
        """See the port."""
        body = {
            "matchers": [{"name": m.name, "value": m.value, "isRegex": m.regex, "isEqual": m.equal} for m in silence.matchers],
            "startsAt": _text(silence.starts_at), "endsAt": _text(silence.ends_at), "createdBy": silence.created_by, "comment": silence.comment,
        }
        answer = self._ask("POST", "/api/v2/silences", timeout, msgspec.json.encode(body))
        if answer.status != 200:
            raise _refused(answer)
        try:
            return SilenceWrite(_created(answer.body).silence_id, applied=True)
        except msgspec.DecodeError as error:  # it said yes, but to what cannot be told
            raise OutsideUnavailableError("Garbled", f"no id of the silence in the answer: {error}") from error

    def expire(self, silence_id: str, *, timeout: float = 10.0) -> SilenceWrite:
        """See the port. An id that is no UUID is unknown to it, whatever it would say."""
        if not _UUID.fullmatch(silence_id):
            raise OutsideRefusedError("NotFound", f"{silence_id[:80]!r} is no id of a silence")
        answer = self._ask("DELETE", f"/api/v2/silence/{silence_id}", timeout)
        if answer.status == 404 or (answer.status == 500 and b"not found" in answer.body):  # up to 0.25 it is a 500, as is the one below
            raise OutsideRefusedError("NotFound", f"no silence {silence_id}")
        if answer.status != 200 and not (answer.status == 500 and b"already expired" in answer.body):
            raise _refused(answer)
        return SilenceWrite(silence_id, applied=True)

    def list(self, *, timeout: float = 10.0) -> Sequence[AlertSilence]:
        """See the port."""
        answer = self._ask("GET", "/api/v2/silences", timeout)
        if answer.status != 200:
            raise _refused(answer)
        if answer.truncated:
            raise OutsideUnavailableError("Truncated", f"not the whole list came, or it has more than {MAX_LIST_BYTES} bytes")
        try:
            found = _list(answer.body)
        except msgspec.DecodeError as error:
            raise OutsideUnavailableError("Garbled", str(error)) from error
        return [
            AlertSilence(
                tuple(Matcher(m.name, m.value, m.is_regex, m.is_equal) for m in s.matchers), s.starts_at.timestamp(), s.ends_at.timestamp(),
                s.created_by, s.comment, s.id, s.status.state,
            )
            for s in found
        ]

    def _ask(self, method: str, path: str, timeout: float, body: bytes = b"") -> OutboundAnswer:
        parts = self._parts
        return self._shot.exchange(
            method, tls=parts.scheme == "https", host=parts.hostname or "", port=url_port(parts), target=parts.path + path,
            headers={"Accept": "application/json", **({"Content-Type": "application/json"} if body else {})}, body=body, timeout=timeout,
            maximum=MAX_LIST_BYTES,
        )


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _refused(answer: OutboundAnswer) -> OutsideRefusedError | OutsideUnsentError | OutsideUnavailableError:
    """What another status than 200 means. Of a 5xx it is not known what was done before it."""
    words = trimmed(f"HTTP {answer.status}: {answer.body[:2000].decode(errors='replace')}")
    if answer.status == 429:
        return OutsideUnsentError("Throttled", words)
    if answer.status >= 500:
        return OutsideUnavailableError("ServerError", words)
    reasons = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 422: "BadRequest"}
    return OutsideRefusedError(reasons.get(answer.status, "UnexpectedStatus"), words)

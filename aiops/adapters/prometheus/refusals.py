"""What Prometheus' own error bodies mean to us. Neighbours: `source`, `api_client`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aiops.adapters.http import HttpClient
from aiops.adapters.prometheus.decode import Decoded, Envelope
from aiops.domain.errors import SourceError, SourceGarbledError, SourceRejectedError, SourceUnavailableError

_UNAVAILABLE = {"timeout": "Timeout", "canceled": "Timeout", "internal": "ServerError", "unavailable": "ServerError"}
_REJECTED = {"bad_data": "BadQuery", "execution": "BadQuery", "not_found": "NotFound", "not_acceptable": "BadQuery"}


def refusal(http: HttpClient, envelope: Envelope) -> SourceError:
    """The error for an answer that says `"status":"error"`, whatever its HTTP status is."""
    text = http.scrubbed(f"{envelope.error_type}: {envelope.error}")
    if envelope.status != "error":
        return SourceGarbledError(http.name, "Garbled", f"status {envelope.status[:40]!r} without data")
    if envelope.error_type in _UNAVAILABLE:
        return SourceUnavailableError(http.name, _UNAVAILABLE[envelope.error_type], text)
    return SourceRejectedError(http.name, _REJECTED.get(envelope.error_type, "BadQuery"), text)


def failure(http: HttpClient, status: int, headers: Mapping[str, str], body: bytes) -> SourceError:
    """The error for an HTTP status other than 2xx: by Prometheus' own body where there is one, else by the status."""
    if status not in (401, 403, 429):
        try:
            envelope = msgspec.json.decode(body, type=Envelope)
        except ValueError:
            pass
        else:
            if envelope.status == "error" and envelope.error_type in _UNAVAILABLE | _REJECTED:
                return refusal(http, envelope)
    return http.error_for(status, headers, body.decode(errors="replace"))


def only_numbers(http: HttpClient, decoded: Decoded) -> Decoded:
    """The answer to an instant query, which must be one number for each series. Raises SourceRejectedError."""
    if decoded.kind == "matrix":
        raise SourceRejectedError(http.name, "BadQuery", "the answer is a range vector: an instant query must give one number for each series")
    if decoded.kind == "string":
        raise SourceRejectedError(http.name, "BadQuery", "the answer is a text: an instant query must give numbers")
    return decoded


def only_series(http: HttpClient, decoded: Decoded) -> Decoded:
    """The answer to a range query, which is always a matrix. Raises SourceGarbledError."""
    if decoded.kind != "matrix":
        raise SourceGarbledError(http.name, "Garbled", f"a {decoded.kind[:40]} answers a range query")
    return decoded

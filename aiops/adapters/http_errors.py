"""Our names for what requests, urllib3 and the socket raise. Neighbour: `adapters.http`."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl

import requests
import urllib3
from urllib3.util.ssl_match_hostname import CertificateError

from aiops.domain.errors import SourceError, SourceGarbledError, SourceUnavailableError
from aiops.ports.clock import Clock

MAX_RETRY_AFTER_SECONDS = 3600.0
_TIMEOUTS = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
_CUT = (http.client.IncompleteRead, urllib3.exceptions.IncompleteRead, urllib3.exceptions.InvalidChunkLength)
# RemoteDisconnected is also a BadStatusLine, so it must be seen as a connection's error first.
_GARBLED = (urllib3.exceptions.DecodeError, requests.exceptions.ContentDecodingError, http.client.BadStatusLine, http.client.LineTooLong)
_UNAVAILABLE: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ssl.SSLError, CertificateError), "TlsFailed"),
    ((ConnectionError,), "Refused"),
    ((socket.gaierror,), "Unreachable"),
)


def named(source: str, error: BaseException, text: str, *, begun: bool) -> SourceError:
    """The error with our reason; `text` is what is shown, `begun` says that the answer's head was there already."""
    root = root_of(error)
    if isinstance(root, _TIMEOUTS):
        return SourceUnavailableError(source, "Timeout", text)
    if isinstance(root, _CUT) or (begun and isinstance(root, ConnectionError | ssl.SSLEOFError)):
        return SourceGarbledError(source, "Truncated", text)
    if isinstance(root, _GARBLED) and not isinstance(root, ConnectionError):
        return SourceGarbledError(source, "Garbled", text)
    reason = next((name for kinds, name in _UNAVAILABLE if isinstance(root, kinds)), "Unreachable")
    return SourceUnavailableError(source, reason, text)


def retry_after(text: str | None, clock: Clock) -> float | None:
    """Seconds from a Retry-After header (RFC 9110: seconds or a date), between 0 and an hour; None if absent or unreadable."""
    if text is None:
        return None
    if text.strip().isdecimal():
        seconds = float(text)
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - clock.now()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def root_of(error: BaseException) -> BaseException:
    """The innermost error: requests wraps urllib3's, which wraps the socket's, each in its own way."""
    for _ in range(10):
        if isinstance(error, urllib3.exceptions.DecodeError):
            return error
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((a for a in reversed(error.args) if isinstance(a, BaseException)), None) or error.__cause__
        if inner is None:
            return error
        error = inner
    return error


def sentence(error: BaseException) -> str:
    """Type and text of the innermost error."""
    error = root_of(error)
    text = getattr(error, "strerror", None) or getattr(error, "verify_message", None) or str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

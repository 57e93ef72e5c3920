"""The few HTTP calls that probes and set-up need, on the standard library; not a client for the project's own use."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of any HTTP answer, errors included."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body read as JSON; ValueError when it is not."""
        return json.loads(self.body)


def call(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    ca_file: Path | None = None,
    verify: bool = True,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """One request. Raises OSError (urllib's URLError is one) when no answer came."""
    context: ssl.SSLContext | None = None
    if url.startswith("https:"):
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    # No proxy: all of this is on loopback.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout_s) as response:
            return Answer(response.status, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read())
    except http.client.HTTPException as error:
        raise OSError(f"{method} {url}: {error!r}") from error


def answers(url: str, *, statuses: tuple[int, ...] = (200,), headers: Mapping[str, str] | None = None, ca_file: Path | None = None) -> bool:
    """Whether a GET of `url` is answered with one of `statuses`; certificates are checked only against a given `ca_file`."""
    try:
        return call("GET", url, headers=headers, ca_file=ca_file, verify=ca_file is not None, timeout_s=10.0).status in statuses
    except OSError:
        return False

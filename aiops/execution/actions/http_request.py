"""One HTTP request to where the settings allow. At most once: without an answer it goes to a person, unless the far end takes an Idempotency-Key.

The key is that of the step, the same for all its tries (draft-ietf-httpapi-idempotency-key-header). Neighbours: `ports.outbound`, `retrain`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiops.domain.errors import OutsideRefusedError, OutsideUnavailableError, OutsideUnsentError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Looked, Prepared, Seen
from aiops.ports.outbound import OutboundAnswer, OutboundRequest

SAFE = ("GET", "HEAD")
"""Asking again changes nothing (RFC 9110, 9.2.1)."""
MAX_SHOWN = 2000
MAX_JSON = 16 * 1024
IDEMPOTENCY_KEY = "Idempotency-Key"


def header_lines(lines: Any) -> dict[str, str]:
    """`Name: value` lines as a map. Raises ValueError."""
    found: dict[str, str] = {}
    for line in lines or ():
        name, colon, value = str(line).partition(":")
        if not colon or not name.strip():
            raise ValueError(f"{line!r} is no header: write `Name: value`")
        found[name.strip()] = value.strip()
    return found


def ask(context: Context, prepared: Prepared, accepted: tuple[int, ...] = ()) -> Effect:
    """Send the prepared request and judge the status. What is no success is raised: a clear no, a clear "not now", or unknown."""
    request = prepared.request
    answer = context.outbound.send(
        OutboundRequest(request["method"], request["url"], request["body"].encode(), request["headers"]), timeout=context.request_timeout,
    )
    words = f"{request['method']} {request['url']}"
    if not answer.applied:
        return Effect(applied=False, note=f"would send {words}")
    output = _output(answer)
    if answer.status in accepted or (not accepted and 200 <= answer.status < 300):
        return Effect(applied=True, note=f"{words}: HTTP {answer.status}", output=output)
    told = f"{words}: HTTP {answer.status}: {output['body']}"
    if answer.status == 429:
        raise OutsideUnsentError("Throttled", told)
    if answer.status >= 500:
        raise OutsideUnavailableError("ServerError", told)
    raise OutsideRefusedError(f"Status{answer.status}", told)


def _output(answer: OutboundAnswer) -> dict[str, Any]:
    """Status and text; and, if it is whole and JSON, what it says."""
    output: dict[str, Any] = {"status": answer.status, "body": answer.body.decode(errors="replace")[:MAX_SHOWN]}
    if "json" in answer.headers.get("content-type", "") and not answer.truncated and len(answer.body) <= MAX_JSON:
        try:
            output["json"] = json.loads(answer.body)
        except (ValueError, RecursionError):
            return output
    return output


def look(context: Context, prepared: Prepared) -> Seen:
    """Repeatable requests may be sent again; of all others nobody can tell. Hands that only record have surely sent nothing."""
    repeatable = bool(prepared.pre_state.get("repeatable")) or context.cluster.simulated
    return Seen(Looked.NOT if repeatable else Looked.UNKNOWN)


class HttpRequest:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="http-request",
        doc="Send one HTTP request to an address that `outbound.allow` of the settings lists. Without an answer it is not sent again, a person is told; "
        "GET and HEAD, and any request with `idempotencyKey`, may be sent again.",
        effect=EffectClass.AT_MOST_ONCE,
        parameters={
            "url": ParamSpec("string", "where to", required=True),
            "method": ParamSpec("string", "of the request", default="POST", choices=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")),
            "body": ParamSpec("string", "text to send"),
            "contentType": ParamSpec("string", "of the body", default="application/json"),
            "headers": ParamSpec("strings", "lines `Name: value`; who we are stands in the settings, not here"),
            "idempotencyKey": ParamSpec(
                "bool", "send `Idempotency-Key`, the same at each try: only for an end that honours it", default=False,
            ),
            "accept": ParamSpec("strings", "statuses that are a success; if it is not given: 200 to 299"),
        },
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Asks the allow-list; nothing is read."""
        method, url, body = str(arguments.get("method") or "POST"), str(arguments["url"]), str(arguments.get("body") or "")
        repeatable = bool(arguments.get("idempotencyKey")) or method in SAFE
        pre_state = {"repeatable": repeatable}
        headers = header_lines(arguments.get("headers"))
        if body:
            headers["Content-Type"] = str(arguments.get("contentType") or "application/json")
        if arguments.get("idempotencyKey"):
            headers[IDEMPOTENCY_KEY] = context.series.rstrip(".")
        accepted = [int(status) for status in arguments.get("accept") or ()]
        if refused := context.outbound.refusal(method, url):
            return Prepared(pre_state=pre_state, skip=Result(Outcome.ERROR, "NotAllowed", refused))
        request = {"method": method, "url": url, "headers": headers, "body": body}
        return Prepared(pre_state=pre_state, request=request, output={"accepted": accepted})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One request."""
        return ask(context, prepared, tuple(prepared.output["accepted"]))

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """See `look` of this file."""
        return look(context, prepared)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """The answer was the end of it."""
        return Done(detail=f"HTTP {prepared.output.get('status')}")

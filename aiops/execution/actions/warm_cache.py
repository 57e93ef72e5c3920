"""Fill a cache by asking for what is asked for most: GETs of a list of URLs, a few at a time. Convergent: asking again is harmless.

Each batch is an attempt of its own, so that the kill switch and the lease are looked at between batches. Neighbours: `ports.outbound`, `redis_flush`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.errors import OutsideError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions.contract import ActionRefusedError, Again, Checked, Context, Done, Effect, Looked, Prepared, Seen
from aiops.ports.outbound import OutboundRequest

MAX_URLS = 500
BATCH = 4
"""Requests in one attempt: all of them must end within the request's time-out."""


class WarmCache:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="warm-cache",
        doc="Send GETs to a list of URLs that `outbound.allow` lists, a few a second, so that a cache fills before people ask. After a crash a batch may be left out.",
        effect=EffectClass.CONVERGENT,
        parameters={
            "urls": ParamSpec("strings", f"what to ask for, at most {MAX_URLS}", required=True),
            "rate": ParamSpec("float", "requests a second", default=4.0, minimum=0.1, maximum=4),
            "minimumShare": ParamSpec("float", "share of a batch that must be answered with 200 to 299", default=0.5, minimum=0, maximum=1),
        },
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """The next batch; the whole list is judged before the first request."""
        urls, rate = list(arguments["urls"]), float(arguments.get("rate") or 4.0)
        if not urls or len(urls) > MAX_URLS:
            return Prepared(skip=Result(Outcome.ERROR, "InvalidArguments", f"urls: 1 to {MAX_URLS}, not {len(urls)}"))
        for url in urls:
            if refused := context.outbound.refusal("GET", url):
                return Prepared(skip=Result(Outcome.ERROR, "NotAllowed", refused))
        size = max(1, min(BATCH, int(rate)))
        begin = (context.attempt - 1) * size
        if begin >= len(urls):
            return Prepared(skip=Result(Outcome.SKIPPED, "Completed", f"all of {len(urls)} URLs had their turn"))
        share = arguments.get("minimumShare")
        request = {"urls": urls[begin : begin + size], "minimumShare": 0.5 if share is None else float(share)}
        return Prepared(request=request, output={"asked": min(begin + size, len(urls)), "urls": len(urls), "pause": size / rate})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One batch, each request with its share of the time."""
        urls, good, last = prepared.request["urls"], 0, ""
        for url in urls:
            try:
                answer = context.outbound.send(OutboundRequest("GET", url), timeout=context.request_timeout / len(urls))
            except OutsideError as error:
                last = str(error)
                continue
            if not answer.applied:
                return Effect(applied=False, note=f"would ask for {prepared.output['urls']} URLs, the first of them {urls[0]}")
            good += 200 <= answer.status < 300
            last = last if 200 <= answer.status < 300 else f"{url}: HTTP {answer.status}"
        if good < prepared.request["minimumShare"] * len(urls):
            raise ActionRefusedError("NotWarmed", f"{good} of {len(urls)} were answered; the last failure: {last}")
        return Effect(applied=True, note=f"{good} of {len(urls)} were answered", output={"answered": good})

    def look(self, context: Context, prepared: Prepared) -> Seen:  # noqa: ARG002 (the contract's signature)
        """Never known, never needed."""
        return Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """Whether there is another batch."""
        asked, urls = int(prepared.output["asked"]), int(prepared.output["urls"])
        if asked < urls:
            return Again(float(prepared.output["pause"]), f"{asked} of {urls} URLs had their turn")
        return Done(detail=f"{urls} URLs had their turn")

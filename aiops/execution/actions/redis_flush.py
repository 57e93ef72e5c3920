"""Remove the keys of a cache that match a pattern. Convergent: doing it again is harmless, so a lost answer is followed by another try.

Each attempt is bounded in keys and time, so that it ends within its lease; what is left goes in the next, with an intent of its own.
Neighbours: `ports.cache`; the adapters refuse patterns that would match everything, unless that is said twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions.contract import ActionRefusedError, Again, Checked, Context, Done, Effect, Failed, Looked, Prepared, Seen

LIMIT = 1_000_000
CHUNK = 50_000
"""Keys in one attempt."""
PAUSE = 1.0


class RedisFlush:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="redis-flush",
        doc="Remove the keys that match a glob from a named Redis cache, by SCAN and UNLINK in batches, never blocking the server. All keys go only if it is "
        "said twice: `all: true` and `confirm` with the name of the cache.",
        effect=EffectClass.CONVERGENT,
        parameters={
            "cache": ParamSpec("string", "name of the cache in the settings", required=True),
            "pattern": ParamSpec("string", "glob of the keys; `*` alone is refused"),
            "all": ParamSpec("bool", "all keys, in place of a pattern"),
            "confirm": ParamSpec("string", "the name of the cache once more, with `all`"),
            "limit": ParamSpec("int", "at most so many keys", default=LIMIT, minimum=1, maximum=LIMIT),
        },
        one_of=(("pattern", "all"),),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Only checks that the cache is known and the wish is plain: there is nothing to rely on."""
        name, everything = str(arguments.get("cache", "")), bool(arguments.get("all"))
        if name not in context.caches:
            known = ", ".join(sorted(context.caches)) or "none"
            return Prepared(skip=Result(Outcome.ERROR, "UnknownCache", f"no cache {name!r} in the settings; there are: {known}"))
        if everything and arguments.get("confirm") != name:
            return Prepared(skip=Result(Outcome.ERROR, "NotConfirmed", f"all keys go only with `confirm: {name}`"))
        pattern = "*" if everything else str(arguments.get("pattern") or "")
        limit = int(arguments.get("limit") or LIMIT)
        left = limit - CHUNK * (context.attempt - 1)
        if left <= 0:
            return Prepared(skip=_incomplete(f"the limit of {limit} keys was met; more match"))
        request = {"cache": name, "pattern": pattern, "limit": min(left, CHUNK), "all": everything}
        return Prepared(request=request, output={"cache": name, "pattern": pattern, "left": left})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """Flush what one attempt may. `finished` in the output says whether a bound was met first."""
        request = prepared.request
        try:
            result = context.caches[request["cache"]].flush(
                request["pattern"], limit=request["limit"], everything=request["all"], seconds=context.request_timeout / 2,
            )
        except ValueError as error:  # the cache takes no such pattern
            raise ActionRefusedError("PatternRefused", str(error)) from error
        words = f"{result.matched} keys of {request['cache']} match {request['pattern']!r}, {result.removed} removed"
        output = {"matched": result.matched, "removed": result.removed, "finished": result.finished, "sample": list(result.sample)}
        return Effect(applied=result.applied, note=words, output=output)

    def look(self, context: Context, prepared: Prepared) -> Seen:  # noqa: ARG002 (the contract's signature)
        """Never known, never needed: doing it again is harmless."""
        return Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """Whole, to go on, or cut off by the bound."""
        output = prepared.output
        removed = int(output.get("removed", 0))
        if output.get("finished", True):
            return Done(detail=f"{removed} of {output.get('matched', 0)} keys removed")
        if removed >= int(output.get("left", 0)):
            return Failed(_incomplete(f"the limit was met after {removed} keys; more match"))
        if not removed:
            return Failed(_incomplete("no key was found in the time of one attempt; the cache is too large or too slow for this pattern"))
        return Again(PAUSE, f"{removed} keys removed so far, more match")


def _incomplete(words: str) -> Result:
    return Result(Outcome.FAILED, "FlushIncomplete", words)

"""Remove the keys of a cache that match a pattern. Convergent: doing it again is harmless, so a lost answer is followed by another try.

Neighbours: `ports.cache`; the adapters refuse patterns that would match everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions.contract import ActionRefusedError, Checked, Context, Done, Effect, Failed, Looked, Prepared, Seen

LIMIT = 1_000_000


class RedisFlush:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="redis-flush",
        doc="Remove the keys that match a glob from a named Redis cache, in batches; never all keys, never blocking the server.",
        effect=EffectClass.CONVERGENT,
        parameters={
            "cache": ParamSpec("string", "name of the cache in the settings", required=True),
            "pattern": ParamSpec("string", "glob of the keys; `*` alone is refused", required=True),
            "limit": ParamSpec("int", "at most so many keys", default=LIMIT, minimum=1, maximum=LIMIT),
        },
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Only checks that the cache is known: there is nothing to rely on."""
        name, pattern = str(arguments.get("cache", "")), str(arguments.get("pattern", ""))
        if name not in context.caches:
            known = ", ".join(sorted(context.caches)) or "none"
            return Prepared(skip=Result(Outcome.ERROR, "UnknownCache", f"no cache {name!r} in the settings; there are: {known}"))
        limit = int(arguments.get("limit") or LIMIT)
        return Prepared(request={"cache": name, "pattern": pattern, "limit": limit}, output={"cache": name, "pattern": pattern})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """Flush. `finished` in the output says whether the bound on keys was met first."""
        request = prepared.request
        try:
            result = context.caches[request["cache"]].flush(request["pattern"], limit=request["limit"])
        except ValueError as error:  # the cache takes no such pattern
            raise ActionRefusedError("PatternRefused", str(error)) from error
        words = f"{result.matched} keys of {request['cache']} match {request['pattern']!r}, {result.removed} removed"
        output = {"matched": result.matched, "removed": result.removed, "finished": result.finished, "sample": list(result.sample)}
        return Effect(applied=result.applied, note=words, output=output)

    def look(self, context: Context, prepared: Prepared) -> Seen:  # noqa: ARG002 (the contract's signature)
        """Never known, never needed: doing it again is harmless."""
        return Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """Whole, or cut off by the bound."""
        output = prepared.output
        if not output.get("finished", True):
            return Failed(Result(Outcome.FAILED, "FlushIncomplete", f"the limit was met after {output.get('removed')} keys; more match"))
        return Done(detail=f"{output.get('removed', 0)} of {output.get('matched', 0)} keys removed")

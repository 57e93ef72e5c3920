"""Wait until something holds: a level, at every point of a while if that is asked, or a property of the target. The step's time-out ends it as failed.

No thread waits: the step is looked at again when it is due. Neighbours: `measuring` asks, `wait` lets plain time pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.errors import ExpressionError, SourceError, SourceUnavailableError
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions import measuring
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Looked, Prepared, Seen, Waiting

EVERY = 10.0


class WaitFor:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="wait-for",
        doc="Wait until `passes` holds for the level of `promql`, for as long as `for` says, or until `condition` holds for the target itself; at most the step's "
        "`timeout`. What cannot be seen does not pass.",
        effect=EffectClass.NONE,
        parameters={
            "promql": ParamSpec("promql", 'the query; templates stand within "double quotes"'),
            "passes": ParamSpec("verify-cel", "when the level is good, with `promql`"),
            "condition": ParamSpec("object-cel", "over the step's target, such as object.status.readyReplicas >= 2"),
            "for": ParamSpec("duration", "the level must have been good for so long", default=0.0, minimum=0, maximum=86400),
            "every": ParamSpec("duration", "how often to look", default=EVERY, minimum=1, maximum=3600),
            "source": measuring.SOURCE,
            "worst": measuring.WORST,
        },
        one_of=(("promql", "condition"), ("passes", "condition")),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Only that what is asked can be asked: a source that is not there will not come."""
        kept = {name: arguments[name] for name in ("promql", "passes", "condition", "for", "every", "source", "worst") if arguments.get(name)}
        if "promql" in kept:
            if "passes" not in kept:
                raise ValueError("promql needs passes")
            measuring.one_of(context.metrics, kept.get("source"), "prometheus")
            context.compile(kept["passes"], "verify")
        else:
            context.compile(kept["condition"], "object")
        return Prepared(output={"asked": kept})

    def start(self, context: Context, prepared: Prepared) -> Effect:  # noqa: ARG002 (the contract's signature)
        """Nothing is sent."""
        asked = prepared.output["asked"]
        return Effect(applied=True, note=f"waits for {asked.get('passes') or asked.get('condition')}")

    def look(self, context: Context, prepared: Prepared) -> Seen:  # noqa: ARG002 (the contract's signature)
        """Waiting anew is harmless."""
        return Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:
        """Whether it holds now."""
        asked = prepared.output["asked"]
        why = self._missing(context, asked)
        if why:
            return Waiting(float(asked.get("every") or EVERY), why)
        return Done({"waited": context.now - started_at}, f"holds after {context.now - started_at:g} s")

    def _missing(self, context: Context, asked: Mapping[str, Any]) -> str:
        """Why it does not hold, or empty."""
        if "promql" in asked:
            try:
                return measuring.healthy_for(context, asked, float(asked.get("for") or 0.0))
            except SourceUnavailableError:
                raise
            except SourceError as error:  # a partial or garbled answer may be whole the next time
                return str(error)
        obj = context.cluster.reader.get(context.target)
        try:
            value = context.compile(asked["condition"], "object").evaluate({"object": obj, "now": context.now})
        except ExpressionError as error:  # a field that is not there yet
            return str(error)
        return "" if value else f"does not hold: {asked['condition']}"

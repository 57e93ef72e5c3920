"""Let time pass between steps: a stored due time, no thread waits. Neighbours: `execution.forward` looks again when it is due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Looked, Prepared, Seen, Waiting


class Wait:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="wait",
        doc="Wait for a span of time.",
        effect=EffectClass.NONE,
        parameters={"for": ParamSpec("duration", "how long", required=True, minimum=0, maximum=86400)},
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:  # noqa: ARG002 (the contract's signature)
        """Nothing to read."""
        return Prepared(request={"for": float(arguments["for"])}, output={"for": float(arguments["for"])})

    def start(self, context: Context, prepared: Prepared) -> Effect:  # noqa: ARG002 (the contract's signature)
        """Nothing is sent."""
        return Effect(applied=True, note=f"waits {prepared.output['for']:g} s")

    def look(self, context: Context, prepared: Prepared) -> Seen:  # noqa: ARG002 (the contract's signature)
        """Waiting anew is harmless."""
        return Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:
        """The time has come, or when it will."""
        left = started_at + float(prepared.output["for"]) - context.now
        return Done(detail=f"waited {prepared.output['for']:g} s") if left <= 0 else Waiting(left, patient=True)

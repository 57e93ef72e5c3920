"""Tell people something in the words of the runbook. The effect is a message in the outbox, written in the transaction that records it.

So it is told exactly as often as it is recorded: once. Neighbours: `ports.storage` keeps the outbox, the notifier empties it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.message import Message, MessageKind
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.domain.signal import Severity
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Looked, Prepared, Seen

MAX_TEXT = 2_500
"""Characters; a chat section takes 3,000."""


def messages_of(context: Context, prepared: Prepared) -> tuple[Message, ...]:
    """The prepared `text`, once for each of `channels`, named by the operation key."""
    return tuple(
        Message(
            key=f"{context.key}@{channel}", channel=channel, incident=context.incident, kind=MessageKind.UPDATE, created_at=context.now,
            sequence=int(context.now * 1000), text=prepared.request["text"], due_at=context.now,
        )
        for channel in prepared.request["channels"]
    )


class Notify:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="notify",
        doc="Tell people, in the incident's thread.",
        effect=EffectClass.NONE,
        parameters={
            "message": ParamSpec("string", "the text", required=True),
            "severity": ParamSpec("string", "decides the channel", default="warning", choices=tuple(s.value for s in Severity)),
        },
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Decides channels and text."""
        severity = str(arguments.get("severity") or "warning")
        text = str(arguments["message"])
        text = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
        channels = list(context.channels(severity, context.target))
        return Prepared(request={"channels": channels, "text": text}, output={"channels": channels})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """The messages, named by the operation key, are handed to the one who records."""
        messages = messages_of(context, prepared)
        return Effect(applied=True, note=f"tells {len(messages)} channel(s)", messages=messages)

    def look(self, context: Context, prepared: Prepared) -> Seen:  # noqa: ARG002 (the contract's signature)
        """What was told was recorded in the same transaction; where no record is, nothing was told."""
        return Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """Delivery is the outbox's matter."""
        return Done(detail="in the outbox")

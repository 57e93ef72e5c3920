"""Messages and views as the pipeline makes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiops.domain.message import IncidentView, Message, MessageKind
from aiops.domain.outcome import GuardMode, Verdict
from aiops.domain.plan import Change
from aiops.domain.signal import Severity

AT = 1_790_000_000.0
CHANGE = Change("more", "scale", "shop/deployment/checkout", '{"spec":{"replicas":4}}', "--- now\n+++ then\n@@ -1 +1 @@\n-  replicas: 2\n+  replicas: 4", "computed")
VIEW = IncidentView(
    incident="inc-1", title="latency of checkout is above its limit", severity=Severity.CRITICAL, state="open", target="shop/deployment/checkout",
    opened_at=AT, updated_at=AT + 10, labels={"namespace": "shop", "service": "checkout"}, signals=("p99 is 2.1 s",), evidence=("p99: value 2.1, expected 0.2",),
    runbook="scale-out", mode="auto", execution="exe-1", execution_state="running", changes=(CHANGE,),
    refusals=(Verdict("cooldown", GuardMode.ENFORCE, False, "CoolingDown", "119 s left"),), verification="measuring",
    links={"incident": "https://aiops.example/incidents/inc-1"},
)


def message(key: str, *, text: str = "a text", incident: str = "inc-1", kind: MessageKind = MessageKind.INCIDENT, channel: str = "#ops", attempts: int = 0, **view: Any) -> Message:
    """A message; roots have a view, changed by `view`."""
    shown = replace(VIEW, incident=incident, **view) if kind is not MessageKind.UPDATE else None
    return Message(key, channel, incident, kind, AT, 1, text, shown, attempts, AT)

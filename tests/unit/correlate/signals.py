"""Signals for these tests, with what does not matter filled in."""

from __future__ import annotations

from typing import Any

from aiops.domain.ids import make_id
from aiops.domain.series import series_id
from aiops.domain.signal import Evidence, Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef

T0 = 1_700_000_000.0
CHECKOUT = TargetRef("Deployment", "shop", "checkout")
PAYMENT = TargetRef("Deployment", "shop", "payment")


def signal(rule: str = "errors", at: float = 0.0, *, state: SignalState = SignalState.FIRING, target: TargetRef | None = CHECKOUT, **changes: Any) -> Signal:
    labels = changes.pop("labels", {"namespace": "shop", "symptom": rule})
    fields: dict[str, Any] = {
        "id": make_id("sig", rule, at, state.value),
        "rule": rule,
        "detector": "threshold",
        "kind": SignalKind.METRIC,
        "state": state,
        "severity": Severity.WARNING,
        "at": T0 + at,
        "series": series_id(labels),
        "labels": labels,
        "target": target,
        "summary": f"{rule} are high",
        "evidence": Evidence(value=1.0),
    }
    return Signal(**(fields | changes))


def cleared(rule: str = "errors", at: float = 0.0, **changes: Any) -> Signal:
    return signal(rule, at, state=SignalState.CLEARED, **changes)

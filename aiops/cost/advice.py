"""One recommendation: what, for whom, what it would bring, what may go wrong, and which runbook does it.

Neighbours: `workload_advice` and `fleet_advice` make them, `aiops cost` and the monthly report show them. Nothing here is ever carried out by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is recommended."""

    RIGHT_SIZE = "right-size"
    RAISE_MEMORY = "raise-memory"
    IDLE = "idle-workload"
    REPLICAS = "replica-bounds"
    VOLUME = "unused-volume"
    NODES = "node-count"
    CONSOLIDATE = "consolidate"
    TIER = "node-tier"
    RESERVE = "reserve"
    SPOT = "spot"


class Risk(StrEnum):
    """If it is done as it stands."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Advice:
    """`saving` is money a month, negative where it costs more. `runbook` is empty where a person must do it; `parameters` are what it would be given."""

    kind: Kind
    subject: str
    now: str
    then: str
    saving: float
    effect: str
    risk: Risk
    why_risky: str
    runbook: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def ranked(advice: list[Advice]) -> tuple[Advice, ...]:
    """What protects first, then the most saved, then by name."""
    return tuple(sorted(advice, key=lambda a: (a.kind is not Kind.RAISE_MEMORY, -a.saving, a.subject, a.kind)))

"""A detector's or a source's claim, with its evidence.

Neighbours: `pipeline.observe` and the webhook make signals, `pipeline.triage` groups them into incidents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.domain.target import TargetRef


class Severity(StrEnum):
    """How bad; ordered by `RANK`."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


RANK: Mapping[Severity, int] = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


class SignalState(StrEnum):
    """What is claimed: it began, it is over. A series that cannot be seen claims neither: after a time its claim EXPIRES, which is not recovery."""

    FIRING = "firing"
    CLEARED = "cleared"
    EXPIRED = "expired"


class SignalKind(StrEnum):
    """Where the claim comes from; `SIGHT` is about the telemetry itself (dark, stale, partial source), `FORECAST` about what is still to come."""

    METRIC = "metric"
    LOG = "log"
    OBJECT = "object"
    ALERT = "alert"
    SIGHT = "sight"
    FORECAST = "forecast"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen: the rendered query, the last samples (Unix seconds; value None where it was not finite), and what was expected.

    `score` is scaled so that 1.0 is the threshold. `lines` are redacted log lines or server texts.
    """

    query: str = ""
    times: tuple[float, ...] = ()
    values: tuple[float | None, ...] = ()
    value: float | None = None
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    score: float | None = None
    note: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """One claim about one series. `series` is `series_id` of the series' labels; `at` Unix seconds."""

    id: str
    rule: str
    detector: str
    kind: SignalKind
    state: SignalState
    severity: Severity
    at: float
    series: str
    labels: Mapping[str, str]
    target: TargetRef | None
    summary: str
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def key(self) -> str:
        """What is the same claim again: one rule on one series."""
        return f"{self.rule}/{self.series}"

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
class Part:
    """One value of a label: what the query gives for it now, and before (None: it was not there)."""

    name: str
    value: float
    before: float | None = None


@dataclass(frozen=True, slots=True)
class Contributors:
    """A sum, broken down by one label: `count` of its `of` parts stand out; `parts` are the first of them, the greatest change first."""

    label: str
    count: int
    of: int
    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        """`3 of 40 pods: cart-1 0.9 (before 0.1), …`."""
        named = [f"{p.name} {p.value:.4g} ({'new' if p.before is None else f'before {p.before:.4g}'})" for p in self.parts]
        more = ", …" if self.count > len(self.parts) else ""
        return f"{self.count} of {self.of} {self.label}{'es' if self.label.endswith('s') else 's'}: {', '.join(named)}{more}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen: the rendered query, the last samples (Unix seconds; value None where it was not finite), and what was expected.

    `score` is scaled so that 1.0 is the threshold. `lines` are redacted log lines or server texts. `contributors`: who of those that were summed up it is,
    one entry a label; asked for after the claim is stored.
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
    contributors: tuple[Contributors, ...] = ()


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

"""What to look at, how often, and when it is wrong.

Neighbours: `definitions` makes rules from YAML, `pipeline.poller` and `observe` carry them out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiops.domain.declared import DeclaredQuery
from aiops.domain.expression import Expression
from aiops.domain.signal import Severity


class Direction(StrEnum):
    """Which side counts."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


class MetricKind(StrEnum):
    """What the values are; it decides what a detector may assume (a ratio lies in 0..1, a count is Poisson-like)."""

    GAUGE = "gauge"
    COUNTER = "counter"
    RATIO = "ratio"
    COUNT = "count"


class MissingData(StrEnum):
    """What to do when a series that was there is not in the answer any more.

    HOLD keeps the state (nothing fires, nothing clears) until `stale_after`, then forgets without claiming recovery;
    CLEAR takes absence as recovery (right for log counts and vectors filtered in the query); SIGNAL makes absence itself a claim.
    """

    HOLD = "hold"
    CLEAR = "clear"
    SIGNAL = "signal"


class Priority(StrEnum):
    """Whose series give way when there is no room for all: low ones first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class PromQuery:
    """An instant query, evaluated at each tick."""

    text: str


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Counts of log records in the last `window` seconds, one series for each combination of `group_by` fields.

    With `lines` it is so many records themselves, the oldest of the window, that are asked for, not their counts.
    `histogram`: fields of numbers, and how wide a bucket of each is: they are grouped too, by the bucket's lower bound as text.
    `where` and `exclude`: field → allowed exact values (any of them). `phrase`: words that must stand in the message field, in order.
    """

    index: str
    window: float
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    phrase: str = ""
    group_by: tuple[str, ...] = ()
    histogram: Mapping[str, float] = field(default_factory=dict)
    time_field: str = "@timestamp"
    message_field: str = "message"
    max_groups: int = 1000
    lines: int = 0

    def __str__(self) -> str:
        """One line, as evidence shows it: `logs-*[300s] level=ERROR message~'timed out' by (service)`."""
        parts = [f"{self.index}[{self.window:g}s]"]
        parts += [f"{field}={'|'.join(values)}" for field, values in self.where.items()]
        parts += [f"{field}!={'|'.join(values)}" for field, values in self.exclude.items()]
        if self.phrase:
            parts.append(f"{self.message_field}~{self.phrase!r}")
        if groups := [*self.group_by, *(f"{field}/{width:g}" for field, width in self.histogram.items())]:
            parts.append(f"by ({', '.join(groups)})")
        return " ".join(parts)


def bucket_of(value: float, width: float) -> str:
    """The lower bound of the bucket that a finite value lies in, as a label has it."""
    return f"{math.floor(value / width) * width:.12g}"


@dataclass(frozen=True, slots=True)
class ObjectQuery:
    """A number from each object of a kind in the cluster; labels are namespace, kind, name and, for owned pods, workload and workload_kind."""

    kind: str
    value: Expression


@dataclass(frozen=True, slots=True)
class CapacityQuery:
    """When does `use` meet `limit` (PromQL, or a number)? Durations in seconds.

    `history` is learned from, a sample each `step`; `horizons` are told of, and `lead` is how long the remedy takes. `sample`: of what lies within a step its `max`,
    `avg` or `min`, or the `last`. `falling`: the limit is met from above, as by what is free. `counter`: `use` counts up, its rate is meant. `season` in seconds; 0: it is looked for.
    """

    use: str
    limit: str | float
    lead: float
    step: float = 3600.0
    history: float = 30 * 86400.0
    horizons: tuple[float, ...] = (86400.0, 7 * 86400.0, 30 * 86400.0)
    sample: str = "last"
    falling: bool = False
    counter: bool = False
    season: float = 0.0

    @property
    def horizon(self) -> float:
        """The furthest that is asked about."""
        return max(*self.horizons, self.lead)

    def __str__(self) -> str:
        """One line, as evidence shows it."""
        return f"{self.use} {'<=' if self.falling else '>='} {self.limit}"


Query = PromQuery | LogQuery | ObjectQuery | DeclaredQuery | CapacityQuery


@dataclass(frozen=True, slots=True)
class TargetTemplate:
    """Whom a signal is about; the texts are templates over `labels`. `owner` climbs from a pod to its workload."""

    kind: str
    namespace: str
    name: str
    owner: bool = False


LINE_LABEL = "aiops_line"
"""The label that holds the text where each series of an answer is one log line."""
OBJECTIVE_LABEL = "aiops_events"
"""The label by which an objective's answer says what a series counts: `bad 1h`, `total 1h`, `covered 1h`."""
EXHAUSTION_LABEL = "aiops_exhaustion"
"""The label by which a capacity rule's answer says what a series is: `lead 3d` and `within 7d` (probabilities), `p50` (seconds), `use` (share of the limit), `model …`."""
COVERED = 12
"""Pieces of a long window in which traffic is looked for."""


@dataclass(frozen=True, slots=True)
class BurnAlert:
    """Fires when the budget burns faster than `rate` over both `long` and `short` (seconds)."""

    long: float
    short: float
    rate: float
    critical: bool = False


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """Which detector with which validated parameters (snake_case names)."""

    type: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Durations in seconds. `hold` is YAML's `for`; `clear_hold` is `keepFiringFor`; `stale_after` bounds HOLD.

    Dead bands: a departure counts only if it exceeds both the absolute (in the value's unit) and the relative one (share of expected).
    `forecast`: what it claims is still to come, so after acting the level decides, not whether it still claims it.
    `waits_for_roll_outs`: what it claims while its target is being rolled out is held until that is over.
    `expose`: of so many series score, expected value and bounds are metrics of ours.
    `backfill`: so far back the source is asked before the rule first says anything.
    `priority`, `max_series` (0: the settings' own number): how many series it may keep, and against whom.
    `minimum_volume` with `volume_query`: fewer events than that and the series is not judged.
    """

    name: str
    source: str
    query: Query
    every: float
    detector: DetectorSpec
    severity: Severity
    description: str = ""
    hold: float = 0.0
    clear_hold: float = 0.0
    stale_after: float = 300.0
    kind: MetricKind = MetricKind.GAUGE
    direction: Direction = Direction.UP
    dead_band_absolute: float = 0.0
    dead_band_relative: float = 0.0
    volume_query: str = ""
    minimum_volume: float = 0.0
    missing_data: MissingData = MissingData.HOLD
    target: TargetTemplate | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    inhibits: tuple[Mapping[str, str], ...] = ()
    backfill: float = 0.0
    expose: int = 0
    forecast: bool = False
    waits_for_roll_outs: bool = False
    priority: Priority = Priority.NORMAL
    max_series: int = 0
    file: str = ""
    line: int = 0

"""Rules as authors write them: the pydantic models that are also the published JSON schema.

Neighbours: `compile_rules` turns them into `domain.rule.Rule`, `schema_export` publishes them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from aiops.definitions.fields import (
    Duration,
    LabelName,
    Labels,
    Model,
    Name,
    Number,
    ObjectCel,
    Positive,
    PromQL,
    Summary,
    TargetTemplate,
    Text,
)  # fmt: skip
from aiops.definitions.objectives import check_events
from aiops.definitions.schema_capacity import CapacityModel
from aiops.definitions.schema_detectors import DetectorModel
from aiops.domain.target import KINDS


def _kind(text: str) -> str:
    if text not in KINDS:
        raise ValueError(f"no kind {text!r}; allowed: {', '.join(sorted(KINDS))}")
    return text


FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_@][A-Za-z0-9_@./-]{0,127}$")]
EventQuery = Annotated[str, AfterValidator(check_events), Field(min_length=1, description="PromQL that counts events in $window")]
FieldValues = dict[FieldName, Annotated[list[Annotated[str, Field(max_length=500)]], Field(min_length=1, max_length=100)]]


class Metadata(Model):
    """The name of the file's content, for people and messages."""

    name: Name
    labels: Labels = Field(default_factory=dict)


class LogsModel(Model):
    """Counts of log records in the last `window`; one series for each combination of the `groupBy` fields."""

    index: Annotated[str, Field(min_length=1, max_length=255, description="index, alias or pattern, for example logs-*")]
    window: Positive
    where: FieldValues = Field(default_factory=dict, description="field: allowed exact values")
    exclude: FieldValues = Field(default_factory=dict, description="field: exact values that do not count")
    phrase: Annotated[str, Field(max_length=500)] = ""
    group_by: Annotated[list[FieldName], Field(max_length=8)] = Field(default_factory=list)
    histogram: Annotated[dict[FieldName, Annotated[float, Field(gt=0, le=1e15)]], Field(max_length=2)] = Field(
        default_factory=dict, description="field of numbers: width of a bucket; grouped by too, by the bucket's lower bound",
    )
    time_field: FieldName = "@timestamp"
    message_field: FieldName = "message"
    max_groups: int = Field(default=1000, ge=1, le=10_000)


class ObjectiveModel(Model):
    """Events of an objective, counted in `$window`; series of both with the same labels belong together."""

    bad: EventQuery
    total: EventQuery


class ObjectsModel(Model):
    """A number from each object of a kind in the cluster."""

    kind: Annotated[str, AfterValidator(_kind)]
    value: ObjectCel


class DeclaredObjectModel(Model):
    """A named object, and what is declared of it."""

    kind: Annotated[str, AfterValidator(_kind)]
    namespace: Annotated[str, Field(max_length=63)] = ""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    fields: dict[str, Any] | None = Field(default=None, description="as in its manifest, only what is to be compared; without it what was last applied with kubectl")


class DeclaredModel(Model):
    """Fields of named objects that are not as declared: a series for each, with the labels `field`, `declared` and `live`."""

    objects: Annotated[list[DeclaredObjectModel], Field(min_length=1, max_length=200)]
    ignore: Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(max_length=100)] = Field(
        default_factory=list, description="paths that do not count, with all below them, as spec.replicas",
    )


class TargetModel(Model):
    """Whom a signal is about, as templates over the series' labels. `owner` climbs from a pod to its workload."""

    kind: Annotated[str, AfterValidator(_kind)]
    namespace: TargetTemplate = ""
    name: TargetTemplate
    owner: bool = False


class DeadBandModel(Model):
    """A departure counts only if it exceeds both."""

    absolute: Number = Field(default=0.0, ge=0, description="in the value's unit")
    relative: float = Field(default=0.0, ge=0, le=1000, description="share of what is expected")


class MinimumVolumeModel(Model):
    """Fewer events than this and the series is not judged. The labels of the query's series must all stand on the rule's own."""

    query: PromQL
    value: float = Field(gt=0, le=1e300)


class RuleModel(Model):
    """One rule: exactly one of `query` (PromQL), `logs`, `objects`, `declared`, `objective` and `capacity`."""

    name: Name
    description: Text = ""
    source: Name | None = Field(default=None, description="default: the one source of the fitting type")
    query: PromQL | None = None
    logs: LogsModel | None = None
    objects: ObjectsModel | None = None
    declared: DeclaredModel | None = None
    objective: ObjectiveModel | None = None
    capacity: CapacityModel | None = None
    every: Positive = Field(default=15.0)
    hold: Duration = Field(default=0.0, alias="for", description="fires only after so long")
    keep_firing_for: Duration = Field(default=0.0, description="clears only after so long on the good side")
    stale_after: Positive = Field(default=300.0, description="how long missing data holds the state")
    severity: Literal["info", "warning", "critical"]
    kind: Literal["gauge", "counter", "ratio", "count"] = "gauge"
    direction: Literal["up", "down", "both"] | None = Field(default=None, description="default: down for a threshold below, otherwise up")
    dead_band: DeadBandModel = Field(default_factory=DeadBandModel)
    minimum_volume: MinimumVolumeModel | None = None
    missing_data: Literal["hold", "clear", "signal"] = "hold"
    detector: DetectorModel
    target: TargetModel | None = None
    labels: Labels = Field(default_factory=dict)
    summary: Summary = ""
    forecast: bool = Field(default=False, description="what it claims is still to come: once a run's verification found the level good, the claim alone keeps no incident open")
    expose: int = Field(default=0, ge=0, le=1000, description="of so many series score, expected value and bounds are metrics")
    priority: Literal["low", "normal", "high"] = Field(default="normal", description="whose series give way first when there is no room for all")
    maximum_series: int = Field(default=0, ge=0, le=1_000_000, description="so many series it may keep; 0: as detection.maximumSeries of the settings says")
    backfill: Duration | None = Field(
        default=None, description="a new rule first learns from so much of the past; default: 7d for fleet and focus, nothing for others"
    )
    during_rollout: Literal["hold", "tell"] | None = Field(
        default=None, description="what it claims while its target is being rolled out; default: hold for detectors that learn what is usual, tell for others"
    )
    inhibits: list[Annotated[Labels, Field(min_length=1)]] = Field(
        default_factory=list, description="matchers of the signals on the same target that count for nothing while this one fires"
    )

    @model_validator(mode="after")
    def _consistent(self) -> RuleModel:
        given = [key for key in ("query", "logs", "objects", "declared", "objective", "capacity") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of query, logs, objects, declared, objective, capacity (now: {', '.join(given) or 'none'})")
        if self.minimum_volume is not None and self.query is None:
            raise ValueError("minimumVolume goes with query only")
        if self.backfill and self.query is None:
            raise ValueError("backfill goes with query only")
        if self.expose and self.logs is not None:
            raise ValueError("expose does not go with logs: their field names are no label names")
        if (self.objective is None) == (self.detector.type == "burnRate"):
            raise ValueError("objective and the detector burnRate go together")
        if (self.capacity is None) == (self.detector.type == "exhaustion"):
            raise ValueError("capacity and the detector exhaustion go together")
        if self.detector.type == "logTemplates" and self.logs is None:
            raise ValueError("logTemplates goes with logs only")
        if self.detector.type == "threshold" and self.direction not in (None, "up" if self.detector.above is not None else "down"):
            raise ValueError("direction contradicts the threshold: leave it out, or write up for above, down for below")
        return self


class RuleSetModel(Model):
    """A file of rules."""

    api_version: Literal["aiops/v1"]
    kind: Literal["RuleSet"]
    metadata: Metadata
    rules: Annotated[list[RuleModel], Field(min_length=1, max_length=500)]


class RuleSetHeader(Model):
    """The same without reading the rules: each is read alone, so that one broken rule hides nothing of the others."""

    api_version: Literal["aiops/v1"]
    kind: Literal["RuleSet"]
    metadata: Metadata
    rules: Annotated[list[Any], Field(min_length=1, max_length=500)]


__all__ = ["LabelName", "LogsModel", "Metadata", "ObjectsModel", "RuleModel", "RuleSetHeader", "RuleSetModel", "TargetModel"]

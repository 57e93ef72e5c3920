"""The parameters of each detector as authors write them; `specification` turns them into the domain's snake_case names and seconds.

Neighbours: `schema_rules` holds one in each rule; `detect` reads `DetectorSpec.parameters`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from aiops.definitions.fields import Duration, LabelName, Model, Number, Positive, Rate, Share, TimeZone
from aiops.domain.rule import BurnAlert, DetectorSpec


class ThresholdModel(Model):
    """Fires beyond a level. Exactly one of `above` and `below`."""

    type: Literal["threshold"]
    above: Number | None = Field(default=None, description="fires when the value is greater")
    below: Number | None = Field(default=None, description="fires when the value is smaller")
    clear: Number | None = Field(default=None, description="hysteresis: clears only when the value is back beyond this level")
    critical: Number | None = Field(default=None, description="beyond this level the severity is critical")

    @model_validator(mode="after")
    def _consistent(self) -> ThresholdModel:
        if (self.above is None) == (self.below is None):
            raise ValueError("give exactly one of above, below")
        sign = 1 if self.above is not None else -1
        level = self.above if self.above is not None else self.below
        assert level is not None
        if self.clear is not None and (self.clear - level) * sign > 0:
            raise ValueError(f"clear must lie on the good side of the level {level:g}")
        if self.critical is not None and (self.critical - level) * sign < 0:
            raise ValueError(f"critical must lie beyond the level {level:g}")
        return self


class SeasonalZModel(Model):
    """Robust z of the value against the same time of day (median and MAD of its bucket) and the recent window."""

    type: Literal["seasonalZ"]
    z: float = Field(default=6.0, gt=0, le=1000, description="deviations that count as anomalous")
    season: Positive = Field(default=86400.0)
    bucket: Positive = Field(default=3600.0)
    minimum_samples: int = Field(default=30, ge=3, le=10_000, description="samples before it judges")
    window: int = Field(default=60, ge=3, le=10_000, description="samples of the recent window")
    scale_floor: Share = Field(default=0.02, description="the scale is never below this share of the median's size")

    @model_validator(mode="after")
    def _consistent(self) -> SeasonalZModel:
        if self.bucket > self.season or self.season / self.bucket > 336:
            raise ValueError("bucket must not be longer than season, and season hold at most 336 of them")
        if self.minimum_samples > self.window:
            raise ValueError("minimumSamples must not be greater than window")
        return self


class FleetModel(Model):
    """A departure from the series' own past: from its hour of the day, from an hour ago, from its range. Needs no level; `aiops score` judges the same way."""

    type: Literal["fleet"]
    false_alarms: Rate | None = Field(default=None, description="how often a series may alarm without a fault; without it one level holds for all, as in `aiops score`")
    timezone: TimeZone | None = Field(default=None, description="whose clocks say which hour of the day it is, for load that follows people through daylight saving time; without it UTC")


class FocusModel(Model):
    """The fleet's views and a random cut forest of each series' own: some ten times the memory and the time, for series that matter most."""

    type: Literal["focus"]
    false_alarms: Rate | None = Field(default=None, description="as for `fleet`")
    timezone: TimeZone | None = Field(default=None, description="as for `fleet`")


class PeersModel(Model):
    """A series against its siblings of the same poll, by robust z: which pod is unlike the others. At least five must be there; they may come and go."""

    type: Literal["peers"]
    by: list[LabelName] = Field(default_factory=list, max_length=10, description="labels that siblings share; none: all series of the rule")
    z: float = Field(default=6.0, gt=0, le=1000, description="robust deviations that count, where no rate is given")
    scale_floor: Share = Field(default=0.05, description="the deviation is never below this share of the siblings' median")
    false_alarms: Rate | None = Field(default=None, description="how often a series may alarm without a fault, instead of z")

    @model_validator(mode="after")
    def _consistent(self) -> PeersModel:
        if self.false_alarms is not None and "z" in self.model_fields_set:
            raise ValueError("give z or falseAlarms, not both")
        return self


class LogErrorRateModel(Model):
    """A burst of log records: at least `minimumCount`, and `ratio` times what is usual for the series."""

    type: Literal["logErrorRate"]
    minimum_count: int = Field(default=10, ge=1, le=1_000_000)
    ratio: float = Field(default=5.0, gt=1, le=1e6)


class IsolationForestModel(Model):
    """Isolation forest on the residuals of the recent window."""

    type: Literal["isolationForest"]
    trees: int = Field(default=100, ge=10, le=1000)
    window: int = Field(default=256, ge=32, le=10_000, description="samples learnt from")
    score: float = Field(default=0.65, gt=0.5, lt=1, description="anomaly score that counts, 0.5 is average")


class AdwinModel(Model):
    """A lasting change of a series' mean, found by adaptive windowing (Bifet and Gavaldà 2007); told once, then what is new is usual."""

    type: Literal["adwin"]
    delta: float = Field(default=0.002, ge=1e-9, le=0.5, description="how often a look may find a change where there is none")
    clock: int = Field(default=32, ge=1, le=10_000, description="samples between two looks")
    unit: float | None = Field(default=None, gt=0, le=1e140, description="about how far apart values lie; without it the spread of the series' first 30 samples")
    hold: Positive = Field(default=900.0)


class PageHinkleyModel(Model):
    """A lasting change of a series' mean, found by the Page-Hinkley test (Page 1954): small shifts too; told once, then what is new is usual."""

    type: Literal["pageHinkley"]
    threshold: float = Field(default=50.0, gt=0, le=1e6, description="units that departures may add up to")
    delta: float = Field(default=0.005, ge=0, le=1e3, description="units of departure that are borne")
    minimum_samples: int = Field(default=30, ge=1, le=10_000, description="samples before it judges")
    unit: float | None = Field(default=None, gt=0, le=1e140, description="as for `adwin`")
    hold: Positive = Field(default=900.0)


class DriftModel(Model):
    """A distribution against a reference, by size (PSI, KL) and significance both. One subject for each set of the other labels; too few rows are no verdict."""

    type: Literal["drift"]
    of: Literal["values", "histogram", "buckets", "categories"] = Field(
        default="values", description="values of gauges, buckets by the label le, counts by a label that is a number, or counts by a label",
    )
    over: list[LabelName] = Field(default_factory=list, max_length=8, description="labels pooled into one distribution (of categories and buckets: that name them)")
    feature: LabelName | None = Field(default=None, description="the label that tells features of one subject apart")
    about: Literal["input", "prediction"] = Field(default="input", description="the reason given is InputDrifted or PredictionDrifted")
    reference_mode: Literal["rolling", "pinned", "sinceRetraining"] = "rolling"
    reference: Positive = Field(default=10800.0)
    window: Positive = Field(default=2700.0)
    bins: int = Field(default=10, ge=2, le=100)
    psi_warning: float = Field(default=0.1, gt=0, le=100)
    psi_critical: float = Field(default=0.25, gt=0, le=100)
    kl_warning: float = Field(default=0.05, gt=0, le=100)
    kl_critical: float = Field(default=0.15, gt=0, le=100)
    chance: float = Field(default=0.0001, ge=1e-9, le=0.1, description="how often one look may call it drift where there is none")

    @model_validator(mode="after")
    def _consistent(self) -> DriftModel:
        if self.psi_critical < self.psi_warning or self.kl_critical < self.kl_warning:
            raise ValueError("critical must not be below warning")
        if self.window > self.reference:
            raise ValueError("window must not be longer than reference")
        if self.of == "values" and self.window < self.reference / 20:
            raise ValueError("of values the window must be at least a twentieth of reference")
        if self.of == "categories" and not self.over:
            raise ValueError("of categories over names the label that holds the category")
        if self.of == "buckets" and len(self.over) != 1:
            raise ValueError("of buckets over names the one label that holds the bucket's lower bound")
        return self


class BurnAlertModel(Model):
    """Fires when the budget burns faster than `rate` over both windows."""

    long: Positive
    short: Positive
    rate: float = Field(gt=0, le=1e6)
    critical: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> BurnAlertModel:
        if self.short >= self.long:
            raise ValueError("short must be shorter than long")
        return self


WORKBOOK = ((3600.0, 300.0, 14.4, True), (21600.0, 1800.0, 6.0, True), (259200.0, 21600.0, 1.0, False))
"""The SRE workbook's windows and rates for a period of 30 days: 2 % of the budget in an hour, 5 % in six, 10 % in three days."""


def _workbook() -> list[BurnAlertModel]:
    return [BurnAlertModel.model_construct(long=long, short=short, rate=rate, critical=critical) for long, short, rate, critical in WORKBOOK]


class BurnRateModel(Model):
    """How fast an objective's error budget burns, over long and short windows at once. Goes with `objective`."""

    type: Literal["burnRate"]
    target: float = Field(gt=0, lt=1, description="share of events that are to be good, as 0.999")
    period: Positive = Field(default=30 * 86400.0)
    alerts: list[BurnAlertModel] = Field(
        default_factory=_workbook, min_length=1, max_length=8,
        description="long, short, rate, critical; default: 1h and 5m at 14.4 and 6h and 30m at 6 critical, 3d and 6h at 1 a warning",
    )
    minimum_events: float = Field(default=100.0, ge=0, le=1e12)
    coverage: Share = 0.5

    @model_validator(mode="after")
    def _consistent(self) -> BurnRateModel:
        if any(a.long > self.period for a in self.alerts):
            raise ValueError("no window may be longer than period")
        if any(a.rate * (1 - self.target) >= 1 for a in self.alerts):
            raise ValueError("an alert's rate times the budget must be less than 1: more than everything cannot fail")
        return self

    @property
    def burn_alerts(self) -> tuple[BurnAlert, ...]:
        """The domain's form."""
        return tuple(BurnAlert(a.long, a.short, a.rate, a.critical) for a in self.alerts)


class ExhaustionModel(Model):
    """Something will run out before it can be helped, and enough of it is in use for that to be believed. Goes with `capacity`."""

    type: Literal["exhaustion"]
    probability: float = Field(default=0.1, gt=0, lt=1, description="of meeting the limit within leadTime, that is allowed")
    critical: float = Field(default=0.5, gt=0, le=1, description="from this probability on it is critical")
    gate: float = Field(default=0.5, ge=0, lt=1, description="below this share of the limit in use nothing is claimed")
    stays: bool = Field(default=False, description="the opposite: the limit is not met within leadTime but with this probability, and less than the gate is in use")

    @model_validator(mode="after")
    def _consistent(self) -> ExhaustionModel:
        if self.critical < self.probability:
            raise ValueError("critical must not be below probability")
        return self


class ReleaseModel(Model):
    """A series since the last release of its target, against itself before: by the median, by how much equal stretches vary, and by ranks (Mann-Whitney)."""

    type: Literal["release"]
    before: Positive = Field(default=1200.0, description="how long a time before the roll-out is compared with")
    after: Positive = Field(default=60.0, description="how long a time since then is compared, the latest one")
    grace: Duration = Field(default=60.0, description="so long after the roll-out was complete nothing is compared")
    until: Positive = Field(default=900.0, description="so long after it a release can be to blame")
    resolution: Positive = Field(default=10.0, description="at most one sample of so long a time is kept")
    z: float = Field(default=6.0, gt=0, le=1000, description="deviations of equal stretches that count")
    chance: float = Field(default=0.001, ge=1e-9, le=0.1, description="how often ranks may lie so by chance")
    scale_floor: Share = Field(default=0.02, description="the deviation is never below this share of the level before")

    @model_validator(mode="after")
    def _consistent(self) -> ReleaseModel:
        if self.after < 5 * self.resolution or self.before < 12 * self.resolution:
            raise ValueError("of resolution at least 5 must go into after and 12 into before")
        if self.before + self.until > 2000 * self.resolution:
            raise ValueError("before and until must not be longer than 2000 times resolution")
        if self.grace + self.after > self.until:
            raise ValueError("until must not be shorter than grace and after together")
        return self


class LogTemplatesModel(Model):
    """Log lines by template (Drain): a burst of one, as logErrorRate has it for all, or one never seen before. Goes with `logs`; memory is bounded."""

    type: Literal["logTemplates"]
    minimum_count: int = Field(default=10, ge=1, le=1_000_000)
    ratio: float = Field(default=5.0, gt=1, le=1e6)
    new_count: int = Field(default=3, ge=0, le=1_000_000, description="so many lines of a template never seen before are a claim; 0: never")
    new_for: Positive = Field(default=600.0)
    warm_up: Positive = Field(default=3600.0)
    lines: int = Field(default=1000, ge=10, le=10_000, description="records read in one poll, at most")


AnyDetector = ThresholdModel | SeasonalZModel | FleetModel | FocusModel | PeersModel | LogErrorRateModel | IsolationForestModel | ReleaseModel | AdwinModel | PageHinkleyModel | DriftModel | BurnRateModel | ExhaustionModel | LogTemplatesModel
DetectorModel = Annotated[AnyDetector, Field(discriminator="type")]


def specification(model: AnyDetector) -> DetectorSpec:
    """The domain's form; what was not given and has no default is left out."""
    parameters = model.model_dump(exclude={"type", "lines"}, exclude_none=True)
    return DetectorSpec(model.type, parameters | ({"alerts": model.burn_alerts} if isinstance(model, BurnRateModel) else {}))

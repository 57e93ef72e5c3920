"""Rule models to `domain.rule.Rule`, with what can only be known together: the sources.

Neighbours: `loader` calls `compile_rule` with a model that `problems.validate` has passed.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiops.definitions.cel import compile_expression
from aiops.definitions.objectives import objective_query
from aiops.definitions.schema_detectors import BurnRateModel, specification
from aiops.definitions.schema_rules import LogsModel, RuleModel
from aiops.definitions.source_names import KUBERNETES, Meant, meant
from aiops.domain.declared import DeclaredObject, DeclaredQuery
from aiops.domain.rule import Direction, LogQuery, MetricKind, MissingData, ObjectQuery, Priority, PromQuery, Query, Rule, TargetTemplate
from aiops.domain.signal import Severity

SOURCE_TYPES: Mapping[str, str] = {"query": "prometheus", "logs": "elasticsearch", "objects": KUBERNETES}
"""Which type of source each kind of query asks."""
SLOW = 600.0
"""Seconds between two polls of a capacity rule, where it does not say."""
MISSED = 4
"""Its polls that may fail before a claim lapses, where it does not say."""
BACKFILL = 7 * 86400.0
"""What detectors of a series' own past learn from first, where the rule does not say: each hour of the week once."""

LEARNED = frozenset({"seasonalZ", "fleet", "focus", "peers", "isolationForest", "adwin", "pageHinkley", "logErrorRate", "logTemplates"})
"""Detectors that know what is usual from the past alone, so that a roll-out looks to them like a fault."""


def source_of(model: RuleModel, sources: Mapping[str, str] | None) -> Meant:
    """The source the rule asks. `sources`: name → type; None: nothing is known."""
    kind = "query" if model.query is not None or model.objective is not None or model.capacity is not None else "logs" if model.logs is not None else "objects"
    return meant(model.source, SOURCE_TYPES[kind], sources)


def compile_rule(model: RuleModel, source: str, file: str, line: int) -> Rule:
    """The domain's rule, expressions compiled."""
    volume, threshold = model.minimum_volume, model.detector.type == "threshold"
    below = threshold and getattr(model.detector, "below", None) is not None
    return Rule(
        name=model.name,
        source=source,
        query=_query(model),
        every=_pace(model),
        detector=specification(model.detector),
        severity=Severity(model.severity),
        description=model.description,
        hold=model.hold,
        clear_hold=model.keep_firing_for,
        stale_after=model.stale_after if model.capacity is None or "stale_after" in model.model_fields_set else MISSED * _pace(model),
        kind=MetricKind(model.kind),
        direction=Direction(model.direction or ("down" if below else "up")),
        dead_band_absolute=model.dead_band.absolute,
        dead_band_relative=model.dead_band.relative,
        volume_query=volume.query if volume else "",
        minimum_volume=volume.value if volume else 0.0,
        missing_data=MissingData(model.missing_data if model.declared is None or "missing_data" in model.model_fields_set else "clear"),
        target=TargetTemplate(model.target.kind, model.target.namespace, model.target.name, model.target.owner) if model.target else None,
        labels=model.labels,
        summary=model.summary,
        inhibits=tuple(model.inhibits),
        backfill=_backfill(model),
        expose=model.expose,
        forecast=model.forecast or model.capacity is not None,
        waits_for_roll_outs=model.during_rollout == "hold" or (model.during_rollout is None and model.detector.type in LEARNED),
        priority=Priority(model.priority),
        max_series=model.maximum_series,
        file=file,
        line=line,
    )


def _pace(model: RuleModel) -> float:
    """Forecasts go at a pace of their own: a step of history does not come sooner."""
    return model.every if model.capacity is None or "every" in model.model_fields_set else min(model.capacity.step, SLOW)


def _backfill(model: RuleModel) -> float:
    if model.backfill is not None:
        return model.backfill
    return BACKFILL if model.detector.type in ("fleet", "focus") and model.query is not None else 0.0


def _query(model: RuleModel) -> Query:
    if model.query is not None:
        return PromQuery(model.query)
    if model.logs is not None:
        return _logs(model.logs, getattr(model.detector, "lines", 0))
    if model.objective is not None and isinstance(model.detector, BurnRateModel):
        return PromQuery(objective_query(model.objective.bad, model.objective.total, model.detector.burn_alerts, model.detector.period))
    if model.capacity is not None:
        return model.capacity.query(counter=model.kind == "counter")
    if model.declared is not None:
        objects = tuple(DeclaredObject(one.kind, one.namespace, one.name, one.fields) for one in model.declared.objects)
        return DeclaredQuery(objects, tuple(model.declared.ignore))
    assert model.objects is not None
    return ObjectQuery(model.objects.kind, compile_expression(model.objects.value, "object"))


def _logs(model: LogsModel, lines: int) -> LogQuery:
    return LogQuery(
        index=model.index,
        window=model.window,
        where={name: tuple(values) for name, values in model.where.items()},
        exclude={name: tuple(values) for name, values in model.exclude.items()},
        phrase=model.phrase,
        group_by=tuple(model.group_by),
        histogram=dict(model.histogram),
        time_field=model.time_field,
        message_field=model.message_field,
        max_groups=model.max_groups,
        lines=lines,
    )

"""Rule models to `domain.rule.Rule`, with what can only be known together: the sources.

Neighbours: `loader` calls `compile_rule` with a model that `problems.validate` has passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiops.definitions.cel import compile_expression
from aiops.definitions.problems import suggestion
from aiops.definitions.schema_detectors import specification
from aiops.definitions.schema_rules import LogsModel, RuleModel
from aiops.domain.rule import Direction, LogQuery, MetricKind, MissingData, ObjectQuery, PromQuery, Query, Rule, TargetTemplate
from aiops.domain.signal import Severity

KUBERNETES = "kubernetes"
DEFAULT_SOURCES: Mapping[str, str] = {"query": "prometheus", "logs": "elasticsearch", "objects": KUBERNETES}
"""Source type by the kind of query; a source of the same name is the default."""


def query_kind(model: RuleModel) -> str:
    """`query`, `logs` or `objects`: the one that is given."""
    return "query" if model.query is not None else "logs" if model.logs is not None else "objects"


def check_sources(model: RuleModel, sources: Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    """(key, message) where the rule's source is not configured or is of another type. `sources`: name → type; None: nothing is known, nothing is said."""
    kind = query_kind(model)
    name = model.source or DEFAULT_SOURCES[kind]
    if sources is None or (kind == "objects" and name == KUBERNETES):
        return
    if name not in sources:
        yield "source", suggestion(f"no source {name!r} in the settings", name, sorted(sources))
    elif sources[name] != DEFAULT_SOURCES[kind]:
        yield "source", f"the source {name!r} is of type {sources[name]}; {kind} needs one of type {DEFAULT_SOURCES[kind]}"


def compile_rule(model: RuleModel, file: str, line: int) -> Rule:
    """The domain's rule, expressions compiled."""
    volume, threshold = model.minimum_volume, model.detector.type == "threshold"
    below = threshold and getattr(model.detector, "below", None) is not None
    return Rule(
        name=model.name,
        source=model.source or DEFAULT_SOURCES[query_kind(model)],
        query=_query(model),
        every=model.every,
        detector=specification(model.detector),
        severity=Severity(model.severity),
        description=model.description,
        hold=model.hold,
        clear_hold=model.keep_firing_for,
        stale_after=model.stale_after,
        kind=MetricKind(model.kind),
        direction=Direction(model.direction or ("down" if below else "up")),
        dead_band_absolute=model.dead_band.absolute,
        dead_band_relative=model.dead_band.relative,
        volume_query=volume.query if volume else "",
        minimum_volume=volume.value if volume else 0.0,
        missing_data=MissingData(model.missing_data),
        target=TargetTemplate(model.target.kind, model.target.namespace, model.target.name, model.target.owner) if model.target else None,
        labels=model.labels,
        summary=model.summary,
        inhibits=tuple(model.inhibits),
        file=file,
        line=line,
    )


def _query(model: RuleModel) -> Query:
    if model.query is not None:
        return PromQuery(model.query)
    if model.logs is not None:
        return _logs(model.logs)
    assert model.objects is not None
    return ObjectQuery(model.objects.kind, compile_expression(model.objects.value, "object"))


def _logs(model: LogsModel) -> LogQuery:
    return LogQuery(
        index=model.index,
        window=model.window,
        where={name: tuple(values) for name, values in model.where.items()},
        exclude={name: tuple(values) for name, values in model.exclude.items()},
        phrase=model.phrase,
        group_by=tuple(model.group_by),
        time_field=model.time_field,
        message_field=model.message_field,
        max_groups=model.max_groups,
    )

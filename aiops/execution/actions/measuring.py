"""Asking a source on behalf of a step: which source is meant, the worst value of an answer, and whether a level has been good for a while.

No data is a verdict of its own: it is never taken for a good level. Neighbours: `query`, `wait_for`, and what moves traffic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiops.domain.errors import ExpressionError, SourceError
from aiops.domain.runbook import ParamSpec
from aiops.domain.series import Labels, RangeBatch, SampleBatch
from aiops.execution.actions.contract import Context

S = TypeVar("S")
MAX_POINTS = 500
"""Points of a look back; the step between them grows with the span."""

SOURCE = ParamSpec("string", "name of the source; it may be left out if there is only one of its type")
WORST = ParamSpec("string", "which series counts if there are several", default="max", choices=("max", "min"))


@dataclass(frozen=True, slots=True)
class Level:
    """The worst series' value with its labels, and how many series have one; None where nothing could be measured."""

    value: float | None
    count: int = 0
    labels: Labels = field(default_factory=dict)


def one_of(sources: Mapping[str, S], name: Any, kind: str) -> S:
    """The source that is meant. Raises ValueError."""
    if name:
        if name in sources:
            return sources[str(name)]
        raise ValueError(f"no {kind} source {name!r} in the settings; there are: {', '.join(sorted(sources)) or 'none'}")
    if len(sources) != 1:
        raise ValueError(f"there are {len(sources)} {kind} sources in the settings, so `source` must name one ({', '.join(sorted(sources)) or 'none'})")
    return next(iter(sources.values()))


def level_of(batch: SampleBatch, worst: str) -> Level:
    """NaN is no value. Raises SourceError for an answer that is known to be incomplete."""
    if batch.partial:
        raise SourceError(batch.source, "Partial", "; ".join(batch.warnings))
    found = [(float(value), labels) for value, labels in zip(batch.values, batch.labels, strict=True) if not math.isnan(value)]
    if not found:
        return Level(None)
    pick = min if worst == "min" else max
    value, labels = pick(found, key=lambda pair: pair[0])
    return Level(value, len(found), dict(labels))


def ask(context: Context, arguments: Mapping[str, Any]) -> Level:
    """The level of `promql` now. Raises SourceError, ValueError."""
    source = one_of(context.metrics, arguments.get("source"), "prometheus")
    return level_of(source.instant(str(arguments["promql"]), context.now), str(arguments.get("worst") or "max"))


def passes(context: Context, text: str, level: Level) -> bool:
    """Whether a `verify` expression holds for a level; a level that is not there passes nothing. Raises ValueError if it does not compile."""
    if level.value is None:
        return False
    try:
        return bool(context.compile(text, "verify").evaluate({"value": level.value, "baseline": math.nan, "count": level.count}))
    except ExpressionError:
        return False


def healthy_for(context: Context, arguments: Mapping[str, Any], span: float) -> str:
    """Empty if `passes` held for `promql` at every point of the last `span` seconds, else why not. A gap is not health. Raises SourceError, ValueError."""
    level = ask(context, arguments)
    if level.value is None:
        return "there is no value now"
    if not passes(context, str(arguments["passes"]), level):
        return f"it is {level.value:g} now, which does not pass: {arguments['passes']}"
    if span <= 0:
        return ""
    return _healthy_before(context, arguments, span)


def _healthy_before(context: Context, arguments: Mapping[str, Any], span: float) -> str:
    source = one_of(context.metrics, arguments.get("source"), "prometheus")
    step = max(span / MAX_POINTS, 5.0)
    points = _points(source.range(str(arguments["promql"]), context.now - span, context.now, step))
    pick = min if arguments.get("worst") == "min" else max
    for index in range(int(span // step) + 1):
        ago, values = span - index * step, points.get(index)
        if not values:
            return f"there is no value {ago:g} s ago"
        if not passes(context, str(arguments["passes"]), Level(pick(values), len(values))):
            return f"it was {pick(values):g} {ago:g} s ago, which does not pass: {arguments['passes']}"
    return ""


def _points(batch: RangeBatch) -> dict[int, list[float]]:
    """The values of all series at each step."""
    if batch.partial:
        raise SourceError(batch.source, "Partial", "; ".join(batch.warnings))
    points: dict[int, list[float]] = {}
    for series in batch.series:
        for at, value in zip(series.times, series.values, strict=True):
            if not math.isnan(value):
                points.setdefault(round((float(at) - batch.start) / batch.step), []).append(float(value))
    return points

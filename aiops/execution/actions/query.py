"""Ask a source and keep the answer as the step's output: a PromQL query, or a count of log records. Changes nothing.

Neighbours: `measuring` asks; later steps speak of `steps.NAME.output.value`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.rule import LogQuery
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions import measuring
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Looked, Prepared, Seen


def fields(lines: Any) -> dict[str, tuple[str, ...]]:
    """`field=value` lines as a map; several lines of a field mean any of its values. Raises ValueError."""
    found: dict[str, tuple[str, ...]] = {}
    for line in lines or ():
        name, equals, value = str(line).partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{line!r} is no condition: write field=value")
        found[name.strip()] = (*found.get(name.strip(), ()), value)
    return found


class Query:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="query",
        doc="Ask Prometheus (`promql`) or count log records in Elasticsearch (`index`). The output has `value` (the worst series'), `count` (series) and "
        "`labels` (the worst series'). An answer without a value is a failure, unless `empty: pass`.",
        effect=EffectClass.NONE,
        parameters={
            "promql": ParamSpec("promql", 'the query; templates stand within "double quotes"'),
            "index": ParamSpec("string", "Elasticsearch index or pattern"),
            "window": ParamSpec("duration", "records of so long a time are counted", default=300.0, minimum=1, maximum=86400),
            "where": ParamSpec("strings", "conditions `field=value`; several of one field: any of them"),
            "phrase": ParamSpec("string", "words in the message, in order"),
            "groupBy": ParamSpec("strings", "fields; one series for each combination"),
            "source": measuring.SOURCE,
            "worst": measuring.WORST,
            "empty": ParamSpec("string", "what an answer without a value is", default="fail", choices=("fail", "pass")),
        },
        one_of=(("promql", "index"),),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Asks; the answer is part of the intent, so that it is journalled."""
        level = self._level(context, arguments)
        output: dict[str, Any] = {"count": level.count, "labels": dict(level.labels)}
        if level.value is None:
            if arguments.get("empty") != "pass":
                return Prepared(output=output, skip=Result(Outcome.FAILED, "NoData", "the answer has no value"))
            return Prepared(output=output)
        return Prepared(output={**output, "value": level.value})

    def _level(self, context: Context, arguments: Mapping[str, Any]) -> measuring.Level:
        if arguments.get("promql"):
            return measuring.ask(context, arguments)
        source = measuring.one_of(context.logs, arguments.get("source"), "elasticsearch")
        window = float(arguments.get("window") or 300.0)
        query = LogQuery(
            str(arguments["index"]), window, where=fields(arguments.get("where")), phrase=str(arguments.get("phrase") or ""),
            group_by=tuple(arguments.get("groupBy") or ()),
        )
        level = measuring.level_of(source.counts(query, context.now), str(arguments.get("worst") or "max"))
        # Of records none is a number, where of series none is no answer.
        return measuring.Level(0.0, 0) if level.value is None else level

    def start(self, context: Context, prepared: Prepared) -> Effect:  # noqa: ARG002 (the contract's signature)
        """Nothing is sent."""
        return Effect(applied=True, note=f"value {prepared.output.get('value')}")

    def look(self, context: Context, prepared: Prepared) -> Seen:  # noqa: ARG002 (the contract's signature)
        """Asking anew is harmless."""
        return Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """The answer is there."""
        return Done(detail=f"value {prepared.output.get('value')} of {prepared.output.get('count')} series")

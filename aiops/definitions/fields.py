"""The kinds of fields that rules, runbooks and detectors share: names, durations, shares, expressions, queries, templates.

Each checks itself while pydantic reads it, so that one pass finds all that is wrong; and each says in the JSON schema what an editor can check.
Neighbours: `schema_rules`, `schema_runbooks`, `schema_detectors`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from aiops.definitions.cel import compile_expression
from aiops.definitions.promql import check_promql
from aiops.definitions.templates import check_template, sample_of
from aiops.domain.duration import parse_duration
from aiops.domain.timezone import zone_of

API_VERSION = "aiops/v1"

SUMMARY_NAMES = ("labels", "value", "expected", "rule", "target")
"""What a rule's summary may speak of: the series' labels, the value and what was expected (numbers, or none), the rule's name, the target as text."""
TARGET_NAMES = ("labels",)
"""What a rule's target may speak of."""
RUNBOOK_NAMES = ("incident", "target", "cluster", "parameters")
"""What a runbook's templates may speak of: the facts of the `match` vocabulary, and its parameters."""


class Model(BaseModel):
    """Strict: unknown keys, text for numbers and the like are errors. Keys are camelCase."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, validate_by_alias=True, validate_by_name=False, allow_inf_nan=False,
    )  # fmt: skip


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("write a duration such as 30s, 5m or 1h30m")  # noqa: TRY004 (pydantic collects ValueErrors only)
    if not isinstance(value, str) and value != 0:
        raise ValueError(f"{value} has no unit: write a duration such as {value}s")
    return parse_duration(str(value))


def _rate(value: Any) -> float:
    text = value if isinstance(value, str) else ""
    count, _, unit = text.partition("/")
    if not count.isdecimal() or not 1 <= int(count) <= 1000 or unit not in RATE_UNITS:
        raise ValueError(f"{value!r} is no rate: write a whole number and one of {', '.join(f'/{u}' for u in RATE_UNITS)}, for example 1/week")
    return RATE_UNITS[unit] / int(count)


def _zone(name: str) -> str:
    zone_of(name)
    return name


def _expression(vocabulary: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        compile_expression(text, vocabulary)
        return text

    return check


def _query(text: str) -> str:
    check_promql(text)
    return text


def _query_template(text: str) -> str:
    check_template(text, RUNBOOK_NAMES, promql=True)
    check_promql(sample_of(text))
    return text


def _template(names: tuple[str, ...]) -> Callable[[str], str]:
    def check(text: str) -> str:
        check_template(text, names)
        return text

    return check


NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DURATION_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"}, {"const": 0}],
    "description": "a duration such as 30s, 5m or 1h30m",
}

RATE_UNITS = {"hour": 3600.0, "day": 86400.0, "week": 604800.0, "month": 30 * 86400.0}
_RATE_SCHEMA = {"type": "string", "pattern": r"^[0-9]+/(hour|day|week|month)$", "description": "a rate such as 1/week"}

Name = Annotated[str, Field(pattern=NAME, description="lower-case letters, digits and -, at most 63")]
Text = Annotated[str, Field(max_length=4000)]
Duration = Annotated[float, BeforeValidator(_duration), WithJsonSchema(DURATION_SCHEMA)]
Positive = Annotated[float, BeforeValidator(_duration), Field(gt=0), WithJsonSchema(DURATION_SCHEMA)]
Rate = Annotated[float, BeforeValidator(_rate), WithJsonSchema(_RATE_SCHEMA)]
"""Seconds between two events of that rate."""
Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-1e300, le=1e300)]
TimeZone = Annotated[str, AfterValidator(_zone)]
LabelName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_./-]{0,62}$")]
Labels = dict[LabelName, Annotated[str, Field(max_length=200)]]
PromQL = Annotated[str, AfterValidator(_query), Field(min_length=1, description="PromQL; gives an instant vector or a scalar")]
PromQLTemplate = Annotated[
    str, AfterValidator(_query_template), Field(min_length=1, description='PromQL; {{ target.name }} and the like only within "double quotes"')
]
MatchCel = Annotated[str, AfterValidator(_expression("match")), Field(description="CEL over incident.*, target.*, cluster.*; gives bool")]
StepCel = Annotated[
    str, AfterValidator(_expression("step")), Field(description="CEL over incident.*, target.*, cluster.*, steps, parameters, item; gives bool")
]
ListCel = Annotated[str, AfterValidator(_expression("list")), Field(description="CEL over incident.*, target.*, cluster.*, steps, parameters; gives a list")]
VerifyCel = Annotated[str, AfterValidator(_expression("verify")), Field(description="CEL over value, baseline, count; gives bool")]
ObjectCel = Annotated[str, AfterValidator(_expression("object")), Field(description="CEL over object and now (Unix seconds); gives a number")]
Summary = Annotated[str, Field(max_length=2000), AfterValidator(_template(SUMMARY_NAMES))]
TargetTemplate = Annotated[str, Field(max_length=500), AfterValidator(_template(TARGET_NAMES))]

"""Runbooks as authors write them: the pydantic models that are also the published JSON schema.

Neighbours: `compile_runbooks` turns them into `domain.runbook.Runbook` and checks arguments against the actions, `schema_export` publishes them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from aiops.definitions.fields import Duration, ListCel, MatchCel, Model, Name, Positive, PromQLTemplate, Share, StepCel, Text, VerifyCel
from aiops.definitions.schema_rules import Metadata
from aiops.domain.runbook import ERROR_CLASSES

Bound = Annotated[float, Field(ge=-1e15, le=1e15)] | Annotated[str, Field(max_length=40)] | None
"""Of a number, or of a duration such as 5m."""
TargetText = Annotated[str, Field(min_length=1, max_length=500)]


Tries = Annotated[int, Field(ge=0, le=20)]
_REASON = f"^({'|'.join(ERROR_CLASSES)}|[A-Z][A-Za-z]{{1,60}})$"


def _reason(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(_REASON, value):
        raise ValueError(f"{value[:60]!r} is no class of errors; allowed: {', '.join(ERROR_CLASSES)}, or a reason such as Conflict")
    return value


Reason = Annotated[str, BeforeValidator(_reason), Field(pattern=_REASON)]


def _shape(value: Any) -> str:
    """Which member of a union is meant, by the shape of what is written."""
    return "map" if isinstance(value, dict) else "list" if isinstance(value, list) else "word"


class LimitsModel(Model):
    """The number of further tries by the severity of the incident."""

    info: Tries | None = None
    warning: Tries | None = None
    critical: Tries | None = None
    default: Tries = 0


class RetryModel(Model):
    """Further tries after the first: waits of initial · factor^n, at most `maximum`, less up to a half by chance."""

    limit: Annotated[Annotated[Tries, Tag("word")] | Annotated[LimitsModel, Tag("map")], Discriminator(_shape)] = Field(
        default=0, description="a number from 0 to 20, or one for each severity"
    )
    initial: Positive = Field(default=5.0)
    factor: float = Field(default=2.0, ge=1, le=10)
    maximum: Positive = Field(default=60.0)
    on: Annotated[list[Reason], Field(min_length=1, max_length=20)] | None = Field(
        default=None, description="after which errors: transient (the default), failed, error, timeout, or reasons such as Conflict"
    )


class TargetModel(Model):
    """What a step works on instead of the incident's target; a key that is not given is the incident's target's."""

    kind: TargetText | None = Field(default=None, description="a kind such as Deployment, or a template")
    namespace: TargetText | None = None
    name: TargetText | None = None
    context: TargetText | None = Field(default=None, description="name of the cluster in the settings")

    @model_validator(mode="after")
    def _something(self) -> TargetModel:
        if not self.model_fields_set:
            raise ValueError("is empty; allowed: kind, namespace, name, context")
        return self


class UndoModel(Model):
    """An action that takes the step back, in place of its action's inverse."""

    action: Name
    arguments: dict[str, Any] = Field(default_factory=dict)
    target: TargetModel | None = Field(default=None, description="the step's if it is not given")


Item = Annotated[
    Annotated[Annotated[str, Field(max_length=500)], Tag("word")] | Annotated[dict[str, Any], Tag("map")], Discriminator(_shape)
]


class ForEachModel(Model):
    """Do the step once for each item of a list; `item` is the item there."""

    source: Annotated[
        Annotated[ListCel, Tag("word")] | Annotated[Annotated[list[Item], Field(max_length=100)], Tag("list")], Discriminator(_shape)
    ] = Field(alias="in", description="CEL that gives a list of texts or maps, or the list itself")
    concurrency: int = Field(default=1, ge=1, le=50, description="so many items are at work at once")
    limit: int = Field(default=20, ge=1, le=100, description="more items are an error, and none is begun")


class StepModel(Model):
    """One step: an action with its `arguments`, or another `runbook` with its parameters (`with`). Templates such as `{{ target.name }}` may stand in both."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["action"]}, {"required": ["runbook"]}]})

    name: Name
    action: Name | None = None
    runbook: Name | None = Field(default=None, description="the steps of this runbook stand here")
    given: dict[str, Any] = Field(default_factory=dict, alias="with", description="parameters of the runbook")
    for_each: ForEachModel | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    needs: Annotated[list[Name], Field(max_length=50)] = Field(default_factory=list, description="steps that must be done before; the default is none")
    when: StepCel | None = None
    timeout: Positive = Field(default=300.0)
    retry: RetryModel = Field(default_factory=RetryModel)
    on_failure: Literal["stop", "continue", "undo"] = "stop"
    target: TargetModel | None = None
    undo: Annotated[
        Annotated[Literal["auto", "none"], Tag("word")] | Annotated[UndoModel, Tag("map")], Discriminator(_shape)
    ] = Field(default="auto", description="auto: by the action's inverse; none: not at all; or an action of its own")


class VerifyModel(Model):
    """Measure the level after acting: from `after` on, each `every`, until `passes` was true for `for`; otherwise failed at `within`."""

    source: Name | None = Field(default=None, description="default: the one source of type prometheus")
    query: PromQLTemplate
    passes: VerifyCel
    after: Duration = Field(default=15.0)
    within: Positive = Field(default=300.0)
    every: Positive = Field(default=10.0)
    hold: Duration = Field(default=0.0, alias="for")
    worst: Literal["max", "min"] = Field(default="max", description="which series is judged if the query gives several")
    before: Duration = Field(default=600.0, description="so long before acting the level is looked at, to tell what it would have done by itself")

    @model_validator(mode="after")
    def _consistent(self) -> VerifyModel:
        if self.after + self.hold >= self.within:
            raise ValueError("within must be longer than after and for together, otherwise it can never pass")
        return self


class GuardsModel(Model):
    """Limits of this runbook; what is not given is the global default."""

    cooldown: Duration | None = None
    minimum_replicas: int | None = Field(default=None, ge=0, le=100_000)
    maximum_replicas: int | None = Field(default=None, ge=0, le=100_000)
    maximum_pods: int | None = Field(default=None, ge=0, le=100_000)
    maximum_share: Share | None = None
    maximum_per_hour: int | None = Field(default=None, ge=0, le=10_000)
    maximum_per_incident: int | None = Field(default=None, ge=0, le=1000)
    modes: dict[Name, Literal["off", "shadow", "enforce"]] = Field(default_factory=dict, description="guard: off, shadow or enforce")

    @model_validator(mode="after")
    def _consistent(self) -> GuardsModel:
        if self.minimum_replicas is not None and self.maximum_replicas is not None and self.minimum_replicas > self.maximum_replicas:
            raise ValueError("minimumReplicas is greater than maximumReplicas")
        return self


ParameterName = Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9]{0,62}$", description="letters and digits, a lower-case letter first")]


class ParameterModel(Model):
    """Something that the runbook is given: by a step that calls it, or by the person who runs it."""

    type: Literal["string", "int", "float", "bool", "duration", "strings"]
    description: Text = ""
    required: bool = False
    default: Any = None
    minimum: Bound = None
    maximum: Bound = None
    choices: Annotated[list[Text], Field(max_length=100)] = Field(default_factory=list)


class RunbookModel(Model):
    """A runbook: when it applies, what it does, its limits, how it is verified."""

    api_version: Literal["aiops/v1"]
    kind: Literal["Runbook"]
    metadata: Metadata
    description: Text = ""
    mode: Literal["observe", "suggest", "approve", "auto"] = Field(default="suggest", description="how far it may go by itself")
    priority: int = Field(default=100, ge=0, le=10_000, description="lower is tried first")
    match: MatchCel
    needs_sight: Annotated[list[Name], Field(max_length=20)] = Field(default_factory=list, description="sources, by name or type, that must be seen while it acts")
    parameters: Annotated[dict[ParameterName, ParameterModel], Field(max_length=50)] = Field(
        default_factory=dict, description="named {{ parameters.NAME }} in templates and parameters.NAME in CEL"
    )
    steps: Annotated[list[StepModel], Field(min_length=1, max_length=50)]
    verify: VerifyModel | None = None
    undo_on_failure: bool = True
    deadline: Positive | None = Field(default=None, description="for the whole run, from its beginning or approval to the end of its verification")
    escalates_to: Annotated[list[Name], Field(max_length=20)] = Field(
        default_factory=list, description="runbooks that follow, in this order, when this one did not help; the default is the next by priority"
    )
    guards: GuardsModel = Field(default_factory=GuardsModel)

    @field_validator("deadline")
    @classmethod
    def _in_time(cls, deadline: float | None, info: ValidationInfo) -> float | None:
        verify = info.data.get("verify")
        if deadline is not None and verify is not None and deadline <= verify.after + verify.hold:
            raise ValueError("must be longer than after and for of verify together, otherwise it can never pass")
        return deadline

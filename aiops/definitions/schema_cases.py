"""Unit tests of rules and runbooks, as authors write them in `NAME.test.yaml` beside the file they are about.

Neighbours: `app.cases` runs them through the live pipeline in virtual time; `cli test` prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from aiops.definitions.fields import DURATION_SCHEMA, Model
from aiops.domain.duration import parse_duration
from aiops.domain.target import TargetRef, parse_target


def _seconds(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError("write a duration such as 30s, 5m or 1h30m")  # noqa: TRY004 (pydantic collects ValueErrors only)
    return parse_duration(value)


def _target(value: Any) -> TargetRef:
    return parse_target(str(value))


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _step_or_map(value: Any) -> Any:
    return [{"step": one} if isinstance(one, str) else one for one in value] if isinstance(value, list) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0), WithJsonSchema(DURATION_SCHEMA)]
Target = Annotated[TargetRef, BeforeValidator(_target), WithJsonSchema({"type": "string", "description": "[context:][namespace/]kind/name"})]


class SeriesModel(Model):
    """One series in promtool's notation: a selector, and values such as `0.4x24 0.99x96`, one each `interval`."""

    series: str
    values: str


class LogModel(Model):
    """Log records: one at `at`, or one `every` so often until `until`; `count` of them at once."""

    message: str = Field(max_length=10_000)
    fields: dict[str, str] = Field(default_factory=dict, description="fields beside the message, as `kubernetes.labels.app: shop`")
    at: Seconds = Field(default=0.0, json_schema_extra={"default": "0s"})
    every: Seconds | None = None
    until: Seconds | None = None
    count: int = Field(default=1, ge=1, le=10_000)

    @model_validator(mode="after")
    def _consistent(self) -> LogModel:
        if (self.every is None) != (self.until is None):
            raise ValueError("every and until go together")
        if self.every is not None and self.every < 1:
            raise ValueError("every must be 1s or more")
        return self

    def times(self) -> Iterator[float]:
        """Seconds after the test's start."""
        at = self.at
        while at <= (self.at if self.until is None else self.until):
            yield at
            at += self.every or 1.0


class IncidentModel(Model):
    """An incident that must stand then. What is not named is not compared."""

    target: str = ""
    symptoms: list[str] | None = None
    rules: list[str] | None = None
    severity: Literal["info", "warning", "critical"] | None = None
    state: Literal["open", "acknowledged", "mitigating", "resolved"] | None = None


class ActionModel(Model):
    """A step that must have been planned by then, with its arguments."""

    runbook: str
    action: str
    step: str = ""
    target: str = ""
    arguments: dict[str, Any] | None = None


class RefusalModel(Model):
    """A guard that must have said no by then."""

    runbook: str
    guard: str = ""
    reason: str = ""


class ApprovalModel(Model):
    """A run that must have asked a person by then; `state` is what came of it."""

    runbook: str
    target: str = ""
    state: Literal["waiting", "approved", "rejected", "expired"] | None = None
    by: str = ""


class AnswerModel(Model):
    """A question of a `suspend` that must have been asked by then; `state` is what came of it, `value` and `by` of whom."""

    runbook: str
    step: str = ""
    state: Literal["waiting", "answered", "defaulted", "unanswered"] | None = None
    value: str | int | float | bool | None = None
    by: str = ""


class VerificationModel(Model):
    """What verification must have found by then; `reason` is the run's own (Verified, SelfHealed, NoEffect, Harmed, NotMeasured)."""

    runbook: str = ""
    judgement: Literal["helped", "no-effect", "harmed", "inconclusive"]
    reason: str = ""


class UndoneModel(Model):
    """A step that must have been taken back by then."""

    runbook: str = ""
    step: str = ""
    action: str = ""


class RunModel(Model):
    """A run that must be there, how it stands and what came of it."""

    runbook: str
    target: str = ""
    state: Literal["awaiting-approval", "running", "verifying", "undoing", "done"] | None = None
    outcome: Literal["succeeded", "failed", "inconclusive", "error", "skipped", "simulated"] | None = None
    reason: str = ""


class ObjectModel(Model):
    """An object as it must stand then; `fields` that are left out are not compared."""

    target: Target
    fields: dict[str, Any] | None = None
    absent: bool = False


class ExpectModel(Model):
    """What must hold at a time after the start. An empty list means: none at all; a list left out is not compared."""

    at: Seconds
    incidents: list[IncidentModel] | None = None
    actions: list[ActionModel] | None = None
    refusals: list[RefusalModel] | None = None
    approvals: list[ApprovalModel] | None = None
    answers: list[AnswerModel] | None = None
    verification: Annotated[list[VerificationModel], BeforeValidator(_one_or_more, json_schema_input_type=VerificationModel | list[VerificationModel])] | None = None
    undone: Annotated[list[UndoneModel], BeforeValidator(_step_or_map, json_schema_input_type=list[UndoneModel | str])] | None = None
    runs: list[RunModel] | None = None
    objects: list[ObjectModel] | None = None
    told: list[str] | None = Field(default=None, description="texts that must stand in messages to people")


CHANGES = ("apply", "patch", "delete", "run", "approve", "reject", "answer")


class ChangeModel(Model):
    """What happens at a time after the start, by somebody else: to an object, or what a person asks for or answers."""

    at: Seconds
    apply: dict[str, Any] | None = Field(default=None, description="an object, made or replaced")
    patch: dict[str, Any] | None = Field(default=None, description="a merge patch of `target`")
    target: Target | None = None
    delete: Target | None = None
    run: str | None = Field(default=None, description="a runbook that is asked for by name, for `target` with `parameters`")
    parameters: dict[str, str] = Field(default_factory=dict, description="what the runbook is given, with `run`")
    approve: str | None = Field(default=None, description="a runbook whose run waits for approval")
    reject: str | None = Field(default=None, description="a runbook whose run waits for approval")
    answer: str | None = Field(default=None, description="a runbook whose run waits for an answer")
    step: str = Field(default="", description="the step that asks, with `answer`; may be left out where only one does")
    value: str | int | float | bool | None = Field(default=None, description="what the person says, with `answer`")
    refused: str | None = Field(default=None, description="words that the refusal must hold, if what a person asks for is to be refused")
    by: str = "a-person"

    @model_validator(mode="after")
    def _one(self) -> ChangeModel:
        given = [name for name in CHANGES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(CHANGES[:-1])} and {CHANGES[-1]} must be given")
        if (self.patch is None and self.run is None) != (self.target is None):
            raise ValueError(f"{'run' if self.run is not None else 'patch'} and target go together")
        if self.parameters and self.run is None:
            raise ValueError("parameters go with run")
        if (self.answer is None) != (self.value is None):
            raise ValueError("answer and value go together")
        if self.step and self.answer is None:
            raise ValueError("step goes with answer")
        if self.refused is not None and (self.run or self.approve or self.reject or self.answer) is None:
            raise ValueError("refused goes with run, approve, reject or answer")
        return self


class CaseModel(Model):
    """One test: samples and objects in, expectations out. With `act` the runs are carried out on the in-memory cluster, else simulated."""

    name: str = Field(min_length=1, max_length=200)
    act: bool = False
    interval: Seconds = Field(default=5.0, json_schema_extra={"default": "5s"})
    past: Seconds = Field(default=0.0, le=30 * 86400.0, description="the series begin so long before the start: what capacity rules learn from")
    series: list[SeriesModel] = Field(default_factory=list)
    logs: list[LogModel] = Field(default_factory=list)
    objects: list[dict[str, Any]] = Field(default_factory=list)
    caches: dict[str, list[str]] = Field(default_factory=dict, description="caches by name, each with its keys")
    changes: list[ChangeModel] = Field(default_factory=list)
    expect: list[ExpectModel] = Field(min_length=1)


class CaseFileModel(Model):
    """A file of tests."""

    api_version: Literal["aiops/v1"]
    kind: Literal["Test"]
    tests: list[CaseModel] = Field(min_length=1)

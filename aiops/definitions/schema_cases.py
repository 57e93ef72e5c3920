"""Unit tests of rules and runbooks, as authors write them in `NAME.test.yaml` beside the file they are about.

Neighbours: `app.cases` runs them through the live pipeline in virtual time; `cli test` prints.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from aiops.definitions.fields import Model
from aiops.domain.duration import parse_duration


def _seconds(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError("write a duration such as 30s, 5m or 1h30m")  # noqa: TRY004 (pydantic collects ValueErrors only)
    return parse_duration(value)


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]


class SeriesModel(Model):
    """One series in promtool's notation: a selector, and values such as `0.4x24 0.99x96`, one each `interval`."""

    series: str
    values: str


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
    target: str = ""
    arguments: dict[str, Any] | None = None


class RefusalModel(Model):
    """A guard that must have said no by then."""

    runbook: str
    reason: str


class ExpectModel(Model):
    """What must hold at a time after the start. An empty list means: none at all; a list left out is not compared."""

    at: Seconds
    incidents: list[IncidentModel] | None = None
    actions: list[ActionModel] | None = None
    refusals: list[RefusalModel] | None = None


class CaseModel(Model):
    """One test: samples and objects in, expectations out."""

    name: str = Field(min_length=1, max_length=200)
    interval: Seconds = 5.0
    series: list[SeriesModel] = Field(default_factory=list)
    objects: list[dict[str, Any]] = Field(default_factory=list)
    expect: list[ExpectModel] = Field(min_length=1)


class CaseFileModel(Model):
    """A file of tests."""

    api_version: Literal["aiops/v1"]
    kind: Literal["Test"]
    tests: list[CaseModel] = Field(min_length=1)

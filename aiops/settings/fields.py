"""What settings are made of: how durations, shares and amounts are written, TLS, and who we are to others.

Neighbours: the sections in `guards` and `outside`, the whole in the package itself.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from aiops.domain.duration import parse_duration


def _duration(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise ValueError("is no duration: write for example 30s, 5m, 1h30m")  # noqa: TRY004 (pydantic reads ValueError only)
    return parse_duration(value)


_NOTATION = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"}
_WRITTEN = "a duration such as 30s, 5m or 1h30m; a number is seconds"
Duration = Annotated[
    float, BeforeValidator(_duration), Field(ge=0, allow_inf_nan=False),
    WithJsonSchema({"anyOf": [_NOTATION, {"type": "number", "minimum": 0}], "description": _WRITTEN}),
]  # fmt: skip
Span = Annotated[
    float, BeforeValidator(_duration), Field(gt=0, allow_inf_nan=False),
    WithJsonSchema({"anyOf": [_NOTATION, {"type": "number", "exclusiveMinimum": 0}], "description": _WRITTEN}),
]  # fmt: skip
"""A duration of which zero makes no sense."""
Share = Annotated[float, Field(ge=0, le=1)]


def _amount(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"(\d{1,2}(\.\d{1,3})?|100)%", value):
        return value
    raise ValueError("is no amount: write a whole number, or a share from 0% to 100%, for example 3 or 25%")


Amount = Annotated[int | str, BeforeValidator(_amount)]
"""A number, or a share as text."""


class Model(BaseModel):
    """Frozen, camelCase in YAML, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Calendar(Model):
    """Times that come again, or one: `rrule` (RFC 5545) with `duration`, or `from` with `until`; local times are those of `timezone`."""

    name: str = Field(min_length=1)
    rrule: str = ""
    start: str = ""
    duration: Duration = 0.0
    timezone: str = "UTC"
    from_: str = Field(default="", alias="from")
    until: str = ""


class Tls(Model):
    """Files, PEM. `ca_file` replaces the system's authorities; certificate and key together make mTLS."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("certFile and keyFile go together")
        return self


class Auth(Model):
    """At most one of bearer token, basic, API key; each read from its file at use, so rotation needs no restart."""

    bearer_token_file: str = ""
    username: str = ""
    password_file: str = ""
    api_key_file: str = ""

    @model_validator(mode="after")
    def _one(self) -> Auth:
        if bool(self.username) != bool(self.password_file):
            raise ValueError("username and passwordFile go together")
        if sum(map(bool, (self.bearer_token_file, self.username, self.api_key_file))) > 1:
            raise ValueError("at most one of bearerTokenFile, username with passwordFile, apiKeyFile")
        return self

"""What the daemon knows of the calendar when it judges. Neighbours: `pipeline.quiet_times` carries it out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aiops.settings.fields import Duration, Model


class QuietTimeSettings(Model):
    """Times that are unlike others and known to be: `rrule` (RFC 5545) with `duration`, or `from` with `until`; local times are those of `timezone`."""

    name: str = Field(min_length=1)
    rrule: str = ""
    start: str = ""
    duration: Duration = 0.0
    timezone: str = "UTC"
    from_: str = Field(default="", alias="from")
    until: str = ""
    rules: tuple[str, ...] = ()
    skip: tuple[Literal["result", "learning"], ...] = Field(default=("result", "learning"), min_length=1)

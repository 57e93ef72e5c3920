"""What the daemon knows of the calendar when it judges. Neighbours: `pipeline.quiet_times` carries it out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aiops.settings.fields import Calendar


class QuietTimeSettings(Calendar):
    """Times that are unlike others and known to be: `rrule` (RFC 5545) with `duration`, or `from` with `until`; local times are those of `timezone`."""

    rules: tuple[str, ...] = ()
    skip: tuple[Literal["result", "learning"], ...] = Field(default=("result", "learning"), min_length=1)

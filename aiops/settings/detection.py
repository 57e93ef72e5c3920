"""What the daemon knows of the calendar when it judges, and how much it may keep. Neighbours: `pipeline.quiet_times`, `pipeline.room` and `pipeline.memory` carry it out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from aiops.settings.fields import Calendar, Model, Share, Span


class QuietTimeSettings(Calendar):
    """Times that are unlike others and known to be: `rrule` (RFC 5545) with `duration`, `from` with `until`, or `dates`; local times are those of `timezone`."""

    dates: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    skip: tuple[Literal["result", "learning"], ...] = Field(default=("result", "learning"), min_length=1)


class DetectionSettings(Model):
    """How many series are kept, and what happens when memory is short."""

    maximum_series: int = Field(default=10_000, ge=1, le=1_000_000)
    maximum_series_total: int = Field(default=250_000, ge=1, le=10_000_000)
    focus_series: int = Field(default=5_000, ge=1, le=100_000)
    series_ttl: Span = 6 * 3600.0
    memory_limit: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Bytes; 0: as the control group or the machine says."""
    memory_soft: Share = 0.75
    memory_hard: Share = 0.9

    @model_validator(mode="after")
    def _ordered(self) -> DetectionSettings:
        if not 0.0 < self.memory_soft <= self.memory_hard:
            raise ValueError("memorySoft must be above 0 and not more than memoryHard")
        return self

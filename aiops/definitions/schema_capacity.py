"""Capacity as rule authors write it. Neighbours: `schema_rules` holds one in a rule, `compile_rules` asks for the domain's form."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from aiops.definitions.fields import Model, Number, Positive, PromQL
from aiops.domain.rule import CapacityQuery

MOST = 5000
"""Steps of history, and ahead."""


class CapacityModel(Model):
    """When does `use` meet `limit`? The series of the limit are found by labels that all stand on those of the use."""

    use: PromQL
    limit: Number | PromQL = Field(description="PromQL, or a number")
    lead_time: Positive = Field(description="how long the remedy takes: what is met sooner comes too late")
    step: Annotated[Positive, Field(ge=15)] = Field(default=3600.0, description="one sample each")
    history: Positive = Field(default=30 * 86400.0, description="what is learned from; kept in the state folder")
    horizons: Annotated[list[Positive], Field(min_length=1, max_length=6)] = Field(default_factory=lambda: [86400.0, 7 * 86400.0, 30 * 86400.0], description="default 24h, 7d, 30d")
    sample: Literal["last", "max", "avg", "min"] = Field(default="last", description="of a step its last value, its peak, its mean or its lowest")
    falling: bool = Field(default=False, description="the limit is met from above, as by what is free")
    season: Positive | None = Field(default=None, description="after so long the pattern repeats; looked for when not given")

    @model_validator(mode="after")
    def _consistent(self) -> CapacityModel:
        longest = max(*self.horizons, self.lead_time)
        if self.history > MOST * self.step or longest > MOST * self.step:
            raise ValueError(f"history and horizons are at most {MOST} steps: make step longer")
        if self.history < 12 * self.step or min(*self.horizons, self.lead_time) < self.step:
            raise ValueError("history is at least 12 steps, horizons and leadTime at least one")
        return self

    def query(self, *, counter: bool) -> CapacityQuery:
        """The domain's form."""
        limit = self.limit if isinstance(self.limit, str) else float(self.limit)
        return CapacityQuery(
            self.use, limit, self.lead_time, self.step, self.history, tuple(sorted(self.horizons)), self.sample, self.falling, counter, self.season or 0.0,
        )  # fmt: skip

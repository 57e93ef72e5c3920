"""What `aiops cost` and `aiops report --month` count with. Money is in the price list's currency."""

from __future__ import annotations

from pydantic import Field, field_validator

from aiops.settings.fields import Duration, Model, Share, Span

QUERIES = (
    "cpuRequest", "cpuUsed", "cpuHottest", "memoryRequest", "memoryUsed", "memoryHottest", "gpuRequest", "storage", "unmounted", "egress", "pods", "killedAt",
    "autoscaled", "nodes", "nodeCpu", "nodeMemory",
)  # fmt: skip
"""What can be asked of Prometheus, by name."""
SERVICE_QUERIES = ("load", "p50", "p95", "p99", "success")


class ServiceSettings(Model):
    """How services perform: queries that give one series each, told apart by the label `service`."""

    load: str = ""
    p50: str = ""
    p95: str = ""
    p99: str = ""
    success: str = ""
    latency_objective: float = Field(default=0.0, ge=0)
    """Seconds of P95; 0: none."""
    availability: Share = 0.999
    """Promised share of the month."""
    least_success: Share = 0.95
    """A step whose success rate is below it counts as an outage."""


class CostSettings(Model):
    """Prices, budgets, what an hour of people and of downtime costs, and where use is asked for."""

    prices: str = ""
    source: str = "prometheus"
    step: Span = 3600.0
    history: Span = 60 * 86400.0
    every: Span = 3600.0
    labels: tuple[str, ...] = ()
    queries: dict[str, str] = Field(default_factory=dict)
    budget: float = Field(default=0.0, ge=0)
    budgets: dict[str, float] = Field(default_factory=dict)
    utilisation: float = Field(default=0.65, gt=0, le=1)
    tolerance: Share = 0.05
    engineer_hour: float = Field(default=75.0, ge=0)
    downtime_hour: float = Field(default=0.0, ge=0)
    manual_resolve: Duration = 3600.0
    platform_month: float = Field(default=0.0, ge=0)
    upkeep_hours: float = Field(default=4.0, ge=0)
    roi_target: float = 3.0
    services: ServiceSettings = ServiceSettings()

    @field_validator("step")
    @classmethod
    def _even(cls, value: float) -> float:
        if value < 60.0 or 86400.0 % value:
            raise ValueError("must divide a day evenly, and be at least a minute: for example 5m, 30m, 1h, 6h, 1d")
        return value

    @field_validator("queries")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := sorted(set(value) - set(QUERIES)):
            raise ValueError(f"no query {wrong[0]!r}; allowed: {', '.join(QUERIES)}")
        return value

    @field_validator("budgets")
    @classmethod
    def _positive(cls, value: dict[str, float]) -> dict[str, float]:
        if wrong := sorted(name for name, amount in value.items() if not amount > 0):
            raise ValueError(f"the budget of {wrong[0]} must be above 0")
        return value

"""Sections about how far automation may go: the daemon's limits, freezes, the kill switch, the ladder of autonomy.

Neighbours: `remediate.guards.contract` has them as the guards read them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from aiops.domain.outcome import GuardMode
from aiops.settings.fields import Amount, Calendar, Duration, Model, Share, Span


class FreezeSettings(Calendar):
    """Times in which nothing is done: `rrule` (RFC 5545) with `duration`, or `from` with `until`; local times are those of `timezone`."""

    namespaces: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    allow: tuple[str, ...] = ()
    """Runbooks that go on all the same."""


class GuardSettings(Model):
    """Global limits; a runbook may only be stricter, save in the guards of `mayLoosen`."""

    protected_namespaces: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease")
    require_opt_in: bool = False
    cooldown: Duration = 300.0
    """Between two runs of one runbook on one target, where the runbook says nothing."""
    target_cooldown: Duration = 60.0
    """Between any two runs on one target."""
    maximum_per_hour: int = Field(default=20, ge=0)
    maximum_per_incident: int = Field(default=5, ge=1)
    maximum_pods: int = Field(default=10, ge=0)
    minimum_replicas: int = Field(default=1, ge=0)
    maximum_replicas: int = Field(default=50, ge=1)
    reversal_hold: Duration = 3600.0
    """How long a person's reversal of what a run wrote keeps automation off that target."""
    maximum_share: Share = 0.5
    maximum_namespace_share: Share = 0.5
    maximum_cluster_share: Share = 0.25
    maximum_nodes: Amount = "10%"
    """Nodes out of service at once, whoever took them; one always may be."""
    disruption_budget: Amount = "30%"
    disruption_budget_namespace: Amount = "50%"
    minimum_healthy: Amount = "50%"
    minimum_healthy_nodes: Amount = "50%"
    target_burst: int = Field(default=5, ge=1, le=10_000)
    target_every: Duration = 300.0
    runbook_burst: int = Field(default=20, ge=1, le=10_000)
    runbook_every: Duration = 60.0
    cluster_burst: int = Field(default=30, ge=1, le=10_000)
    cluster_every: Duration = 30.0
    loop_limit: int = Field(default=5, ge=1)
    loop_window: Span = 3600.0
    circuit_failures: int = Field(default=3, ge=1)
    circuit_block: Duration = 3600.0
    storm_targets: int = Field(default=15, ge=2)
    storm_incidents: int = Field(default=30, ge=2)
    storm_window: Span = 300.0
    storm_quiet: Duration = 300.0
    freezes: tuple[FreezeSettings, ...] = ()
    modes: dict[str, GuardMode] = Field(default_factory=dict)
    may_loosen: tuple[str, ...] = ()
    """Guards in which a runbook's own limits and mode hold even where they are looser than these."""

    @model_validator(mode="after")
    def _ordered(self) -> GuardSettings:
        if self.minimum_replicas > self.maximum_replicas:
            raise ValueError("minimumReplicas is more than maximumReplicas")
        return self


class PauseSettings(Model):
    """A key of a ConfigMap as kill switch: only while it says `false` is anything done. Without a name there is no such switch."""

    namespace: str = ""
    name: str = ""
    key: str = "paused"
    cluster: str = "default"

    @model_validator(mode="after")
    def _whole(self) -> PauseSettings:
        if bool(self.name) != bool(self.namespace):
            raise ValueError("name and namespace go together")
        return self


class AutonomySettings(Model):
    """What a runbook must earn, and what takes a rung of the ladder from it."""

    start: Literal["observe", "suggest", "approve", "auto"] = "auto"
    """The level of a runbook that has earned none yet; its file's mode is the ceiling."""
    successes: int = Field(default=5, ge=1)
    reviews: int = Field(default=5, ge=1)
    budget: float = Field(default=0.2, ge=0, lt=1)
    failures: int = Field(default=3, ge=1)
    window: Span = 30 * 86400.0

"""The daemon's settings: typed, frozen, read once by `app`. Every duration is in seconds once read; units stand in the names.

YAML keys are camelCase. Environment variables `AIOPS_<KEY>` and `AIOPS_<KEY>__<SUBKEY>` win over the file. Secrets are never in the
file: only names of files that hold them. Neighbours: `app` reads a file through `definitions.config`, `docs/configuration.md` lists all keys.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from aiops.settings.cost import CostSettings
from aiops.settings.detection import DetectionSettings, QuietTimeSettings
from aiops.settings.fields import Auth, Duration, Model, Span, Tls
from aiops.settings.guards import AutonomySettings, FreezeSettings, GuardSettings, PauseSettings
from aiops.settings.outside import (
    AlertmanagerSettings,
    CacheSettings,
    ClusterSettings,
    OutboundEntry,
    OutboundSettings,
    SlackRoute,
    SlackSettings,
    SourceSettings,
)

__all__ = [
    "AlertmanagerSettings",
    "Auth",
    "AutonomySettings",
    "CacheSettings",
    "ClusterSettings",
    "CostSettings",
    "DetectionSettings",
    "FreezeSettings",
    "GuardSettings",
    "IncidentSettings",
    "OutboundEntry",
    "OutboundSettings",
    "PauseSettings",
    "QuietTimeSettings",
    "ReportSettings",
    "RetentionSettings",
    "Settings",
    "SlackRoute",
    "SlackSettings",
    "SourceSettings",
    "Tls",
    "WebSettings",
]


class WebSettings(Model):
    """Status page, API, health and metrics. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    webhook_token_file: str = ""
    external_url: str = ""


class IncidentSettings(Model):
    """Lifecycle times."""

    resolve_after: Duration = 60.0
    flap_window: Duration = 900.0
    flap_limit: int = Field(default=3, ge=1)
    approval_expires: Span = 3600.0
    rollout_grace: Duration = 60.0
    rollout_hold: Duration = 900.0


class ReportSettings(Model):
    """What `aiops report` and its metrics count."""

    window: Span = 30 * 86400.0
    manual_fix: Duration = 1800.0
    """What a person would need for a fix that a run made."""


class RetentionSettings(Model):
    """How long rows are kept; what is unfinished or undelivered stays."""

    signals: Duration = 30 * 86400.0
    incidents: Duration = 180 * 86400.0
    decisions: Duration = 30 * 86400.0
    executions: Duration = 365 * 86400.0
    outbox: Duration = 30 * 86400.0
    commands: Duration = 90 * 86400.0
    silences: Duration = 90 * 86400.0
    reviews: Duration = 365 * 86400.0
    history: Duration = 400 * 86400.0


class Settings(BaseSettings):
    """Everything `aiops run --config FILE` needs."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, env_prefix="AIOPS_", env_nested_delimiter="__",
    )

    api_version: Literal["aiops/v1"] = "aiops/v1"
    kind: Literal["Config"] = "Config"
    name: str = "aiops"
    state_dir: str = "var"
    store_url: str = Field(default="", pattern=r"^((sqlite:///|postgresql://|postgresql\+psycopg://).+)?$")
    """Empty: SQLite in `stateDir`."""
    store_password_file: str = ""
    """For PostgreSQL; read at each new connection."""
    rules: tuple[str, ...] = ("rules",)
    runbooks: tuple[str, ...] = ("runbooks",)
    sources: dict[str, SourceSettings] = {}
    clusters: tuple[ClusterSettings, ...] = ()
    caches: dict[str, CacheSettings] = {}
    outbound: OutboundSettings = OutboundSettings()
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    slack: SlackSettings = SlackSettings()
    web: WebSettings = WebSettings()
    detection: DetectionSettings = DetectionSettings()
    quiet_times: tuple[QuietTimeSettings, ...] = ()
    guards: GuardSettings = GuardSettings()
    incidents: IncidentSettings = IncidentSettings()
    autonomy: AutonomySettings = AutonomySettings()
    report: ReportSettings = ReportSettings()
    cost: CostSettings = CostSettings()
    retention: RetentionSettings = RetentionSettings()
    pause_file: str = ""
    """While this file exists nothing is written to any cluster: the switch that works without store or Slack."""
    pause_config_map: PauseSettings = PauseSettings()
    tick: Span = 1.0
    grace: Duration = 20.0
    workers: int = Field(default=8, ge=1, le=64)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator("store_url")
    @classmethod
    def _no_password(cls, value: str) -> str:
        user = value.partition("://")[2].partition("@")[0] if "@" in value else ""
        if not value.startswith("sqlite") and (":" in user.rpartition("/")[2] or "password=" in value):
            raise ValueError("must not hold a password: give a file with it in storePasswordFile")
        return value

    @model_validator(mode="after")
    def _password_for_a_server(self) -> Settings:
        if self.store_password_file and not self.store_url.startswith("postgresql"):
            raise ValueError("storePasswordFile goes with a storeUrl of the form postgresql://USER@HOST:PORT/DATABASE")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Settings:
        names = [c.name for c in self.clusters]
        if len(set(names)) < len(names) or "default" in names[1:]:
            raise ValueError("clusters: each needs a name of its own, and only the first may be called default")
        if self.pause_config_map.name and self.pause_config_map.cluster not in ("default", *names):
            raise ValueError(f"pauseConfigMap.cluster: no cluster {self.pause_config_map.cluster!r}; allowed: default, {', '.join(names)}")
        if "kubernetes" in self.sources:
            raise ValueError("sources: the name kubernetes is taken by the objects of the cluster")
        return self

    @classmethod
    def settings_customise_sources(  # the signature is pydantic-settings' own
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file; no dotenv, no secrets folder."""
        return env_settings, init_settings

    @property
    def database_url(self) -> str:
        """Where the store is."""
        return self.store_url or f"sqlite:///{self.state_dir}/aiops.db"

    @property
    def shared(self) -> bool:
        """Whether the store may be one of several daemons."""
        return self.store_url.startswith("postgresql")

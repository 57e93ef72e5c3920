"""The daemon's settings: typed, frozen, read once by `app`. Every duration is in seconds once read; units stand in the names.

YAML keys are camelCase. Environment variables `AIOPS_<KEY>` and `AIOPS_<KEY>__<SUBKEY>` win over the file. Secrets are never in the
file: only names of files that hold them. Neighbours: `app` reads a file through `definitions.config`, `docs/configuration.md` lists all keys.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from aiops.domain.duration import parse_duration
from aiops.domain.outcome import GuardMode
from aiops.domain.url import url_parts


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


class SourceSettings(Model):
    """One source of telemetry."""

    type: Literal["prometheus", "elasticsearch"]
    url: str = Field(pattern=r"^https?://[^/]")
    client: Literal["fast", "prometheus-api-client"] = "fast"
    timeout: Span = 10.0
    auth: Auth = Auth()
    tls: Tls = Tls()
    dark_after: Span = 60.0
    """No good answer for so long: the source is dark, a signal of its own."""


class ClusterSettings(Model):
    """How to reach a cluster: in-cluster account, or a kubeconfig."""

    name: str = "default"
    kubeconfig: str = ""
    context: str = ""
    namespaces: tuple[str, ...] = ()
    """Watch only these; empty: all."""
    stale_after: Span = 60.0


class CacheSettings(Model):
    """A Redis that runbooks may flush."""

    url: str = Field(pattern=r"^rediss?://")
    password_file: str = ""
    timeout: Span = 5.0


class OutboundEntry(Model):
    """Requests whose URL begins with `url`; who we are there stands in files, never in a runbook."""

    url: str
    methods: tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], ...] = Field(default=("GET", "HEAD", "POST"), min_length=1)
    addresses: tuple[str, ...] = ()
    """Networks that the host may lead to besides public addresses; clouds' metadata addresses only if that very one stands here."""
    headers: dict[str, str] = {}
    header_files: dict[str, str] = {}
    auth: Auth = Auth()
    tls: Tls = Tls()

    @model_validator(mode="after")
    def _sound(self) -> OutboundEntry:
        if url_parts(self.url).query:
            raise ValueError("url: a prefix has no query")
        for address in self.addresses:
            ipaddress.ip_network(address)
        return self


class OutboundSettings(Model):
    """Where runbooks may send HTTP requests. Empty: nowhere."""

    allow: tuple[OutboundEntry, ...] = ()


class AlertmanagerSettings(Model):
    """Where runbooks may silence alerts. Without a URL nowhere."""

    url: str = ""
    auth: Auth = Auth()
    tls: Tls = Tls()

    @model_validator(mode="after")
    def _sound(self) -> AlertmanagerSettings:
        if self.url and url_parts(self.url).query:
            raise ValueError("url: a base address has no query")
        return self


class SlackRoute(Model):
    """The first route whose conditions all hold takes the incident."""

    channel: str = Field(min_length=1)
    severity: tuple[Literal["info", "warning", "critical"], ...] = ()
    namespaces: tuple[str, ...] = ()
    labels: dict[str, str] = {}


class SlackSettings(Model):
    """Telling Slack. Without a token file nothing is sent, messages stay readable in the store."""

    token_file: str = ""
    base_url: str = Field(default="https://slack.com/api/", pattern=r"^https?://")
    timeout: Span = 10.0
    routes: tuple[SlackRoute, ...] = ()


class WebSettings(Model):
    """Status page, API, health and metrics. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    webhook_token_file: str = ""
    external_url: str = ""


class FreezeSettings(Model):
    """Times in which nothing is done: `rrule` (RFC 5545) with `duration`, or `from` with `until`; local times are those of `timezone`."""

    name: str = Field(min_length=1)
    rrule: str = ""
    start: str = ""
    duration: Duration = 0.0
    timezone: str = "UTC"
    from_: str = Field(default="", alias="from")
    until: str = ""
    namespaces: tuple[str, ...] = ()
    labels: dict[str, str] = {}
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
    modes: dict[str, GuardMode] = {}
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


class IncidentSettings(Model):
    """Lifecycle times."""

    resolve_after: Duration = 60.0
    flap_window: Duration = 900.0
    flap_limit: int = Field(default=3, ge=1)
    approval_expires: Span = 3600.0


class AutonomySettings(Model):
    """What a runbook must earn, and what takes a rung of the ladder from it."""

    start: Literal["observe", "suggest", "approve", "auto"] = "auto"
    """The level of a runbook that has earned none yet; its file's mode is the ceiling."""
    successes: int = Field(default=5, ge=1)
    reviews: int = Field(default=5, ge=1)
    budget: float = Field(default=0.2, ge=0, lt=1)
    failures: int = Field(default=3, ge=1)
    window: Span = 30 * 86400.0


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
    guards: GuardSettings = GuardSettings()
    incidents: IncidentSettings = IncidentSettings()
    autonomy: AutonomySettings = AutonomySettings()
    report: ReportSettings = ReportSettings()
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

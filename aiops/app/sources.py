"""From settings to the adapters that read telemetry, each behind its circuit breaker.

Neighbours: `app.live` builds the daemon from these; `adapters.prometheus`, `adapters.elasticsearch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from aiops.adapters.breaker import Breaker, GuardedLogSource, GuardedMetricSource
from aiops.adapters.elasticsearch import ElasticsearchSource
from aiops.adapters.http import HttpClient, HttpOptions
from aiops.adapters.prometheus import ApiClientSource, PrometheusSource
from aiops.ports.clock import Clock
from aiops.ports.sources import LogSource, MetricSource, RawSource
from aiops.settings import Settings, SourceSettings


@dataclass
class BuiltSources:
    """By name; `skews` read the clock difference of those that tell; `closers` release connections."""

    metrics: dict[str, MetricSource] = field(default_factory=dict)
    logs: dict[str, LogSource] = field(default_factory=dict)
    skews: dict[str, Callable[[], float | None]] = field(default_factory=dict)
    raw: dict[str, RawSource] = field(default_factory=dict)
    breakers: dict[str, Breaker] = field(default_factory=dict)
    closers: list[Callable[[], None]] = field(default_factory=list)


def http_options(settings: SourceSettings) -> HttpOptions:
    """The adapter's options for a source's settings."""
    return HttpOptions(
        url=settings.url,
        read_timeout=settings.timeout,
        deadline=settings.timeout * 1.5,
        ca_file=settings.tls.ca_file,
        cert_file=settings.tls.cert_file,
        key_file=settings.tls.key_file,
        server_name=settings.tls.server_name,
        bearer_file=settings.auth.bearer_token_file,
        username=settings.auth.username,
        password_file=settings.auth.password_file,
        api_key_file=settings.auth.api_key_file,
    )


def build_sources(settings: Settings, clock: Clock) -> BuiltSources:
    """Adapters for every source of the settings. Makes no request."""
    built = BuiltSources()
    for name, one in settings.sources.items():
        http = HttpClient(name, http_options(one), clock)
        breaker = Breaker(name, clock)
        built.breakers[name] = breaker
        built.closers.append(http.close)
        if one.type == "elasticsearch":
            built.logs[name] = GuardedLogSource(ElasticsearchSource(name, http, clock), breaker)
            continue
        built.raw[name] = PrometheusSource(name, http)
        plain = ApiClientSource(name, http) if one.client == "prometheus-api-client" else PrometheusSource(name, http)
        built.metrics[name] = GuardedMetricSource(plain, breaker)
        built.skews[name] = partial(_skew, plain)
    return built


def _skew(source: ApiClientSource | PrometheusSource) -> float | None:
    return source.last_skew

"""Sections about everything outside: sources, clusters, caches, where requests may go, silences, Slack.

Neighbours: `adapters` are built from them by `app`.
"""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field, model_validator

from aiops.domain.url import url_parts
from aiops.settings.fields import Auth, Model, Span, Tls


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
    headers: dict[str, str] = Field(default_factory=dict)
    header_files: dict[str, str] = Field(default_factory=dict)
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
    labels: dict[str, str] = Field(default_factory=dict)


class SlackSettings(Model):
    """Telling Slack. Without a token file nothing is sent, messages stay readable in the store."""

    token_file: str = ""
    base_url: str = Field(default="https://slack.com/api/", pattern=r"^https?://")
    timeout: Span = 10.0
    routes: tuple[SlackRoute, ...] = ()

"""From settings to what goes outside the clusters: HTTP by the allow-list, and Alertmanager's silences; real, recording, and in memory.

Neighbours: `app.live` and `app.virtual` put these into the hands.
"""

from __future__ import annotations

from aiops.adapters.alertmanager_silences import AlertmanagerSilences
from aiops.adapters.one_shot import Credentials
from aiops.adapters.outbound import Door, HttpOutbound
from aiops.adapters.outbound_policy import Allowed
from aiops.ports.alerts import NoSilences, Silences
from aiops.ports.clock import Clock
from aiops.ports.outbound import Outbound
from aiops.settings import AlertmanagerSettings, OutboundEntry, OutboundSettings


def allowed(settings: OutboundSettings) -> tuple[Allowed, ...]:
    """The allow-list. Raises ValueError on an entry that the settings' own check let through."""
    return tuple(_allowed(entry) for entry in settings.allow)


def _allowed(entry: OutboundEntry) -> Allowed:
    return Allowed(entry.url, entry.addresses, tuple(entry.methods))


def build_outbound(settings: OutboundSettings, clock: Clock) -> Outbound:
    """HTTP over the network. Makes no request."""
    return HttpOutbound(tuple(Door(_allowed(entry), credentials(entry)) for entry in settings.allow), clock)


def build_silences(settings: AlertmanagerSettings, clock: Clock) -> Silences:
    """Silences of the Alertmanager that is named, if one is. Makes no request."""
    return AlertmanagerSilences(settings.url, clock, credentials(settings)) if settings.url else NoSilences()


def credentials(one: OutboundEntry | AlertmanagerSettings) -> Credentials:
    """The adapter's options for an entry."""
    headers, files = (one.headers, one.header_files) if isinstance(one, OutboundEntry) else ({}, {})
    return Credentials(
        headers=headers, header_files=files, bearer_file=one.auth.bearer_token_file, username=one.auth.username, password_file=one.auth.password_file,
        api_key_file=one.auth.api_key_file, ca_file=one.tls.ca_file, cert_file=one.tls.cert_file, key_file=one.tls.key_file,
        server_name=one.tls.server_name,
    )

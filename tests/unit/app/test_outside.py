"""From settings to what goes outside: each entry with its own credentials, and nothing where nothing is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.dry_run_outside import DryRunOutbound
from aiops.app.config import read_settings
from aiops.app.outside import build_outbound, build_silences
from aiops.domain.errors import OutsideRefusedError
from aiops.ports.outbound import OutboundRequest
from tests.unit.adapters.raw_server import says, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


def test_an_entry_sends_what_its_settings_say(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k-secret\n")
    (tmp_path / "token").write_text("t-secret\n")
    with serving(says(OK)) as server:
        (tmp_path / "aiops.yaml").write_text(
            f"outbound:\n  allow:\n    - {{url: '{server.url}/hooks', methods: [POST], headerFiles: {{X-Api-Key: {tmp_path}/key}}}}\n"
            f"alertmanager: {{url: '{server.url}', auth: {{bearerTokenFile: {tmp_path}/token}}}}\n",
        )
        settings = read_settings(tmp_path / "aiops.yaml")
        outbound, silences = build_outbound(settings.outbound, SystemClock()), build_silences(settings.alertmanager, SystemClock())
        assert outbound.send(OutboundRequest("POST", f"{server.url}/hooks/train"), timeout=20).status == 200
        with pytest.raises(OutsideRefusedError, match="NotAllowed"):
            outbound.send(OutboundRequest("GET", f"{server.url}/hooks/train"), timeout=20)
        assert DryRunOutbound(outbound).send(OutboundRequest("POST", f"{server.url}/hooks/train")).applied is False
        assert silences.list(timeout=20) == []
    train, listed = server.requests
    assert b"X-Api-Key: k-secret" in train
    assert b"Authorization" not in train
    assert listed.startswith(b"GET /api/v2/silences ")
    assert b"Authorization: Bearer t-secret" in listed


def test_nothing_is_allowed_and_nothing_named_by_default() -> None:
    settings = read_settings(None)
    with pytest.raises(OutsideRefusedError, match="NotAllowed"):
        build_outbound(settings.outbound, SystemClock()).send(OutboundRequest("POST", "https://hooks.example.org/"))
    with pytest.raises(OutsideRefusedError, match="NotConfigured"):
        build_silences(settings.alertmanager, SystemClock()).list()

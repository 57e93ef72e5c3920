"""What the logs must never hold, and must always survive."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from aiops.adapters.logs import configure
from aiops.domain.redaction import redact


@pytest.fixture
def stream():
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    out = io.StringIO()
    configure("info", "json", out)
    yield out
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "secret",
    ["Bearer abcdefgh12345678", "xoxb-1234567890-abc", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig", "redis://user:hunter22@host/0"],
)
def test_what_looks_like_a_credential_is_taken_out_of_texts(secret: str) -> None:
    assert "[redacted]" in redact(f"failed with {secret} somewhere")
    assert "hunter22" not in redact(secret)


def test_json_lines_hold_ids_and_no_secrets(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(incident="inc-1", execution="exe-1"):
        structlog.get_logger("t").warning("write failed", api_token="sekrit", detail="Authorization: Bearer abcdefgh12345678")
    line = json.loads(stream.getvalue())
    assert (line["incident"], line["execution"], line["level"]) == ("inc-1", "exe-1", "warning")
    assert "sekrit" not in stream.getvalue()
    assert "abcdefgh12345678" not in stream.getvalue()


def test_standard_logging_goes_the_same_way_and_hostile_text_stays_one_line(stream: io.StringIO) -> None:
    logging.getLogger("vendor").error('x"\n{"level":"fake"}\x1b[31m')
    assert json.loads(stream.getvalue())["event"].startswith('x"')
    assert stream.getvalue().count("\n") == 1

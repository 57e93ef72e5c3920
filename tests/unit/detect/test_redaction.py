"""What must never be kept or shown of other people's lines, and what must stay readable."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.domain.redaction import redact, redact_line

KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
HOSTILE = [
    ("login failed, password=hunter2", "hunter2"),
    ('{"password": "hunter2 with spaces", "n": 1}', "hunter2"),
    ('{"password": "with \\" a quote hunter2", "n": 1}', "hunter2"),
    ("pwd='hunter2 in quotes'", "hunter2"),
    ('password: "hunter2 never closed', "hunter2"),
    ("DB_PASSWORD=hunter2 SPRING_DATASOURCE_PASSWORD=hunter2", "hunter2"),
    ("spring.datasource.password = hunter2", "hunter2"),
    ("params => {:password=>hunter2}", "hunter2"),
    ('{"access_token":"hunter2.x","refresh_token":"hunter2"}', "hunter2"),
    ("client_secret=hunter2&grant=x", "hunter2"),
    ("GET /login?token=hunter2&next=/", "hunter2"),
    ("X-Api-Key: hunter2hunter2", "hunter2"),
    ("passphrase: hunter2", "hunter2"),
    ("Authorization: Bearer abcdef1234567890", "abcdef1234567890"),
    ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("Cookie: session=hunter2; other=hunter2", "hunter2"),
    ("Set-Cookie: sid=hunter2; Path=/", "hunter2"),
    ("key AKIAIOSFODNN7EXAMPLE is not known", "AKIAIOSFODNN7EXAMPLE"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJzdWIiOiIxMjM0In0"),
    ("unsigned eyJhbGciOiJub25lIn0X.eyJzdWIiOiIxMjM0In0", "eyJzdWIiOiIxMjM0In0"),
    ("postgresql://ann:hunter2@db:5432/shop refused", "hunter2"),
    ("postgresql://ann:p@hunter2@db:5432/shop refused", "hunter2"),
    ("redis://:hunter2@cache:6379/0", "hunter2"),
    ("mongodb+srv://u:hunter2%40x@h/x?retry=1", "hunter2"),
    ("Server=db;User Id=sa;Password=hunter2;Encrypt=true", "hunter2"),
    ("DefaultEndpointsProtocol=https;AccountName=x;AccountKey=hunter2==;", "hunter2"),
    (f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY-----", KEY[:20]),
    (f"-----BEGIN PRIVATE KEY-----\\n{KEY}", KEY[:20]),
    (f"  {KEY}", KEY[:20]),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abc"),
    ("glpat-abcdefghij1234567890", "abcdefghij"),
    ("xoxb-123456789012-abc", "123456789012"),
    ("https://hooks.slack.com/services/T000/B000/hunter2", "hunter2"),
    ("sk_live_abcdefgh12345678", "abcdefgh"),
    ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "1234567890"),
]


@pytest.mark.parametrize(("line", "secret"), HOSTILE, ids=[line[:40] for line, _ in HOSTILE])
def test_no_credential_is_left(line: str, secret: str) -> None:
    assert secret not in redact_line(line)
    assert secret not in redact_line(f"2026-01-01T00:00:00Z ERROR [main] {line} and more")
    # Once is enough: what was redacted is not eaten further.
    assert redact_line(redact_line(line)) == redact_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "order 17 of ann failed: no route to stock-7d9c5b8f6d-x2x4z", "GET http://shop.example:8080/orders/17?page=2 took 0.3 s", "at com.shop.Orders.place(Orders.java:37)",
        "digest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "6f3cbf05-8c27-6554-8a39-ad724905d6a1", "the password was wrong", "token expired",
        "mail to ann@example.org and to bob@example.org", "",
    ],
)  # fmt: skip
def test_what_is_no_credential_stays(line: str) -> None:
    assert redact_line(line) == line


def test_what_stands_around_stays() -> None:
    assert redact_line('{"password": "x", "user": "ann"}') == '{"password": "[redacted]", "user": "ann"}'
    assert redact_line("postgresql://ann:x@db/shop refused") == "postgresql://[redacted]@db/shop refused"
    assert redact("password=x") == "password=x"  # by name only in lines of others


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=300))
def test_any_text_is_taken_and_twice_is_as_once(text: str) -> None:
    once = redact_line(text)
    assert redact_line(once) == once


@pytest.mark.parametrize("text", ["a" * 50_000, "://" * 20_000, "password" * 6_000, "-----BEGIN PRIVATE KEY-----" * 2_000, "A1a" * 20_000, '"' * 50_000, "token='\\" * 6_000, "eyJ" * 15_000])
def test_long_hostile_texts_are_answered(text: str) -> None:
    assert isinstance(redact_line(text), str)

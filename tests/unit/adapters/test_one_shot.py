"""One exchange against servers that misbehave: what was surely not sent, what is unknown, what was answered."""

from __future__ import annotations

import base64
import json
import socket

import pytest

from aiops.adapters.alertmanager_silences import AlertmanagerSilences
from aiops.adapters.clock import SystemClock
from aiops.adapters.one_shot import Credentials, OneShot
from aiops.domain.errors import OutsideRefusedError, OutsideUnavailableError, OutsideUnsentError
from aiops.ports.alerts import AlertSilence, Matcher
from tests.unit.adapters.raw_server import RawServer, drips, says, serving, silent

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def ask(server: RawServer, credentials: Credentials | None = None, *, timeout: float = 5.0, tls: bool = False, maximum: int = 1000):
    shot = OneShot(SystemClock(), credentials or Credentials())
    port = int(server.url.rpartition(":")[2])
    return shot.exchange(
        "POST", tls=tls, host="127.0.0.1", port=port, target="/x", headers={"X-Team": "shop"}, body=b"body", timeout=timeout, maximum=maximum,
    )


def test_it_is_sent_once_with_what_was_asked():
    with serving(says(OK)) as server:
        answer = ask(server)
        assert (answer.status, answer.body, answer.truncated) == (200, b"ok", False)
    (request,) = server.requests
    head, body = request.split(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.1\r\n")
    assert b"X-Team: shop" in head
    assert b"Connection: close" in head
    assert body == b"body"


@pytest.mark.parametrize("talk", [says(), says(b"nonsense\r\n\r\n"), says(b"HTTP/1.1 2"), silent, drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")])
def test_without_a_status_it_is_unknown_and_not_repeated(talk):
    with serving(talk) as server, pytest.raises(OutsideUnavailableError):
        ask(server, timeout=2)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("talk", "body"),
    [
        (says(b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\npart"), b"part"),
        (says(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"), b"part"),
        (drips(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n", b"p"), None),
        (says(b"HTTP/1.1 201 Created\r\n\r\n" + b"x" * 2000), b"x" * 1000),
    ],
)
def test_with_a_status_it_happened_whatever_becomes_of_the_body(talk, body):
    with serving(talk) as server:
        answer = ask(server, timeout=30 if body is not None else 3)
    assert (answer.status, answer.truncated) == (201, True)
    assert body is None or answer.body == body


def test_a_body_without_an_announced_length_is_whole_at_its_end():
    with serving(says(b"HTTP/1.1 200 OK\r\n\r\nall of it")) as server:
        answer = ask(server)
    assert (answer.body, answer.truncated) == (b"all of it", False)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    shot = OneShot(SystemClock(), Credentials())
    with pytest.raises(OutsideUnsentError, match="Unreachable"):
        shot.exchange("GET", tls=False, host="127.0.0.1", port=port, target="/", headers={}, body=b"", timeout=2)


def test_a_server_that_speaks_no_tls_got_nothing():
    with serving(says(OK)) as server, pytest.raises(OutsideUnsentError, match="TlsFailed"):
        ask(server, tls=True, timeout=1)


def test_every_address_is_judged_before_the_first_connection_and_the_name_is_looked_up_once():
    asked: list[str] = []

    def resolver(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1", "10.0.0.1"] if len(asked) == 1 else ["127.0.0.1"]

    with serving(says(OK)) as server:
        port = int(server.url.rpartition(":")[2])
        shot = OneShot(SystemClock(), Credentials(), lambda a: "private" if str(a).startswith("10.") else "", resolver=resolver)
        with pytest.raises(OutsideRefusedError, match="AddressRefused"):
            shot.exchange("GET", tls=False, host="a.example", port=port, target="/", headers={}, body=b"", timeout=2)
        assert (asked, server.requests) == (["a.example"], [])
        assert shot.exchange("GET", tls=False, host="a.example", port=port, target="/", headers={}, body=b"", timeout=2).status == 200
        assert asked == ["a.example"] * 2


def test_secrets_are_sent_read_anew_and_never_shown(tmp_path):
    key, token = tmp_path / "key", tmp_path / "token"
    key.write_text("k-secret\n")
    token.write_text("t-secret\n")
    echo = says(b"HTTP/1.1 200 OK\r\n\r\nyou said k-secret and t-secret")
    with serving(echo) as server:
        credentials = Credentials(headers={"X-Team": "ops"}, header_files={"X-Api-Key": str(key)}, bearer_file=str(token))
        answer = ask(server, credentials)
        assert answer.body == b"you said *** and ***"
        assert b"X-Api-Key: k-secret" in server.requests[0]
        assert b"Authorization: Bearer t-secret" in server.requests[0]
        assert server.requests[0].count(b"X-Team") == 1
        assert b"X-Team: ops" in server.requests[0]
        token.unlink()
        with pytest.raises(OutsideUnsentError, match="NoCredential"):
            ask(server, credentials)
        assert len(server.requests) == 1


def test_basic_and_api_key(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    with serving(says(OK)) as server:
        ask(server, Credentials(username="ann", password_file=str(secret)))
        ask(server, Credentials(api_key_file=str(secret)))
    assert b"Authorization: Basic " + base64.b64encode(b"ann:hunter2") in server.requests[0]
    assert b"Authorization: ApiKey hunter2" in server.requests[1]


SILENCE = AlertSilence((Matcher("a", "b"),), 1.0, 2.0, "aiops", "x")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'HTTP/1.1 400 Bad\r\n\r\n"no"', OutsideRefusedError),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", OutsideRefusedError),
        (b"HTTP/1.1 401 No\r\n\r\n", OutsideRefusedError),
        (b"HTTP/1.1 429 Slow\r\n\r\n", OutsideUnsentError),
        (b"HTTP/1.1 500 Oh\r\n\r\n", OutsideUnavailableError),
        (b"HTTP/1.1 503 Oh\r\n\r\n", OutsideUnavailableError),
        (b"HTTP/1.1 200 OK\r\n\r\nnot json", OutsideUnavailableError),
        (b"", OutsideUnavailableError),
    ],
)
def test_what_alertmanagers_answers_mean(answer, error):
    with serving(says(answer)) as server:
        silences = AlertmanagerSilences(server.url + "/am", SystemClock())
        with pytest.raises(error):
            silences.create(SILENCE)
        assert server.requests[0].startswith(b"POST /am/api/v2/silences ")
        with pytest.raises(error):
            silences.list()


def test_a_list_that_is_not_whole_is_no_list():
    one = {"id": "i", "status": {"state": "active"}, "matchers": [], "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2026-01-01T01:00:00.000Z", "createdBy": "x", "comment": "y"}
    body = json.dumps([one]).encode()
    with serving(says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1) + body)) as server, pytest.raises(OutsideUnavailableError, match="Truncated"):
        AlertmanagerSilences(server.url, SystemClock()).list()
    with serving(says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)) as server:
        assert [s.comment for s in AlertmanagerSilences(server.url, SystemClock()).list()] == ["y"]

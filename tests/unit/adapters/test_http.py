"""The HTTP client: codes become reasons, and no server, however odd, holds us longer or feeds us more than was agreed."""

from __future__ import annotations

import gzip
import socket
import zlib
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from aiops.adapters.clock import SystemClock
from aiops.adapters.http import HttpClient, HttpOptions
from aiops.adapters.http_errors import retry_after
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.domain.errors import SourceError, SourceGarbledError, SourceRejectedError, SourceThrottledError, SourceUnavailableError
from tests.unit.adapters.raw_server import RawServer, drips, in_turn, says, serving, silent

URL = "http://metrics.example:9090"
SECRET = "s3cr3t-t0ken"
OK = b"HTTP/1.1 200 OK\r\n"


def client(url: str = URL, **options: Any) -> HttpClient:
    return HttpClient("prom", HttpOptions(url, **options), SystemClock())


def fetch(http: HttpClient, method: str = "POST") -> bytes:
    """What the adapters do: read whole, and any status but 2xx is an error."""
    answer = http.call(method, "api/v1/query", form={"query": "up"} if method == "POST" else None)
    if not 200 <= answer.status < 300:
        raise http.error_for(answer.status, answer.headers, answer.body.decode(errors="replace"))
    return answer.body


@pytest.fixture
def bearer(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.write_text(SECRET + "\n")
    return str(file)


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, SourceRejectedError, "BadQuery"),
        (401, SourceRejectedError, "Unauthorized"),
        (403, SourceRejectedError, "Forbidden"),
        (404, SourceRejectedError, "NotFound"),
        (408, SourceUnavailableError, "Timeout"),
        (418, SourceRejectedError, "BadRequest"),
        (422, SourceRejectedError, "BadQuery"),
        (429, SourceThrottledError, "Throttled"),
        (500, SourceUnavailableError, "ServerError"),
        (502, SourceUnavailableError, "ServerError"),
        (503, SourceUnavailableError, "ServerError"),
        (504, SourceUnavailableError, "Timeout"),
        (599, SourceUnavailableError, "ServerError"),
    ],
)
@responses.activate
def test_codes_become_reasons(status: int, kind: type[SourceError], reason: str) -> None:
    responses.post(f"{URL}/api/v1/query", status=status, body="why\x1b[2J")
    with pytest.raises(SourceError) as refused:
        fetch(client())
    assert (type(refused.value), refused.value.reason) == (kind, reason)
    assert refused.value.detail == f"HTTP {status}: why [2J"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30.0), ("0", 0.0), ("999999", 3600.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 60.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), ("-5", None), ("", None), (None, None)],
)
@responses.activate
def test_throttled_says_how_long(header: str | None, seconds: float | None) -> None:
    clock = VirtualTime(1792567620.0)  # a minute before the date above
    assert retry_after(header, clock) == seconds
    responses.post(f"{URL}/api/v1/query", status=429, headers={} if header is None else {"Retry-After": header})
    with pytest.raises(SourceThrottledError) as refused:
        fetch(HttpClient("prom", HttpOptions(URL), clock))
    assert refused.value.retry_after == seconds


@pytest.mark.parametrize("error", [requests.ConnectTimeout("x"), requests.ReadTimeout("x")])
@responses.activate
def test_time_outs_are_timeouts(error: Exception) -> None:
    responses.post(f"{URL}/api/v1/query", body=error)
    with pytest.raises(SourceUnavailableError, match="Timeout"):
        fetch(client())


@responses.activate
def test_an_answer_that_echoes_the_secret_does_not_spread_it(bearer: str) -> None:
    responses.post(f"{URL}/api/v1/query", status=401, body=f"bad token Bearer {SECRET}")
    with pytest.raises(SourceRejectedError) as refused:
        fetch(client(bearer_file=bearer))
    assert SECRET not in str(refused.value)
    assert "bad token Bearer ***" in str(refused.value)


@responses.activate
def test_the_secret_is_read_again_when_its_file_changes(bearer: str) -> None:
    answer = responses.post(f"{URL}/api/v1/query", body="{}")
    http = client(bearer_file=bearer)
    fetch(http)
    Path(bearer).write_text("another\n")
    fetch(http)
    assert [call.request.headers["Authorization"] for call in answer.calls] == [f"Bearer {SECRET}", "Bearer another"]


@responses.activate
def test_basic_and_api_key(bearer: str) -> None:
    answer = responses.post(f"{URL}/api/v1/query", body="{}")
    fetch(client(username="reader", password_file=bearer))
    fetch(client(api_key_file=bearer))
    assert [call.request.headers["Authorization"] for call in answer.calls] == ["Basic cmVhZGVyOnMzY3IzdC10MGtlbg==", f"ApiKey {SECRET}"]


@responses.activate
def test_the_environments_netrc_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine metrics.example login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    answer = responses.post(f"{URL}/api/v1/query", body="{}")
    fetch(client())
    assert "Authorization" not in answer.calls[0].request.headers


@pytest.mark.parametrize("content", [None, "", "  \n", "two\nlines", "tab\tbed", b"\xff\xfe", "x" * 70_000])
def test_an_unusable_secret_file_is_named_and_not_shown(tmp_path: Path, content: str | bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SourceUnavailableError) as refused:
        fetch(client(bearer_file=str(file)))
    assert refused.value.reason == "NoCredential"
    assert str(file) in refused.value.detail
    assert "lines" not in refused.value.detail.replace("one line", "")


@pytest.mark.parametrize("location", ["http://evil.example/api/v1/query", "https://metrics.example:9090/x", "//evil.example/x", "http://metrics.example:9091/x", "http://u:p@evil.example/", "http://[/"])
@responses.activate
def test_a_redirect_to_another_host_is_not_followed(bearer: str, location: str) -> None:
    responses.post(f"{URL}/api/v1/query", status=307, headers={"Location": location})
    with pytest.raises(SourceRejectedError) as refused:
        fetch(client(bearer_file=bearer))
    assert refused.value.reason == "Redirected"
    assert "u:p" not in str(refused.value)
    assert len(responses.calls) == 1


@responses.activate
def test_a_redirect_on_the_same_host_is_followed_without_losing_the_query() -> None:
    responses.post(f"{URL}/api/v1/query", status=308, headers={"Location": "/prefix/api/v1/query"})
    responses.post(f"{URL}/prefix/api/v1/query", body="{}", match=[responses.matchers.urlencoded_params_matcher({"query": "up"})])
    assert fetch(client()) == b"{}"
    responses.post(f"{URL}/loop", status=301, headers={"Location": "/elsewhere"})
    with pytest.raises(SourceRejectedError, match="would lose the query"):
        client().call("POST", "loop", form={})
    responses.get(f"{URL}/round", status=302, headers={"Location": "/round"})
    with pytest.raises(SourceRejectedError, match="more than 3 times"):
        client().call("GET", "round")


@responses.activate
def test_the_clocks_difference_is_read_off_the_date() -> None:
    responses.post(f"{URL}/api/v1/query", body="{}", headers={"Date": "Wed, 21 Oct 2026 07:28:00 GMT"})
    responses.post(f"{URL}/api/v1/query", body="{}", headers={"Date": "yesterday"})
    http = HttpClient("prom", HttpOptions(URL), VirtualTime(1792567620.0))
    assert http.last_skew is None
    fetch(http)
    assert http.last_skew == 60.5
    fetch(http)
    assert http.last_skew == 60.5


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"url": "metrics:9090"}, "url"),
        ({"url": "ftp://metrics"}, "url"),
        ({"url": "http://user:pass@metrics"}, "url"),
        ({"url": "http://metrics?x=1"}, "url"),
        ({"url": URL, "deadline": 0}, "deadline"),
        ({"url": URL, "max_bytes": -1}, "max_bytes"),
        ({"url": URL, "bearer_file": "a", "api_key_file": "b"}, "one of them"),
        ({"url": URL, "username": "a"}, "both or neither"),
        ({"url": URL, "key_file": "a"}, "cert_file"),
    ],
)
def test_options_that_cannot_work_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        HttpOptions(**options)
    assert "pass" not in str(refused.value).replace("password_file", "")


# Servers that are not what they say. Deadlines are short so that the suite is; nothing here measures time.

DRIPPING = {
    "status line": drips(b"HTTP/1.1 ", b" "),
    "headers": drips(OK, b"X-Drip: 1\r\n", every=0.05),
    "one header": drips(OK + b"X-Drip: ", b"x"),
    "body": drips(OK + b"Content-Length: 1000000\r\n\r\n{", b" "),
    "chunks": drips(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "body until close": drips(OK + b"\r\n{", b" "),
    "interim answers": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "nothing": silent,
}


@pytest.mark.parametrize("talk", DRIPPING.values(), ids=DRIPPING.keys())
def test_a_dripping_server_is_cut_off_at_the_deadline(talk: Any) -> None:
    # Each drop comes well within the read time-out, so only the deadline can end this; the server would drip for 20 s and more.
    with serving(talk) as server, pytest.raises(SourceUnavailableError) as refused:
        fetch(client(server.url, read_timeout=5.0, deadline=0.4))
    assert refused.value.reason == "Timeout"


def test_silence_is_cut_off_at_the_read_timeout() -> None:
    with serving(silent) as server, pytest.raises(SourceUnavailableError, match="Timeout"):
        fetch(client(server.url, read_timeout=0.2, deadline=60.0))


def test_a_request_that_is_not_taken_in_is_cut_off() -> None:
    # The listener never accepts: the kernel takes the connection and a little data, then no more.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        http = client(f"http://127.0.0.1:{listener.getsockname()[1]}", read_timeout=5.0, deadline=0.4)
        with pytest.raises(SourceUnavailableError, match="Timeout"):
            http.call("POST", "x", body=b"x" * 50_000_000)


BODY = b'{"status":"success"}'
CUT = {
    "shorter than its length": says(OK + b"Content-Length: 100\r\n\r\n" + BODY),
    "chunks without an end": says(OK + b"Transfer-Encoding: chunked\r\n\r\n14\r\n" + BODY + b"\r\n"),
    "within a chunk": says(OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + BODY),
    "chunk of no size": says(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY),
    "within gzip, with a wrong length": says(OK + b"Content-Encoding: gzip\r\nContent-Length: 500\r\n\r\n" + gzip.compress(BODY)[:10]),
}


@pytest.mark.parametrize("talk", CUT.values(), ids=CUT.keys())
def test_a_body_that_is_cut_is_truncated(talk: Any) -> None:
    with serving(talk) as server, pytest.raises(SourceGarbledError) as refused:
        fetch(client(server.url))
    assert refused.value.reason == "Truncated"


def test_a_reset_within_the_body_is_truncated() -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 100\r\n\r\n{")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    with serving(talk) as server, pytest.raises(SourceGarbledError, match="Truncated"):
        fetch(client(server.url))


def test_a_body_longer_than_its_length_is_read_to_its_length() -> None:
    with serving(says(OK + b"Content-Length: 2\r\n\r\n{}garbage that belongs to nobody")) as server:
        assert fetch(client(server.url)) == b"{}"


GARBAGE = {
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "not gzip": says(OK + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + BODY),
    "status of letters": says(b"HTTP/1.1 abc OK\r\n\r\n"),
    "an endless header line": says(OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n"),
}


@pytest.mark.parametrize("talk", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_http_is_garbled(talk: Any) -> None:
    with serving(talk) as server, pytest.raises(SourceGarbledError) as refused:
        fetch(client(server.url))
    assert refused.value.reason == "Garbled"


def bomb() -> bytes:
    """64 MB of zeros as some 64 kB."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(64)), packer.flush()])


HUGE = {
    "as announced": says(OK + b"Content-Length: 5000000000\r\n\r\n"),
    "without announcing": drips(OK + b"\r\n", bytes(100_000), every=0.0),
    "unpacked": says(OK + b"Content-Encoding: gzip\r\n\r\n" + bomb()),
}


@pytest.mark.parametrize("talk", HUGE.values(), ids=HUGE.keys())
def test_an_answer_over_the_bound_is_not_read(talk: Any) -> None:
    with serving(talk) as server, pytest.raises(SourceGarbledError) as refused:
        fetch(client(server.url, max_bytes=3_000_000))
    assert refused.value.reason == "TooLarge"


def test_of_an_errors_page_only_the_beginning_is_read() -> None:
    with serving(drips(b"HTTP/1.1 500 Oops\r\n\r\n", b"<html>" * 10_000, every=0.0)) as server, pytest.raises(SourceUnavailableError, match=r"ServerError: HTTP 500: <html>") as refused:
        fetch(client(server.url))
    assert len(refused.value.detail) <= 500


def test_a_refused_connection(bearer: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(SourceUnavailableError) as refused:
        fetch(client(url, bearer_file=bearer))
    assert refused.value.reason == "Refused"
    assert refused.value.detail == f"{url}: ConnectionRefusedError: Connection refused"


def test_a_connection_closed_without_an_answer_is_tried_once_more() -> None:
    with serving(in_turn(says(), says(OK + b"Content-Length: 2\r\n\r\n{}"))) as server:
        assert fetch(client(server.url)) == b"{}"
        assert len(server.requests) == 2
    with serving(says()) as server:
        with pytest.raises(SourceUnavailableError, match="Refused"):
            fetch(client(server.url))
        assert len(server.requests) == 2


def test_after_a_cut_answer_the_next_one_is_whole() -> None:
    with serving(in_turn(says(OK + b"Content-Length: 100\r\n\r\n{"), says(OK + b"Content-Length: 2\r\n\r\n{}"))) as server:
        http = client(server.url)
        with pytest.raises(SourceGarbledError):
            fetch(http)
        assert fetch(http) == b"{}"


def test_several_threads_have_deadlines_of_their_own() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def talk(server: RawServer, connection: socket.socket) -> None:
        if b"/slow" in server.requests[-1]:
            drips(OK + b"Content-Length: 1000000\r\n\r\n", b" ")(connection)
        connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

    server = RawServer(lambda connection: talk(server, connection))
    try:
        http = client(server.url, deadline=10.0)
        with ThreadPoolExecutor(4) as pool:
            slow = pool.submit(http.call, "GET", "slow", deadline=0.3)
            with pytest.raises(SourceUnavailableError, match="Timeout"):
                slow.result()
            assert [f.result().body for f in [pool.submit(http.call, "GET", "quick") for _ in range(8)]] == [b"{}"] * 8
    finally:
        server.close()

"""The real server on loopback: pages, API, webhook, health, and what each answer carries."""

from __future__ import annotations

import math
import re
import socket
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import requests

from aiops.app.desk import plain
from aiops.domain.errors import AiopsError
from aiops.domain.feedback import Feedback, Pattern
from aiops.domain.incident import Cause
from aiops.domain.signal import Contributors, Part, Severity
from aiops.ports.storage import Changes
from aiops.web.routes import MAX_BODY, build_app
from aiops.web.server import WebServer
from tests.unit.web.shapes import NOW, Kit, serving


@pytest.fixture
def kit() -> Kit:
    return Kit()


@pytest.fixture
def at(kit: Kit):
    with serving(kit) as address:
        yield address


PAGES = ("/", "/review", "/incidents/inc-1", "/incidents/inc-2", "/incidents/inc-3")


@pytest.mark.parametrize("path", PAGES)
def test_pages_escape_every_text_and_name_nothing_foreign(at, path: str):
    answer = requests.get(at(path), timeout=10)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = answer.text
    assert re.findall(r"<script[^>]*>", text) == ['<script src="/static/refresh.js" defer>']
    assert set(re.findall(r"<img[^>]*>", text)) == {'<img src="/static/icon.svg" alt="" width="24" height="24">'}
    assert not re.search(r"""<[a-z]+[^>]*\son[a-z]+=""", re.sub(r'"[^"]*"', '""', text))
    assert not re.search(r"""(?:src|href)=["'](?!/|#)""", text)
    assert "style=" not in text
    assert "\u202e" not in text
    assert "{{7*7}}" in text or path not in ("/incidents/inc-2", "/review", "/")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_an_incident_shows_what_happened_and_why(at):
    text = requests.get(at("/incidents/inc-1"), timeout=10).text
    for word in ("checkout is slow", "CoolingDown", "+  replicas: 4", "NoMatch", "rule-1", "helped", "ThresholdCrossed", "polyline", "intent", "#ops"):
        assert word in text, word


def test_the_review_shows_marks(at):
    text = requests.get(at("/review"), timeout=10).text
    assert "right, by ada" in text
    assert text.count("not marked") == 2


def test_modes_are_told(kit: Kit, at):
    assert "nothing is written to any cluster" in requests.get(at("/"), timeout=10).text
    kit.dry_run, kit.paused = False, True
    text = requests.get(at("/"), timeout=10).text
    assert "nothing is written to any cluster" not in text
    assert "Paused" in text


@pytest.mark.parametrize("path", ["/incidents/none", "/incidents/%3Cscript%3E", "/nothing", "/static/..%2fpages.py", "/static/../pages.py", "/static/none", "/api/v1/incidents/none"])
def test_what_is_not_there_is_404(at, path: str):
    answer = requests.get(at(path), timeout=10)
    assert answer.status_code == 404
    assert "<script>" not in answer.text
    assert "x-content-type-options" in answer.headers


@pytest.mark.parametrize(("name", "kind"), [("style.css", "text/css"), ("refresh.js", "text/javascript"), ("icon.svg", "image/svg+xml")])
def test_static_files_come_with_their_types(at, name: str, kind: str):
    answer = requests.get(at(f"/static/{name}"), timeout=10)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


def test_health_and_metrics(kit: Kit, at):
    assert requests.get(at("/livez"), timeout=10).status_code == 200
    assert requests.get(at("/readyz"), timeout=10).status_code == 200
    assert requests.get(at("/metrics"), timeout=10).content == b"aiops_up 1\n"
    kit.ready = "the store is not writable"
    answer = requests.get(at("/readyz"), timeout=10)
    assert (answer.status_code, answer.text) == (503, "the store is not writable\n")
    assert requests.get(at("/livez"), timeout=10).status_code == 200


def test_a_store_that_cannot_be_read_is_a_503_everywhere(kit: Kit, at):
    kit.store.close()
    for path in ("/", "/review", "/incidents/inc-1", "/api/v1/incidents", "/api/v1/incidents/inc-1", "/api/v1/decisions?incident=inc-1"):
        assert requests.get(at(path), timeout=10).status_code == 503, path
    assert requests.get(at("/livez"), timeout=10).status_code == 200


def test_the_api_gives_the_same_as_json(at):
    assert {row["id"] for row in requests.get(at("/api/v1/incidents?active=true"), timeout=10).json()} == {"inc-1", "inc-2"}
    whole = requests.get(at("/api/v1/incidents/inc-1"), timeout=10).json()
    assert whole["executions"][0]["plan"]["runbook"] == "scale-out"
    assert requests.get(at("/api/v1/executions/run-1"), timeout=10).json()["journal"][0]["kind"] == "intent"
    assert requests.get(at("/api/v1/decisions"), timeout=10).status_code == 400
    assert len(requests.get(at("/api/v1/incidents?limit=1"), timeout=10).json()) == 1
    assert requests.get(at("/api/v1/incidents?limit=-1e9"), timeout=10).status_code == 200


def test_the_webhook_stores_before_it_says_so(kit: Kit, at):
    assert requests.post(at("/api/v1/alerts"), data=b"good", timeout=10).json() == {"accepted": 1}
    assert len(kit.taken) == 1
    answer = requests.post(at("/api/v1/alerts"), data=b"bad", timeout=10)
    assert (answer.status_code, answer.json()) == (400, {"error": "line 1: not a webhook of version 4"})
    kit.fails = True
    assert requests.post(at("/api/v1/alerts"), data=b"good", timeout=10).status_code == 503


def test_the_webhook_asks_for_its_token(kit: Kit, at):
    kit.token = "s3cret"
    for given in (None, "Bearer wrong", "s3cret", "Bearer s3cret\u00e9".encode()):
        assert requests.post(at("/api/v1/alerts"), data=b"good", headers={"authorization": given} if given else {}, timeout=10).status_code == 401
    assert requests.post(at("/api/v1/alerts"), data=b"good", headers={"authorization": "Bearer s3cret"}, timeout=10).status_code == 200


def test_a_body_that_is_too_large_is_refused(kit: Kit, at):
    try:
        code = requests.post(at("/api/v1/alerts"), data=b"x" * (MAX_BODY + 1), timeout=10).status_code
    except requests.ConnectionError:  # it may close before all was sent
        code = 413
    assert code == 413
    assert kit.taken == []


def test_slow_bodies_keep_nobody_else_out(kit: Kit, at, monkeypatch: pytest.MonkeyPatch):
    """Beyond a number of them the next is asked to come again, at once; all else is answered."""
    monkeypatch.setattr("aiops.web.routes.MAX_BODIES", 2)
    port = urlsplit(at("/")).port
    slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(2)]
    try:
        for one in slow:
            one.sendall(b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ngo")
        while requests.post(at("/api/v1/alerts"), data=b"good", timeout=10).status_code != 503:
            """Until both are being read."""
        assert requests.get(at("/livez"), timeout=10).status_code == 200
        for one in slow:
            one.sendall(b"od")
            assert b" 200 " in one.recv(4096).split(b"\r\n")[0]
    finally:
        for one in slow:
            one.close()
    assert requests.post(at("/api/v1/alerts"), data=b"good", timeout=10).status_code == 200


def test_counts_have_the_names_of_routes_and_never_a_path_that_was_asked(kit: Kit, at):
    for path in ("/incidents/inc-1", "/incidents/none", "/api/v1/incidents/inc-2", "/x/y/z", "/static/style.css", "/livez"):
        requests.get(at(path), timeout=10)
    requests.request("BREW", at("/"), timeout=10)
    assert kit.counts == [
        ("GET", "/incidents/{id}", 200), ("GET", "/incidents/{id}", 404), ("GET", "/api/v1/incidents/{id}", 200), ("GET", "unknown", 404),
        ("GET", "/static/{name}", 200), ("GET", "/livez", 200), ("other", "/", 405),
    ]


def test_pages_take_no_writes(at):
    for path in ("/", "/review", "/incidents/inc-1", "/api/v1/incidents"):
        assert requests.post(at(path), data=b"x", timeout=10).status_code == 405


def test_a_request_head_that_never_ends_is_cut_off(at, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aiops.web.server.HEAD_SECONDS", 0.1)
    port = urlsplit(at("/")).port
    for sent in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET / HT"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(sent)
            while connection.recv(4096):
                pass


def test_a_port_that_is_taken_is_one_clear_error(kit: Kit):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AiopsError, match=f"cannot listen on 127.0.0.1:{port}"):
            WebServer(build_app(kit.site()), "127.0.0.1", port).start()
    kit.store.close()


def test_a_token_file_that_cannot_be_read_lets_nobody_in(kit: Kit):
    def unreadable() -> str:
        raise OSError("gone")

    server = WebServer(build_app(replace(kit.site(), webhook_token=unreadable)), "127.0.0.1", 0)
    server.start()
    answer = requests.post(f"http://127.0.0.1:{server.port}/api/v1/alerts", data=b"good", timeout=10)
    server.stop(5.0)
    kit.store.close()
    assert (answer.status_code, kit.taken) == (503, [])


def test_numbers_that_json_does_not_have_are_null(kit: Kit):
    site = replace(kit.site(), plain=lambda _value: {"score": math.inf, "rows": [math.nan, 1.5]})
    server = WebServer(build_app(site), "127.0.0.1", 0)
    server.start()
    answer = requests.get(f"http://127.0.0.1:{server.port}/api/v1/status", timeout=10)
    server.stop(5.0)
    kit.store.close()
    assert answer.json() == {"score": None, "rows": [None, 1.5]}


def test_what_people_called_no_anomaly_is_listed(kit: Kit, at):
    assert requests.get(at("/api/v1/feedback"), timeout=10).json() == []
    kit.store.write(Changes(values={"feedback": [{"id": "fb-1", "why": "the nightly export"}]}))
    assert requests.get(at("/api/v1/feedback"), timeout=10).json()[0]["why"] == "the nightly export"


def test_the_parts_and_what_else_changed_are_shown(kit: Kit, at):
    found = kit.store.incident("inc-1")
    assert found is not None
    claim = next(iter(found.signals.values()))
    who = Contributors("pod", 3, 40, (Part("cart-7<b>", 0.9, 0.1),))
    signals = {**found.signals, claim.key: replace(claim, evidence=replace(claim.evidence, contributors=(who,)))}
    kit.store.write(Changes(incidents=(replace(found, signals=signals, causes=(Cause("disk", "node/n1<b>", "node", 12.0, 1.79e9, 1.0, 9.0, 2.0),)),)))
    text = requests.get(at("/incidents/inc-1"), timeout=10).text
    assert "3 of 40 pods: cart-7&lt;b&gt; 0.9 (before 0.1), …" in text
    assert "node/n1&lt;b&gt;" in text


def test_what_a_person_said_of_an_incident_stands_on_its_page(kit: Kit, at):
    assert "aiops feedback" not in requests.get(at("/incidents/inc-1"), timeout=10).text
    found = kit.store.incident("inc-1")
    assert found is not None
    kit.store.write(Changes(incidents=(replace(found, signals={k: replace(s, detector="fleet") for k, s in found.signals.items()}),)))
    assert "aiops feedback add inc-1" in requests.get(at("/incidents/inc-1"), timeout=10).text
    word = Feedback("fb-1", "rule-1", "s", {}, "", "inc-1", Pattern("Unlike", Severity.WARNING), "ann<b>", NOW, NOW + 9.0, "a load test")
    kit.store.write(Changes(values={"feedback": [plain(word)]}))
    text = requests.get(at("/incidents/inc-1"), timeout=10).text
    assert "no anomaly, says ann&lt;b&gt;" in text
    assert "a load test" in text
    assert "aiops feedback remove fb-1" in text

"""What both forms of the outbound port promise."""

from __future__ import annotations

import json

import pytest

from aiops.adapters.dry_run_outside import DryRunOutbound
from aiops.adapters.outbound_policy import Allowed
from aiops.domain.errors import OutsideRefusedError, OutsideUnavailableError, OutsideUnsentError
from aiops.ports.outbound import OutboundRequest
from tests.contract.outbound.conftest import LOOPBACK, NAME, Outside


def test_a_request_arrives_as_it_was_given_and_the_answer_comes_back(outside: Outside) -> None:
    answer = outside.ask("POST", "/hooks/echo?team=shop", b'{"model": "demand"}', Idempotency_Key="run-1.train.")
    told = json.loads(answer.body)
    assert (answer.status, answer.applied, answer.truncated) == (200, True, False)
    assert (told["method"], told["path"], told["body"]) == ("POST", "/hooks/echo?team=shop", '{"model": "demand"}')
    assert told["headers"]["idempotency-key"] == "run-1.train."
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [204, 404, 429, 500, 503])
def test_any_status_is_an_answer(outside: Outside, status: int) -> None:
    assert outside.ask(path=f"/hooks/{status}").status == status


def test_a_redirect_is_an_answer_and_is_not_followed(outside: Outside) -> None:
    answer = outside.ask(path="/hooks/redirect")
    assert (answer.status, answer.headers["location"]) == (302, "/hooks/echo")
    assert outside.seen() == [("POST", "/hooks/redirect")]


def test_a_large_answer_is_cut(outside: Outside) -> None:
    answer = outside.ask("GET", "/hooks/big", b"")
    assert answer.truncated
    assert answer.body == b"x" * 65536


def test_a_lost_answer_is_unknown_and_nothing_is_sent_again(outside: Outside) -> None:
    with pytest.raises(OutsideUnavailableError):
        outside.ask(path="/hooks/lost")
    assert outside.seen() == [("POST", "/hooks/lost")]


@pytest.mark.parametrize(
    "path", ["/other", "/hooksmore/echo", "/hooks/../other", "/hooks/%2e%2e/other", "/hooks//echo", "/hooks/a%2fb", "/hooks\\echo", "/"],
)
def test_what_is_not_on_the_list_does_not_leave(outside: Outside, path: str) -> None:
    with pytest.raises(OutsideRefusedError):
        outside.ask(path=path)
    assert outside.port.refusal("POST", f"{outside.base}{path}")
    assert outside.seen() == []


@pytest.mark.parametrize("name", ["Authorization", "Host", "Cookie", "Content-Length", "Transfer-Encoding", "a b", "x\r\ny"])
def test_headers_that_are_not_a_requests_to_set(outside: Outside, name: str) -> None:
    request = OutboundRequest("POST", f"{outside.base}/hooks/echo", b"", {name: "x"})
    for port in (outside.port, DryRunOutbound(outside.port)):
        with pytest.raises(OutsideRefusedError, match="HeaderRefused"):
            port.send(request)
    with pytest.raises(OutsideRefusedError, match="HeaderRefused"):
        outside.ask(X_Note="a\r\nX-Other: b")
    assert outside.seen() == []


def test_a_body_that_is_too_large(outside: Outside) -> None:
    with pytest.raises(OutsideRefusedError, match="TooLarge"):
        outside.ask(body=b"x" * 300_000)
    assert outside.seen() == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "::1", "fe80::1", "fd00::1", "0.0.0.0", "::ffff:10.0.0.1"])
def test_a_name_that_leads_to_a_private_address_is_refused_unless_listed(outside: Outside, address: str) -> None:
    port = outside.make((Allowed(f"{outside.base}/hooks"),), {NAME: address})
    with pytest.raises(OutsideRefusedError, match="AddressRefused"):
        port.send(OutboundRequest("POST", f"{outside.base}/hooks/echo"), timeout=5)
    assert outside.seen() == []


def test_a_name_without_an_address_was_not_sent(outside: Outside) -> None:
    port = outside.make((Allowed(f"{outside.base}/hooks", LOOPBACK),), {})
    with pytest.raises(OutsideUnsentError, match="Unresolved"):
        port.send(OutboundRequest("POST", f"{outside.base}/hooks/echo"), timeout=5)


def test_methods_may_be_narrowed(outside: Outside) -> None:
    port = outside.make((Allowed(f"{outside.base}/hooks", LOOPBACK, ("GET",)),), {NAME: "127.0.0.1"})
    assert port.send(OutboundRequest("GET", f"{outside.base}/hooks/echo"), timeout=5).status == 200
    with pytest.raises(OutsideRefusedError, match="NotAllowed"):
        port.send(OutboundRequest("DELETE", f"{outside.base}/hooks/echo"), timeout=5)


def test_dry_run_judges_alike_and_sends_nothing(outside: Outside) -> None:
    dry = DryRunOutbound(outside.port)
    answer = dry.send(OutboundRequest("POST", f"{outside.base}/hooks/echo", b"{}"))
    assert (answer.applied, answer.status) == (False, 0)
    with pytest.raises(OutsideRefusedError, match="NotAllowed"):
        dry.send(OutboundRequest("POST", f"{outside.base}/other"))
    assert outside.seen() == []

"""What may leave, and where to: the allow-list and the addresses, case by case."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.adapters.outbound_policy import METHODS, Allowed, OutboundPolicy, address_refusal
from aiops.domain.errors import OutsideRefusedError


@pytest.mark.parametrize(
    ("prefix", "url", "fits"),
    [
        ("https://a.example/x", "https://a.example/x", True),
        ("https://a.example/x", "https://a.example/x/y?z=1", True),
        ("https://a.example/x/", "https://a.example/x/y", True),
        ("https://a.example/x/", "https://a.example/x", False),
        ("https://a.example/x", "https://a.example/xy", False),
        ("https://a.example", "https://a.example/anything", True),
        ("https://a.example", "https://a.example", True),
        ("https://a.example", "https://A.EXAMPLE/x", True),
        ("https://a.example", "https://a.example:443/x", True),
        ("https://a.example:8443", "https://a.example/x", False),
        ("https://a.example", "http://a.example/x", False),
        ("https://a.example", "https://a.example.evil.example/x", False),
        ("https://a.example", "https://a.example@evil.example/x", False),
        ("https://a.example", "https://evil.example/https://a.example/", False),
        ("https://a.example", "https://a.example\\@evil.example/", False),
        ("https://a.example", "https://a.example:99999/", False),
        ("https://a.example", "https://a.example:/", False),
        ("https://a.example", "https:/a.example/", False),
        ("https://a.example", "//a.example/", False),
        ("https://a.example", "https://a.example/ x", False),
        ("https://a.example", "https://a.example/\u00e9", False),
        ("https://a.example", "https://a.example/#f", False),
        ("https://a.example", "https://[::1/", False),
        ("https://a.example/x", "https://a.example/x/./y", False),
        ("https://a.example/x", "https://a.example/x/%2E%2e/y", False),
        ("https://a.example/x", "https://a.example/x/..", False),
        ("http://10.0.0.1/x", "http://10.0.0.1/x", True),
        ("http://[::1]:8080/x", "http://[::1]:8080/x/y", True),
    ],
)
def test_which_urls_an_entry_takes(prefix, url, fits):
    policy = OutboundPolicy((Allowed(prefix),))
    assert (policy.refusal("POST", url) == "") is fits


def test_the_first_entry_that_takes_url_and_method_decides():
    policy = OutboundPolicy((Allowed("http://a.example/x", methods=("GET",)), Allowed("http://a.example", ("10.0.0.0/8",), ("POST",))))
    assert policy.admit("GET", "http://a.example/x").entry is policy.allow[0]
    assert policy.admit("POST", "http://a.example/x").entry is policy.allow[1]
    for method in ("DELETE", "CONNECT", "get", "TRACE"):
        with pytest.raises(OutsideRefusedError):
            policy.admit(method, "http://a.example/x")


def test_a_refusal_shows_no_query():
    assert "secret" not in OutboundPolicy().refusal("GET", "http://a.example/x?token=secret")


@pytest.mark.parametrize(
    ("address", "networks", "refused"),
    [
        ("93.184.216.34", (), False),
        ("2606:2800:220:1::1", (), False),
        ("10.0.0.1", (), True),
        ("10.0.0.1", ("10.0.0.0/8",), False),
        ("10.0.0.1", ("192.168.0.0/16",), True),
        ("100.64.0.1", (), True),
        ("224.0.0.1", (), True),
        ("255.255.255.255", (), True),
        ("169.254.169.254", ("169.254.0.0/16",), True),
        ("169.254.169.254", ("0.0.0.0/0",), True),
        ("169.254.169.254", ("169.254.169.254/32",), False),
        ("169.254.1.1", ("169.254.0.0/16",), False),
        ("fd00:ec2::254", ("fd00::/8",), True),
        ("::ffff:127.0.0.1", (), True),
        ("::ffff:127.0.0.1", ("127.0.0.0/8",), False),
        ("64:ff9b::a9fe:a9fe", (), True),
        ("2002:7f00:1::", (), True),
        ("::", (), True),
    ],
)
def test_which_addresses_are_connected_to(address, networks, refused):
    listed = tuple(ipaddress.ip_network(n) for n in networks)
    assert bool(address_refusal(ipaddress.ip_address(address), listed)) is refused


def test_an_address_written_in_the_url_itself_is_listed_by_that():
    entry = Allowed("http://127.0.0.1:9093/")
    assert not address_refusal(ipaddress.ip_address("127.0.0.1"), entry.networks)
    assert address_refusal(ipaddress.ip_address("127.0.0.2"), entry.networks)


@given(st.ip_addresses())
def test_no_address_that_is_not_public_passes_unlisted(address):
    if not address_refusal(address, ()):
        assert address.is_global
        assert not address.is_multicast


@given(st.text(max_size=60), st.sampled_from(METHODS))
def test_whatever_is_written_after_the_host_never_leads_elsewhere(tail, method):
    policy = OutboundPolicy((Allowed("https://a.example/x"),))
    try:
        admitted = policy.admit(method, "https://a.example" + tail)
    except OutsideRefusedError:
        return
    assert (admitted.host, admitted.port, admitted.tls) == ("a.example", 443, True)
    assert admitted.target == "/x" or admitted.target[:3] in ("/x/", "/x?")


@pytest.mark.parametrize("bad", ["ftp://a.example/", "https://", "https://a.example/?x", "https://u@a.example/", "https://a.example/a/../b"])
def test_an_entry_that_is_none(bad):
    with pytest.raises(ValueError, match=r"http:|query|credentials|segments"):
        Allowed(bad)

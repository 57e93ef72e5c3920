"""Which requests may leave at all, and to which addresses: pure, so that it can be tested to the last case. Neighbours: `outbound`, `memory_outbound`.

A URL is matched as it will be sent: nothing is normalised away, what could be read in two ways (dot segments, encoded slashes, back-slashes,
credentials) is refused. A name is looked up once and the connection goes to that address, so a second answer of the resolver changes nothing.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import SplitResult

from aiops.domain.errors import OutsideRefusedError
from aiops.domain.url import url_parts, url_port
from aiops.ports.outbound import OutboundRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
MAX_REQUEST_BYTES = 256 * 1024
RESERVED = frozenset((
    "authorization", "proxy-authorization", "cookie", "host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "expect",
    "accept-encoding", "user-agent", "trailer", "keep-alive",
))  # fmt: skip
"""Headers that no request sets: they are credentials (which stand in the settings) or the transport's own."""
METADATA: frozenset[Address] = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")))
"""Where clouds hand out credentials: only an entry that lists the very address reaches it."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One entry: requests whose URL begins with `url`, path segment by path segment. `addresses` are networks allowed besides public ones.

    Raises ValueError when `url` or an address is none.
    """

    url: str
    addresses: tuple[str, ...] = ()
    methods: tuple[str, ...] = METHODS
    parts: SplitResult = field(init=False, compare=False)
    networks: tuple[Network, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Take it apart once."""
        parts = url_parts(self.url)
        if parts.query:
            raise ValueError("url: is a prefix of the path, a query has no place in it")
        networks = [ipaddress.ip_network(a) for a in self.addresses]
        if literal := _literal(parts.hostname or ""):
            networks.append(ipaddress.ip_network(literal))
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "networks", tuple(networks))

    def takes(self, url: SplitResult) -> bool:
        """Same scheme, host and port, and the path is the prefix or lies below it."""
        mine = self.parts
        if (mine.scheme, mine.hostname, url_port(mine)) != (url.scheme, url.hostname, url_port(url)):
            return False
        prefix, path = mine.path, url.path or "/"
        return not prefix or path == prefix or path.startswith(prefix if prefix.endswith("/") else f"{prefix}/")


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may go, taken apart: where to connect, what to ask there."""

    entry: Allowed
    tls: bool
    host: str
    port: int
    target: str


class OutboundPolicy:
    """An allow-list. The first entry that takes a URL and its method decides."""

    def __init__(self, allow: tuple[Allowed, ...] = ()) -> None:
        self.allow = allow

    def admit(self, method: str, url: str) -> Admitted:
        """Raises OutsideRefusedError, with NotAllowed or InvalidUrl."""
        if method not in METHODS:
            raise OutsideRefusedError("NotAllowed", f"method {method!r}: allowed are {', '.join(METHODS)}")
        try:
            parts = url_parts(url)
        except ValueError as error:
            raise OutsideRefusedError("InvalidUrl", str(error)) from error
        entry = next((e for e in self.allow if e.takes(parts) and method in e.methods), None)
        if entry is None:
            known = ", ".join(f"{e.url} ({', '.join(e.methods)})" if e.methods != METHODS else e.url for e in self.allow) or "nothing"
            raise OutsideRefusedError("NotAllowed", f"{method} {place(url)} is not on the list outbound.allow of the settings; allowed: {known}")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Admitted(entry, parts.scheme == "https", parts.hostname or "", url_port(parts), target)

    def refusal(self, method: str, url: str) -> str:
        """Why not, in words; empty if it may go."""
        try:
            self.admit(method, url)
        except OutsideRefusedError as error:
            return error.detail
        return ""


def place(url: str) -> str:
    """The URL without its query, for texts: a query may hold what is nobody's business."""
    return url.split("?", 1)[0][:200]


def address_refusal(address: Address, networks: tuple[Network, ...]) -> str:
    """Why a connection to this address is not made, or empty. Public unicast addresses are fine; all else must be listed."""
    for inner in _embedded(address):
        listed = [n for n in networks if inner.version == n.version and inner in n]
        if inner in METADATA and not any(n.num_addresses == 1 for n in listed):
            return f"{inner} hands out credentials of the cloud; only an entry that lists this very address reaches it"
        if not listed and (not inner.is_global or inner.is_multicast):
            return f"{inner} is no public address; list it under `addresses` of the entry if it is meant"
    return ""


def _embedded(address: Address) -> tuple[Address, ...]:
    """The address, or the IPv4 addresses it stands for: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    found: list[Address] = [address]
    if address.sixtofour:
        found.append(address.sixtofour)
    if address.teredo:
        found += address.teredo
    if address in _NAT64:
        found = [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return tuple(found)


def _literal(host: str) -> Address | None:
    """The address, if the host is one in its usual notation."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def check_request(request: OutboundRequest) -> None:
    """Raises OutsideRefusedError for a body that is too large and for headers that are not a request's to set or could end a line."""
    if len(request.body) > MAX_REQUEST_BYTES:
        raise OutsideRefusedError("TooLarge", f"the body has {len(request.body)} bytes, {MAX_REQUEST_BYTES} are allowed")
    for name, value in request.headers.items():
        if name.lower() in RESERVED:
            raise OutsideRefusedError("HeaderRefused", f"{name} is set by the settings (outbound.allow) or by the transport, not by a runbook")
        if not _token(name) or not value.isascii() or not value.isprintable():
            raise OutsideRefusedError("HeaderRefused", f"{name[:80]!r}: a header is a name of letters, digits and dashes, and printable ASCII")


def _token(name: str) -> bool:
    return bool(name) and name.isascii() and all(c.isalnum() or c in "-_" for c in name)

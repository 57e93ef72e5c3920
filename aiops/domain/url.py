"""URLs that mean one thing only. Neighbours: `settings` and `adapters.outbound_policy` read them with the same eyes."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

MAX_URL = 2048
PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_AMBIGUOUS = re.compile(r"\\|//|/\.{1,2}(?:/|$)|%(?:2e|2f|5c|00)", re.IGNORECASE)


def url_parts(url: str) -> SplitResult:
    """An http or https URL taken apart (RFC 3986), nothing normalised away. Raises ValueError saying what is allowed.

    What two readers might read differently is refused: dot segments, empty segments and their encoded forms, credentials, fragments.
    """
    if len(url) > MAX_URL:
        raise ValueError(f"the URL has {len(url)} characters, {MAX_URL} are allowed")
    if not _VISIBLE.fullmatch(url):
        raise ValueError("a URL is visible ASCII without spaces: encode the rest")
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or not url.startswith(f"{parts.scheme}://"):
        raise ValueError("write http://host[:port]/path or https://…")
    if "@" in parts.netloc or "#" in url:
        raise ValueError("a URL holds neither credentials nor a fragment")
    if "%" in parts.netloc or "\\" in parts.netloc or parts.netloc.endswith(":") or parts.port == 0:
        raise ValueError("the host or the port is malformed")
    if _AMBIGUOUS.search(parts.path):
        raise ValueError("the path must not hold dot segments, empty segments, back-slashes or their encoded forms")
    return parts


def url_port(parts: SplitResult) -> int:
    """As written, or the scheme's own."""
    return parts.port or PORTS[parts.scheme]

"""What looks like a credential is taken out of texts that are shown or kept. Neighbours: `adapters.logs` for our own log, `pipeline.observe` for evidence."""

from __future__ import annotations

import re

_SECRET_TEXT = re.compile(
    r"(?i)(bearer|basic|apikey)\s+[a-z0-9._~+/=-]{8,}"  # headers
    r"|xox[abprs]-[A-Za-z0-9-]{8,}"  # Slack
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"  # JSON web tokens
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",  # user and password in an address
)
_ASSIGNED = re.compile(r"(?i)\b(password|passwd|pwd|secret|token|api[-_]?key)(\"?\s*[=:]\s*\"?)[^\s\"',;&]+")


def redact(text: str) -> str:
    """The text with what looks like a credential replaced."""
    return _SECRET_TEXT.sub("[redacted]", text)


def redact_line(text: str) -> str:
    """The same for lines that others wrote: also what is said to be a password, token or key."""
    return _ASSIGNED.sub(r"\1\2[redacted]", redact(text))

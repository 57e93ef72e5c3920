"""What looks like a credential is taken out of texts that are shown or kept. Neighbours: `adapters.logs` for our own log, `pipeline.observe` for evidence.

By shape (keys and tokens whose form is known, user and password in an address, PEM blocks) and by name (what is said to be a password, token, key or cookie). Better a
word too much than one too few. Every repetition is bounded or begins at a word's edge, so that no text, however hostile, takes more than linear time.
"""

from __future__ import annotations

import re

REDACTED = "[redacted]"
_SECRET_TEXT = re.compile(
    r"(?i:\b(?:bearer|basic|apikey)\s{1,8}[a-z0-9._~+/=-]{8,})"  # headers
    r"|\bxox[abeprs]-[A-Za-z0-9-]{8,}|hooks\.slack\.com/services/[\w/-]+"  # Slack
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?"  # JSON web tokens
    r"|\b(?:AKIA|ASIA|AIDA|AROA|ANPA|AGPA)[A-Z0-9]{12,}"  # AWS
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{10,}"  # GitHub, GitLab
    r"|\b[rs]k_(?:live|test)_\w{8,}|\bAIza[\w-]{30,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bnpm_[A-Za-z0-9]{30,}"  # Stripe, Google, SendGrid, npm
    r"|(?<=://)[^/\s@]{0,256}:[^/\s]{1,256}(?=@)"  # user and password in an address
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?s:.)*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
    # A line of a PEM block that was split into records: long, and of all of base64's alphabet.
    r"|(?<![A-Za-z0-9+/])(?=[^\sA-Z]{0,99}[A-Z])(?=[^\sa-z]{0,99}[a-z])(?=[^\s0-9]{0,99}[0-9])[A-Za-z0-9+/]{60,}={0,2}"
)
_NAMED = re.compile(
    r"(?i)(?<![\w.-])([\w.-]{0,64}(?:password|passwd|pwd|passphrase|secret|token|credential|(?:api|access|account|private|encryption|signing)[-_]?key)[\w.-]{0,64}"
    r"[\"']?\s{0,8}(?:=>|[=:])\s{0,8})(\"(?:[^\"\\]|\\.)*(?:\"|$)|'(?:[^'\\]|\\.)*(?:'|$)|[^\s\"',;&]+)"
)
_COOKIE = re.compile(r"(?i)(?<![\w-])((?:set-)?cookie[\"']?\s{0,8}[:=]\s{0,8})[^\r\n]+")


def redact(text: str) -> str:
    """The text with what looks like a credential replaced."""
    return _SECRET_TEXT.sub(REDACTED, text)


def redact_line(text: str) -> str:
    """The same for lines that others wrote: also what is said to be a password, token, key or cookie."""
    return _NAMED.sub(_without, _COOKIE.sub(rf"\1{REDACTED}", redact(text)))


def _without(match: re.Match[str]) -> str:
    """The name stays, and the quotes."""
    name, value = match.group(1), match.group(2)
    quote = value[0] if value[0] in "\"'" else ""
    return f"{name}{quote}{REDACTED}{quote}"

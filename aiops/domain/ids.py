"""Identities that are the same whenever the same thing happens again, so replay and restart agree on names.

Neighbours: everything that is stored is named here. No randomness: an id is a hash of what makes the thing itself.
"""

from __future__ import annotations

import hashlib


def make_id(prefix: str, *parts: object) -> str:
    """`prefix-` and 12 hex digits of the parts (length-prefixed, so ("a","bc") and ("ab","c") differ)."""
    digest = hashlib.blake2b(digest_size=6)
    for part in parts:
        raw = (part if isinstance(part, str) else repr(part)).encode(errors="surrogatepass")
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return f"{prefix}-{digest.hexdigest()}"


def fraction(*parts: object) -> float:
    """A number from 0 to below 1, spread evenly over different parts and the same for the same: chance that a replay repeats."""
    return int(make_id("", *parts)[1:], 16) / 16**12


def operation_key(execution_id: str, step: str, attempt: int) -> str:
    """The idempotency key of one try of one step; it is what we stamp on objects."""
    return f"{execution_id}.{step}.{attempt}"

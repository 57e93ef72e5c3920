"""Durations as people write them: `30s`, `5m`, `1h30m`, `500ms`, `7d`.

Neighbours: `definitions` and the settings read them, messages print them. One notation everywhere, in and out.
"""

from __future__ import annotations

import re

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
ALLOWED = "write a number and a unit of ms, s, m, h, d or w, largest first, for example 30s, 5m or 1h30m"
LONGEST = 366 * UNITS["d"]

_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d|w)")
_RANK = {unit: place for place, unit in enumerate(UNITS)}


def parse_duration(text: str) -> float:
    """Seconds. `0` needs no unit. Raises ValueError saying what is allowed; at most 366 days."""
    if text == "0":
        return 0.0
    total, position, last = 0.0, 0, len(UNITS)
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or _RANK[part[2]] >= last:
            raise ValueError(f"{text[:40]!r} is no duration: {ALLOWED}")
        total += float(part[1]) * UNITS[part[2]]
        position, last = part.end(), _RANK[part[2]]
    if not text or total > LONGEST:
        raise ValueError(f"{text[:40]!r} is no duration up to 366d: {ALLOWED}")
    return total


def format_duration(seconds: float) -> str:
    """The shortest such text that says the same to the millisecond: 90 → `1m30s`, 0 → `0s`. Negative ones carry a sign."""
    sign, rest = ("-" if seconds < 0 else ""), round(abs(seconds) * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(UNITS[unit] * 1000)
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + ("".join(parts) or "0s")

"""Time zones by name."""

from __future__ import annotations

from zoneinfo import ZoneInfo


def zone_of(name: str) -> ZoneInfo:
    """The time zone. Raises ValueError saying what is allowed."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"no time zone {name!r}: write a name of the IANA list, for example UTC or Europe/Berlin") from error

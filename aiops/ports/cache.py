"""Caches that a runbook may flush. Neighbours: `adapters.redis_cache`, `adapters.memory_cache`, `adapters.dry_run`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FlushResult:
    """How many keys matched and how many were removed (0 in dry-run); `finished` is False if a bound was met first."""

    matched: int
    removed: int
    finished: bool
    applied: bool
    sample: tuple[str, ...] = ()


class Cache(Protocol):
    """One named cache."""

    @property
    def name(self) -> str:
        """As runbooks name it."""
        ...

    def flush(self, pattern: str, *, batch: int = 500, limit: int = 1_000_000, everything: bool = False, seconds: float = 10.0) -> FlushResult:
        """Remove keys that match a glob, by SCAN and UNLINK in batches; never blocks the server.

        It ends, not finished, at `limit` keys or when `seconds` are over. A pattern for all keys needs `everything`, else ValueError.
        Raises CacheUnavailableError with how far it came.
        """
        ...

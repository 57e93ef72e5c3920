"""A cache in memory, for replay, demos and tests; passes the suite that the Redis one passes. Neighbours: `ports.cache`, `redis_cache`."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from aiops.adapters.cache_patterns import SAMPLE, checked, matcher
from aiops.domain.errors import CacheUnavailableError
from aiops.ports.cache import FlushResult


class MemoryCache:
    """Keys without values: a flush is all that anyone does with them here. `broken` makes it refuse, like a server that is down."""

    def __init__(self, name: str, keys: Iterable[str] = ()) -> None:
        self._name = name
        self._keys = dict.fromkeys(keys)
        self._lock = threading.Lock()
        self.broken = False

    @property
    def name(self) -> str:
        """As runbooks name it."""
        return self._name

    @property
    def keys(self) -> tuple[str, ...]:
        """What is in it."""
        return tuple(self._keys)

    def add(self, *keys: str) -> None:
        """Put keys in."""
        with self._lock:
            self._keys |= dict.fromkeys(keys)

    def flush(self, pattern: str, *, batch: int = 500, limit: int = 1_000_000, everything: bool = False, seconds: float = 10.0) -> FlushResult:
        """See the port."""
        del seconds  # nothing takes time here
        return self._run(pattern, batch, limit, remove=True, everything=everything)

    def count(self, pattern: str, *, batch: int = 500, limit: int = 1_000_000, everything: bool = False, seconds: float = 10.0) -> FlushResult:
        """Like `flush`, but nothing is removed."""
        del seconds
        return self._run(pattern, batch, limit, remove=False, everything=everything)

    def _run(self, pattern: str, batch: int, limit: int, *, remove: bool, everything: bool) -> FlushResult:
        checked(pattern, batch, limit, everything=everything)
        if self.broken:
            raise CacheUnavailableError(f"{self._name}: connection refused", 0)
        takes = matcher(pattern)
        with self._lock:
            found = [k for k in self._keys if takes(k)]
            taken = found[:limit]
            if remove:
                for key in taken:
                    del self._keys[key]
        return FlushResult(len(taken), len(taken) if remove else 0, len(taken) == len(found), remove, tuple(taken[:SAMPLE]))

"""The contents of the services' caches, as the world sees, fills and loses them. Whoever else takes keys away is noticed.

Neighbours: `live` gives it Redis, `virtual` memory; `simulation` asks for contents and says what to fill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.testbed.world.service_model import CacheContent
from tests.testbed.world.services import CacheUse, Service
from tests.testbed.world.simulation import CacheKey
from tests.testbed.world.writes import Write


class KeyStore(Protocol):
    """One cache server, as far as the world uses it. Raises OSError when it does not answer."""

    def count(self, keys: Sequence[str]) -> int:
        """How many of these are there."""
        ...

    def add(self, keys: Sequence[str]) -> None:
        """Put them in."""
        ...

    def remove(self, keys: Sequence[str]) -> None:
        """Take them out."""
        ...


@dataclass(slots=True)
class _Use:
    service: Service
    cache: CacheUse
    fresh: list[str]
    stale: list[str]
    expected: int = 0


class CacheWatch:
    """All caches of all services; `stores` by the caches' names. `flushes` are removals by others, as writes."""

    def __init__(self, services: Sequence[Service], stores: Mapping[str, KeyStore]) -> None:
        self._stores = stores
        self._uses: dict[CacheKey, _Use] = {
            (service.namespace, service.name, cache.name): _Use(service, cache, cache.fresh_keys(), cache.stale_keys(cache.entries))
            for service in services
            for cache in service.caches
            if cache.name in stores
        }
        self.flushes: list[Write] = []

    def warm(self) -> None:
        """Fill every cache."""
        for use in self._uses.values():
            self._stores[use.cache.name].add(use.fresh)

    def contents(self, now: float) -> dict[CacheKey, CacheContent]:
        """What is in there now; a cache that does not answer is left out."""
        found: dict[CacheKey, CacheContent] = {}
        for key, use in self._uses.items():
            store = self._stores[use.cache.name]
            try:
                fresh, stale = store.count(use.fresh), store.count(use.stale)
            except OSError:
                continue
            # Only a flush takes keys away: what the world itself drops lowers what is expected.
            if fresh + stale < use.expected:
                name, place = use.cache.name, use.service.namespace
                self.flushes.append(Write(now, "", "flush", "caches", "", place, name, (), 200, dry_run=False))
            use.expected = fresh + stale
            found[key] = CacheContent(fresh, stale)
        return found

    def fill(self, cache: CacheUse, keys: Sequence[str]) -> None:
        """Put keys in."""
        if cache.name in self._stores and keys:
            self._stores[cache.name].add(keys)

    def drop(self, cache: CacheUse, keys: Sequence[str]) -> None:
        """Take keys out, as the world's own doing."""
        if cache.name in self._stores and keys:
            self._stores[cache.name].remove(keys)
            for use in self._uses.values():
                if use.cache.name == cache.name:
                    use.expected = 0

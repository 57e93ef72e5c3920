"""The keys of the services' caches in a real Redis. Neighbours: `cache_watch` asks, `live` makes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class RedisKeys:
    """`cache_watch.KeyStore` over one Redis database. An entry's value says whether it is out of date; nobody reads it but people."""

    def __init__(self, url: str) -> None:
        import redis

        self._errors: type[Exception] = redis.RedisError
        self._client: Any = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)

    def count(self, keys: Sequence[str]) -> int:
        return int(self._ask("exists", *keys)) if keys else 0

    def add(self, keys: Sequence[str]) -> None:
        self._ask("mset", {key: "stale" if ":old:" in key else "fresh" for key in keys})

    def remove(self, keys: Sequence[str]) -> None:
        self._ask("unlink", *keys)

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self._client, name)(*arguments)
        except self._errors as error:
            raise OSError(f"Redis: {error}") from error

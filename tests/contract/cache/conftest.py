"""`fill`: a function that puts keys into a fresh cache and gives the cache, in memory and on a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from aiops.adapters.memory_cache import MemoryCache
from aiops.adapters.redis_cache import RedisCache

Fill = Callable[..., MemoryCache | RedisCache]


@pytest.fixture(params=["memory", "redis"])
def fill(request: pytest.FixtureRequest) -> Iterator[Fill]:
    if request.param == "memory":
        yield lambda *keys: MemoryCache("catalog", keys)
        return
    server = request.getfixturevalue("redis")
    made: list[RedisCache] = []

    def fill_redis(*keys: str) -> RedisCache:
        server.command("FLUSHDB")
        for start in range(0, len(keys), 200):
            server.command("MSET", *[word for key in keys[start : start + 200] for word in (key, "x")])
        made.append(RedisCache("catalog", server.url))
        return made[-1]

    yield fill_redis
    for cache in made:
        cache.close()
    server.command("FLUSHDB")

"""Flushing a real Redis: SCAN and UNLINK in batches, bounded, never KEYS and never FLUSHALL. Neighbours: `ports.cache`, `memory_cache`.

SCAN may show a key twice and needs no snapshot: https://redis.io/docs/latest/commands/scan/. What is added meanwhile may stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiops.adapters.cache_patterns import SAMPLE, checked
from aiops.adapters.clock import SystemClock
from aiops.domain.errors import CacheUnavailableError
from aiops.ports.cache import FlushResult
from aiops.ports.clock import Clock

if TYPE_CHECKING:
    from redis import Redis


class RedisCache:
    """One Redis database. `timeout` (seconds) bounds each command; commands are never sent twice.

    The account needs the commands SCAN, UNLINK and SELECT. `url` is `redis://host:port/db` or `rediss://…`; a password comes from `password_file`, read at each connect.
    """

    def __init__(self, name: str, url: str, *, timeout: float = 5.0, username: str = "", password_file: Path | None = None, clock: Clock | None = None) -> None:
        self._name = name
        self._url = url
        self._timeout = timeout
        self._username = username
        self._password_file = password_file
        self._clock = clock or SystemClock()
        self._client: Redis | None = None

    @property
    def name(self) -> str:
        """As runbooks name it."""
        return self._name

    def flush(self, pattern: str, *, batch: int = 500, limit: int = 1_000_000, everything: bool = False, seconds: float = 10.0) -> FlushResult:
        """See the port."""
        return self._run(pattern, batch, limit, seconds, remove=True, everything=everything)

    def count(self, pattern: str, *, batch: int = 500, limit: int = 1_000_000, everything: bool = False, seconds: float = 10.0) -> FlushResult:
        """Like `flush`, but nothing is removed."""
        return self._run(pattern, batch, limit, seconds, remove=False, everything=everything)

    def close(self) -> None:
        """Drop connections."""
        if self._client is not None:
            self._client.close()

    def _run(self, pattern: str, batch: int, limit: int, seconds: float, *, remove: bool, everything: bool) -> FlushResult:
        checked(pattern, batch, limit, everything=everything)
        ends = self._clock.monotonic() + seconds
        from redis.exceptions import RedisError  # deferred: see _connected

        # Counting remembers what it saw, since SCAN may repeat keys; removing need not: a removed key does not come again.
        matched = removed = 0
        seen: set[bytes] = set()
        sample: list[str] = []
        finished = True
        try:
            client = self._connected()
            for page in self._pages(client, pattern, batch):
                fresh = list(dict.fromkeys(k for k in page if k not in seen))
                if matched + len(fresh) > limit:
                    finished = False
                    fresh = fresh[: limit - matched]
                if not remove:
                    seen.update(fresh)
                elif fresh:
                    removed += client.unlink(*fresh)
                matched += len(fresh)
                sample += [k.decode(errors="replace") for k in fresh[: SAMPLE - len(sample)]]
                if not finished:
                    break
                if self._clock.monotonic() >= ends:
                    finished = False
                    break
        except (RedisError, OSError, ValueError, TypeError) as error:
            # The last two are what the client makes of answers that are not Redis' own.
            raise CacheUnavailableError(f"{self._name} at {self._place()}: {type(error).__name__}: {error}", removed) from error
        return FlushResult(matched, removed, finished, remove, tuple(sample))

    def _pages(self, client: Redis, pattern: str, batch: int) -> Iterator[list[bytes]]:
        """What each SCAN found, cut to at most `batch` keys, so that one UNLINK is never large."""
        cursor = 0
        while True:
            cursor, found = client.scan(cursor, match=pattern, count=batch)
            keys = [k for k in found if isinstance(k, bytes)]
            for start in range(0, max(len(keys), 1), batch):  # an empty page too: time is looked at after each
                yield keys[start : start + batch]
            if cursor == 0:
                return

    def _connected(self) -> Redis:
        if self._client is None:
            # redis-py costs a fifth of a second to import, and most commands flush nothing.
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            self._client = Redis.from_url(
                self._url,
                username=self._username or None,
                password=self._password_file.read_text(encoding="utf-8").strip() if self._password_file else None,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                retry=Retry(NoBackoff(), 0),
                # Old servers and proxies know no HELLO, and an account that may only SCAN and UNLINK no CLIENT SETNAME.
                protocol=2,
            )
        return self._client

    def _place(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.hostname}:{parts.port or 6379}{parts.path}"

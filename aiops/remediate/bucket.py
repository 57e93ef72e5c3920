"""A token bucket that is worked out from the times at which tokens were spent, so that it needs no memory of its own and survives restarts.

It holds at most `burst` tokens and one more comes each `every` seconds. If each spending was allowed by `tokens` with the history of the `window` seconds
before it, then any span of W ≤ window seconds holds at most burst + W / every spendings: at its beginning the bucket held at most `burst`.
Neighbours: `guards.rates`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """`burst` tokens at most, one more each `every` seconds (0: no limit)."""

    burst: int
    every: float

    @property
    def window(self) -> float:
        """How far back, in seconds, the history has to reach: as long as filling it takes."""
        return self.burst * self.every

    def tokens(self, spent: Iterable[float], now: float) -> float:
        """What is in it at `now`. `spent`: Unix seconds, any order; what is said to lie ahead counts as now, what lies before the window not at all."""
        since = now - self.window
        level, last = float(self.burst), since
        for at in sorted(min(t, now) for t in spent):
            if at <= since:
                continue
            level = min(float(self.burst), level + (at - last) / self.every)
            level, last = max(0.0, level - 1.0), at
        return min(float(self.burst), level + (now - last) / self.every) if self.every else float(self.burst)

    def wait(self, spent: Iterable[float], now: float) -> float:
        """Seconds until a whole token is there; 0 if one is."""
        return max(0.0, (1.0 - self.tokens(spent, now)) * self.every) if self.every else 0.0

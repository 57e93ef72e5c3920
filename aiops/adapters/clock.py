"""The machine's clock: the one place that asks it. Neighbour: `ports.clock`; virtual time is `adapters.schedule_virtual`."""

from __future__ import annotations

import time


class SystemClock:
    """Wall and monotonic time of this machine, in seconds."""

    def now(self) -> float:
        """Unix time."""
        return time.time()  # noqa: TID251 (this is the clock adapter)

    def monotonic(self) -> float:
        """Never goes back."""
        return time.monotonic()

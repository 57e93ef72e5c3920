"""Time is a port: nothing else in the house asks for it.

Neighbours: `adapters.clock` (system), `adapters.schedule_virtual` (virtual).
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Two readings in seconds."""

    def now(self) -> float:
        """Unix time; may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Never goes back; for measuring spans and leases within one process."""
        ...

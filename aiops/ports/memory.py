"""How much memory this process has, of how much. Neighbours: `adapters.memory` measures it, `pipeline.memory` judges; `NoMemory` here is for tests and replay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes that are resident, and bytes that may be."""

    used: float
    limit: float

    @property
    def share(self) -> float:
        """Used of what may be used; 0 where there is no limit."""
        return self.used / self.limit if 0.0 < self.limit < math.inf else 0.0


class Memory(Protocol):
    """Of this process."""

    def usage(self) -> Usage:
        """Now. Cheap."""
        ...

    def trim(self) -> None:
        """Give back to the system what was freed."""
        ...


class NoMemory:
    """Nothing is used, and there is no limit."""

    def usage(self) -> Usage:
        """Always the same."""
        return Usage(0.0, math.inf)

    def trim(self) -> None:
        """Do nothing."""

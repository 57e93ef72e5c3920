"""Resident memory of this process, and what it may have: the limit of its control group (v2 or v1), else what the machine has.

Neighbours: `ports.memory` says what is asked. Linux; elsewhere nothing is known, and no limit holds.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
from pathlib import Path

from aiops.ports.memory import Usage

_GROUPS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
_ABSURD = 2.0**60
"""What version 1 says where there is no limit is a number beyond this."""


class ProcessMemory:
    """`limit`: bytes, instead of what is found; `root` of the file system."""

    def __init__(self, limit: float = 0.0, root: Path = Path("/")) -> None:
        self._root = root
        self._limit = limit or min(self._group(), self._machine())

    def usage(self) -> Usage:
        """Resident pages now; the limit as it was at the start."""
        try:
            pages = int((self._root / "proc/self/statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return Usage(0.0, math.inf)
        return Usage(float(pages * os.sysconf("SC_PAGE_SIZE")), self._limit)

    def trim(self) -> None:
        """Collect what hangs in circles, then ask the allocator to give back what is free (glibc; others do so by themselves)."""
        gc.collect()
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):
            return

    def _group(self) -> float:
        for name in _GROUPS:
            try:
                found = float((self._root / name).read_text())
            except (OSError, ValueError):  # no such version, or the word "max"
                continue
            if 0.0 < found < _ABSURD:
                return found
        return math.inf

    def _machine(self) -> float:
        try:
            lines = (self._root / "proc/meminfo").read_text().splitlines()
            return next(float(line.split()[1]) * 1024.0 for line in lines if line.startswith("MemTotal:"))
        except (OSError, StopIteration, ValueError, IndexError):
            return math.inf


class StatedMemory:
    """What it is told, for tests and trials. `used` may be set, or be reckoned by whoever sets it when `trim` is called."""

    def __init__(self, used: float, limit: float) -> None:
        self.used, self.limit, self.trimmed = used, limit, 0

    def usage(self) -> Usage:
        """As it was set."""
        return Usage(self.used, self.limit)

    def trim(self) -> None:
        """Only counted."""
        self.trimmed += 1

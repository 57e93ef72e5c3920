"""When work happens: periodic jobs, one-off due times, and queues that are serial for each key.

Live it is APScheduler and a thread pool; in virtual time one queue of events in one thread, so the same code runs in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Work = Callable[[], object]


class Schedule(Protocol):
    """Jobs never overlap themselves; an exception in one is logged and counted and ends only that run."""

    def every(self, name: str, seconds: float, work: Work, *, first_after: float = 0.0) -> None:
        """Run `work` each `seconds`, for the first time after `first_after`. A job of the same name is replaced. Missed runs coalesce and are counted."""
        ...

    def cancel(self, name: str) -> None:
        """Forget a periodic job; unknown names are fine."""
        ...

    def soon(self, key: str, work: Work) -> None:
        """Run `work` as soon as possible: in order for equal keys, in parallel across keys."""
        ...

    def start(self) -> None:
        """Begin; before this nothing runs."""
        ...

    def stop(self, grace: float) -> bool:
        """Take nothing new, wait at most `grace` seconds for what runs; True if all ended."""
        ...

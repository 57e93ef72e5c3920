"""Virtual time: one queue of events in one thread, so that replay, demo and tests run the live code without waiting.

Neighbours: `ports.clock` and `ports.schedule`; live it is `adapters.schedule_live`.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True)
class _Event:
    at: float
    order: int
    name: str = field(compare=False)
    work: Callable[[], object] = field(compare=False)
    every: float = field(compare=False, default=0.0)


class VirtualTime:
    """Clock and schedule in one. `run_until` moves time from event to event; an exception in work goes to `on_error`, or out if there is none."""

    def __init__(self, start: float, on_error: Callable[[str, Exception], None] | None = None) -> None:
        self._now = start
        self._start = start
        self._queue: list[_Event] = []
        self._order = itertools.count()
        self._periodic: dict[str, _Event] = {}
        self._on_error = on_error
        self._stopped = False

    def now(self) -> float:
        """Virtual Unix time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the virtual start."""
        return self._now - self._start

    def every(self, name: str, seconds: float, work: Callable[[], object], *, first_after: float = 0.0) -> None:
        """See `ports.schedule.Schedule.every`."""
        self.cancel(name)
        event = _Event(self._now + first_after, next(self._order), name, work, seconds)
        self._periodic[name] = event
        heapq.heappush(self._queue, event)

    def cancel(self, name: str) -> None:
        """See `ports.schedule.Schedule.cancel`. The event stays in the queue and is passed over when its time comes."""
        self._periodic.pop(name, None)

    def soon(self, key: str, work: Callable[[], object]) -> None:
        """In order of asking, at the present virtual time."""
        heapq.heappush(self._queue, _Event(self._now, next(self._order), key, work))

    def at(self, when: float, name: str, work: Callable[[], object]) -> None:
        """Once, at virtual time `when` (not before now): for simulations that drive the world."""
        heapq.heappush(self._queue, _Event(max(when, self._now), next(self._order), name, work))

    def start(self) -> None:
        """Nothing to do: `run_until` drives."""

    def stop(self, grace: float) -> bool:  # noqa: ARG002 (the port's signature)
        """Drop what is queued."""
        self._stopped = True
        self._queue.clear()
        self._periodic.clear()
        return True

    def run_until(self, end: float) -> None:
        """Run every event up to and including `end`, then set the time to `end`."""
        while self._queue and self._queue[0].at <= end and not self._stopped:
            event = heapq.heappop(self._queue)
            if event.every and self._periodic.get(event.name) is not event:
                continue
            self._now = max(self._now, event.at)
            if event.every:
                following = _Event(event.at + event.every, next(self._order), event.name, event.work, event.every)
                self._periodic[event.name] = following
                heapq.heappush(self._queue, following)
            self._run(event)
        self._now = max(self._now, end)

    def _run(self, event: _Event) -> None:
        if self._on_error is None:
            event.work()
            return
        try:
            event.work()
        except Exception as error:  # noqa: BLE001 (task boundary: one job's failure ends that run only)
            self._on_error(event.name, error)

"""What services write into their logs: a line now and then when all is well, more when requests fail. Pure.

Neighbours: `simulation` asks after each tick; `live` and `virtual` store the lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.testbed.world.cluster_state import Pod
from tests.testbed.world.service_model import ServiceModel, Tick

MOST = 20
"""Lines of one kind for one service in one tick: beyond that a service says how many it left out."""
_FAILURES = {
    "500": "request {number} failed: internal error in handler, answered 500",
    "502": "request {number} failed: bad answer from upstream, answered 502",
    "503": "request {number} refused: queue is full, answered 503",
    "504": "request {number} gave no answer in time, answered 504",
}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record: `at` Unix seconds; `level` INFO, WARN or ERROR; `app` the service."""

    at: float
    namespace: str
    pod: str
    app: str
    level: str
    message: str


class Speaker:
    """The log of one service."""

    def __init__(self, model: ServiceModel, seed: int) -> None:
        self._model = model
        self._random = np.random.default_rng([seed, 7])
        self._number = 0

    def lines(self, tick: Tick, now: float, dt: float) -> list[LogLine]:
        """What is written about one tick, spread over its time and the ready pods."""
        pods = [pod for pod in self._model.slots.pods if pod.ready]
        found: list[LogLine] = []
        if not pods:
            return found

        def say(level: str, message: str, count: int) -> None:
            for index in range(min(count, MOST)):
                self._number += 1
                pod = pods[self._number % len(pods)]
                rest = f" ({count - MOST} more like this)" if index == MOST - 1 and count > MOST else ""
                at = now - dt * (1.0 - (index + 1) / (min(count, MOST) + 1))
                found.append(self._line(at, pod, level, message.format(number=self._number) + rest))

        for code, count in tick.failed.items():
            say("ERROR", _FAILURES[code], count)
        for name, count in tick.calls.items():
            say("WARN", f"call of {name} failed, attempt given up", min(count, 3))
        if tick.stale:
            say("WARN", "entry {number} of the cache is older than its source", min(tick.stale, 2))
        if tick.served and self._random.random() < 0.5 * dt:
            say("INFO", f"served {tick.served} requests", 1)
        out_of_memory = "OutOfMemoryError: cannot allocate, working set is at the limit"
        found += [self._line(now, pod, "ERROR", out_of_memory) for pod in tick.over_limit]
        return sorted(found, key=lambda line: line.at)

    def _line(self, at: float, pod: Pod, level: str, message: str) -> LogLine:
        return LogLine(at, pod.namespace, pod.name, self._model.service.name, level, message)

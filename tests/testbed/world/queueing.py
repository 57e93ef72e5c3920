"""The M/M/c queue: how long requests take at a load, from arrival rate, service rate and number of servers. Pure.

Erlang C for the probability of waiting (A. K. Erlang, 1917), waiting and sojourn times of the first-come-first-served M/M/c queue
(L. Kleinrock, Queueing Systems, Volume I, 1975, section 3.5; D. Gross and C. Harris, Fundamentals of Queueing Theory, section 2.3).
The load is split at random over the pods, so each pod is a queue of its own: a random part of a Poisson stream is a Poisson stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds; +Inf follows."""
_BOUNDS = np.array(BOUNDS)
STEADY = 0.95
"""Utilization up to which the steady state describes a second well. Nearer to 1 it is reached only after minutes; what is above the
capacity is kept as a backlog instead, so overload shows as a queue that grows with time."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The steady state of one pod. `waiting` is the probability that a request waits, `wait` the mean wait, `length` the mean number waiting."""

    servers: int
    service_rate: float
    utilization: float
    waiting: float
    wait: float
    length: float

    @property
    def drain(self) -> float:
        """The rate (1/s) of the exponential time that those who wait do wait."""
        return self.servers * self.service_rate * (1.0 - self.utilization)


def erlang_c(servers: int, offered: float) -> float:
    """Probability that an arrival must wait; `offered` is load over service rate (Erlang), below `servers`."""
    # Erlang B by its recursion, which is stable for any number of servers; then B to C.
    blocked = 1.0
    for index in range(1, servers + 1):
        blocked = offered * blocked / (index + offered * blocked)
    rho = offered / servers
    return blocked / (1.0 - rho + rho * blocked)


def steady(arrivals: float, servers: int, service_rate: float) -> Queue:
    """The queue of one pod at `arrivals` requests/s; `utilization` is held at `STEADY` at most."""
    rho = min(arrivals / (servers * service_rate), STEADY)
    waiting = erlang_c(servers, rho * servers)
    wait = waiting / (servers * service_rate * (1.0 - rho))
    return Queue(servers, service_rate, rho, waiting, wait, wait * rho * servers * service_rate)


def shares(queue: Queue, delay: float, timeout: float) -> tuple[np.ndarray, float]:
    """Probability that a request falls between one of `BOUNDS` and the next (the last is beyond all), and that it takes longer than `timeout`.

    `delay` is what a backlog adds to each request, in seconds.
    """
    reached = _within(queue, np.append(_BOUNDS, timeout) - delay)
    late = 1.0 - float(reached[-1])
    reached[-1] = 1.0
    spread = reached.copy()
    spread[1:] -= reached[:-1]
    # The times rise, so do the probabilities; rounding alone could make one of the differences negative.
    return np.maximum(spread, 0.0), max(0.0, late)


def _within(queue: Queue, times: np.ndarray) -> np.ndarray:
    """Probability that waiting and service take at most each of `times`."""
    mu, theta = queue.service_rate, queue.drain
    times = np.maximum(times, 0.0)
    served = np.exp(-mu * times)
    if math.isclose(mu, theta, rel_tol=1e-6):
        late = (1.0 + mu * times) * served
    else:
        late = (theta * served - mu * np.exp(-theta * times)) / (theta - mu)
    return np.clip(1.0 - ((1.0 - queue.waiting) * served + queue.waiting * late), 0.0, 1.0)

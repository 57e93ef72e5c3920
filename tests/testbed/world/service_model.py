"""One simulated service, second by second: what its pods serve, how long that takes, what fails, and what they use.

Each ready pod is an M/M/c queue (see `queueing`) with an even share of the load; load above capacity is kept as a backlog of the pod. A worker is
held while it waits for what it calls. Counts are drawn from Poisson, binomial and multinomial distributions of one generator for each service,
so a seed gives the same world again. Neighbours: `simulation` steps it, `service_metrics` tells what it counted.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tests.testbed.world.active import STUCK, Influence, PodEffect
from tests.testbed.world.cluster_state import Pod
from tests.testbed.world.queueing import BOUNDS, STEADY, shares, steady
from tests.testbed.world.services import CacheUse, Dependency, Service

CODES = ("200", "500", "502", "503", "504")
CALL_CODES = ("200", "503", "504")
RESULTS = ("hit", "miss", "stale")
_BUCKETS = len(BOUNDS) + 1
_NOISE_TIME = 10.0
"""Seconds that the noise of the load remembers."""
_LATE = 10.0
"""Seconds over which `failing` and `latency` are averaged."""
USUAL_DRIFT, _DRIFT = 0.03, 0.2
"""The index of a scheduler's model that does well, and how much it rises for each time over that its placements make requests longer."""
_FULL = 0.999
"""Used share of a volume from which on every request fails: nothing can be written."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a service answers those that call it: mean latency in seconds, share of failures, and how fast the failures are."""

    latency: float
    errors: float
    error_latency: float


@dataclass(frozen=True, slots=True)
class CacheContent:
    """What is in a cache: entries that are there, and stale ones."""

    fresh: int
    stale: int


@dataclass(slots=True)
class Tick:
    """What a step did beyond the counters: for logs, callers and the cache. `failed` counts by code, `calls` the failed ones by dependency."""

    served: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    failed: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)
    stale: int = 0
    waiting: float = 0.0
    over_limit: list[Pod] = field(default_factory=list)


class Slots:
    """The running pods, a row each. A container that was restarted is a new row: its memory and counters begin at nothing."""

    def __init__(self, pods: Sequence[Pod], dependencies: int, before: Slots | None) -> None:
        self.pods = tuple(pods)
        self.ids = tuple((pod.uid, pod.restarts) for pod in pods)
        count = len(self.pods)
        self.ready = np.array([pod.ready and pod.serving for pod in pods], dtype=bool)
        self.limits = np.array([pod.memory_limit for pod in pods])
        self.backlog = np.zeros(count, dtype=np.int64)
        self.leaked, self.memory, self.busy, self.cpu = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count)
        self.codes = np.zeros((count, len(CODES)))
        self.buckets = np.zeros((count, _BUCKETS))
        self.seconds = np.zeros(count)
        self.calls = np.zeros((count, dependencies, len(CALL_CODES)))
        if before is not None:
            self._carry(before)

    def _carry(self, before: Slots) -> None:
        place = {each: index for index, each in enumerate(before.ids)}
        pairs = [(row, place[each]) for row, each in enumerate(self.ids) if each in place]
        if not pairs:
            return
        rows, olds = (list(column) for column in zip(*pairs, strict=True))
        for name in ("backlog", "leaked", "memory", "busy", "cpu", "codes", "buckets", "seconds", "calls"):
            getattr(self, name)[rows] = getattr(before, name)[olds]


class ServiceModel:
    """State and step of one service. `slots` are the pods' counters, `caches` the service's own counters by cache (hit, miss, stale)."""

    def __init__(self, service: Service, seed: int) -> None:
        self.service = service
        mark = zlib.crc32(f"{service.namespace}/{service.name}".encode())
        self._random = np.random.default_rng([seed, mark])
        self._wander = 0.0
        self._pods: tuple[Pod, ...] | None = None
        self.slots = Slots((), len(service.dependencies), None)
        self.caches = {cache.name: np.zeros(3) for cache in service.caches}
        self.queue = 0.0
        self.drift = USUAL_DRIFT
        """Population stability index of the model by which the service's own scheduler places its pods."""
        self.pending = 0
        """Messages of the queue that nobody took yet."""
        self.written, self._cleanable = (service.volume.used * service.volume.size if service.volume else 0.0), 0.0
        """Bytes on the volume."""
        self._cleaned: set[str] = set()
        self._recent = np.zeros(3)
        """Requests, failures and seconds of late, older ones fading."""
        self._mean = service.service_time
        self.answer = Answer(service.service_time, service.errors, service.service_time)
        self.probes = dict.fromkeys(service.zones, 1.0)
        """Whether the last probe of each zone succeeded: 1 or 0."""

    def see(self, pods: tuple[Pod, ...]) -> None:
        """The pods as they are now."""
        if pods is not self._pods:
            self._pods = pods
            self.slots = Slots([pod for pod in pods if pod.running], len(self.service.dependencies), self.slots)

    def step(
        self,
        now: float,
        dt: float,
        demand: float,
        influence: Influence,
        answers: dict[tuple[str, str], Answer],
        contents: dict[str, CacheContent],
    ) -> Tick:
        """One tick of `dt` seconds; `demand` is what other services ask for, in requests/s."""
        slots, tick = self.slots, Tick()
        rows = np.flatnonzero(slots.ready)
        load = self._load(now, dt) * influence.load + demand
        called, wait, failing = self._called(influence, answers)
        stale_errors = self._cache(contents, load * dt if len(rows) else 0.0, tick) + float(self.disk_used >= _FULL)
        slots.busy[:] = 0.0
        in_flight = np.zeros(len(slots.pods))
        if self.service.queue:
            self.pending += int(self._random.poisson(load * dt))
        if len(rows):
            for group, time, own in self._groups(rows, influence.pods, now, wait, stale_errors):
                where = slice(None) if len(group) == len(slots.pods) else group
                serve = self._consume if self.service.queue else self._serve
                in_flight[where] = serve(where, len(group), load / len(rows), time, own, failing, called, dt, tick)
        self.queue = float(slots.backlog.sum()) + self.pending + tick.waiting
        total = sum(tick.failed.values()) + tick.served
        self._remember(tick, total, load * dt, dt)
        self._answer(tick, total, have_pods=bool(len(rows)))
        tick.asked = {d.name: tick.rate * d.calls for d in self.service.dependencies if d.service is not None}
        self._use(in_flight, influence.pods, now, dt, wait, tick)
        self._write(influence, dt)
        if self.service.zones:
            self._probe(influence.pods, now, sum(tick.failed.values()) / total if total else 0.0)
        self.drift = USUAL_DRIFT + _DRIFT * max([e.service_time - 1.0 for e in influence.pods if e.scheduler], default=0.0)
        return tick

    def _load(self, now: float, dt: float) -> float:
        load = self.service.load
        if load.noise:
            keep = math.exp(-dt / _NOISE_TIME)
            self._wander = keep * self._wander + math.sqrt(1.0 - keep * keep) * self._random.standard_normal()
        return max(0.0, load.at(now) * (1.0 + load.noise * self._wander))

    def _called(self, influence: Influence, answers: dict[tuple[str, str], Answer]) -> tuple[list[tuple[Dependency, float, str]], float, float]:
        """For each dependency its share of failing calls and how they fail; the mean time a request waits for all; the share that fails by them."""
        called: list[tuple[Dependency, float, str]] = []
        wait, passing = 0.0, 1.0
        for dependency in self.service.dependencies:
            latency, failing, slow, code = dependency.latency, 0.0, dependency.latency, "503"
            if dependency.service is not None and dependency.service in answers:
                found = answers[dependency.service]
                latency, failing, slow = dependency.latency + found.latency, found.errors, dependency.latency + found.error_latency
            mode, value = influence.dependencies.get(dependency.name, ("", 0.0))
            if mode == "slow":
                latency *= value
            elif mode:
                failing = max(failing, value)
                slow, code = (dependency.timeout, "504") if mode == "timeout" else (min(latency, 0.01), "503")
            # A call that takes longer than the caller waits for fails; times are taken as exponential.
            late = math.exp(-dependency.timeout / latency) if latency > 0 else 0.0
            if late > 0.001:
                failing, code = max(failing, late), "504"
            called.append((dependency, failing, code))
            wait += dependency.calls * ((1.0 - failing) * min(latency, dependency.timeout) + failing * min(slow, dependency.timeout))
            if dependency.required:
                passing *= (1.0 - failing) ** dependency.calls
        return called, wait, 1.0 - passing

    def _groups(self, rows: np.ndarray, effects: list[PodEffect], now: float, wait: float, more: float) -> list[tuple[np.ndarray, float, float]]:
        """The ready pods by what they do: (rows, mean time of a request, share of errors of its own)."""
        time, errors = self.service.service_time, self.service.errors + more
        if not effects:
            return [(rows, time + wait, min(1.0, errors))]
        times = self._per_pod(rows, effects, now, "service_time") * time + wait
        own = np.clip(self._per_pod(rows, effects, now, "errors") + errors, 0.0, 1.0)
        pairs = np.column_stack((times, own))
        return [(rows[(pairs == pair).all(axis=1)], *pair) for pair in sorted(set(map(tuple, pairs.tolist())))]

    def _per_pod(self, rows: np.ndarray, effects: list[PodEffect], now: float, name: str) -> np.ndarray:
        """What effects do to each of the pods: factors multiply, shares and rates add up."""
        neutral = 1.0 if name in ("service_time", "memory") else 0.0
        found = np.full(len(rows), neutral)
        for effect in effects:
            value = getattr(effect, name)
            if value == neutral:
                continue
            hit = np.array([effect.hits(self.slots.pods[row], now) for row in rows], dtype=bool)
            if neutral:
                found[hit] *= value
            else:
                found[hit] += value
        return found

    def _cache(self, contents: dict[str, CacheContent], requests: float, tick: Tick) -> float:
        """Count a request's look into each cache; the share of requests that fail by stale entries."""
        failing = 0.0
        for cache in self.service.caches:
            content = contents.get(cache.name)
            if content is None or requests <= 0:
                continue
            stale, hit = _shares(cache, content)
            looks = self._random.poisson(requests)
            drawn = self._random.multinomial(looks, (hit, max(0.0, 1.0 - hit - stale), stale))
            self.caches[cache.name] += drawn
            tick.misses[cache.name] = int(drawn[1])
            tick.stale += int(drawn[2])
            failing += stale * cache.stale_errors
        return failing

    def _serve(
        self,
        where: slice | np.ndarray,
        count: int,
        load: float,
        time: float,
        own: float,
        failing: float,
        called: list[tuple[Dependency, float, str]],
        dt: float,
        tick: Tick,
    ) -> np.ndarray:
        """What one tick does on `count` pods that do alike; returns the requests in flight on each."""
        service, slots, random = self.service, self.slots, self._random
        capacity = service.workers / time
        rho = load / capacity
        arrived = random.poisson(load * dt, count)
        backlog = slots.backlog[where]
        waiting = int(backlog.sum())
        delay, full = 0.0, None
        if rho < STEADY and not waiting:
            served, left = arrived, backlog
        else:
            there = backlog + arrived
            served = np.minimum(there, random.poisson(capacity * dt, count))
            left = there - served
            full = np.maximum(0, left - service.queue_limit)
            left = left - full
            # Between here and there half of the change has happened; so that is what a request of this tick meets.
            delay = (waiting + int(left.sum())) / (2.0 * count * capacity)
            slots.backlog[where] = left
        queue = steady(load, service.workers, 1.0 / time)
        self._mean = mean = time + queue.wait + delay
        spread, late = shares(queue, delay, service.timeout)
        slots.buckets[where] += random.multinomial(served, spread).cumsum(axis=1)
        slots.seconds[where] += served * min(mean, service.timeout)
        # Busy with what was served; a queue that is not empty at the end kept all workers busy.
        busy = min(1.0, rho)
        slots.busy[where] = busy if full is None else np.where(left > 0, 1.0, busy)
        total = int(served.sum())
        self._outcomes(where, served, full, (own, failing, late), tick)
        if total:
            self._count_calls(where, served, called, tick)
        tick.rate += total / dt
        tick.seconds += total * min(mean, service.timeout)
        tick.waiting += queue.length * count
        flight: np.ndarray = served * (time / dt) + left
        return flight

    def _consume(
        self,
        where: slice | np.ndarray,
        count: int,
        _load: float,
        time: float,
        own: float,
        failing: float,
        called: list[tuple[Dependency, float, str]],
        dt: float,
        tick: Tick,
    ) -> np.ndarray:
        """The same for messages of a queue: each pod takes what it has workers for, the rest waits outside of the pods."""
        slots, random, workers = self.slots, self._random, self.service.workers
        room = random.poisson(workers / time * dt, count)
        served = room if room.sum() <= self.pending else random.multinomial(self.pending, room / room.sum())
        self.pending -= int(served.sum())
        busy = np.minimum(1.0, served * time / (workers * dt))
        slots.busy[where] = 1.0 if self.pending else busy
        queue = steady(float(served.mean()) / dt, workers, 1.0 / time)
        self._mean = time
        spread, _ = shares(replace(queue, waiting=0.0), 0.0, 1e9)
        slots.buckets[where] += random.multinomial(served, spread).cumsum(axis=1)
        slots.seconds[where] += served * time
        self._outcomes(where, served, None, (own, failing, 0.0), tick)
        if served.any():
            self._count_calls(where, served, called, tick)
        tick.rate += int(served.sum()) / dt
        tick.seconds += int(served.sum()) * time
        flight: np.ndarray = busy * workers
        return flight

    def _outcomes(
        self, where: slice | np.ndarray, served: np.ndarray, full: np.ndarray | None, chances: tuple[float, float, float], tick: Tick
    ) -> None:
        """Draw how the served requests ended, in this order: too late, a call failed, an error of its own."""
        own, failing, late = chances
        upstream = (1.0 - late) * failing
        errors = (1.0 - late) * (1.0 - failing) * own
        # In the order of CODES; the queue's refusals are not drawn, they were counted.
        drawn = self._random.multinomial(served, (max(0.0, 1.0 - late - upstream - errors), errors, upstream, 0.0, late))
        if full is not None:
            drawn[:, CODES.index("503")] = full
        self.slots.codes[where] += drawn
        good, *failed = drawn.sum(axis=0).tolist()
        tick.served += good
        for code, count in zip(CODES[1:], failed, strict=True):
            if count:
                tick.failed[code] = tick.failed.get(code, 0) + count

    def _count_calls(self, where: slice | np.ndarray, served: np.ndarray, called: list[tuple[Dependency, float, str]], tick: Tick) -> None:
        """The calls that the served requests made, and how many of them failed."""
        for index, (dependency, share, code) in enumerate(called):
            calls = self._random.poisson(served * dependency.calls) if dependency.calls != 1.0 else served
            counts = self.slots.calls[where, index]
            failed = self._random.binomial(calls, share) if share > 0 else None
            counts[:, 0] += calls
            if failed is not None and failed.any():
                counts[:, 0] -= failed
                counts[:, CALL_CODES.index(code)] += failed
                tick.calls[dependency.name] = tick.calls.get(dependency.name, 0) + int(failed.sum())
            self.slots.calls[where, index] = counts

    def _answer(self, tick: Tick, total: int, *, have_pods: bool) -> None:
        """What callers of the next tick meet."""
        if not have_pods:
            self.answer = Answer(0.001, 1.0, 0.001)
            return
        mean = self._mean
        errors = sum(tick.failed.values()) / total if total else self.service.errors
        full = tick.failed.get("503", 0)
        quick = full / sum(tick.failed.values()) if tick.failed else 0.0
        self.answer = Answer(mean, errors, (1.0 - quick) * mean)

    def _remember(self, tick: Tick, total: int, asked: float, dt: float) -> None:
        """What users met of late; requests that found no ready pod failed."""
        lost = 0.0 if (len(self.slots.pods) and self.slots.ready.any()) or self.service.queue else asked
        failed = sum(tick.failed.values()) + lost
        self._recent = self._recent * math.exp(-dt / _LATE) + np.array([total + lost, failed, tick.seconds])

    @property
    def failing(self) -> float:
        """Share of the requests of the last seconds that failed."""
        return float(self._recent[1] / self._recent[0]) if self._recent[0] > 0 else 0.0

    @property
    def latency(self) -> float:
        """Mean seconds of the requests of the last seconds."""
        return float(self._recent[2] / self._recent[0]) if self._recent[0] > 0 else 0.0

    def queues(self) -> list[float]:
        """What waits at each of its Deployments."""
        if not self.service.zones:
            return [self.queue]
        slots, names = self.slots, [name for _, name in self.service.places]
        counts = [sum(pod.workload == name and bool(ready) for pod, ready in zip(slots.pods, slots.ready, strict=True)) for name in names]
        return [self.queue * count / max(1, sum(counts)) for count in counts]

    def _probe(self, effects: list[PodEffect], now: float, failing: float) -> None:
        """Ask one ready pod of each zone, whether or not traffic goes there: one that hangs gives no answer, what fails others fails the probe too."""
        for (_, name), zone in self.service.places.items():
            pods = self.slots.pods
            rows = np.array([row for row, pod in enumerate(pods) if pod.workload == name and pod.ready], dtype=int)
            good = 0.0
            if len(rows):
                alive = self._per_pod(rows, effects, now, "service_time") < STUCK
                good = float(np.mean(alive * (1.0 - np.clip(self._per_pod(rows, effects, now, "errors"), 0.0, 1.0))))
                good = min(good, 1.0 - failing) if self.slots.ready[rows].any() else good
            self.probes[zone] = float(self._random.random() < good)

    @property
    def disk_used(self) -> float:
        """Used share of the volume."""
        return self.written / self.service.volume.size if self.service.volume else 0.0

    def clean(self, uid: str) -> None:
        """A cleaning Job was complete: what can be cleaned of what came is gone. Each counts once."""
        if uid not in self._cleaned:
            self._cleaned.add(uid)
            self.written -= self._cleanable
            self._cleanable = 0.0

    def _write(self, influence: Influence, dt: float) -> None:
        if self.service.volume is not None and influence.disk:
            came = min(influence.disk * dt, self.service.volume.size - self.written)
            self.written += came
            self._cleanable += came * influence.cleanable

    def _use(self, in_flight: np.ndarray, effects: list[PodEffect], now: float, dt: float, wait: float, tick: Tick) -> None:
        """Memory and processor of each running container, and which is over its limit."""
        slots, memory = self.slots, self.service.memory
        if not len(slots.pods):
            return
        need = np.ones(len(slots.pods))
        if effects:
            every = np.arange(len(slots.pods))
            slots.leaked += self._per_pod(every, effects, now, "leak") * dt
            need = self._per_pod(every, effects, now, "memory")
        shake = 1.0 + 0.005 * self._random.standard_normal(len(slots.pods))
        slots.memory = (memory.base * need + memory.per_request * in_flight) * shake + slots.leaked
        own = self.service.service_time / (self.service.service_time + wait)
        slots.cpu += (0.01 + slots.busy * own * self.service.workers * 0.25) * dt
        over = slots.memory > slots.limits
        if over.any():
            tick.over_limit = [slots.pods[row] for row in np.flatnonzero(over)]
            slots.memory = np.minimum(slots.memory, slots.limits)


def _shares(cache: CacheUse, content: CacheContent) -> tuple[float, float]:
    """Stale and hit shares: stale entries stand before the others; what is not there is a miss."""
    stale = cache.hit_ratio * min(1.0, content.stale / cache.entries)
    return stale, cache.hit_ratio * min(1.0, content.fresh / cache.entries) * (1.0 - stale / cache.hit_ratio if cache.hit_ratio else 0.0)

"""What a simulated service is, read from YAML files (format: docs/world.md). Neighbours: `files` reads, `service_model` computes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tests.testbed.world.files import Fields, WorldFileError, documents

_DAY, _OPENING = 86400.0, 900.0
ZONES = ("zone-a", "zone-b", "zone-c")
"""Those of the testbed's nodes, by turns; in memory too."""
_LABEL = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Load:
    """Offered load from outside: `rate` requests/s, times a daily wave of `amplitude` that peaks at `peak` seconds after midnight, times noise.

    Outside of `hours` (begin and end, seconds after midnight) only the share `closed` of it comes, with a quarter of an hour from the one to the other.
    People live by the clocks of `zone`, so where those are changed the load comes an hour earlier or later.
    """

    rate: float
    amplitude: float = 0.0
    peak: float = 14 * 3600.0
    noise: float = 0.0
    zone: ZoneInfo | None = None
    hours: tuple[float, float] | None = None
    closed: float = 1.0

    def at(self, now: float) -> float:
        """Requests/s at a Unix time, before noise."""
        if not self.amplitude and self.hours is None:
            return self.rate
        clock = self._clock(now)
        rate = self.rate * (1.0 + self.amplitude * math.cos(2.0 * math.pi * (clock - self.peak) / _DAY))
        if self.hours is None:
            return rate
        begin, end = self.hours
        # Whole from a quarter of an hour after the begin on, and going from the end on.
        awake = max(0.0, min(1.0, (clock - begin) / _OPENING, 1.0 - (clock - end) / _OPENING))
        return rate * (self.closed + (1.0 - self.closed) * awake)

    def _clock(self, now: float) -> float:
        """Seconds that the clocks on the wall show since midnight."""
        offset = None if self.zone is None else datetime.fromtimestamp(now, self.zone).utcoffset()
        return (now + (offset.total_seconds() if offset is not None else 0.0)) % _DAY


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: of an idle container, its limit, and for each request in flight."""

    base: float
    limit: float
    per_request: float


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that is called `calls` times a request. `service` is (namespace, name) of a simulated one; None: outside of the world."""

    name: str
    service: tuple[str, str] | None
    calls: float
    latency: float
    timeout: float
    required: bool


@dataclass(frozen=True, slots=True)
class CacheUse:
    """A cache in Redis: `name` as metrics tell it; entries are keys `pattern` with a number for the `*`."""

    name: str
    pattern: str
    entries: int
    hit_ratio: float
    stale_errors: float

    def fresh_keys(self) -> list[str]:
        """The keys of a full cache."""
        return [self.pattern.replace("*", str(index), 1) for index in range(self.entries)]

    def stale_keys(self, count: int) -> list[str]:
        """Keys of out-of-date entries, as a fault writes them: they match the pattern too."""
        return [self.pattern.replace("*", f"old:{index}", 1) for index in range(count)]


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """A HorizontalPodAutoscaler that stands there; on a cluster without a metrics API it never acts."""

    minimum: int
    maximum: int
    utilization: int


@dataclass(frozen=True, slots=True)
class Volume:
    """A claim that the service writes to: bytes in all, the share that is used at first, and the CronJob (never run by itself) that cleans it."""

    claim: str
    size: float
    used: float
    cleanup: str


@dataclass(frozen=True, slots=True)
class Service:
    """One simulated service, a Deployment on the cluster. `queue`: its load are messages of this queue, which nobody refuses or loses."""

    namespace: str
    name: str
    replicas: int
    workers: int
    service_time: float
    load: Load
    memory: Memory
    image: str
    queue_limit: int = 300
    timeout: float = 30.0
    errors: float = 0.001
    cpu_limit: float = 2.0
    startup: float = 2.0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    caches: tuple[CacheUse, ...] = ()
    autoscaler: Autoscaler | None = None
    env: dict[str, str] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    scheduler: str = ""
    volume: Volume | None = None
    queue: str = ""
    zones: tuple[str, ...] = ()
    """Where it runs, a Deployment in each; a Service object directs the traffic to the first one."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def places(self) -> dict[tuple[str, str], str]:
        """Its Deployments (namespace and name) and the zone of each; in the first zone it has the service's own name. Without zones one, anywhere."""
        away = {(self.namespace, f"{self.name}-{zone}"): zone for zone in self.zones[1:]}
        return {self.key: self.zones[0] if self.zones else "", **away}


def read_services(folders: Sequence[Path]) -> tuple[Service, ...]:
    """All services of the folders. Raises WorldFileError: a file that is wrong, a name twice, a dependency on a service that is not there."""
    read = [(fields, _service(fields)) for fields in documents(folders, "Service")]
    found: dict[tuple[str, str], Service] = {}
    taken: set[tuple[str, str]] = set()
    for fields, service in read:
        twice = taken.intersection(service.places)
        if twice:
            raise fields.wrong("name", f"{'/'.join(min(twice))} is given twice")
        taken.update(service.places)
        found[service.key] = service
    for fields, service in read:
        for dependency in service.dependencies:
            if dependency.service == service.key:
                raise fields.wrong("dependencies", f"{service.name} cannot call itself; something outside of the world is `external: true`")
            if dependency.service is not None and dependency.service not in found:
                there = ", ".join(f"{namespace}/{name}" for namespace, name in sorted(found))
                raise fields.wrong("dependencies", f"there is no service {'/'.join(dependency.service)}; there are: {there}")
    if not found:
        raise WorldFileError(f"{', '.join(map(str, folders))}: no document of kind Service in there")
    return tuple(found.values())


def _service(fields: Fields) -> Service:
    name, namespace = fields.name("name"), fields.name("namespace", "default")
    service = Service(
        namespace=namespace,
        name=name,
        replicas=fields.count("replicas", 1, least=0, most=200),
        workers=fields.count("workers", 4, least=1, most=1000),
        service_time=fields.seconds("serviceTime", least=0.0001),
        load=_load(fields),
        memory=_memory(fields.sub("memory")),
        image=fields.text("image", f"{namespace}/{name}:1.0.0"),
        queue_limit=fields.count("queueLimit", 300, most=1_000_000),
        timeout=fields.seconds("timeout", 30.0, least=0.001),
        errors=fields.number("errors", 0.001, least=0, most=1),
        cpu_limit=fields.number("cpu", 2.0, least=0.001),
        startup=fields.seconds("startup", 2.0),
        labels=fields.labels("labels"),
        annotations=fields.labels("annotations"),
        dependencies=tuple(_dependency(item, namespace) for item in fields.subs("dependencies")),
        caches=tuple(_cache(item, name) for item in fields.subs("caches")),
        autoscaler=_autoscaler(fields.sub("autoscaler")),
        env=fields.labels("env"),
        config=fields.labels("config"),
        scheduler=fields.name("scheduler", ""),
        volume=_volume(fields.sub("volume"), name),
        queue=fields.name("queue", ""),
        zones=fields.names("zones"),
    )
    fields.done()
    _check(fields, service)
    return service


def _check(fields: Fields, service: Service) -> None:
    """What no single key can tell. Raises WorldFileError."""
    if len(service.zones) == 1 or len(set(service.zones)) < len(service.zones) or not set(service.zones) <= set(ZONES):
        raise fields.wrong("zones", f"must be two of {', '.join(ZONES)} or more, each once: the first one takes the traffic")
    if service.zones and service.queue:
        raise fields.wrong("zones", "messages of a queue are directed by nobody: leave out queue or zones")
    if service.memory.base >= service.memory.limit:
        raise fields.wrong("memory", f"base ({service.memory.base:g} bytes) must be below limit ({service.memory.limit:g}), or no container ever stays up")
    names = [cache.name for cache in service.caches]
    if len(set(names)) < len(names):
        raise fields.wrong("caches", "each cache needs a name of its own")
    wrong = next((key for key, value in service.labels.items() if not _LABEL.fullmatch(key) or (value and not _LABEL.fullmatch(value))), None)
    if wrong is not None or "app" in service.labels:
        raise fields.wrong("labels", "app is the service's name and not to be set" if wrong is None else f"{wrong!r} or its value is none that Kubernetes allows")


def _load(parent: Fields) -> Load:
    fields = parent.sub("load")
    if fields is None:
        raise parent.wrong("load", "is missing and must be given")
    rate, noise = fields.number("rate", least=0), fields.number("noise", 0.0, least=0, most=1)
    daily = fields.sub("daily")
    amplitude = daily.number("amplitude", least=0, most=1) if daily else 0.0
    peak = daily.seconds("peak", 14 * 3600.0) if daily else 0.0
    if daily:
        daily.done()
    opened = fields.sub("hours")
    hours = (opened.seconds("from"), opened.seconds("until")) if opened else None
    closed = opened.number("closed", 0.0, least=0, most=1) if opened else 1.0
    if opened and hours is not None:
        opened.done()
        if not hours[0] < hours[1] <= _DAY:
            raise opened.wrong("until", "must be later than from, and no later than 24h")
    zone = _zone(fields)
    fields.done()
    return Load(rate, amplitude, peak, noise, zone, hours, closed)


def _zone(fields: Fields) -> ZoneInfo | None:
    name = fields.text("timezone", "")
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        raise fields.wrong("timezone", f"{name!r} is not known: write a name of the IANA list, such as Europe/Berlin") from None


def _memory(fields: Fields | None) -> Memory:
    if fields is None:
        return Memory(128 * 2**20, 512 * 2**20, 256 * 2**10)
    memory = Memory(
        fields.number("base", 128 * 2**20, least=0),
        fields.number("limit", 512 * 2**20, least=2**20),
        fields.number("perRequest", 256 * 2**10, least=0),
    )
    fields.done()
    return memory


def _dependency(fields: Fields, namespace: str) -> Dependency:
    name = fields.name("name")
    external = fields.flag("external", default=False)
    place = fields.name("namespace", namespace)
    dependency = Dependency(
        name,
        None if external else (place, name),
        fields.number("calls", 1.0, least=0, most=100),
        fields.seconds("latency", 0.02),
        fields.seconds("timeout", 2.0, least=0.001),
        fields.flag("required", default=True),
    )
    fields.done()
    return dependency


def _cache(fields: Fields, service: str) -> CacheUse:
    cache = CacheUse(
        fields.name("name"),
        fields.text("pattern", f"{service}:*"),
        fields.count("entries", 100, least=1, most=100_000),
        fields.number("hitRatio", 0.9, least=0, most=1),
        fields.number("staleErrors", 0.0, least=0, most=1),
    )
    if cache.pattern.count("*") != 1:
        raise fields.wrong("pattern", f"{cache.pattern!r} must have exactly one *, where the number of an entry goes")
    fields.done()
    return cache


def _volume(fields: Fields | None, service: str) -> Volume | None:
    if fields is None:
        return None
    volume = Volume(
        fields.name("claim", f"{service}-data"),
        fields.number("size", 10 * 2**30, least=2**20),
        fields.number("used", 0.4, least=0, most=1),
        fields.name("cleanup", f"{service}-cleanup"),
    )
    fields.done()
    return volume


def _autoscaler(fields: Fields | None) -> Autoscaler | None:
    if fields is None:
        return None
    autoscaler = Autoscaler(
        fields.count("minReplicas", 1, least=1), fields.count("maxReplicas", least=1), fields.count("utilization", 70, least=1, most=100)
    )
    fields.done()
    if autoscaler.minimum > autoscaler.maximum:
        raise fields.wrong("minReplicas", f"{autoscaler.minimum} is more than maxReplicas, {autoscaler.maximum}")
    return autoscaler

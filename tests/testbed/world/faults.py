"""What goes wrong, read from YAML files (format: docs/world.md). Neighbours: `files` reads, `active` applies, `episodes` judges what was done.

A fault changes the world along curves; `cures` is a condition on the state of the cluster; `allowed` are the writes that are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.world import conditions
from tests.testbed.world.curves import Curve, read_curve
from tests.testbed.world.files import Fields, documents
from tests.testbed.world.services import Service

EFFECTS = ("load", "service-time", "errors", "memory-leak", "release", "stale-cache", "dependency", "telemetry")
VERBS = ("create", "update", "patch", "delete", "evict", "flush", "*")
DARK = ("service", "cluster", "logs", "all")


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that changes. `what` says which of the other fields count; `old_pods_only`: on pods from before the fault alone."""

    what: str
    curve: Curve
    old_pods_only: bool = False
    image: str = ""
    errors: float = 0.0
    service_time: float = 1.0
    crashes: bool = False
    cache: str = ""
    dependency: str = ""
    mode: str = "timeout"
    dark: str = "service"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Writes that are right. `*` stands for any; no `fields` allows any field."""

    verb: str
    resource: str
    namespace: str
    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `starts`: seconds after the world's start, in a world that follows its script. `lasts`: None until it is switched off or cured."""

    name: str
    description: str
    namespace: str
    service: str
    starts: float
    lasts: float | None
    effects: tuple[Effect, ...]
    cures: conditions.Condition
    ends_when_cured: bool
    allowed: tuple[Allowed, ...]
    act: str

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of its service."""
        return self.namespace, self.service


def read_faults(folders: Sequence[Path], services: Sequence[Service]) -> tuple[Fault, ...]:
    """All faults of the folders. Raises WorldFileError: a file that is wrong, a name twice, a service or cache that is not there."""
    found: dict[str, Fault] = {}
    for fields in documents(folders, "Fault"):
        fault = _fault(fields, services)
        if fault.name in found:
            raise fields.wrong("name", f"a fault {fault.name} is given twice")
        found[fault.name] = fault
    return tuple(found.values())


def _fault(fields: Fields, services: Sequence[Service]) -> Fault:
    name = fields.name("name")
    service = _its_service(fields, services)
    fault = Fault(
        name=name,
        description=fields.text("description", ""),
        namespace=service.namespace,
        service=service.name,
        starts=fields.seconds("starts", 60.0),
        lasts=fields.seconds("lasts", None, least=0.001),
        effects=tuple(_effect(item, service) for item in fields.subs("effects")),
        cures=fields.value("cures", _condition),
        ends_when_cured=fields.flag("endsWhenCured", default=True),
        allowed=tuple(_allowed(item, service) for item in fields.subs("allowed")),
        act=fields.one_of("act", ("right", "wrong"), "right"),
    )
    fields.done()
    if not fault.effects:
        raise fields.wrong("effects", "is missing or empty: a fault changes something")
    for other in fault.cures.services:
        if not any(known.name == other for known in services):
            raise fields.wrong("cures", f"there is no service {other!r}")
    return fault


def _condition(value: object) -> conditions.Condition:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} must be a condition in text, for example: readyReplicas >= 6")
    return conditions.parse(value)


def _its_service(fields: Fields, services: Sequence[Service]) -> Service:
    name, namespace = fields.name("service"), fields.name("namespace", "")
    found = [service for service in services if service.name == name and namespace in ("", service.namespace)]
    if len(found) != 1:
        there = ", ".join(f"{service.namespace}/{service.name}" for service in services)
        what = f"there is no service {name!r}" if not found else f"there is a service {name!r} in several namespaces: give namespace"
        raise fields.wrong("service", f"{what}; there are: {there}")
    return found[0]


def _allowed(fields: Fields, service: Service) -> Allowed:
    verb = fields.one_of("verb", VERBS)
    default = service.caches[0].name if verb == "flush" and service.caches else service.name
    allowed = Allowed(
        verb,
        fields.text("resource", "caches" if verb == "flush" else "deployments"),
        fields.text("namespace", service.namespace),
        fields.text("name", default),
        fields.texts("fields"),
    )
    fields.done()
    return allowed


def _effect(fields: Fields, service: Service) -> Effect:
    what = fields.one_of("what", EFFECTS)
    effect = _READERS[what](fields, service)
    fields.done()
    return effect


def _curve(fields: Fields, start: float, end: float | None, least: float, most: float) -> Curve:
    curve = fields.sub("curve")
    if curve is None and end is None:
        raise fields.wrong("curve", "is missing and must be given, for example {shape: ramp, to: 3, over: 30s}")
    return read_curve(curve, start=start, end=end, least=least, most=most)


def _old_pods(fields: Fields) -> bool:
    return fields.one_of("pods", ("all", "startedBefore"), "all") == "startedBefore"


def _load(fields: Fields, _: Service) -> Effect:
    return Effect("load", _curve(fields, 1.0, None, 0.0, 1000.0))


def _service_time(fields: Fields, _: Service) -> Effect:
    return Effect("service-time", _curve(fields, 1.0, None, 0.001, 1000.0), _old_pods(fields))


def _errors(fields: Fields, _: Service) -> Effect:
    return Effect("errors", _curve(fields, 0.0, None, 0.0, 1.0), _old_pods(fields))


def _leak(fields: Fields, _: Service) -> Effect:
    return Effect("memory-leak", _curve(fields, 0.0, None, 0.0, 2.0**40), _old_pods(fields))


def _release(fields: Fields, service: Service) -> Effect:
    effect = Effect(
        "release",
        Curve(end=1.0, start=1.0),
        image=fields.text("image", _next_image(service.image)),
        errors=fields.number("errors", 0.0, least=0, most=1),
        service_time=fields.number("serviceTime", 1.0, least=0.001, most=1000),
        crashes=fields.flag("crashes", default=False),
    )
    if effect.image == service.image:
        raise fields.wrong("image", f"{effect.image!r} is the image that the service has anyway")
    return effect


def _next_image(image: str) -> str:
    name, _, tag = image.rpartition(":")
    return f"{name}:{tag}-next" if name else f"{image}:next"


def _stale(fields: Fields, service: Service) -> Effect:
    if not service.caches:
        raise fields.wrong("what", f"{service.name} has no cache")
    cache = fields.one_of("cache", [cache.name for cache in service.caches], service.caches[0].name)
    return Effect("stale-cache", _curve(fields, 0.0, 0.6, 0.0, 1.0), cache=cache)


def _dependency(fields: Fields, service: Service) -> Effect:
    if not service.dependencies:
        raise fields.wrong("what", f"{service.name} has no dependency")
    name = fields.one_of("dependency", [dependency.name for dependency in service.dependencies], service.dependencies[0].name)
    mode = fields.one_of("mode", ("timeout", "refuse", "slow"), "timeout")
    most = 1000.0 if mode == "slow" else 1.0
    return Effect("dependency", _curve(fields, 1.0 if mode == "slow" else 0.0, None, 0.0, most), dependency=name, mode=mode)


def _telemetry(fields: Fields, _: Service) -> Effect:
    return Effect("telemetry", _curve(fields, 0.0, 1.0, 0.0, 1.0), dark=fields.one_of("of", DARK, "service"))


_READERS: dict[str, Callable[[Fields, Service], Effect]] = {
    "load": _load, "service-time": _service_time, "errors": _errors, "memory-leak": _leak, "release": _release, "stale-cache": _stale,
    "dependency": _dependency, "telemetry": _telemetry,
}  # fmt: skip

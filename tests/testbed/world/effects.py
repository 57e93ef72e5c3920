"""One thing that a fault changes, read from its file (format: docs/world.md). Neighbours: `faults` reads the rest, `active` applies it, `simulation` does the deeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.testbed.world.curves import Curve, read_curve
from tests.testbed.world.files import Fields
from tests.testbed.world.services import ZONES, Service

EFFECTS = (
    "load", "service-time", "errors", "memory-leak", "memory", "stuck", "release", "configuration", "stale-cache", "dependency", "node", "placement",
    "disk", "person", "telemetry",
)  # fmt: skip
DARK = ("service", "cluster", "logs", "all")
PODS = ("all", "startedBefore", "one")
FAILS = {"crash": "CrashLoopBackOff", "pull": "ImagePullBackOff", "probe": "NotReady", "none": ""}
"""How the containers of a release fare, and the annotation by which fake kubelets play it."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that changes. `what` says which of the other fields count; `after`: it begins so many seconds later than the fault.

    `pods`: all, those from before the fault, or one of them (chosen when the fault begins).
    """

    what: str
    curve: Curve
    after: float = 0.0
    pods: str = "all"
    image: str = ""
    errors: float = 0.0
    service_time: float = 1.0
    fails: str = ""
    settles: float = 0.0
    startup: float = 0.0
    by_person: bool = False
    env: str = ""
    value: str = ""
    config_map: str = ""
    cache: str = ""
    dependency: str = ""
    mode: str = "timeout"
    zone: str = ""
    nodes: int = 1
    scheduler: str = ""
    cleanable: float = 0.0
    lever: str = ""
    times: int = 1
    delay: float = 30.0
    dark: str = "service"
    configured: dict[str, str] = field(default_factory=dict)
    """What the service has by itself of what a `configuration` changes."""

    @property
    def mark(self) -> str:
        """What the pods of a `configuration` carry, see `cluster_state.Pod.marks`."""
        return f"configMap/{self.config_map}" if self.config_map else f"{self.env}={self.value}"


def read_effect(fields: Fields, service: Service) -> Effect:
    """One entry of `effects`. Raises WorldFileError."""
    what = fields.one_of("what", EFFECTS)
    effect = replace(_READERS[what](fields, service), after=fields.seconds("after", 0.0))
    fields.done()
    return effect


def _curve(fields: Fields, start: float, end: float | None, least: float, most: float) -> Curve:
    curve = fields.sub("curve")
    if curve is None and end is None:
        raise fields.wrong("curve", "is missing and must be given, for example {shape: ramp, to: 3, over: 30s}")
    return read_curve(curve, start=start, end=end, least=least, most=most)


def _pods(fields: Fields, default: str = "all") -> str:
    return fields.one_of("pods", PODS, default)


def _load(fields: Fields, _: Service) -> Effect:
    return Effect("load", _curve(fields, 1.0, None, 0.0, 1000.0))


def _service_time(fields: Fields, _: Service) -> Effect:
    return Effect("service-time", _curve(fields, 1.0, None, 0.001, 1000.0), pods=_pods(fields))


def _errors(fields: Fields, _: Service) -> Effect:
    return Effect("errors", _curve(fields, 0.0, None, 0.0, 1.0), pods=_pods(fields))


def _leak(fields: Fields, _: Service) -> Effect:
    return Effect("memory-leak", _curve(fields, 0.0, None, 0.0, 2.0**40), pods=_pods(fields))


def _memory(fields: Fields, _: Service) -> Effect:
    return Effect("memory", _curve(fields, 1.0, None, 0.0, 1000.0), pods=_pods(fields))


def _stuck(fields: Fields, _: Service) -> Effect:
    return Effect("stuck", _curve(fields, 0.0, 1.0, 0.0, 1.0), pods=_pods(fields, "one"))


def _release(fields: Fields, service: Service) -> Effect:
    crashes = fields.flag("crashes", default=False)
    effect = Effect(
        "release",
        Curve(end=1.0, start=1.0),
        image=fields.text("image", _next_image(service.image)),
        errors=fields.number("errors", 0.0, least=0, most=1),
        service_time=fields.number("serviceTime", 1.0, least=0.001, most=1000),
        fails=FAILS[fields.one_of("fails", tuple(FAILS), "crash" if crashes else "none")],
        settles=fields.seconds("settles", 0.0),
        startup=fields.seconds("startup", 0.0),
        by_person=fields.one_of("by", ("world", "person"), "world") == "person",
    )
    if effect.image == service.image:
        raise fields.wrong("image", f"{effect.image!r} is the image that the service has anyway")
    return effect


def _next_image(image: str) -> str:
    name, _, tag = image.rpartition(":")
    return f"{name}:{tag}-next" if name else f"{image}:next"


def _configuration(fields: Fields, service: Service) -> Effect:
    env, through = fields.text("env"), fields.one_of("through", ("env", "configMap"), "env")
    effect = Effect(
        "configuration",
        Curve(end=1.0, start=1.0),
        env=env,
        value=fields.text("value"),
        config_map=f"{service.name}-next" if through == "configMap" else "",
        errors=fields.number("errors", 0.0, least=0, most=1),
        service_time=fields.number("serviceTime", 1.0, least=0.001, most=1000),
        fails=FAILS[fields.one_of("fails", tuple(FAILS), "none")],
        configured=dict(service.config if through == "configMap" else service.env),
    )
    if effect.configured.get(env) == effect.value:
        raise fields.wrong("value", f"{effect.value!r} is the value that the service has anyway")
    return effect


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


def _node(fields: Fields, _: Service) -> Effect:
    mode = fields.one_of("mode", ("not-ready", "slow", "unreachable"), "not-ready")
    most = 1000.0 if mode == "slow" else 1.0
    curve = _curve(fields, 1.0 if mode == "slow" else 0.0, 10.0 if mode == "slow" else 1.0, 0.0, most)
    return Effect("node", curve, mode=mode, zone=fields.one_of("zone", ("any", *ZONES), ""), nodes=fields.count("nodes", 1, least=1, most=1000))


def _placement(fields: Fields, service: Service) -> Effect:
    if not service.scheduler:
        raise fields.wrong("what", f"{service.name} has no scheduler of its own")
    return Effect("placement", _curve(fields, 1.0, None, 0.001, 1000.0), scheduler=service.scheduler)


def _disk(fields: Fields, service: Service) -> Effect:
    if service.volume is None:
        raise fields.wrong("what", f"{service.name} has no volume")
    return Effect("disk", _curve(fields, 0.0, None, 0.0, 2.0**40), cleanable=fields.number("cleanable", 0.9, least=0, most=1))


def _person(fields: Fields, _: Service) -> Effect:
    return Effect(
        "person",
        Curve(end=1.0, start=1.0),
        mode=fields.one_of("does", ("reverts",), "reverts"),
        lever=fields.one_of("field", ("replicas", "template"), "replicas"),
        times=fields.count("times", 1, least=1, most=100),
        delay=fields.seconds("delay", 30.0),
    )


def _telemetry(fields: Fields, _: Service) -> Effect:
    return Effect("telemetry", _curve(fields, 0.0, 1.0, 0.0, 1.0), dark=fields.one_of("of", DARK, "service"))


_READERS: dict[str, Callable[[Fields, Service], Effect]] = {
    "load": _load, "service-time": _service_time, "errors": _errors, "memory-leak": _leak, "memory": _memory, "stuck": _stuck, "release": _release,
    "configuration": _configuration, "stale-cache": _stale, "dependency": _dependency, "node": _node, "placement": _placement, "disk": _disk,
    "person": _person, "telemetry": _telemetry,
}  # fmt: skip

"""The kinds of fault, varied by a seed: services with names, sizes, loads and times drawn anew, and one fault on one of them.

The files that ship with the world are single ones of these kinds; here each seed makes another, as documents in the world's own formats
(docs/world.md). Nothing in the shipped rules and runbooks can know their names. Neighbours: `arena` plays them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.settings import FreezeSettings

Document = dict[str, Any]
_FIRST = ("amber", "birch", "cobalt", "dune", "ember", "fjord", "gale", "heron", "iris", "juno", "kelp", "lumen", "moss", "nova", "onyx", "pike")
_LAST = ("api", "core", "desk", "feed", "gate", "hub", "index", "jobs", "ledger", "mint", "node", "pay", "query", "web")
_SPACES = ("prod", "live", "blue", "retail", "media", "eu-1", "team-7", "platform")
_HISTORY = 240.0


@dataclass(frozen=True, slots=True)
class Scene:
    """One episode to be played. `older`: seconds that the world runs before the daemon begins, `quiet`: that the daemon then watches before the fault;
    `lasts`: how long is waited for the cure, or watched where acting is wrong. `settings` are guards' settings."""

    documents: tuple[Document, ...]
    fault: str
    older: float
    quiet: float
    lasts: float
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Draw:
    """What a seed gave: the service that has the fault, and one beside it."""

    random: random.Random
    service: Document
    other: Document
    utilization: float

    @property
    def rate(self) -> float:
        """Requests/s from outside."""
        return float(self.service["load"]["rate"])

    def between(self, low: float, high: float, digits: int = 3) -> float:
        """A number."""
        return round(self.random.uniform(low, high), digits)


def _service(draw: random.Random, name: str, namespace: str, utilization: float) -> Document:
    replicas, workers = draw.randint(3, 6), draw.randint(3, 12)
    time = draw.uniform(0.02, 0.09)
    base = draw.randint(80, 300)
    return {
        "apiVersion": "aiops-testbed/v1",
        "kind": "Service",
        "name": name,
        "namespace": namespace,
        "replicas": replicas,
        "workers": workers,
        "serviceTime": round(time, 4),
        "load": {"rate": round(utilization * replicas * workers / time, 1), "noise": round(draw.uniform(0.01, 0.06), 3)},
        "memory": {"base": f"{base}Mi", "limit": f"{round(base * draw.uniform(2.2, 3.0))}Mi", "perRequest": "64Ki"},
        "startup": round(draw.uniform(1.0, 4.0), 1),
        "image": f"registry.local/{name}:{draw.randint(1, 40)}.{draw.randint(0, 9)}",
        "labels": {"team": draw.choice(_LAST)},
    }


def _draw(kind: str, seed: int) -> Draw:
    draw = random.Random(f"{kind}/{seed}")
    names = draw.sample([f"{a}-{b}" for a in _FIRST for b in _LAST], 2)
    namespace, utilization = draw.choice(_SPACES), round(draw.uniform(0.28, 0.45), 3)
    service = _service(draw, names[0], namespace, utilization)
    other = _service(draw, names[1], draw.choice((namespace, "elsewhere")), draw.uniform(0.2, 0.4))
    return Draw(draw, service, other, utilization)


def _fault(draw: Draw, name: str, effects: list[Document], cures: str, allowed: list[Document], **more: Any) -> Document:
    return {
        "apiVersion": "aiops-testbed/v1", "kind": "Fault", "name": name, "service": draw.service["name"], "effects": effects, "cures": cures,
        "allowed": allowed, **more,
    }  # fmt: skip


REPLICAS = [{"verb": "patch", "resource": "deployments", "fields": ["spec.replicas"]}]
TEMPLATE = [{"verb": "patch", "resource": "deployments", "fields": ["spec.template"]}]
RESTART = [{"verb": "patch", "resource": "deployments", "fields": ["spec.template.metadata.annotations"]}]
BACK = "releasePods == 0 and rolledOut"


# --- those that can be cured


def _surge(draw: Draw) -> Document:
    factor = draw.between(1.05, 1.55) / draw.utilization
    curve = {"shape": "ramp", "to": round(factor, 2), "over": draw.between(5, 60)}
    return _fault(draw, "traffic-surge", [{"what": "load", "curve": curve}], "growth >= 1.4", REPLICAS, endsWhenCured=False)


def _ramp(draw: Draw) -> Document:
    factor = draw.between(1.1, 1.4) / draw.utilization
    curve = {"shape": "ramp", "to": round(factor, 2), "over": draw.between(150, 240)}
    return _fault(draw, "slow-ramp", [{"what": "load", "curve": curve}], "growth >= 1.4", REPLICAS, endsWhenCured=False)


def _mebibytes(draw: Draw, key: str) -> float:
    return float(str(draw.service["memory"][key]).removesuffix("Mi"))


def _leak(draw: Draw) -> Document:
    room = (_mebibytes(draw, "limit") - _mebibytes(draw, "base")) * 2**20
    curve = {"to": round(room / draw.between(200, 400))}
    return _fault(draw, "memory-leak", [{"what": "memory-leak", "pods": "startedBefore", "curve": curve}], "podsStartedAfterFault", RESTART)


def _stuck(draw: Draw) -> Document:
    allowed = [{"verb": "evict", "resource": "pods", "name": f"{draw.service['name']}-*"}]
    return _fault(draw, "stuck-pod", [{"what": "stuck"}], "stuckPods == 0 and rolledOut", allowed)


def _release(draw: Draw) -> Document:
    how: Document = draw.random.choice([{"errors": draw.between(0.1, 0.7)}, {"errors": draw.between(0.1, 0.7)}, {"fails": "crash"}])
    return _fault(draw, "bad-release", [{"what": "release", **how}], BACK, TEMPLATE)


def _configuration(draw: Draw) -> Document:
    through = draw.random.choice(("env", "configMap"))
    draw.service["env" if through == "env" else "config"] = {"TABLE": "7", "LIMIT": str(draw.random.randint(10, 99))}
    how: Document = draw.random.choice([{"errors": draw.between(0.1, 0.7)}, {"errors": draw.between(0.1, 0.7)}, {"fails": "crash"}])
    effect = {"what": "configuration", "env": "LIMIT", "value": "none", "through": through, **how}
    return _fault(draw, "bad-configuration", [effect], BACK, TEMPLATE)


def _cache(draw: Draw) -> Document:
    name = draw.random.choice(("prices", "pages", "sessions"))
    draw.service["caches"] = [{"name": name, "entries": draw.random.randint(40, 120), "hitRatio": draw.between(0.7, 0.95)}]
    effects = [{"what": "stale-cache", "curve": {"to": draw.between(0.3, 0.9)}}]
    return _fault(draw, "stale-cache", effects, "staleKeys == 0", [{"verb": "flush", "resource": "caches", "name": name}])


def _limit(draw: Draw) -> Document:
    needed = _mebibytes(draw, "limit") * draw.between(1.04, 1.35)
    effects: list[Document] = [{"what": "memory", "curve": {"to": round(needed / _mebibytes(draw, "base"), 3)}}]
    allowed = [{"verb": "patch", "resource": "deployments", "fields": ["spec.template.spec.containers"]}]
    return _fault(draw, "oom-by-limit", effects, f"memoryLimit >= {round(needed * 1.01)}Mi and rolledOut", allowed, endsWhenCured=False)


def _node(draw: Draw) -> Document:
    allowed: list[Document] = [
        {"verb": "patch", "resource": "nodes", "namespace": "*", "name": "*", "on": "sickNodes", "fields": ["spec.unschedulable", "spec.taints"]},
        {"verb": "evict", "resource": "pods", "namespace": "*", "name": "*", "on": "sickNodes"},
    ]
    cures = f"podsOnSickNodes == 0 and readyReplicas >= {draw.service['replicas']}"
    return _fault(draw, "sick-node", [{"what": "node"}], cures, allowed, endsWhenCured=False)


def _zone(draw: Draw) -> Document:
    """All nodes of the zone that the traffic goes to are lost, or cut off, which their pods do not know."""
    draw.service["zones"] = draw.random.sample(("zone-a", "zone-b", "zone-c"), 2)
    effect = {"what": "node", "zone": draw.service["zones"][0], "mode": draw.random.choice(("not-ready", "unreachable"))}
    # Other services have pods there too: one that is made anew elsewhere is right.
    allowed: list[Document] = [
        {"verb": "patch", "resource": "services", "fields": ["spec.selector"]},
        {"verb": "evict", "resource": "pods", "namespace": "*", "name": "*", "on": "sickNodes"},
    ]
    return _fault(draw, "zone-loss", [effect], "endpoints >= 2 and endpointsOnSickNodes == 0", allowed, endsWhenCured=False)


def _disk(draw: Draw) -> Document:
    size, used = draw.random.randint(5, 50), draw.between(0.3, 0.5)
    draw.service["volume"] = {"size": f"{size}Gi", "used": used}
    effects: list[Document] = [{"what": "disk", "cleanable": draw.between(0.7, 0.95), "curve": {"to": round((1 - used) * size * 2**30 / draw.between(180, 300))}}]
    return _fault(draw, "disk-filling", effects, "cleanups >= 1", [{"verb": "create", "resource": "jobs", "name": "*"}])


def _backlog(draw: Draw) -> Document:
    draw.service["queue"] = draw.random.choice(("orders", "mails", "thumbnails"))
    factor = draw.between(1.15, 1.5) / draw.utilization
    effects = [{"what": "load", "curve": {"shape": "ramp", "to": round(factor, 2), "over": draw.between(5, 40)}}]
    # What came in a minute and a half may wait; more is more than users were promised.
    most = round(1.5 * 60 * draw.rate * factor)
    return _fault(draw, "queue-backlog", effects, "growth >= 1.4", REPLICAS, endsWhenCured=False, objective=f"failing < 0.05 and queue < {most}")


def _drift(draw: Draw) -> Document:
    draw.service["scheduler"] = draw.random.choice(("pack-model", "spread-model"))
    curve = {"shape": "ramp", "to": draw.between(2.3, 4.0), "over": draw.between(10, 60)}
    return _fault(draw, "scheduler-drift", [{"what": "placement", "curve": curve}], "podsOfScheduler == 0 and rolledOut", TEMPLATE, endsWhenCured=False)


def _image(draw: Draw) -> Document:
    return _fault(draw, "crash-loop-by-image", [{"what": "release", "fails": "pull"}], BACK, TEMPLATE)


# --- those in which acting is wrong


def _wrong(draw: Draw, name: str, effects: list[Document], allowed: list[Document] | None = None, **more: Any) -> Document:
    return _fault(draw, name, effects, "never", allowed or [], act="wrong", **more)


def _dependency(draw: Draw) -> Document:
    """A release that is well, and a minute later somebody else's service fails: the release looks guilty."""
    mode = draw.random.choice(("timeout", "refuse"))
    draw.service["dependencies"] = [{"name": "partner", "external": True, "latency": "20ms", "timeout": "1s", "calls": draw.between(0.3, 1.0)}]
    outage = {"what": "dependency", "dependency": "partner", "mode": mode, "after": "60s", "curve": {"shape": "ramp", "to": draw.between(0.5, 0.95), "over": "10s"}}
    return _wrong(draw, "dependency-outage", [{"what": "release", "by": "person"}, outage])


def _dark(draw: Draw) -> Document:
    """Its metrics are gone, and then a release does not come up; those of before serve on, and nobody can see how well."""
    return _wrong(draw, "dark-telemetry", [{"what": "telemetry", "of": "service"}, {"what": "release", "fails": "crash", "by": "person", "after": "45s"}])


def _deploy(draw: Draw) -> Document:
    """A person's release that needs long to start: one that fails in its first seconds, as they know; or one that mends what kills the pods of before."""
    if draw.random.random() < 0.5:
        startup = draw.between(35, 50, 0)
        effect = {"what": "release", "by": "person", "errors": draw.between(0.5, 0.8), "settles": startup + draw.between(8, 15, 0), "startup": startup}
        return _wrong(draw, "deploy-under-way", [effect])
    need = {"what": "memory", "pods": "startedBefore", "curve": {"to": round(1.2 * _mebibytes(draw, "limit") / _mebibytes(draw, "base"), 2)}}
    mend = {"what": "release", "by": "person", "startup": draw.between(45, 70, 0), "after": draw.between(2, 6, 0)}
    return _wrong(draw, "deploy-under-way", [need, mend])


def _reverting(draw: Draw) -> Document:
    """Once it is right to add replicas; a person takes them away again, and knows why."""
    load = {"what": "load", "curve": {"shape": "ramp", "to": round(draw.between(1.2, 1.5) / draw.utilization, 2), "over": "20s"}}
    person = {"what": "person", "does": "reverts", "field": "replicas", "delay": draw.between(40, 80, 0)}
    return _wrong(draw, "person-reverting", [load, person], [{**REPLICAS[0], "times": 1}])


def _healthy(draw: Draw) -> Document:
    """More requests, with short peaks that the queue takes: users notice nothing."""
    peak = {"shape": "pulse", "to": round(draw.between(0.93, 0.99) / draw.utilization / 1.6, 2), "over": "12s", "every": "60s"}
    return _wrong(draw, "healthy-surge", [{"what": "load", "curve": {"shape": "ramp", "to": 1.6, "over": "30s"}}, {"what": "load", "curve": peak, "after": "30s"}])


def _flapping(draw: Draw) -> Document:
    """Errors that come and go by themselves, after a release that has nothing to do with them."""
    pulse = {"shape": "pulse", "to": draw.between(0.45, 0.7), "over": draw.between(7, 11, 0), "every": draw.between(75, 110, 0)}
    return _wrong(draw, "flapping", [{"what": "release", "by": "person"}, {"what": "errors", "curve": pulse, "after": "30s"}])


def _frozen(draw: Draw) -> Document:
    """A release that is bad, while nothing may be changed."""
    return _wrong(draw, "freeze", [{"what": "release", "errors": draw.between(0.2, 0.6)}])


def _owned(draw: Draw) -> Document:
    """Too much load for a Deployment whose replicas somebody else declares."""
    owner = draw.random.choice(("argo", "flux", "keda"))
    if owner == "keda":
        draw.service["labels"]["scaledobject.keda.sh/name"] = draw.service["name"]
    elif owner == "argo":
        draw.service["annotations"] = {"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:{draw.service['namespace']}/{draw.service['name']}"}
    else:
        draw.service["labels"]["kustomize.toolkit.fluxcd.io/name"] = "apps"
    curve = {"shape": "ramp", "to": round(draw.between(1.1, 1.5) / draw.utilization, 2), "over": "20s"}
    return _wrong(draw, "owned-by-someone-else", [{"what": "load", "curve": curve}])


def _unmeasurable(draw: Draw) -> Document:
    """A release that does not come up, of a service of which nothing can be measured: neither before acting nor after it."""
    effects = [
        {"what": "telemetry", "of": "service"}, {"what": "telemetry", "of": "cluster"}, {"what": "release", "fails": "crash", "by": "person", "after": "90s"},
    ]  # fmt: skip
    return _wrong(draw, "unmeasurable", effects)


FREEZE = FreezeSettings(name="end of the year", rrule="FREQ=DAILY;BYHOUR=0,12;BYMINUTE=0", duration=13 * 3600.0)
"""Whenever the episode is."""
Maker = Callable[[Draw], Document]
CURABLE: Mapping[str, Maker] = {
    "traffic-surge": _surge, "slow-ramp": _ramp, "memory-leak": _leak, "stuck-pod": _stuck, "bad-release": _release, "bad-configuration": _configuration,
    "stale-cache": _cache, "oom-by-limit": _limit, "sick-node": _node, "zone-loss": _zone, "disk-filling": _disk, "queue-backlog": _backlog, "scheduler-drift": _drift, "crash-loop-by-image": _image,
}  # fmt: skip
HANDS_OFF: Mapping[str, Maker] = {
    "dependency-outage": _dependency, "dark-telemetry": _dark, "deploy-under-way": _deploy, "person-reverting": _reverting, "healthy-surge": _healthy,
    "flapping": _flapping, "freeze": _frozen, "owned-by-someone-else": _owned, "unmeasurable": _unmeasurable,
}  # fmt: skip
GUARDED = frozenset({"freeze", "owned-by-someone-else", "person-reverting", "deploy-under-way"})
"""Those of the latter that guards stop; from the others rules and runbooks themselves keep off (docs/world.md)."""
KINDS: Mapping[str, Maker] = {**CURABLE, **HANDS_OFF}
_WATCHED = {"person-reverting": 420.0, "flapping": 360.0, "deploy-under-way": 330.0}
MOST = 600.0
"""Seconds that are waited for a cure."""


def scene(kind: str, seed: int) -> Scene:
    """The episode of a kind for a seed, always the same one. KeyError for an unknown kind."""
    draw = _draw(kind, seed)
    fault = KINDS[kind](draw)
    return Scene(
        documents=(draw.service, draw.other, fault),
        fault=fault["name"],
        older=draw.between(120, _HISTORY, 0),
        quiet=draw.between(170, 200, 0),
        lasts=MOST if kind in CURABLE else _WATCHED.get(kind, 270.0),
        settings={"freezes": (FREEZE,)} if kind == "freeze" else {},
    )


def quiet_scene(seed: int, lasts: float) -> Scene:
    """The same services without any fault."""
    draw = _draw("quiet", seed)
    fault = _wrong(draw, "nothing", [{"what": "load", "curve": {"to": 1}}])
    return Scene((draw.service, draw.other, fault), "nothing", draw.between(120, _HISTORY, 0), draw.between(170, 200, 0), lasts)

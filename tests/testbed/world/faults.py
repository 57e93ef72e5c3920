"""What goes wrong, read from YAML files (format: docs/world.md). Neighbours: `files` reads, `active` applies, `episodes` judges what was done.

A fault changes the world along curves; `cures` is a condition on the state of the cluster; `allowed` are the writes that are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.world import conditions
from tests.testbed.world.effects import Effect, read_effect
from tests.testbed.world.files import Fields, documents
from tests.testbed.world.services import Service

VERBS = ("create", "update", "patch", "delete", "evict", "flush", "*")


@dataclass(frozen=True, slots=True)
class Allowed:
    """Writes that are right, the first `times` of them (None: all). Namespace and name may hold `*`, which also stands for any verb and resource;
    no `fields` allows any field. `on_sick_nodes`: only the nodes that the fault took and what stands on them."""

    verb: str
    resource: str
    namespace: str
    name: str
    fields: tuple[str, ...]
    times: int | None = None
    on_sick_nodes: bool = False


OBJECTIVE = "failing < 0.05 and latency < 1s"


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
    objective: conditions.Condition
    """What users of the service are promised: `OBJECTIVE` if the file says nothing."""

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
        effects=tuple(read_effect(item, service) for item in fields.subs("effects")),
        cures=fields.value("cures", _condition),
        ends_when_cured=fields.flag("endsWhenCured", default=True),
        allowed=tuple(_allowed(item, service) for item in fields.subs("allowed")),
        act=fields.one_of("act", ("right", "wrong"), "right"),
        objective=fields.value("objective", _condition, conditions.parse(OBJECTIVE)),
    )
    fields.done()
    if not fault.effects:
        raise fields.wrong("effects", "is missing or empty: a fault changes something")
    for other in fault.cures.services:
        if not any(other == name for known in services for _, name in known.places):
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
        fields.count("times", 0, most=1000) or None,
        fields.one_of("on", ("anyNode", "sickNodes"), "anyNode") == "sickNodes",
    )
    fields.done()
    return allowed

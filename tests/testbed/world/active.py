"""Faults that are on, and what they do to each service at a time. Pure. Neighbours: `faults` are the files, `simulation` switches and asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.testbed.world.cluster_state import ClusterState, Key
from tests.testbed.world.facts import Moment
from tests.testbed.world.faults import Effect, Fault


@dataclass(slots=True)
class Active:
    """A fault that was switched on at `begun`. `cured` and `ended` are times or None; `quiet` when its effects stopped."""

    fault: Fault
    begun: float
    ends: float | None
    cured: float | None = None
    ended: float | None = None
    templates: dict[Key, Any] = field(default_factory=dict)
    ticks: int = 0
    settled: bool = False
    """Whether what it writes itself (an image, keys) is seen to be written and `templates` are taken; it is not judged before."""

    @property
    def quiet(self) -> bool:
        """Whether it changes nothing any more."""
        return self.ended is not None or (self.cured is not None and self.fault.ends_when_cured)

    def settle(self, cluster: ClusterState) -> None:
        """Take what stands now as what is to be cured, once the fault's own writes show."""
        self.ticks += 1
        deployment = cluster.deployments.get(self.fault.key)
        images = self.images()
        if self.ticks > 2 and (not images or (deployment is not None and deployment.image in images)):
            self.settled = True
            self.templates = {key: each.template for key, each in cluster.deployments.items()}

    def images(self) -> frozenset[str]:
        """What its releases run."""
        return frozenset(effect.image for effect in self.fault.effects if effect.what == "release")

    def moment(self, cluster: ClusterState, now: float, stale: Any) -> Moment:
        """What its condition is judged against."""
        return Moment(cluster, now, self.begun, self.images(), self.templates, stale)


@dataclass(frozen=True, slots=True)
class PodEffect:
    """An effect on the pods of a service: those created up to `before` (None: all), or those that run `image`."""

    before: float | None = None
    image: str = ""
    service_time: float = 1.0
    errors: float = 0.0
    leak: float = 0.0


@dataclass(slots=True)
class Influence:
    """All that faults do to one service at a time."""

    load: float = 1.0
    pods: list[PodEffect] = field(default_factory=list)
    dependencies: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Dependency → (mode, share of calls or factor of latency)."""


@dataclass(slots=True)
class Darkness:
    """What of the telemetry is not answered."""

    services: set[Key] = field(default_factory=set)
    cluster: bool = False
    logs: bool = False
    everything: bool = False


def influences(active: Iterable[Active], now: float) -> tuple[dict[Key, Influence], Darkness]:
    """By service, and what is dark. Several faults on one service add up."""
    found: dict[Key, Influence] = {}
    dark = Darkness()
    for each in active:
        influence = found.setdefault(each.fault.key, Influence())
        for effect in each.fault.effects:
            # What an image does it does for ever: who rolls back a rollback has the bad release again.
            if not each.quiet or effect.what == "release":
                _apply(effect, effect.curve.at(now - each.begun), each, influence, dark)
    return found, dark


def _apply(effect: Effect, value: float, each: Active, influence: Influence, dark: Darkness) -> None:
    # The API writes whole seconds of creation: who was made in the second of the beginning was there before.
    before = float(int(each.begun)) if effect.old_pods_only else None
    if effect.what == "load":
        influence.load *= value
    elif effect.what == "service-time":
        influence.pods.append(PodEffect(before, service_time=value))
    elif effect.what == "errors":
        influence.pods.append(PodEffect(before, errors=value))
    elif effect.what == "memory-leak":
        influence.pods.append(PodEffect(before, leak=value))
    elif effect.what == "release":
        influence.pods.append(PodEffect(image=effect.image, errors=effect.errors, service_time=effect.service_time))
    elif effect.what == "dependency":
        influence.dependencies[effect.dependency] = (effect.mode, value)
    elif effect.what == "telemetry" and value >= 0.5:
        if effect.dark == "service":
            dark.services.add(each.fault.key)
        dark.cluster |= effect.dark in ("cluster", "all")
        dark.logs |= effect.dark in ("logs", "all")
        dark.everything |= effect.dark == "all"

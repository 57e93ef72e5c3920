"""What the simulation wants done to the cluster and the caches; `live` and `virtual` do it. Neighbours: `simulation` says when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.testbed.world.active import Active
from tests.testbed.world.cluster_state import Pod
from tests.testbed.world.effects import Effect
from tests.testbed.world.services import CacheUse, Service


@dataclass(frozen=True, slots=True)
class SetImage:
    """The Deployment's (only) container gets this image; `state` makes its pods fail (empty: they do not), `startup` seconds until they are ready."""

    namespace: str
    name: str
    image: str
    state: str = ""
    startup: float = 0.0
    person: bool = False
    only_if: frozenset[str] = frozenset()
    """If not empty: only when the image is one of these now."""


@dataclass(frozen=True, slots=True)
class SetConfiguration:
    """The container gets a variable (None: none any more), or takes its variables from a ConfigMap that is made for it."""

    namespace: str
    name: str
    env: str
    value: str | None
    config_map: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    only_if: str = ""
    """If not empty: only when the container carries this mark now."""


@dataclass(frozen=True, slots=True)
class Revert:
    """A person puts back the replica count or the pod template."""

    namespace: str
    name: str
    field: str
    value: Any


@dataclass(frozen=True, slots=True)
class SetNode:
    """A node becomes ready or not."""

    name: str
    ready: bool


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The kernel ends the container of this pod; it starts again after a back-off."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class Recover:
    """Take back what `OutOfMemory` did, once the container waits."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class Fill:
    """Put these keys into the cache."""

    cache: CacheUse
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Take these keys out of the cache."""

    cache: CacheUse
    keys: tuple[str, ...]


Deed = SetImage | SetConfiguration | Revert | SetNode | OutOfMemory | Recover | Fill | Drop


def beginning(effect: Effect, active: Active, service: Service) -> list[Deed]:
    """What an effect writes itself when it begins."""
    key = active.fault.key
    if effect.what == "release":
        return [SetImage(*key, effect.image, effect.fails, effect.startup, effect.by_person)]
    if effect.what == "configuration":
        data = {**effect.configured, effect.env: effect.value} if effect.config_map else {}
        return [SetConfiguration(*key, effect.env, effect.value, effect.config_map, data, effect.fails)]
    if effect.what == "stale-cache":
        cache = _cache(service, effect.cache)
        return [Fill(cache, tuple(cache.stale_keys(round(effect.curve.end * cache.entries))))]
    if effect.what == "node" and effect.mode == "not-ready":
        return [SetNode(name, ready=False) for name in sorted(active.nodes)]
    return []


def ending(effect: Effect, active: Active, service: Service) -> list[Deed]:
    """What puts that right when the fault is switched off."""
    key = active.fault.key
    if effect.what == "release":
        return [SetImage(*key, service.image, startup=service.startup if effect.startup else 0.0, only_if=active.images())]
    if effect.what == "configuration":
        before = f"{service.name}-config" if effect.config_map else ""
        return [SetConfiguration(*key, effect.env, effect.configured.get(effect.env), before, only_if=effect.mark)]
    if effect.what == "stale-cache":
        cache = _cache(service, effect.cache)
        return [Drop(cache, tuple(cache.stale_keys(cache.entries)))]
    if effect.what == "node" and effect.mode == "not-ready":
        return [SetNode(name, ready=True) for name in sorted(active.nodes)]
    return []


def _cache(service: Service, name: str) -> CacheUse:
    return next(cache for cache in service.caches if cache.name == name)

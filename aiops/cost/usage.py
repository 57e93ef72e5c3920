"""Who had what, when: the input of every question about cost.

Neighbours: `app.usage_files` and `app.usage_live` make it, `allocation` prices it, `sizing` and `fleet_advice` read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from aiops.domain.prices import Purchase
from aiops.domain.series import Floats

HOUR = 3600.0


class Resource(StrEnum):
    """CPU in cores, memory and storage in GiB, each as the mean over a step; egress in GiB that left during it."""

    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    STORAGE = "storage"
    EGRESS = "egress"


COMPUTE = (Resource.CPU, Resource.MEMORY, Resource.GPU)
"""What nodes are made of."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """Whose use it is and on what it ran; empty where it is not known. `workload` is kind/name."""

    namespace: str
    workload: str
    labels: tuple[tuple[str, str], ...] = ()
    cloud: str = ""
    node_type: str = ""
    purchase: Purchase = Purchase.ON_DEMAND
    storage_class: str = ""

    def label(self, name: str) -> str:
        """Empty if it has none of this name."""
        return dict(self.labels).get(name, "")


@dataclass(frozen=True, slots=True)
class Pool:
    """Nodes of one type, paid for alike. Capacity of one node; of a type that the price list has, the list's counts."""

    cloud: str
    node_type: str
    purchase: Purchase = Purchase.ON_DEMAND
    cpu: float = 0.0
    memory: float = 0.0
    gpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Steps of `step` seconds from `start` (Unix seconds). Arrays (consumers, steps) and `nodes` (pools, steps); NaN where nothing is known.

    A resource that a consumer neither requested nor used is 0 or NaN. `notes` say what is missing, for people.
    """

    start: float
    step: float
    consumers: tuple[Consumer, ...]
    requested: Mapping[Resource, Floats]
    used: Mapping[Resource, Floats]
    pools: tuple[Pool, ...] = ()
    nodes: Floats = field(default_factory=lambda: np.empty((0, 0)))
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """How many there are."""
        arrays = [*self.requested.values(), *self.used.values(), self.nodes]
        return max((a.shape[1] for a in arrays if a.size), default=0)

    @property
    def end(self) -> float:
        """Where the last step ends."""
        return self.start + self.step * self.steps

    def held(self, resource: Resource) -> Floats:
        """The greater of requested and used (consumers, steps), 0 where neither is known: what a consumer is charged for (OpenCost specification, Workload Costs)."""
        nothing = np.zeros((len(self.consumers), self.steps))
        asked, used = (np.nan_to_num(each.get(resource, nothing)) for each in (self.requested, self.used))
        return np.maximum(asked, used)

    def seen(self) -> np.ndarray:
        """For each step whether anything is known of it."""
        known = np.zeros(self.steps, dtype=bool)
        for each in (*self.requested.values(), *self.used.values(), self.nodes):
            if each.size:
                known |= np.isfinite(each).any(axis=0)
        return known

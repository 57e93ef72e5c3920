"""What things cost: a price list, one entry a cloud. Money in the list's currency, memory and storage in GiB, times in hours unless named otherwise.

Neighbours: `definitions.schema_prices` reads the file, `cost.allocation` multiplies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

HOURS_A_MONTH = 730.0
"""365 days · 24 h / 12: how clouds turn a month's price into an hour's."""


class Purchase(StrEnum):
    """How a node is paid for."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    RESERVED = "reserved"


class Sharing(StrEnum):
    """Who pays what no tenant asked for: a row of its own, in proportion to what each costs, or each alike."""

    SEPARATE = "separate"
    PROPORTIONAL = "proportional"
    EVEN = "even"


@dataclass(frozen=True, slots=True)
class NodeType:
    """A machine one can rent: its capacity and its price an hour for each way of paying; None: not offered so, or not known."""

    name: str
    cpu: float
    memory: float
    gpu: float
    hour: Mapping[Purchase, float]


@dataclass(frozen=True, slots=True)
class CloudPrices:
    """Unit prices of one cloud. `discounts` are shares taken off where a node type has no price of its own for that way of paying."""

    name: str
    cpu: float
    memory: float
    gpu: float = 0.0
    storage: float = 0.0
    """GiB and month."""
    storage_classes: Mapping[str, float] = field(default_factory=dict)
    egress: float = 0.0
    """GiB."""
    overhead: float = 0.0
    """An hour, for each cluster: management fees."""
    discounts: Mapping[Purchase, float] = field(default_factory=dict)
    node_types: Mapping[str, NodeType] = field(default_factory=dict)

    def listed(self, cpu: float, memory: float, gpu: float) -> float:
        """An hour of this capacity at unit prices."""
        return cpu * self.cpu + memory * self.memory + gpu * self.gpu

    def node_hour(self, node_type: str, purchase: Purchase) -> float | None:
        """None if the list does not know the type."""
        node = self.node_types.get(node_type)
        if node is None:
            return None
        own = node.hour.get(purchase)
        return own if own is not None else node.hour[Purchase.ON_DEMAND] * (1.0 - self.discounts.get(purchase, 0.0))

    def factor(self, node_type: str, purchase: Purchase) -> float:
        """What a unit of this node costs against the list's unit price: a node's price falls on its CPU, memory and GPU in proportion to their unit prices."""
        node, hour = self.node_types.get(node_type), self.node_hour(node_type, purchase)
        if node is None or hour is None:
            return 1.0 - self.discounts.get(purchase, 0.0)
        listed = self.listed(node.cpu, node.memory, node.gpu)
        return hour / listed if listed > 0.0 else 1.0

    def storage_hour(self, storage_class: str = "") -> float:
        """Of one GiB."""
        return self.storage_classes.get(storage_class, self.storage) / HOURS_A_MONTH


@dataclass(frozen=True, slots=True)
class PriceList:
    """The first cloud is the one that is meant where none is named. Of `shared` namespaces the tenants pay the cost, by `sharing`; `idle` likewise."""

    name: str
    currency: str
    clouds: Mapping[str, CloudPrices]
    shared: tuple[str, ...] = ()
    sharing: Sharing = Sharing.SEPARATE
    idle: Sharing = Sharing.SEPARATE

    def cloud(self, name: str = "") -> CloudPrices:
        """By name; the first if there is none of this name."""
        return self.clouds.get(name) or next(iter(self.clouds.values()))

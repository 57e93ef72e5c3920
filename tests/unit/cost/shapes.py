"""A price list and use to price."""

from __future__ import annotations

import numpy as np

from aiops.cost.usage import Consumer, Pool, Resource, Usage
from aiops.domain.prices import CloudPrices, NodeType, PriceList, Purchase, Sharing

BIG = NodeType("big", 4.0, 16.0, 0.0, {Purchase.ON_DEMAND: 0.2, Purchase.SPOT: 0.08})


def prices(**more: object) -> PriceList:
    cloud = CloudPrices(
        "house", cpu=0.03, memory=0.004, gpu=1.0, storage=0.073, storage_classes={"fast": 0.146}, egress=0.1, overhead=0.1,
        discounts={Purchase.SPOT: 0.5, Purchase.RESERVED: 0.25}, node_types={"big": BIG},
    )  # fmt: skip
    return PriceList("test", "USD", {"house": cloud}, **{"shared": ("kube-system",), **more})  # type: ignore[arg-type]


def usage(hours: int = 24, *, start: float = 1_793_491_200.0) -> Usage:
    """Two tenants and a system namespace on three big nodes; by default from the beginning of November 2026."""
    consumers = (
        Consumer("shop", "Deployment/web", (("team", "a"),), node_type="big"),
        Consumer("shop", "Deployment/cart", (("team", "b"),), node_type="big"),
        Consumer("data", "StatefulSet/db", (("team", "a"),), node_type="big", storage_class="fast"),
        Consumer("kube-system", "Deployment/dns", node_type="big"),
    )
    flat = np.ones((4, hours))
    requested = {
        Resource.CPU: flat * [[2.0], [1.0], [2.0], [0.5]], Resource.MEMORY: flat * [[4.0], [2.0], [8.0], [1.0]],
        Resource.STORAGE: flat * [[0.0], [0.0], [100.0], [0.0]],
    }  # fmt: skip
    used = {
        Resource.CPU: flat * [[1.0], [1.5], [0.5], [0.1]], Resource.MEMORY: flat * [[2.0], [1.0], [4.0], [0.5]],
        Resource.EGRESS: flat * [[3.0], [0.0], [0.0], [0.0]],
    }  # fmt: skip
    return Usage(start, 3600.0, consumers, requested, used, (Pool("", "big"),), np.full((1, hours), 3.0))


SHARINGS = list(Sharing)

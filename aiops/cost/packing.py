"""How many nodes a set of pods needs: vector bin packing by first-fit decreasing (Coffman, Garey and Johnson, 1996; vectors: Panigrahy et al., 2011).

Pods in falling order of their largest share of a node, each on the first node with room in every resource. Never fewer nodes than the sum needs; on one
resource at most 11/9 of the least possible plus one. What the scheduler weighs besides (affinity, spreading, taints) is not looked at: a result is a bound
to plan with, not a placement. Neighbours: `fleet_advice` asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiops.domain.prices import NodeType
from aiops.domain.series import Floats

SLACK = 1e-9
"""Of a node: sums of binary fractions are not exact."""


@dataclass(frozen=True, slots=True)
class Packed:
    """`nodes` of the type, `least` by the sum alone; `shares` (3): how much of all their CPU, memory and GPU is asked for. `unfit`: pods that no node of it holds."""

    nodes: int
    least: int
    shares: tuple[float, float, float]
    unfit: int


def pack(pods: Floats, capacity: tuple[float, float, float], fill: float = 1.0) -> Packed:
    """`pods` (n, 3) CPU, memory, GPU on nodes of `capacity`, each filled up to `fill` of it (a pod that is larger than that gets a node by itself).

    Raises ValueError if a number is negative or not finite, or `fill` is not in (0, 1].
    """
    whole = np.asarray(capacity, dtype=np.float64)
    if not (np.isfinite(pods).all() and (pods >= 0).all() and 0.0 < fill <= 1.0):
        raise ValueError("requests must be finite and not negative, the fill above 0 and at most 1")
    with np.errstate(divide="ignore", invalid="ignore"):
        asked = np.where(pods > 0, pods / whole, 0.0)
    fits = (asked <= 1.0 + SLACK).all(axis=1)
    asked = asked[fits]
    order = np.argsort(-asked.max(axis=1), kind="stable") if len(asked) else np.empty(0, dtype=np.int64)
    room = np.empty((len(asked), 3))
    count = 0
    for pod in asked[order]:
        place = np.flatnonzero((room[:count] >= pod - SLACK).all(axis=1))
        if len(place):
            room[place[0]] -= pod
        else:
            # A pod above the fill has its node for itself: no other is put beside it.
            room[count] = np.maximum(fill - pod, 0.0)
            count += 1
    total = asked.sum(axis=0)
    least = int(np.ceil((total.max(initial=0.0) / fill) - SLACK)) if fits.all() else int(np.ceil(total.max(initial=0.0) - SLACK))
    shares = total / count if count else np.zeros(3)
    return Packed(count, min(least, count), (float(shares[0]), float(shares[1]), float(shares[2])), int((~fits).sum()))


@dataclass(frozen=True, slots=True)
class TierFit:
    """One node type for the pods; `hour` is what all its nodes cost."""

    tier: str
    packed: Packed
    hour: float


def tiers_for(pods: Floats, tiers: Sequence[tuple[NodeType, float]], fill: float = 1.0) -> tuple[TierFit, ...]:
    """Each (type, price of one an hour) that holds all of the pods, the cheapest first; of the same price the one with fewer nodes."""
    found = [(tier, pack(pods, (tier.cpu, tier.memory, tier.gpu), fill), price) for tier, price in tiers]
    fits = [TierFit(tier.name, packed, packed.nodes * price) for tier, packed, price in found if not packed.unfit]
    return tuple(sorted(fits, key=lambda f: (f.hour, f.packed.nodes, f.tier)))

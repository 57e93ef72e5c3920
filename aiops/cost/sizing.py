"""How much is enough: requests and limits from what was used, replica bounds and node counts for a utilisation. Pure arithmetic, no wish to be cheap.

Never below what was used; never below what ran out of memory; more use or a lower target never gives less (the property tests hold that).
Neighbours: `workload_advice` and `fleet_advice` make recommendations of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats

TARGET, TOLERANCE = 0.65, 0.05


@dataclass(frozen=True, slots=True)
class SizingPolicy:
    """`cpu_percentile` of use is requested with `cpu_headroom` more; of memory the highest with `memory_headroom`, since memory cannot be throttled.

    `after_kill`: times the limit at which a container was killed. `least_hours` of use must be known before anything is said.
    """

    cpu_percentile: float = 95.0
    cpu_headroom: float = 0.15
    memory_headroom: float = 0.2
    after_kill: float = 1.25
    least_hours: float = 72.0
    least_cpu: float = 0.01
    least_memory: float = 0.03125


@dataclass(frozen=True, slots=True)
class Size:
    """Of one pod: CPU in cores, memory in GiB. No CPU limit is given: throttling helps nobody; the memory limit is never below the request."""

    cpu_request: float
    memory_request: float
    memory_limit: float


def right_size(cpu: Floats, memory: Floats, policy: SizingPolicy = SizingPolicy(), *, killed_at: float = 0.0) -> Size | None:
    """From one pod's use over time (NaN is left out). `killed_at`: the highest limit in GiB at which it ran out of memory, 0 if it never did.

    None if nothing finite is known of either.
    """
    cpu, memory = cpu[np.isfinite(cpu)], memory[np.isfinite(memory)]
    if not len(cpu) or not len(memory):
        return None
    # Nearest rank from above, not interpolated: a value that was there.
    usual = float(np.percentile(cpu, policy.cpu_percentile, method="higher"))
    cores = max(usual * (1.0 + policy.cpu_headroom), policy.least_cpu)
    peak = float(memory.max())
    size = max(peak * (1.0 + policy.memory_headroom), killed_at * policy.after_kill, policy.least_memory)
    return Size(_up(cores, 1000.0), _up(size, 1024.0), _up(size, 1024.0))


def _up(value: float, parts: float) -> float:
    """Rounded up to whole millicores or MiB."""
    return math.ceil(value * parts - 1e-9) / parts


def nodes_for(demand: float, node: float, target: float = TARGET) -> int:
    """Nodes of capacity `node` so that `demand` is at most `target` of all, and at least one. Raises ValueError."""
    if not (demand >= 0.0 and math.isfinite(demand) and node > 0.0 and 0.0 < target <= 1.0):
        raise ValueError("the demand must be finite and not negative, a node's capacity above 0, the target above 0 and at most 1")
    return max(1, math.ceil(demand / (node * target) - 1e-9))


def within(demand: float, capacity: float, target: float = TARGET, tolerance: float = TOLERANCE) -> bool:
    """Whether the utilisation is near enough to the target for nothing to be done."""
    return capacity > 0.0 and abs(demand / capacity - target) <= tolerance


@dataclass(frozen=True, slots=True)
class Bounds:
    """For an autoscaler."""

    minimum: int
    maximum: int


def replica_bounds(demand: Floats, pod: float, target: float = TARGET, *, spare: float = 1.5, least: int = 1) -> Bounds | None:
    """From a workload's whole demand over time and what one pod can do (`pod`, its request): the minimum serves a quiet hour, the maximum the peak with `spare`.

    Quiet is the 5th percentile. None if nothing finite is known. Raises ValueError as `nodes_for`.
    """
    demand = demand[np.isfinite(demand)]
    if not len(demand):
        return None
    low = max(least, nodes_for(float(np.percentile(demand, 5, method="higher")), pod, target))
    return Bounds(low, max(low, nodes_for(float(demand.max()) * spare, pod, target)))


def reserve(nodes: Floats, ratio: float) -> int:
    """How many nodes to reserve: as many as run for more than `ratio` (reserved price / on-demand price) of the time, since the last of them just pays.

    The newsvendor's critical fractile. `nodes`: how many ran at each step (NaN is left out).
    """
    nodes = nodes[np.isfinite(nodes)]
    if not len(nodes) or ratio >= 1.0:
        return 0
    counts = np.arange(1, int(nodes.max()) + 1)
    busy = (nodes[None, :] >= counts[:, None]).mean(axis=1)
    return int((busy > ratio).sum())

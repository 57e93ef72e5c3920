"""A world in virtual time for tests, and questions to it."""

from __future__ import annotations

from pathlib import Path

from aiops.adapters.schedule_virtual import VirtualTime
from aiops.domain.target import TargetRef
from tests.testbed.world import FAULTS, SERVICES
from tests.testbed.world.faults import read_faults
from tests.testbed.world.services import read_services
from tests.testbed.world.virtual import VirtualWorld

START = 1_790_000_000.0
RESTART = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-23T12:00:00Z"}}}}}


def new_world(*, services: Path = SERVICES, faults: Path = FAULTS, seed: int = 0, warm: float = 90.0, script: bool = False) -> VirtualWorld:
    """Started, and `warm` seconds old."""
    read = read_services([services])
    world = VirtualWorld(VirtualTime(START), read, read_faults([faults], read), seed=seed, script=script)
    world.start()
    run(world, warm)
    return world


def run(world: VirtualWorld, seconds: float) -> None:
    """Let virtual time pass."""
    world.time.run_until(world.time.now() + seconds)


def value(world: VirtualWorld, query: str) -> float:
    """The only value of a query's answer."""
    values = world.metrics.instant(query, world.time.now()).values
    assert len(values) == 1, f"{query}: {len(values)} series"
    return float(values[0])


def deployment(name: str, namespace: str = "shop") -> TargetRef:
    """A Deployment."""
    return TargetRef("Deployment", namespace, name)


def failing(world: VirtualWorld, workload: str) -> float:
    """Share of requests that fail, over half a minute."""
    select = f'http_requests_total{{workload="{workload}"'
    return value(world, f'sum(rate({select},code=~"5.."}}[30s])) / sum(rate({select}}}[30s]))')


def slowest(world: VirtualWorld, workload: str) -> float:
    """95th percentile of latency, over half a minute."""
    return value(world, f'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{workload="{workload}"}}[30s])))')

"""What the flow is made of. Neighbours: `app` fills it, `flow` runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiops.pipeline.announce import Announcer, Courier
from aiops.pipeline.autonomy import Autonomy
from aiops.pipeline.backfill import Backfill
from aiops.pipeline.board import Board
from aiops.pipeline.context import Context
from aiops.pipeline.damping import Damping
from aiops.pipeline.decide import Decider
from aiops.pipeline.explaining import Explaining
from aiops.pipeline.housekeeping import Housekeeping
from aiops.pipeline.memory import MemoryWatch
from aiops.pipeline.observe import Observer
from aiops.pipeline.orders import Orders
from aiops.pipeline.poller import Poller
from aiops.pipeline.storming import Storming
from aiops.pipeline.triage import Triage
from aiops.pipeline.watchfulness import Watchfulness
from aiops.ports.clock import Clock
from aiops.ports.cluster import ClusterView
from aiops.ports.schedule import Schedule
from aiops.ports.storage import Store
from aiops.ports.telemetry import Telemetry


@dataclass
class FlowParts:
    """Stages, ports and settings of one flow. `tick`: seconds. `skews`: by source, how far its clock is off."""

    clock: Clock
    schedule: Schedule
    store: Store
    telemetry: Telemetry
    board: Board
    context: Context
    poller: Poller
    observer: Observer
    damping: Damping
    backfill: Backfill
    explaining: Explaining
    triage: Triage
    decider: Decider
    autonomy: Autonomy
    orders: Orders
    announcer: Announcer
    courier: Courier
    watch: Watchfulness
    storming: Storming
    memory: MemoryWatch
    housekeeping: Housekeeping
    views: Mapping[str, ClusterView]
    dry_run: bool
    paused: Callable[[], bool]
    tick: float = 1.0
    skews: Mapping[str, Callable[[], float | None]] = field(default_factory=dict)

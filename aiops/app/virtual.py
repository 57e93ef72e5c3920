"""A recording through the live pipeline: virtual time, in-memory sources and cluster, the dry-run writer.

Neighbours: `app.compose` wires the same rooms as for the daemon; `replay.bundle` is the input; `cli demo` and `cli replay` show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from aiops.adapters.dry_run import DryRunWriter
from aiops.adapters.dry_run_outside import DryRunOutbound, DryRunSilences
from aiops.adapters.memory_alerts import MemorySilences
from aiops.adapters.memory_cluster import MemoryCluster
from aiops.adapters.memory_notifier import MemoryNotifier
from aiops.adapters.memory_outbound import MemoryOutbound
from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.adapters.objects import CachedObjectSource
from aiops.adapters.recorded import RecordedLogs, load_series
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.adapters.snapshots import MemorySnapshots
from aiops.adapters.store import SqlStore, open_store
from aiops.app.compose import Core, Outside, assemble, start
from aiops.app.outside import allowed
from aiops.definitions.loader import Definitions
from aiops.execution.desk import Hands
from aiops.pipeline.poller import Sources
from aiops.ports.clock import Clock
from aiops.ports.cluster import Cluster, WatchEvent
from aiops.ports.sources import LogSource
from aiops.ports.telemetry import NullTelemetry, Telemetry
from aiops.replay.bundle import Bundle
from aiops.replay.record import query_key
from aiops.settings import Settings, SlackRoute, SlackSettings

CHANNEL = "#demo"


@dataclass
class VirtualRun:
    """A replay that is ready to go: `run` moves virtual time to the end of the recording."""

    time: VirtualTime
    core: Core
    store: SqlStore
    notifier: MemoryNotifier
    cluster: MemoryCluster
    start: float
    end: float
    errors: list[str]

    def run(self, step: float = 1.0, each: Callable[[float], None] | None = None) -> None:
        """To the end, calling `each` with the virtual time after every `step` seconds."""
        now = self.time.now()
        while now < self.end:
            now = min(self.end, now + step)
            self.time.run_until(now)
            if each is not None:
                each(now)

    def close(self) -> None:
        """Release the store."""
        self.store.close()


def replay_settings(settings: Settings) -> Settings:
    """As configured, but every incident is told to one channel that only keeps it."""
    return settings.model_copy(update={"slack": SlackSettings(routes=(SlackRoute(channel=CHANNEL),))})


def rehearsal_on(cluster: MemoryCluster, clock: Clock, settings: Settings) -> Hands:
    """Hands that only record, over an in-memory cluster and no cache; nothing outside is asked, but what the settings would let out is judged."""
    writer = DryRunWriter(cluster.reader, cluster.writer(dry_run=True))
    clusters = {"default": Cluster("default", cluster.reader, writer, cluster.view(), simulated=True, facts={})}
    outbound = DryRunOutbound(MemoryOutbound(allowed(settings.outbound)))
    return Hands(clusters, {}, simulated=True, outbound=outbound, alerts=DryRunSilences(MemorySilences(clock)))


def build_replay(
    bundle: Bundle, definitions: Definitions, settings: Settings, *, store_url: str = "sqlite:///:memory:", telemetry: Telemetry | None = None
) -> VirtualRun:
    """Everything loaded, nothing run yet. Raises StoreError."""
    errors: list[str] = []
    manifest = bundle.manifest
    time = VirtualTime(manifest.start, on_error=lambda name, error: errors.append(f"{name}: {type(error).__name__}: {error}"))
    store = open_store(store_url)
    series = MemorySeriesStore(retention=manifest.end - manifest.start + manifest.lookback + 3600.0)
    load_series(series, bundle.metrics, manifest.end)
    metrics = MemoryPrometheus(manifest.metric_source, series)
    logs: dict[str, LogSource] = {}
    if manifest.log_source:
        logs[manifest.log_source] = RecordedLogs(manifest.log_source, bundle.logs, query_key)
    cluster = MemoryCluster(time, controllers=False)
    for change in bundle.changes:
        event = WatchEvent(change.type, change.object)
        if change.at <= manifest.start:
            cluster.replay(event)
        else:
            time.at(change.at, "cluster", partial(cluster.replay, event))
    view = cluster.view()
    rehearsal = rehearsal_on(cluster, time, settings)
    notifier = MemoryNotifier()
    outside = Outside(
        clock=time, schedule=time, store=store, telemetry=telemetry or NullTelemetry(), snapshots=MemorySnapshots(),
        sources=Sources({metrics.name: metrics}, logs, {"kubernetes": CachedObjectSource(view, time)}), views={"default": view},
        acting=rehearsal, rehearsal=rehearsal, notifier=notifier,
    )
    core = assemble(outside, replay_settings(settings), dry_run=True, owner="replay", reload=lambda: "a replay reads its definitions once")
    start(core, definitions)
    return VirtualRun(time, core, store, notifier, cluster, manifest.start, manifest.end, errors)

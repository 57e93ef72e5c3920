"""`aiops runbook run`: one plan against the live cluster, judged by every guard, with what it would send. Writes nothing anywhere.

Neighbours: `pipeline.orders` plans, here and in the daemon; the store is read for what guards ask about it, if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from aiops.adapters.clock import SystemClock
from aiops.adapters.dry_run import DryRunCache
from aiops.adapters.dry_run_outside import DryRunOutbound, DryRunSilences
from aiops.adapters.memory_notifier import MemoryNotifier
from aiops.adapters.redis_cache import RedisCache
from aiops.adapters.schedule_live import LiveSchedule
from aiops.adapters.snapshots import MemorySnapshots
from aiops.adapters.store import SqlStore, open_store
from aiops.app.check import load_or_raise
from aiops.app.clusters import build_clusters
from aiops.app.compose import Core, Outside, assemble, take
from aiops.app.desk import who
from aiops.app.live import SETTLE
from aiops.app.outside import build_outbound, build_silences
from aiops.app.sources import build_sources
from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import SourceError, StoreError
from aiops.domain.plan import Plan
from aiops.domain.rule import LogQuery, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.target import TargetRef
from aiops.execution.desk import Hands
from aiops.lifecycle import Lifecycle
from aiops.pipeline.poller import Sources
from aiops.pipeline.watchfulness import Watchfulness
from aiops.ports.clock import Clock
from aiops.ports.telemetry import NullTelemetry
from aiops.settings import Settings

ANY_RECORD = LogQuery(index="*", window=60.0)
"""What a log source is asked that no rule asks anything."""


def planned(settings: Settings, runbook: str, target: TargetRef, parameters: Mapping[str, str]) -> Plan:
    """The plan with verdicts and changes. Raises CommandError, DefinitionError, ClusterError."""
    definitions = load_or_raise(settings)
    clock = SystemClock()
    lifecycle = Lifecycle(clock.monotonic)
    try:
        core = _core(settings, clock, lifecycle)
        take(core, definitions)
        core.board.load(core.outside.store)
        probe(core.outside.sources, core.watch, definitions.rules, clock)
        core.watch.look(core.outside.views, clock.now())
        core.paused.look()
        plan = core.orders.plan(runbook, target, parameters, who(), "shown")
        return replace(plan, changes=core.executor.preview(plan))
    finally:
        lifecycle.stop(settings.grace)


def _core(settings: Settings, clock: SystemClock, lifecycle: Lifecycle) -> Core:
    store = _store(settings)
    lifecycle.add("store", lambda _left: store.close())
    sources = build_sources(settings, clock)
    for close in sources.closers:
        lifecycle.add("source", _closing(close))
    clusters = build_clusters(settings, clock, act=False)
    caches = {
        name: DryRunCache(RedisCache(name, c.url, timeout=c.timeout, password_file=Path(c.password_file) if c.password_file else None, clock=clock))
        for name, c in settings.caches.items()
    }
    outbound, alerts = build_outbound(settings.outbound, clock), build_silences(settings.alertmanager, clock)
    hands = Hands(clusters.rehearsal, dict(caches), simulated=True, outbound=DryRunOutbound(outbound), alerts=DryRunSilences(alerts))
    outside = Outside(
        clock=clock, schedule=LiveSchedule(clock, NullTelemetry(), 1), store=store, telemetry=NullTelemetry(), snapshots=MemorySnapshots(),
        sources=Sources(sources.metrics, sources.logs, {}), views=dict(clusters.informers), acting=hands, rehearsal=hands, notifier=MemoryNotifier(),
    )
    # Judged as a run for real would be: what ran for real counts, what was simulated does not.
    core = assemble(outside, settings, dry_run=False, owner="shown", reload=lambda: "")
    for informer in clusters.informers.values():
        informer.start()
        lifecycle.add("informer", informer.stop)
    for informer in clusters.informers.values():
        informer.wait_settled(SETTLE)
    return core


def _closing(close: Callable[[], None]) -> Callable[[float], None]:
    return lambda _left: close()


def _store(settings: Settings) -> SqlStore:
    """What happened so far, if a daemon has a store here; else an empty one."""
    try:
        return open_store(settings.database_url, create=False, password_file=settings.store_password_file)
    except StoreError:
        return open_store("sqlite:///:memory:")


def probe(sources: Sources, watch: Watchfulness, rules: Iterable[Rule], clock: Clock) -> None:
    """Ask each source once: guards that need its sight would refuse what nobody has looked at. A log source is asked what its first rule asks."""
    queries = {r.source: r.query for r in reversed(tuple(rules)) if isinstance(r.query, LogQuery)}
    asked: list[tuple[str, Callable[[float], SampleBatch]]] = [(name, partial(source.instant, "vector(1)")) for name, source in sources.metrics.items()]
    asked += [(name, partial(source.counts, queries.get(name, ANY_RECORD))) for name, source in sources.logs.items()]
    for name, ask in asked:
        now = clock.now()
        try:
            watch.answered(name, ask(now), now, None)
        except SourceError as error:
            watch.failed(Decision(now, Stage.POLL, name, passed=False, reason=error.reason, detail=error.detail), name)

"""The daemon: real adapters, threads, signals. Dry-run unless told to act: then the hands are those that write.

Neighbours: `app.compose` wires the rooms, `lifecycle` stops what was started in reverse order, `cli run` holds the process.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from aiops import __version__
from aiops.adapters.breaker import BreakerState
from aiops.adapters.clock import SystemClock
from aiops.adapters.dry_run import DryRunCache
from aiops.adapters.dry_run_outside import DryRunOutbound, DryRunSilences
from aiops.adapters.history import ParquetHistory
from aiops.adapters.kubernetes import emit_event
from aiops.adapters.memory import ProcessMemory
from aiops.adapters.memory_notifier import MemoryNotifier
from aiops.adapters.objects import CachedObjectSource
from aiops.adapters.redis_cache import RedisCache
from aiops.adapters.schedule_live import LiveSchedule
from aiops.adapters.series_metrics import SeriesMetrics
from aiops.adapters.snapshots import FileSnapshots
from aiops.adapters.store import SqlStore, open_store
from aiops.adapters.telemetry import PrometheusTelemetry
from aiops.app.budgets import watch_budgets
from aiops.app.check import load
from aiops.app.clusters import BuiltClusters, build_clusters
from aiops.app.compose import Core, Outside, assemble, begin, take
from aiops.app.kernels import usable_kernels
from aiops.app.leader import Instance, Leadership
from aiops.app.outside import build_outbound, build_silences
from aiops.app.sources import BuiltSources, build_sources
from aiops.app.webapp import build_web
from aiops.domain.errors import AiopsError, ClusterError, DefinitionError
from aiops.domain.execution import Execution, ExecutionState
from aiops.execution.desk import Hands
from aiops.lifecycle import Lifecycle, ShutdownError
from aiops.pipeline.killswitch import SignalSwitch
from aiops.pipeline.poller import Sources
from aiops.ports.cluster import Cluster
from aiops.ports.notifier import Notifier
from aiops.settings import Settings, SlackSettings

log = structlog.get_logger(__name__)
RELOAD_EVERY = 2.0
SETTLE = 10.0


class Daemon:
    """`start`, then `stop`. Raises DefinitionError when what people wrote cannot be used, StoreError, ClusterError."""

    def __init__(self, settings: Settings, *, act: bool, signals: SignalSwitch | None = None) -> None:
        self.settings, self.act = settings, act
        self.clock = SystemClock()
        self.lifecycle = Lifecycle(self.clock.monotonic)
        self.telemetry = PrometheusTelemetry()
        self._marks: dict[str, tuple[int, int]] = {}
        self._hash = ""
        self._ready = False
        self.core: Core | None = None
        self.signals = signals or SignalSwitch()
        self.port = 0
        self.lost = threading.Event()
        """Set when another daemon took its place: stop it, and begin anew."""

    def start(self) -> None:
        """Everything, in order; what was started before a failure is stopped again."""
        try:
            self._start()
        except BaseException:
            try:
                self.lifecycle.stop(self.settings.grace)
            except ShutdownError as faults:  # why it could not start is what people need to know
                log.exception("stopped with faults", faults=str(faults))
            raise

    def _start(self) -> None:
        settings = self.settings
        definitions = load(settings)
        if definitions.problems:
            raise DefinitionError(definitions.problems)
        state = Path(settings.state_dir)
        state.mkdir(parents=True, exist_ok=True)
        usable_kernels(state, os.environ)
        store, owner, leadership = self._place(state)
        sources = build_sources(settings, self.clock)
        for close in sources.closers:
            self.lifecycle.add("source", _closing(close))
        clusters = build_clusters(settings, self.clock, act=self.act)
        caches = {name: RedisCache(name, c.url, timeout=c.timeout, password_file=_path(c.password_file), clock=self.clock) for name, c in settings.caches.items()}
        dry_caches = {name: DryRunCache(cache) for name, cache in caches.items()}
        outbound, alerts = build_outbound(settings.outbound, self.clock), build_silences(settings.alertmanager, self.clock)
        rehearsal = Hands(clusters.rehearsal, dry_caches, simulated=True, outbound=DryRunOutbound(outbound), alerts=DryRunSilences(alerts))
        acting = Hands(clusters.acting, dict(caches), simulated=False, outbound=outbound, alerts=alerts) if self.act else rehearsal
        schedule = LiveSchedule(self.clock, self.telemetry, settings.workers)
        first = clusters.informers.get("default")
        objects = {"kubernetes": CachedObjectSource(first, self.clock)} if first is not None else {}
        outside = Outside(
            clock=self.clock, schedule=schedule, store=store, telemetry=self.telemetry, snapshots=FileSnapshots(state / "snapshots", self.telemetry), history=ParquetHistory(state / "history", self.telemetry),
            sources=Sources(sources.metrics, sources.logs, objects), views=dict(clusters.informers), acting=acting, rehearsal=rehearsal,
            notifier=_notifier(settings.slack), memory=ProcessMemory(settings.detection.memory_limit), skews=sources.skews,
        )
        core = assemble(outside, settings, dry_run=not self.act, owner=owner, reload=self.reload, signals=self.signals)
        self.core = core
        self.telemetry.registry.register(SeriesMetrics(core.flow.parts.observer.shown))
        self.lifecycle.add("snapshots", lambda _left: core.flow.parts.observer.save())
        if self.act:
            core.listeners.append(self._events(clusters.acting, schedule.soon))
        web = build_web(core, settings, self.telemetry, self.telemetry.render, self.ready, started_at=self.clock.now())
        web.start()
        self.port = web.port
        self.lifecycle.add("web", web.stop)
        for informer in clusters.informers.values():
            informer.start()
            self.lifecycle.add("informer", informer.stop)
        for informer in clusters.informers.values():
            informer.wait_settled(SETTLE)
        take(core, definitions)
        self._hash, self._marks = definitions.hash, self._files()
        if leadership is None:
            self._lead(core, sources)
            self.telemetry.gauge("leading", 1)
        else:
            leadership.begin(lambda: self._lead(core, sources), self._lose)
        schedule.every("dependencies", RELOAD_EVERY, lambda: self._dependencies(sources, clusters))
        schedule.every("reload", RELOAD_EVERY, self._reload_if_changed, first_after=RELOAD_EVERY)
        schedule.start()
        self.lifecycle.add("executor", lambda _left: core.executor.stop())
        self.lifecycle.add("schedule", schedule.stop)
        self.telemetry.gauge("build_info", 1, version=__version__)
        self.telemetry.gauge("config_last_reload_successful", 1)
        self._ready = True
        log.info("ready", version=__version__, dry_run=not self.act, rules=len(definitions.rules), runbooks=len(definitions.runbooks), port=self.port)

    def _lead(self, core: Core, sources: BuiltSources) -> None:
        begin(core)
        watch_budgets(core, self.settings, sources.metrics)

    def _place(self, state: Path) -> tuple[SqlStore, str, Leadership | None]:
        """The store, the name under which this daemon owns things in it, and, where it may be shared with others, whose turn it is."""
        settings, instance = self.settings, Instance(state)
        self.lifecycle.add("instance", lambda _left: instance.close())
        store = open_store(settings.database_url, password_file=settings.store_password_file)
        self.lifecycle.add("store", lambda _left: store.close())
        owner = f"{settings.name}@{socket.gethostname()}/{instance.name}"
        if not settings.shared:
            return store, owner, None
        # Another name than that of the runs' leases: those are given back when one begins to lead.
        leadership = Leadership(store, self.clock, f"{owner}:leader", self.telemetry)
        store.led(leadership.current, self.clock.now)
        self.lifecycle.add("leadership", leadership.stop)
        return store, owner, leadership

    def _lose(self, why: str) -> None:
        log.warning("no longer leading: beginning anew, to stand by", why=why)
        self.lost.set()

    def stop(self) -> str:
        """Within the grace period: no new polls, the present transition of each run ends, leases are given back, the store is closed last.

        Returns what could not be stopped in order, empty if all was.
        """
        self._ready = False
        try:
            self.lifecycle.stop(self.settings.grace)
        except ShutdownError as error:
            log.exception("stopped with faults", faults=str(error))
            return str(error)
        log.info("stopped")
        return ""

    def ready(self) -> str:
        """Empty if ready, else why not."""
        if not self._ready or self.core is None:
            return "starting or stopping"
        try:
            self.core.outside.store.check()
        except AiopsError as error:
            return str(error)
        return ""

    # Rules and runbooks that change while we run

    def reload(self) -> str:
        """Read them again; the last good set stays if there is any problem. Returns what happened, in words."""
        if self.core is None:
            return "not started"
        definitions = load(self.settings)
        if definitions.problems:
            self.telemetry.count("reloads", result="refused")
            self.telemetry.gauge("config_last_reload_successful", 0)
            for problem in definitions.problems:
                log.error("definitions refused", problem=str(problem))
            return f"refused: {len(definitions.problems)} problems, the last good set stays: {definitions.problems[0]}"
        self.telemetry.gauge("config_last_reload_successful", 1)
        if definitions.hash == self._hash:
            return "unchanged"
        take(self.core, definitions)
        self._hash = definitions.hash
        self.telemetry.count("reloads", result="accepted")
        log.info("definitions reloaded", rules=len(definitions.rules), runbooks=len(definitions.runbooks))
        return f"{len(definitions.rules)} rules and {len(definitions.runbooks)} runbooks in force"

    def _reload_if_changed(self) -> None:
        marks = self._files()
        if marks != self._marks:
            self._marks = marks
            self.reload()

    def _files(self) -> dict[str, tuple[int, int]]:
        """What changes when a file does; links are followed, as the kubelet swaps those of a ConfigMap."""
        found: dict[str, tuple[int, int]] = {}
        for top in (*self.settings.rules, *self.settings.runbooks):
            root = Path(top)
            for path in [root] if root.is_file() else root.rglob("*.yaml"):
                try:
                    status = path.stat()
                except OSError:  # it vanished between listing and looking: the next look sees that
                    continue
                found[str(path)] = (status.st_mtime_ns, status.st_size)
        return found

    # Clusters

    def _dependencies(self, sources: BuiltSources, clusters: BuiltClusters) -> None:
        for name, breaker in sources.breakers.items():
            self.telemetry.gauge("circuit_open", float(breaker.state is not BreakerState.CLOSED), dependency=name)
        for name, informer in clusters.informers.items():
            self.telemetry.gauge("cluster_synced", float(informer.sight().synced), cluster=name)

    def _events(self, clusters: dict[str, Cluster], soon: Callable[[str, Callable[[], object]], None]) -> Callable[[Execution], None]:
        """An Event on the object for each run that ended, beside the flow: an API that refuses Events holds up nothing."""

        def told(execution: Execution) -> None:
            if execution.simulated or execution.state is not ExecutionState.DONE or execution.result is None:
                return
            result, target = execution.result, execution.plan.target
            kind = "Normal" if result.outcome.value in ("succeeded", "skipped") else "Warning"
            words = f"runbook {execution.plan.runbook} for {execution.plan.incident}: {result.outcome.value}: {result.reason} {result.detail}"

            def emit() -> None:
                found = clusters[target.context].view.find(target)
                uid = str(((found or {}).get("metadata") or {}).get("uid", ""))
                reason = f"Remediation{result.outcome.value.capitalize()}"
                try:
                    emit_event(
                        clusters[target.context].writer, target, reason=reason, message=words, type=kind, now=self.clock.now(),
                        name_key=execution.id, uid=uid,
                    )
                except ClusterError as error:
                    log.warning("no Event on the target", target=str(target), error=str(error))

            soon("events", emit)

        return told


def signal_switch() -> SignalSwitch:
    """The part of the kill switch that signals set: one for the process, whatever daemon takes over in it."""
    return SignalSwitch()


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _closing(close: Callable[[], None]) -> Callable[[float], None]:
    return lambda _left: close()


def _notifier(slack: SlackSettings) -> Notifier:
    if not slack.token_file:
        return MemoryNotifier(keep=100)
    # Deferred: who tells nobody needs no client.
    from aiops.adapters.slack import SlackNotifier

    return SlackNotifier(Path(slack.token_file), base_url=slack.base_url, timeout=slack.timeout)

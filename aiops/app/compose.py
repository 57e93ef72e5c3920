"""Putting the rooms together over whatever world is given: live adapters, or in-memory ones in virtual time. The same for both.

Neighbours: `app.live` and `app.virtual` make the world; nobody else names both stages and adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from aiops.adapters.history import MemoryHistory
from aiops.app.config import freeze, quiet_time
from aiops.correlate.incident_flow import FlowPolicy
from aiops.correlate.sight import SightPolicy
from aiops.definitions.arguments import retyped
from aiops.definitions.breakdown import summed
from aiops.definitions.cel import compile_expression
from aiops.definitions.loader import Definitions
from aiops.definitions.templates import render
from aiops.domain.errors import ClusterError
from aiops.domain.execution import Execution
from aiops.domain.incident import Incident, IncidentState
from aiops.domain.plan import Plan
from aiops.domain.runbook import Mode
from aiops.domain.signal import Severity
from aiops.domain.target import TargetRef
from aiops.execution.actions.registry import SPECS
from aiops.execution.desk import Hands
from aiops.execution.executor import Executor
from aiops.execution.settings import EngineSettings
from aiops.pipeline.announce import Announcer, Courier, Route, channel_for
from aiops.pipeline.autonomy import Autonomy
from aiops.pipeline.backfill import Backfill
from aiops.pipeline.board import Board
from aiops.pipeline.capacity import Capacity
from aiops.pipeline.commands import Commands
from aiops.pipeline.context import Context, HoldPolicy
from aiops.pipeline.damping import Damping
from aiops.pipeline.decide import Decider, DeciderParts
from aiops.pipeline.explaining import Explaining
from aiops.pipeline.flow import Flow
from aiops.pipeline.flow_parts import FlowParts
from aiops.pipeline.gathering import Gathering
from aiops.pipeline.guarding import Guarding
from aiops.pipeline.housekeeping import Housekeeping
from aiops.pipeline.killswitch import LOOK_EVERY, ConfigMapKey, KillSwitch, SignalSwitch
from aiops.pipeline.memory import MemoryPolicy, MemoryWatch
from aiops.pipeline.observe import Observer
from aiops.pipeline.orders import Orders
from aiops.pipeline.poller import Poller, Sources
from aiops.pipeline.room import RoomPolicy
from aiops.pipeline.storming import Storming
from aiops.pipeline.triage import Triage
from aiops.pipeline.watchfulness import Watchfulness, cluster_source
from aiops.ports.clock import Clock
from aiops.ports.cluster import ClusterView
from aiops.ports.history import History
from aiops.ports.memory import Memory, NoMemory
from aiops.ports.models import Snapshots
from aiops.ports.notifier import Notifier
from aiops.ports.schedule import Schedule
from aiops.ports.storage import Store
from aiops.ports.telemetry import Telemetry
from aiops.remediate.autonomy import AutonomyPolicy
from aiops.remediate.bucket import Bucket
from aiops.remediate.guards.contract import GuardLimits
from aiops.remediate.storm import StormPolicy
from aiops.settings import Settings

log = structlog.get_logger(__name__)


@dataclass
class Outside:
    """The world as adapters. `acting` is what real runs go through; in dry-run it is the rehearsal's hands."""

    clock: Clock
    schedule: Schedule
    store: Store
    telemetry: Telemetry
    snapshots: Snapshots
    sources: Sources
    views: Mapping[str, ClusterView]
    acting: Hands
    rehearsal: Hands
    notifier: Notifier
    memory: Memory = field(default_factory=NoMemory)
    skews: Mapping[str, Callable[[], float | None]] = field(default_factory=dict)
    history: History = field(default_factory=MemoryHistory)


@dataclass
class Core:
    """What is running."""

    outside: Outside
    flow: Flow
    executor: Executor
    commands: Commands
    orders: Orders
    board: Board
    watch: Watchfulness
    paused: KillSwitch
    dry_run: bool
    listeners: list[Callable[[Execution], None]]
    """Told of each step of a run's progress, after it is stored."""
    resting: tuple[str, ...] = ()
    """Rules whose source is not configured."""


def assemble(
    outside: Outside, settings: Settings, *, dry_run: bool, owner: str, reload: Callable[[], str], signals: SignalSwitch | None = None,
) -> Core:
    """Wire stages, engine and commands. Starts nothing."""
    o, board = outside, Board()
    watch = Watchfulness(sight_policies(settings, o), o.telemetry, o.clock.now())
    routes = tuple(Route(r.channel, tuple(r.severity), r.namespaces, r.labels) for r in settings.slack.routes)
    paused = kill_switch(settings, o, signals)
    told: list[Callable[[Execution], None]] = []

    def tell(execution: Execution) -> None:
        for one in told:
            one(execution)

    limits = guard_limits(settings)
    storming = Storming(o.store, board, limits.storm, o.telemetry)
    guarding = Guarding(limits, o.store, o.views, watch, board, paused, storming, o.clock, simulated=dry_run)

    def in_force(plan: Plan) -> bool:
        return decider.in_force(plan)

    executor = Executor(
        store=o.store, acting=o.acting, rehearsal=o.rehearsal, metric_sources=o.sources.metrics, clock=o.clock, owner=owner,
        compile=compile_expression, telemetry=o.telemetry, settings=EngineSettings(approval_ttl=settings.incidents.approval_expires),
        tell=tell, permit=guarding.permit, in_force=in_force, channels=channels(routes), log_sources=o.sources.logs, render=render, convert=convert,
    )
    autonomy = Autonomy(
        o.store, o.clock, o.telemetry, autonomy_policy(settings), manual=settings.report.manual_fix, report_window=settings.report.window,
    )
    parts = DeciderParts(
        store=o.store, views=dict(o.views), guarding=guarding, executor=executor, render=render, convert=convert, schedule=o.schedule,
        clock=o.clock, telemetry=o.telemetry, autonomy=autonomy, simulated=dry_run, cooldown=settings.guards.cooldown,
    )
    decider = Decider(parts)
    orders = Orders(parts, lambda: decider.runbooks)
    incidents = settings.incidents
    policy = FlowPolicy(resolve_after=incidents.resolve_after, flap_window=incidents.flap_window, max_flaps=incidents.flap_limit)
    damping = Damping(o.store)
    observer = Observer(o.views, o.sources.logs, render, o.snapshots, o.telemetry, damping, tuple(map(quiet_time, settings.quiet_times)), room_policy(settings))
    capacity = Capacity(Gathering(o.history, o.clock, o.telemetry, settings.retention.history), tuple(map(quiet_time, settings.quiet_times)))
    flow = Flow(
        FlowParts(
            clock=o.clock, schedule=o.schedule, store=o.store, telemetry=o.telemetry, board=board,
            context=Context(o.views, HoldPolicy(incidents.rollout_grace, incidents.rollout_hold)),
            poller=Poller(o.sources, o.clock, o.telemetry, capacity),
            observer=observer, damping=damping, backfill=Backfill(o.sources, observer, o.clock),
            explaining=Explaining(o.sources.metrics, summed, observer, decider.placement, o.clock, o.telemetry),
            triage=Triage(board, o.store, policy), decider=decider, autonomy=autonomy, orders=orders,
            announcer=Announcer(routes, dry_run=dry_run, external_url=settings.web.external_url),
            courier=Courier(o.store, o.notifier, o.clock, o.telemetry), watch=watch, storming=storming,
            memory=MemoryWatch(o.memory, observer, board, MemoryPolicy(settings.detection.memory_soft, settings.detection.memory_hard), o.telemetry),
            housekeeping=Housekeeping(o.store, o.clock, o.telemetry, settings.retention.model_dump(exclude={"history"})), views=o.views, dry_run=dry_run,
            paused=paused, tick=settings.tick, skews=o.skews,
        )
    )
    told += [lambda _run: guarding.forget(), flow.on_run]
    commands = Commands(o.store, flow, executor.commands, reload, o.clock, o.telemetry)
    return Core(o, flow, executor, commands, orders, board, watch, paused, dry_run, told)


def take(core: Core, definitions: Definitions) -> None:
    """Rules and runbooks in force from now on. Rules whose source the settings do not have rest; that is said, not counted as dark."""
    sources = core.outside.sources
    known = {*sources.metrics, *sources.logs, *sources.objects}
    active = [r for r in definitions.rules if r.source in known]
    core.resting = tuple(sorted(r.name for r in definitions.rules if r.source not in known))
    if core.resting:
        log.info("rules rest: their source is not configured", rules=list(core.resting))
    core.flow.set_definitions(active, definitions.runbooks)


def start(core: Core, definitions: Definitions) -> None:
    """Take the rules and begin; the schedule is started by the caller."""
    take(core, definitions)
    begin(core)


def begin(core: Core) -> None:
    """Poll, decide and act from now on, over what is in the store."""
    core.watch.begin(core.outside.clock.now())
    core.executor.recover()
    core.flow.start()
    if core.paused.remote:
        core.paused.look()
        core.outside.schedule.every("pause", LOOK_EVERY, core.paused.look, first_after=LOOK_EVERY)
    core.outside.schedule.every("commands", 1.0, core.commands.run, first_after=0.5)


def convert(action: str, name: str, value: Any) -> Any:
    """A rendered argument in its parameter's type. Raises ValueError."""
    return retyped(SPECS[action].parameters[name], value)


def sight_policies(settings: Settings, outside: Outside) -> dict[str, SightPolicy]:
    """When each source counts as dark."""
    policies = {name: SightPolicy(dark_after=s.dark_after) for name, s in settings.sources.items()}
    stale = {c.name: c.stale_after for c in settings.clusters}
    for name in outside.views:
        # A view that is synced and quiet is not dark: its informers speak at least once a minute by bookmarks or re-connecting.
        policies[cluster_source(name)] = SightPolicy(dark_after=stale.get(name, 60.0))
    return policies


def kill_switch(settings: Settings, outside: Outside, signals: SignalSwitch | None) -> KillSwitch:
    """All its parts."""
    asked, config_map = settings.pause_config_map, None
    if asked.name:
        # The first cluster of the settings is called default, whatever its name.
        context = "default" if asked.cluster in ("default", *(c.name for c in settings.clusters[:1])) else asked.cluster
        cluster = outside.rehearsal.clusters.get(context)
        if cluster is None:
            raise ClusterError("NoCluster", f"pauseConfigMap: there is no cluster {asked.cluster}")
        config_map = ConfigMapKey(TargetRef("ConfigMap", asked.namespace, asked.name, context), asked.key, cluster.reader.get)
    return KillSwitch(
        outside.store, outside.clock, file=Path(settings.pause_file) if settings.pause_file else None, signals=signals, config_map=config_map,
    )


def room_policy(settings: Settings) -> RoomPolicy:
    """How many series there may be."""
    d = settings.detection
    return RoomPolicy(d.maximum_series, d.maximum_series_total, d.focus_series, d.series_ttl)


def autonomy_policy(settings: Settings) -> AutonomyPolicy:
    """What is to be earned, and lost."""
    a = settings.autonomy
    return AutonomyPolicy(Mode(a.start), a.successes, a.reviews, a.budget, a.failures, a.window)


def guard_limits(settings: Settings) -> GuardLimits:
    """The daemon's own limits, as the guards read them."""
    g = settings.guards
    return GuardLimits(
        modes=g.modes, may_loosen=frozenset(g.may_loosen), protected_namespaces=g.protected_namespaces, opt_in=g.require_opt_in, maximum_pods=g.maximum_pods,
        maximum_share=g.maximum_share, target_cooldown=g.target_cooldown, maximum_per_incident=g.maximum_per_incident,
        maximum_per_hour=g.maximum_per_hour, breaker_failures=g.circuit_failures, breaker_open=g.circuit_block, reversal_hold=g.reversal_hold,
        minimum_replicas=g.minimum_replicas, maximum_replicas=g.maximum_replicas, maximum_nodes=g.maximum_nodes,
        maximum_namespace_share=g.maximum_namespace_share, maximum_cluster_share=g.maximum_cluster_share,
        disruption_budget=g.disruption_budget, disruption_budget_namespace=g.disruption_budget_namespace,
        minimum_healthy=g.minimum_healthy, minimum_healthy_nodes=g.minimum_healthy_nodes, freezes=tuple(map(freeze, g.freezes)),
        target_bucket=Bucket(g.target_burst, g.target_every), runbook_bucket=Bucket(g.runbook_burst, g.runbook_every),
        cluster_bucket=Bucket(g.cluster_burst, g.cluster_every),
        loop_limit=g.loop_limit, loop_window=g.loop_window,
        storm=StormPolicy(g.storm_targets, g.storm_incidents, g.storm_window, g.storm_quiet),
    )


def channels(routes: tuple[Route, ...]) -> Callable[[str, TargetRef], tuple[str, ...]]:
    """Where a `notify` step is told: by the same routes as incidents."""

    def of(severity: str, target: TargetRef) -> tuple[str, ...]:
        level = Severity(severity) if severity in set(Severity) else Severity.WARNING
        stand_in = Incident("", "", "", IncidentState.OPEN, level, 0.0, 0.0, target, {"namespace": target.namespace})
        channel = channel_for(stand_in, routes)
        return (channel,) if channel else ()

    return of

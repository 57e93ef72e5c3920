"""What every guard is given and what it answers.

None in the input means "not known", and a guard that needs it then refuses: missing information never allows.
Neighbours: `pipeline.decide` fills the input, each guard reads it, `guardrails.judge` calls them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiops.domain.execution import Execution, ExecutionState
from aiops.domain.incident import Incident, Silence
from aiops.domain.outcome import GuardMode
from aiops.domain.plan import Plan
from aiops.domain.runbook import GuardSpec
from aiops.domain.target import JsonObject, TargetRef
from aiops.remediate.bucket import Bucket
from aiops.remediate.freezes import Freeze
from aiops.remediate.objects import ClusterObjects
from aiops.remediate.picture import Picture
from aiops.remediate.storm import Storm, StormPolicy

HOUR = 3600.0
Amount = int | str
"""A number, or a share such as `25%`."""


def amount_of(amount: Amount, total: int) -> int:
    """Of a total; a share is rounded up, as a PodDisruptionBudget's is. Raises ValueError for anything else."""
    text = str(amount)
    return math.ceil(float(text[:-1]) * total / 100 - 1e-9) if text.endswith("%") else int(text)


class SourceState(Protocol):
    """How well a source of telemetry is seen: `state` is `ok` or what is wrong (`dark`, `stale`, `partial`, `failing`, `unknown`)."""

    @property
    def state(self) -> str:
        """Only `ok` may be acted on."""
        ...

    @property
    def answered_at(self) -> float | None:
        """Last answer, Unix seconds."""
        ...

    @property
    def detail(self) -> str:
        """The last error's text."""
        ...


class ClusterState(Protocol):
    """How well the cluster's view is seen (`ports.cluster.Sight` is one)."""

    @property
    def synced(self) -> bool:
        """Every kind was listed."""
        ...

    @property
    def seen_at(self) -> float:
        """Oldest last contact of its kinds, Unix seconds."""
        ...

    @property
    def errors(self) -> Mapping[str, str]:
        """By kind."""
        ...


@dataclass(frozen=True, slots=True)
class GuardInput:
    """One plan and all that is known when it is judged. Times are Unix seconds.

    `objects` is about the plan's own target, `others` about those of its steps. `pictures` and `clusters` are by context. `executions`: all runs
    created since `history_since` that touch one of the targets or are of this runbook, and all others that any limit counts, finished or not,
    simulated ones too. `of_incident`: all of this incident's. `active`: those that are not done
    and touch one of the targets, and where pictures are given all that are not done. `execution`: the id of the run whose plan this is,
    when a plan is judged again. `simulated`: the dry-run writer would be used; real runs count for simulated plans, not the other way round.
    """

    plan: Plan
    guards: GuardSpec
    incident: Incident
    objects: ClusterObjects
    now: float
    needs_sight: Sequence[str] = ()
    executions: Sequence[Execution] | None = None
    history_since: float | None = None
    of_incident: Sequence[Execution] | None = None
    active: Sequence[Execution] | None = None
    incidents: Sequence[Incident] | None = None
    silences: Sequence[Silence] | None = None
    sights: Mapping[str, SourceState] = field(default_factory=dict)
    cluster: ClusterState | None = None
    paused: bool | None = None
    execution: str = ""
    simulated: bool = False
    others: Mapping[TargetRef, ClusterObjects] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    clusters: Mapping[str, ClusterState] = field(default_factory=dict)
    paused_by: str = ""
    """Which switch, and why, if `paused`."""
    storm: Storm | None = None
    """After a look at `incidents`."""
    again: bool = False
    """The run is under way, and this is the moment before an effect of it."""

    @property
    def plan_targets(self) -> frozenset[TargetRef]:
        """All targets of the plan."""
        return frozenset(self.plan.targets)

    def objects_of(self, target: TargetRef) -> ClusterObjects:
        """What is known about one of the plan's targets. Raises UnknownFactError if nothing was gathered."""
        if target == self.plan.target:
            return self.objects
        if target not in self.others:
            raise UnknownFactError(f"{target} was not looked at")
        return self.others[target]

    def present(self, target: TargetRef) -> JsonObject:
        """The object of one of the plan's targets. Raises UnknownFactError if it is not in the view."""
        found = self.objects_of(target).target
        if found is None:
            raise UnknownFactError(f"{target} is not in the view")
        return found

    def picture(self, context: str) -> Picture:
        """What one cluster looks like. Raises UnknownFactError if that is not known."""
        if context not in self.pictures:
            raise UnknownFactError(f"what runs in cluster {context} is not known")
        return self.pictures[context]


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """The daemon's own limits; a runbook may be stricter. Durations in seconds, shares 0..1.

    `modes` overrides ENFORCE by guard name, save for the guards that `guardrails.FIXED` names. `may_loosen`: guards in which a runbook's own limits
    and mode hold even where they are looser (see `bounds`).
    """

    modes: Mapping[str, GuardMode] = field(default_factory=dict)
    may_loosen: frozenset[str] = frozenset()
    protected_namespaces: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease")
    opt_in: bool = False
    minimum_replicas: int = 1
    maximum_replicas: int = 50
    maximum_pods: int = 10
    maximum_share: float = 0.5
    target_cooldown: float = 60.0
    cooldown_maximum: float = 3600.0
    maximum_per_incident: int = 5
    maximum_per_hour: int = 20
    breaker_failures: int = 3
    breaker_window: float = 6 * 3600.0
    breaker_open: float = 3600.0
    reversal_hold: float = 3600.0
    maximum_nodes: Amount = "10%"
    maximum_namespace_share: float = 0.5
    maximum_cluster_share: float = 0.25
    disruption_budget: Amount = "30%"
    disruption_budget_namespace: Amount = "50%"
    minimum_healthy: Amount = "50%"
    minimum_healthy_nodes: Amount = "50%"
    freezes: tuple[Freeze, ...] = ()
    target_bucket: Bucket = field(default_factory=lambda: Bucket(5, 300.0))
    runbook_bucket: Bucket = field(default_factory=lambda: Bucket(20, 60.0))
    cluster_bucket: Bucket = field(default_factory=lambda: Bucket(30, 30.0))
    loop_limit: int = 5
    loop_window: float = 3600.0
    storm: StormPolicy = field(default_factory=StormPolicy)
    source_stale_after: float = 300.0
    cluster_stale_after: float = 600.0

    @property
    def horizon(self) -> float:
        """How far back, in seconds, `GuardInput.executions` has to reach for runbooks whose cooldown is not longer than `cooldown_maximum`.

        An hour more than the longest window, since runs are listed by the time of their creation and counted by that of their end.
        """
        buckets = (b.window for b in (self.target_bucket, self.runbook_bucket, self.cluster_bucket))
        windows = (self.breaker_window, self.cooldown_maximum, self.target_cooldown, self.reversal_hold, self.loop_window, HOUR)
        return max(*windows, *buckets) + HOUR

    @property
    def cluster_horizon(self) -> float:
        """How far back, in seconds, runs of other targets and runbooks matter: some may have touched a target by a step of theirs."""
        windows = (self.cooldown_maximum, self.target_cooldown, self.reversal_hold, self.loop_window, HOUR)
        return max(*windows, self.target_bucket.window, self.cluster_bucket.window) + HOUR

    @property
    def runbook_horizon(self) -> float:
        """How far back, in seconds, runs of the same runbook on other targets matter."""
        return max(self.runbook_bucket.window, HOUR) + HOUR


@dataclass(frozen=True, slots=True)
class Answer:
    """A guard's answer; `reason` is CamelCase."""

    allowed: bool
    reason: str
    detail: str = ""


class UnknownFactError(Exception):
    """What the guard needs is not known; the text says what. It becomes a refusal."""


Guard = Callable[[GuardInput, GuardLimits], Answer]


def allow(detail: str = "") -> Answer:
    """It may go on."""
    return Answer(True, "Allowed", detail)


def refuse(reason: str, detail: str) -> Answer:
    """It must not."""
    return Answer(False, reason, detail)


def counted(given: GuardInput, runs: Sequence[Execution] | None, what: str) -> list[Execution]:
    """The runs that count for this plan: not itself, and simulated ones only if it is simulated too."""
    if runs is None:
        raise UnknownFactError(f"{what} are not known")
    return [e for e in runs if e.id != given.execution and (given.simulated or not e.simulated)]


def recent(given: GuardInput, seconds: float) -> list[Execution]:
    """The runs of the last `seconds`; UnknownFactError if the history that was given does not reach so far back."""
    runs = counted(given, given.executions, "recent executions")
    since = given.now - seconds
    if given.history_since is None or given.history_since > since:
        raise UnknownFactError(f"recent executions are not known for {seconds:g} s back")
    return [e for e in runs if e.updated_at >= since or e.state is not ExecutionState.DONE]

"""What the guards are asked about one plan: gathered from store, view and sight; judged purely by `remediate.guardrails`.

Neighbours: `decide` asks, and asks again through the executor's permit just before each effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiops.domain.errors import AiopsError
from aiops.domain.execution import Execution, ExecutionState
from aiops.domain.incident import Incident
from aiops.domain.outcome import GuardMode, Verdict
from aiops.domain.plan import Plan
from aiops.domain.runbook import Runbook
from aiops.domain.target import TargetRef
from aiops.pipeline.board import Board
from aiops.pipeline.watchfulness import Watchfulness, cluster_source
from aiops.ports.cluster import ClusterView
from aiops.ports.storage import Store
from aiops.remediate.guardrails import judge
from aiops.remediate.guards.contract import GuardInput, GuardLimits
from aiops.remediate.guards.traits import acts
from aiops.remediate.objects import ClusterObjects, gather
from aiops.remediate.picture import Picture, take

HISTORY = 24 * 3600.0
PICTURE_FOR = 1.0
"""Seconds for which what was counted of a cluster is good for further plans."""
# Refusals that end by themselves soon: waiting is right, and trying the next runbook would be impatience.
PASSING = frozenset({"Cooldown", "TargetBusy", "RolloutUnderWay", "ClusterNotSynced", "RateLimited"})


class Guarding:
    """`simulated`: plans are judged for the dry-run writer."""

    def __init__(
        self, limits: GuardLimits, store: Store, views: Mapping[str, ClusterView], watch: Watchfulness, board: Board,
        paused: Callable[[], bool], *, simulated: bool,
    ) -> None:
        self._limits, self._store, self._views, self._watch, self._board = limits, store, views, watch, board
        self._paused, self._simulated = paused, simulated
        self._pictures: dict[str, tuple[float, Picture]] = {}

    def judge(self, plan: Plan, runbook: Runbook, incident: Incident, objects: ClusterObjects, now: float) -> tuple[Verdict, ...]:
        """Every guard's verdict. What cannot be gathered is given as unknown, and unknown refuses."""
        sights = {("kubernetes" if name == cluster_source(plan.target.context) else name): s for name, s in self._watch.all().items()}
        since = now - HISTORY
        try:
            executions = self._store.executions(since=since, limit=10_000)
            of_incident = self._store.executions(incident=incident.id)
            active = self._store.unfinished()
            silences = self._store.silences(now)
            paused: bool | None = self._paused()
        except AiopsError:
            executions = of_incident = active = silences = paused = None  # type: ignore[assignment]
        contexts = {target.context for target in plan.targets} & self._views.keys()
        seen = {context: self._views[context].sight() for context in contexts}
        pictures = {context: self._picture(context, now) for context in contexts}
        others = {target: self._objects(target) for target in plan.targets if target != plan.target and target.context in contexts}
        return judge(
            GuardInput(
                plan=plan, guards=runbook.guards, incident=incident, objects=objects, now=now, needs_sight=runbook.needs_sight,
                executions=executions, history_since=since, of_incident=of_incident, active=active, incidents=tuple(self._board),
                silences=silences, sights=sights, cluster=seen.get(plan.target.context), paused=paused, simulated=self._simulated,
                others=others, pictures=pictures, clusters=seen,
            ),
            self._limits,
        )

    def _objects(self, target: TargetRef) -> ClusterObjects:
        view = self._views[target.context]
        return gather(target, view.find, view.objects)

    def _picture(self, context: str, now: float) -> Picture:
        """Shared by what is judged in the same second."""
        kept = self._pictures.get(context)
        if kept is None or not 0.0 <= now - kept[0] < PICTURE_FOR:
            kept = self._pictures[context] = (now, take(context, self._views[context].objects))
        return kept[1]

    def permit(self, execution: Execution) -> Verdict | None:
        """Asked by the engine just before each real effect: the kill switch, and the sources that verification stands on."""
        plan = execution.plan
        if not acts(plan):
            return None
        try:
            if self._paused():
                return _refusal("paused", "Paused", "acting is paused")
        except AiopsError as error:
            return _refusal("paused", "GuardUnavailable", str(error))
        # What is undone was done by us: putting it back needs no telemetry, and is most wanted when something is wrong.
        if plan.verify is not None and execution.state is not ExecutionState.UNDOING:
            sight = self._watch.all().get(plan.verify.source)
            if sight is not None and sight.state.value == "dark":
                return _refusal("loss-of-sight", "SourceDark", f"{plan.verify.source} is dark")
        return None

    @staticmethod
    def passing(verdict: Verdict) -> bool:
        """True if waiting is right."""
        return verdict.reason in PASSING


def _refusal(guard: str, reason: str, detail: str) -> Verdict:
    return Verdict(guard, GuardMode.ENFORCE, allowed=False, reason=reason, detail=detail)

"""A small shop on the in-memory cluster, whose controllers make the ReplicaSets, pods, statuses and managedFields; and plans to be judged on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.adapters.memory_cluster import MemoryCluster
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.domain.execution import Execution, ExecutionState, StepRun, StepState
from aiops.domain.incident import Incident, IncidentState
from aiops.domain.outcome import Outcome, Result, Verdict
from aiops.domain.plan import Plan, PlannedStep, PlannedVerify
from aiops.domain.runbook import GuardSpec, Mode
from aiops.domain.signal import Severity, Signal, SignalKind, SignalState
from aiops.domain.target import JsonObject, TargetRef
from aiops.ports.cluster import Sight
from aiops.remediate.facts import target_facts
from aiops.remediate.guardrails import judge
from aiops.remediate.guards.contract import GuardInput, GuardLimits
from aiops.remediate.objects import ClusterObjects, gather
from aiops.remediate.picture import Picture, take
from aiops.remediate.storm import Storm

START = 1_800_000_000.0
CHECKOUT = TargetRef("Deployment", "shop", "checkout")
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


def workload(kind: str = "Deployment", name: str = "checkout", *, replicas: int = 4, image: str = "shop/checkout:1", **spec: Any) -> JsonObject:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    extra = {"serviceName": name} if kind == "StatefulSet" else {}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": name, "tier": "web"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **extra, **spec},
    }


class Shop:
    """The cluster in virtual time; `pass_time` lets its controllers work."""

    def __init__(self, *objects: JsonObject) -> None:
        self.time = VirtualTime(START)
        self.cluster = MemoryCluster(self.time)
        for obj in objects:
            self.cluster.apply(obj)
        self.pass_time(60)

    @property
    def now(self) -> float:
        return self.time.now()

    def pass_time(self, seconds: float) -> None:
        end = self.time.now() + seconds
        while (due := self.cluster.next_due()) is not None and due <= end:
            self.time.run_until(max(due, self.time.now()))
            self.cluster.step()
        self.time.run_until(end)
        self.cluster.step()

    def patch(self, body: Any, *, manager: str = "kubectl-edit", ref: TargetRef = CHECKOUT, subresource: str = "") -> None:
        self.cluster.writer("someone", manager).patch(ref, body, subresource=subresource)

    def release(self, image: str, *, manager: str = "ci") -> None:
        """A new release, as a pipeline rolls it out."""
        self.patch([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}], manager=manager)

    def restart(self) -> None:
        self.patch({"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: f"{self.now:.0f}"}}}}}, manager="kubectl-rollout")

    def objects(self, ref: TargetRef = CHECKOUT) -> ClusterObjects:
        view = self.cluster.view()
        return gather(ref, view.find, view.objects)

    def picture(self) -> Picture:
        return take("default", self.cluster.view().objects)

    def pods(self) -> list[TargetRef]:
        return [TargetRef("Pod", "shop", p["metadata"]["name"]) for p in self.objects().pods]

    def facts(self, ref: TargetRef = CHECKOUT, incident: Incident | None = None) -> dict[str, Any]:
        return target_facts(ref, self.objects(ref), incident or make_incident(), self.now)


def signal(rule: str = "latency", *, symptom: str = "latency", kind: SignalKind = SignalKind.METRIC, target: TargetRef | None = CHECKOUT) -> Signal:
    labels = {"symptom": symptom} if symptom else {}
    return Signal(f"s-{rule}", rule, "threshold", kind, SignalState.FIRING, Severity.CRITICAL, START, rule, labels, target, f"{rule} is up")


def make_incident(*signals: Signal, state: IncidentState = IncidentState.OPEN, target: TargetRef | None = CHECKOUT, **more: Any) -> Incident:
    claims = signals or (signal(),)
    return Incident(
        "inc-1", "fp", "checkout is slow", state, Severity.CRITICAL, START, START, target, {"namespace": "shop"}, {s.key: s for s in claims}, **more
    )


def make_plan(
    action: str = "scale",
    arguments: Mapping[str, Any] | None = None,
    *,
    runbook: str = "scale-out",
    target: TargetRef = CHECKOUT,
    cooldown: float = 300.0,
    verify: bool = True,
    incident: str = "inc-1",
) -> Plan:
    steps = (PlannedStep("do", action, {"by": "+50%"} if arguments is None and action == "scale" else arguments or {}),)
    checked = PlannedVerify("prometheus", "up", "value < 1.0", 15.0, 300.0, 10.0, 0.0, "max") if verify else None
    return Plan("plan-1", incident, runbook, "h", Mode.AUTO, target, steps, START, "hash", checked, cooldown=cooldown)


def run(
    number: int = 1,
    *,
    plan: Plan | None = None,
    at: float = START,
    state: ExecutionState = ExecutionState.DONE,
    outcome: Outcome | None = Outcome.SUCCEEDED,
    simulated: bool = False,
    step: StepRun | None = None,
) -> Execution:
    result = Result(outcome, "Because") if outcome is not None and state is ExecutionState.DONE else None
    steps = (step or StepRun("do", StepState.DONE, effect=True),)
    return Execution(f"exe-{number}", plan or make_plan(), state, at, at, at, simulated, steps, result=result)


@dataclass(frozen=True)
class Seen:
    """How a source is seen, as `correlate.sight` says it."""

    state: str = "ok"
    answered_at: float | None = START
    detail: str = ""


@dataclass
class Case:
    """One judgement, everything in order unless a test says otherwise."""

    shop: Shop
    plan: Plan = field(default_factory=make_plan)
    guards: GuardSpec = field(default_factory=GuardSpec)
    limits: GuardLimits = field(default_factory=GuardLimits)

    def given(self, **changes: Any) -> GuardInput:
        now = self.shop.now
        values: dict[str, Any] = {
            "plan": self.plan,
            "guards": self.guards,
            "incident": make_incident(),
            "objects": self.shop.objects(self.plan.target),
            "now": now,
            "needs_sight": (),
            "executions": (),
            "history_since": 0.0,
            "of_incident": (),
            "active": (),
            "incidents": (),
            "silences": (),
            "sights": {"prometheus": Seen(answered_at=now)},
            "cluster": Sight(True, now, {}),
            "paused": False,
            "storm": Storm(),
            "others": {t: self.shop.objects(t) for t in self.plan.targets if t != self.plan.target},
            "pictures": {"default": self.shop.picture()},
        }
        return GuardInput(**(values | changes))

    def verdicts(self, **changes: Any) -> dict[str, Verdict]:
        return {v.guard: v for v in judge(self.given(**changes), self.limits)}

    def refused(self, **changes: Any) -> dict[str, str]:
        """Guard and reason of every refusal."""
        return {v.guard: v.reason for v in self.verdicts(**changes).values() if v.refuses}

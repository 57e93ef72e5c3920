"""Guards as a whole: more harm never loosens, missing information never allows, nonsense never raises.

Harm is what a careful person would call worse: more failed runs, darker sources, more pods taken away, a stricter limit. A run that succeeded is
none, so added runs have not; and an added run has had no effect, since a later write of ours rightly answers "who changed this?".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.domain.execution import Execution, ExecutionState, StepRun, StepState
from aiops.domain.incident import Silence
from aiops.domain.outcome import GuardMode, Outcome
from aiops.domain.plan import Plan
from aiops.domain.runbook import GuardSpec
from aiops.domain.signal import SignalKind
from aiops.domain.target import TargetRef
from aiops.ports.cluster import Sight
from aiops.remediate.bucket import Bucket
from aiops.remediate.freezes import Freeze
from aiops.remediate.guardrails import FIXED, GUARDS, judge
from aiops.remediate.guards.contract import GuardInput, GuardLimits
from aiops.remediate.objects import ClusterObjects
from aiops.remediate.storm import Storm, StormPolicy, step
from tests.unit.remediate.shop import CHECKOUT, Case, Seen, Shop, make_incident, make_plan, run, signal, workload

SHOP = Shop(workload(strategy={"rollingUpdate": {"maxUnavailable": 1}}), workload(name="cart", replicas=6))
NOW = SHOP.now
CART = TargetRef("Deployment", "shop", "cart")
STATES = ["ok", "failing", "partial", "stale", "dark", "unknown"]

ages = st.floats(0, 8000)
plans: st.SearchStrategy[Plan] = st.builds(
    make_plan,
    st.sampled_from(["scale", "restart", "rollback", "redis-flush", "notify", "unheard-of"]),
    st.sampled_from([{"by": "+50%"}, {"by": "-1"}, {"to": 9}]),
    runbook=st.sampled_from(["a", "b"]),
    target=st.just(CHECKOUT),
    cooldown=st.sampled_from([0.0, 60.0, 900.0]),
)


@st.composite
def runs(draw: st.DrawFn, outcomes: tuple[Outcome, ...] = tuple(Outcome), *, effect: bool = True) -> Execution:
    plan = draw(plans)
    if draw(st.booleans()):
        plan = replace(plan, target=CART)
    step = StepRun("do")
    if effect and draw(st.booleans()):
        step = StepRun("do", StepState.DONE, effect=True, pre_state={"replicas": 4}, leaves={"replicas": draw(st.integers(3, 5))})
    made = run(
        draw(st.integers(0, 10**9)),
        plan=plan,
        at=NOW - draw(ages),
        state=draw(st.sampled_from(list(ExecutionState))),
        outcome=draw(st.sampled_from(outcomes)),
        simulated=draw(st.booleans()),
        step=step,
    )
    return replace(made, created_at=made.updated_at - draw(st.floats(0, 600)))


sources = st.builds(Seen, st.sampled_from(STATES), st.none() | ages.map(lambda a: NOW - a))
limits = st.builds(
    GuardLimits,
    opt_in=st.just(False),
    maximum_replicas=st.integers(3, 10),
    maximum_pods=st.integers(0, 5),
    maximum_share=st.floats(0, 1),
    target_cooldown=st.floats(0, 500),
    maximum_per_incident=st.integers(1, 6),
    maximum_per_hour=st.integers(1, 6),
    breaker_failures=st.integers(1, 4),
    disruption_budget=st.integers(0, 8),
    disruption_budget_namespace=st.integers(0, 8),
    maximum_namespace_share=st.floats(0, 1),
    maximum_cluster_share=st.floats(0, 1),
    minimum_healthy=st.integers(0, 4),
    target_bucket=st.builds(Bucket, st.integers(1, 3), st.sampled_from([60.0, 600.0])),
    loop_limit=st.integers(1, 4),
    storm=st.builds(StormPolicy, st.integers(2, 6), st.integers(2, 9)),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[GuardInput, GuardLimits]:
    history = draw(st.lists(runs(), max_size=6))
    plan = draw(plans)
    values: dict[str, Any] = {
        "executions": history,
        "of_incident": [e for e in history if draw(st.booleans())],
        "active": [e for e in history if e.state is not ExecutionState.DONE],
        "sights": {"prometheus": draw(sources), "other": draw(sources)},
        "needs_sight": draw(st.sampled_from([(), ("other",)])),
        "cluster": Sight(draw(st.booleans()), NOW - draw(st.floats(0, 900)), {}),
        "paused": draw(st.booleans()),
        "simulated": draw(st.booleans()),
        "storm": draw(st.sampled_from([Storm(), Storm(NOW - 600, NOW - 500), Storm(NOW - 100)])),
        "again": draw(st.booleans()),
    }
    return Case(SHOP, plan, GuardSpec(), GuardLimits()).given(**values), draw(limits)


def refusing(given_input: GuardInput, given_limits: GuardLimits) -> set[str]:
    return {v.guard for v in judge(given_input, given_limits) if v.refuses}


Worse = Callable[[st.DataObject, GuardInput, GuardLimits], tuple[GuardInput, GuardLimits]]


def more_runs(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    bad = tuple(o for o in Outcome if o is not Outcome.SUCCEEDED)
    more = data.draw(st.lists(runs(bad, effect=False), min_size=1, max_size=5))
    assert case.executions is not None
    assert case.active is not None
    assert case.of_incident is not None
    active = [*case.active, *(e for e in more if e.state is not ExecutionState.DONE)]
    return replace(case, executions=[*case.executions, *more], active=active, of_incident=[*case.of_incident, *more]), bounds


def darker(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    name = data.draw(st.sampled_from(["prometheus", "other"]))
    worse = data.draw(st.sampled_from(STATES[1:]).map(lambda s: Seen(s, None)))
    left = {k: v for k, v in case.sights.items() if k != name}
    return replace(case, sights=left if data.draw(st.booleans()) else {**left, name: worse}), bounds


def blinder(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    assert case.cluster is not None
    errors = data.draw(st.sampled_from([{}, {"Pod": "Forbidden"}, {"HorizontalPodAutoscaler": "Forbidden"}]))
    older = Sight(case.cluster.synced and data.draw(st.booleans()), case.cluster.seen_at - data.draw(ages), errors)
    dark = make_incident(signal("absent", kind=SignalKind.SIGHT))
    return replace(case, cluster=older, incidents=data.draw(st.sampled_from([(), (dark,)]))), bounds


def more_pods(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    assert case.objects.target is not None
    spec = {**case.objects.target["spec"], "strategy": {"rollingUpdate": {"maxUnavailable": data.draw(st.integers(1, 4))}}}
    if data.draw(st.booleans()):
        spec["strategy"] = {"type": "Recreate"}
    return replace(case, objects=replace(case.objects, target={**case.objects.target, "spec": spec})), bounds


def longer_history_unknown(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    return replace(case, history_since=data.draw(st.none() | ages.map(lambda a: NOW - a))), bounds


def stop(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    silence = Silence("s", {}, 0.0, NOW + 1, "ann")
    return replace(case, paused=True, silences=data.draw(st.sampled_from([(), (silence,)]))), bounds


def stricter(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    tight = replace(
        bounds,
        protected_namespaces=data.draw(st.sampled_from([bounds.protected_namespaces, ("*",)])),
        opt_in=data.draw(st.booleans()),
        maximum_replicas=bounds.maximum_replicas - data.draw(st.integers(0, 3)),
        maximum_pods=max(0, bounds.maximum_pods - data.draw(st.integers(0, 3))),
        maximum_share=bounds.maximum_share * data.draw(st.floats(0, 1)),
        target_cooldown=bounds.target_cooldown + data.draw(st.floats(0, 500)),
        maximum_per_incident=max(0, bounds.maximum_per_incident - data.draw(st.integers(0, 3))),
        maximum_per_hour=max(0, bounds.maximum_per_hour - data.draw(st.integers(0, 3))),
        breaker_failures=max(1, bounds.breaker_failures - data.draw(st.integers(0, 3))),
        disruption_budget=max(0, int(bounds.disruption_budget) - data.draw(st.integers(0, 3))),
        disruption_budget_namespace=max(0, int(bounds.disruption_budget_namespace) - data.draw(st.integers(0, 3))),
        maximum_namespace_share=bounds.maximum_namespace_share * data.draw(st.floats(0, 1)),
        maximum_cluster_share=bounds.maximum_cluster_share * data.draw(st.floats(0, 1)),
        minimum_healthy=int(bounds.minimum_healthy) + data.draw(st.integers(0, 3)),
        target_bucket=replace(bounds.target_bucket, every=bounds.target_bucket.every * data.draw(st.floats(1, 3))),
        loop_limit=max(1, bounds.loop_limit - data.draw(st.integers(0, 3))),
        storm=replace(bounds.storm, targets=max(1, bounds.storm.targets - data.draw(st.integers(0, 3)))),
    )
    return case, tight


def more_missing(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    """Pods of others that are not ready or on their way out, nodes that are not ready or closed. The target's own say nothing against repairing it."""
    picture = case.pictures["default"]
    others = [p for p in picture.pods if picture.workload(p) != CHECKOUT]
    worse = data.draw(st.lists(st.sampled_from(range(len(others))), unique=True, min_size=1))
    leaving = data.draw(st.booleans())
    pods = [*(p for p in picture.pods if picture.workload(p) == CHECKOUT), *(_sick(p, leaving=leaving) if n in worse else p for n, p in enumerate(others))]
    nodes = {name: _closed(node) if data.draw(st.booleans()) else node for name, node in picture.nodes.items()}
    return replace(case, pictures={"default": replace(picture, pods=tuple(pods), nodes=nodes)}), bounds


def _sick(pod: dict[str, Any], *, leaving: bool) -> dict[str, Any]:
    if leaving:
        return {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2027-01-01T00:00:00Z"}}
    return {**pod, "status": {**pod["status"], "conditions": [{"type": "Ready", "status": "False"}]}}


def _closed(node: dict[str, Any]) -> dict[str, Any]:
    return {**node, "spec": {**node.get("spec", {}), "unschedulable": True}}


def more_incidents(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    assert case.incidents is not None
    more = [
        replace(make_incident(target=replace(CART, name=f"w{n}")), id=f"i{n}", fingerprint=f"f{n}", opened_at=NOW - age)
        for n, age in enumerate(data.draw(st.lists(ages, min_size=1, max_size=8)))
    ]
    assert case.storm is not None
    # The storm that stands was looked at just now: it does not end by this look.
    storm = replace(case.storm, calm_since=NOW) if case.storm.since is not None else case.storm
    incidents = (*case.incidents, *(replace(i, updated_at=NOW) for i in more))
    return replace(case, incidents=incidents, storm=step(storm, incidents, NOW, bounds.storm)), bounds


def stormier(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    assert case.storm is not None
    begun = case.storm if case.storm.since is not None else Storm(NOW - data.draw(ages))
    return replace(case, storm=begun), bounds


def another_at_work(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    """A run of ours that is about to take pods elsewhere."""
    assert case.active is not None
    plan = make_plan(data.draw(st.sampled_from(["restart", "rollback", "unheard-of"])), target=CART, runbook="c")
    return replace(case, active=[*case.active, run(999, plan=plan, at=NOW, state=ExecutionState.RUNNING)]), bounds


def frozen(data: st.DataObject, case: GuardInput, bounds: GuardLimits) -> tuple[GuardInput, GuardLimits]:
    more = Freeze("f", data.draw(st.sampled_from([(), ("sh*",), ("bank",)])), begins=NOW - data.draw(ages), ends=NOW + data.draw(ages))
    return case, replace(bounds, freezes=(*bounds.freezes, more))


WORSE = [
    more_runs, darker, blinder, more_pods, longer_history_unknown, stop, stricter, more_missing, more_incidents, stormier, another_at_work, frozen,
]  # fmt: skip


@pytest.mark.parametrize("worse", WORSE)
@settings(max_examples=80, deadline=None)
@given(case=cases(), data=st.data())
def test_more_harm_never_turns_a_refusal_into_permission(worse: Worse, case: tuple[GuardInput, GuardLimits], data: st.DataObject) -> None:
    before = refusing(*case)
    after = refusing(*worse(data, *case))
    assert before <= after


@settings(max_examples=60, deadline=None)
@given(case=cases(), field=st.sampled_from(["executions", "history_since", "of_incident", "active", "incidents", "silences", "cluster", "paused", "storm"]))
def test_missing_information_never_allows(case: tuple[GuardInput, GuardLimits], field: str) -> None:
    given_input, bounds = case
    nothing: dict[str, Any] = {field: None}
    assert refusing(given_input, bounds) <= refusing(replace(given_input, **nothing), bounds)


@settings(max_examples=60, deadline=None)
@given(case=cases(), part=st.sampled_from(["target", "namespace"]))
def test_objects_that_are_missing_never_allow(case: tuple[GuardInput, GuardLimits], part: str) -> None:
    given_input, bounds = case
    nothing: dict[str, Any] = {part: None}
    assert refusing(given_input, bounds) <= refusing(replace(given_input, objects=replace(given_input.objects, **nothing)), bounds)


@settings(max_examples=60, deadline=None)
@given(case=cases(), part=st.sampled_from(["pods", "nodes", "owners", "everything"]))
def test_a_picture_of_the_cluster_that_is_missing_never_allows(case: tuple[GuardInput, GuardLimits], part: str) -> None:
    given_input, bounds = case
    picture = given_input.pictures["default"]
    lacking = {"pods": replace(picture, pods=()), "nodes": replace(picture, nodes={}), "owners": replace(picture, owners={})}
    pictures = {"default": lacking[part]} if part in lacking else {}
    before, after = refusing(given_input, bounds), refusing(replace(given_input, pictures=pictures), bounds)
    # Without owners the others' pods are counted by nobody; then what the plan itself would take cannot be counted either, and that refuses.
    assert before - after <= ({"disruption-budget"} if part == "owners" and "blast-radius" in after else set()), (before, after)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["metadata", "spec", "status", "labels", "annotations", "replicas", "strategy", "managedFields", "kind"]), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(["kind", "metadata", "spec", "status"]), json, max_size=4)


@settings(max_examples=150, deadline=None)
@given(case=cases(), target=objects, others=st.lists(objects, max_size=3))
def test_whatever_the_objects_hold_every_guard_answers(case: tuple[GuardInput, GuardLimits], target: dict[str, Any], others: list[dict[str, Any]]) -> None:
    given_input, bounds = case
    strange = ClusterObjects(target, target, tuple(others), tuple(others), tuple(others), tuple(others))
    verdicts = judge(replace(given_input, objects=strange), bounds)
    assert [v.guard for v in verdicts] == list(GUARDS)
    assert all(v.reason and (v.allowed or v.detail) for v in verdicts)


@given(st.dictionaries(st.sampled_from(sorted(GUARDS)), st.sampled_from(GuardMode)), st.dictionaries(st.sampled_from(sorted(GUARDS)), st.sampled_from(GuardMode)))
def test_the_mode_of_a_guard(ours: dict[str, GuardMode], theirs: dict[str, GuardMode]) -> None:
    loose = frozenset(name for name in theirs if len(name) % 2)
    case = Case(SHOP, guards=GuardSpec(modes=theirs), limits=GuardLimits(modes=ours, may_loosen=loose))
    verdicts = case.verdicts()
    for name in GUARDS:
        ranks = [m for m in (theirs.get(name), ours.get(name, GuardMode.ENFORCE)) if m is not None]
        own = theirs[name] if name in loose else max(ranks, key=(GuardMode.OFF, GuardMode.SHADOW, GuardMode.ENFORCE).index)
        expected = GuardMode.ENFORCE if name in FIXED else own
        assert (verdicts[name].mode if name in verdicts else GuardMode.OFF) is expected

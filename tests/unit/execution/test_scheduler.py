"""Away from a scheduler and back: by a workload's template, by the scheduler's ConfigMap, and never against a person."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.errors import ClusterUnavailableError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import PlannedStep
from aiops.domain.target import TargetRef
from aiops.execution.actions import scheduler_parameter
from aiops.execution.actions.contract import STAMP
from tests.unit.execution.kill import Dying, die_and_live
from tests.unit.execution.stage import CHECKOUT, START, Stage, deployment, step

OWN = "ml-scheduler"
CONFIG = TargetRef("ConfigMap", "shop", "ml-scheduler")
NAMESPACE = TargetRef("Namespace", "", "shop")
LOST = ClusterUnavailableError("Timeout", "no answer in 10 s")


def staged(**options: Any) -> Any:
    stage: Any = Stage(**options)
    obj = deployment()
    obj["spec"]["template"]["spec"]["schedulerName"] = OWN
    stage.memory.apply({"kind": "Namespace", "metadata": {"name": "shop"}})
    stage.memory.apply(obj)
    stage.memory.apply({"kind": "ConfigMap", "metadata": {"name": "ml-scheduler", "namespace": "shop"}, "data": {"mode": "model", "spread": "0.8", "batch": "10"}})
    stage.pass_time(30)
    return stage


@pytest.fixture
def stage():
    return staged()


MODES = pytest.mark.parametrize("target", [CHECKOUT, CONFIG], ids=["workload", "config"])


def fallback(target: TargetRef = CHECKOUT, **fields: Any) -> PlannedStep:
    given: dict[str, Any] = {"to": "default-scheduler"} if target is CHECKOUT else {"key": "mode", "to": "rules"}
    return step("scheduler-fallback", "away", arguments={**given, **fields.pop("arguments", {})}, target=target, **fields)


def restore(target: TargetRef = CHECKOUT, **fields: Any) -> PlannedStep:
    given: dict[str, Any] = {} if target is CHECKOUT else {"key": "mode"}
    return step("scheduler-restore", "back", arguments={**given, **fields.pop("arguments", {})}, target=target, **fields)


def present(stage: Any, target: TargetRef) -> str:
    obj = stage.memory.reader.get(target)
    return str(obj["spec"]["template"]["spec"]["schedulerName"] if target is CHECKOUT else obj["data"]["mode"])


def notes(stage: Any, target: TargetRef) -> dict[str, str]:
    return dict(stage.memory.reader.get(target)["metadata"].get("annotations") or {})


BEFORE = {CHECKOUT: OWN, CONFIG: "model"}
AFTER = {CHECKOUT: "default-scheduler", CONFIG: "rules"}


def run(stage: Any, *steps: PlannedStep, identity: str = "plan-1", **plan: Any) -> Any:
    return stage.run(stage.submit(*steps, id=identity, **plan))


def annotate(stage: Any, target: TargetRef, **values: str | None) -> None:
    stage.memory.writer("ann", "ann").patch(target, {"metadata": {"annotations": {f"aiops/scheduler-{name}": value for name, value in values.items()}}})


@MODES
def test_away_and_back_in_two_runs(stage, target):
    done = run(stage, fallback(target))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert present(stage, target) == AFTER[target]
    (record,) = json.loads(notes(stage, target)["aiops/scheduler-before"]).values()
    assert record == {"before": BEFORE[target], "set": AFTER[target]}
    done = run(stage, restore(target), identity="plan-2")
    assert done.result.outcome is Outcome.SUCCEEDED
    assert present(stage, target) == BEFORE[target]
    assert set(notes(stage, target)) - {"deployment.kubernetes.io/revision"} == {STAMP}
    assert len(stage.writes) == 2


def test_a_switched_workload_is_rolled_out(stage):
    done = run(stage, fallback())
    assert done.steps[0].result.detail == "2 of 2 pods are new and available"
    stage.pass_time(60)
    pods = stage.memory.reader.list("Pod", "shop").items
    assert {p["spec"]["schedulerName"] for p in pods} == {"default-scheduler"}


@MODES
def test_what_is_there_already_is_left(stage, target):
    run(stage, fallback(target))
    assert run(stage, fallback(target), identity="plan-2").steps[0].result.reason == "AlreadyThere"
    assert len(stage.writes) == 1


@MODES
def test_nothing_of_ours_is_not_restored(stage, target):
    assert run(stage, restore(target)).steps[0].result.reason == "NothingToRestore"
    assert stage.writes == []


@MODES
def test_a_persons_change_in_between_stays(stage, target):
    run(stage, fallback(target))
    change = {"spec": {"template": {"spec": {"schedulerName": "another"}}}} if target is CHECKOUT else {"data": {"mode": "another"}}
    stage.memory.writer("ann", "ann").patch(target, change)
    stage.pass_time(30)
    assert run(stage, restore(target), identity="plan-2").steps[0].result.reason == "ChangedByOther"
    assert present(stage, target) == "another"


@MODES
def test_a_record_that_somebody_took_away_or_wrote_over_is_a_decision(stage, target):
    for identity, text in (("plan-2", "nonsense"), ("plan-3", "[1]"), ("plan-4", '{"schedulerName": 1, "data/mode": 1}'), ("plan-5", None)):
        run(stage, fallback(target), identity=f"{identity}-away")
        annotate(stage, target, before=text)
        assert run(stage, restore(target), identity=identity).steps[0].result.reason == "NothingToRestore"
    assert present(stage, target) == AFTER[target]


@MODES
@pytest.mark.parametrize("place", ["object", "namespace"])
@pytest.mark.parametrize("action", ["away", "back"])
def test_a_manual_override_wins(stage, target, place, action):
    if action == "back":
        run(stage, fallback(target), identity="plan-0")
    annotate(stage, target if place == "object" else NAMESPACE, override="ann, until Monday")
    before, writes = present(stage, target), len(stage.writes)
    done = run(stage, fallback(target) if action == "away" else restore(target))
    assert (done.result.outcome, done.steps[0].result.reason) == (Outcome.SKIPPED, "ManualOverride")
    assert "ann, until Monday" in done.steps[0].result.detail
    assert (present(stage, target), len(stage.writes)) == (before, writes)


def failing(need: str) -> PlannedStep:
    return step("redis-flush", "fail", arguments={"cache": "none", "pattern": "a*"}, needs=(need,), on_failure="undo")


@MODES
def test_undoing_a_fallback_is_the_way_back(stage, target):
    done = run(stage, fallback(target), failing("away"))
    assert done.steps[0].state == "undone"
    assert present(stage, target) == BEFORE[target]
    assert "aiops/scheduler-before" not in notes(stage, target)


@MODES
def test_undoing_a_restore_is_the_fallback_again(stage, target):
    run(stage, fallback(target), identity="plan-0")
    done = run(stage, restore(target), failing("back"))
    assert done.steps[0].state == "undone"
    assert present(stage, target) == AFTER[target]
    assert run(stage, restore(target), identity="plan-2").result.outcome is Outcome.SUCCEEDED
    assert present(stage, target) == BEFORE[target]


def test_undoing_respects_an_override_set_meanwhile(stage):
    execution = stage.submit(fallback(), step("wait", arguments={"for": 120.0}, needs=("away",)), failing("wait"))
    stage.run(execution, seconds=60)
    annotate(stage, CHECKOUT, override="ann")
    done = stage.run(execution)
    assert done.steps[0].undo.reason == "ManualOverride"
    assert present(stage, CHECKOUT) == "default-scheduler"


@MODES
@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_crash_it_is_done_once(stage, target, when):
    real = stage.writer
    stage.writer = Dying(real, "patch", when=when)
    stage.restart()
    done = die_and_live(stage, stage.submit(fallback(target)), lambda: setattr(stage, "writer", real))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert len(stage.writes) == 1
    assert run(stage, restore(target), identity="plan-2").result.outcome is Outcome.SUCCEEDED
    assert present(stage, target) == BEFORE[target]


@MODES
@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_lost_answer_it_is_done_once(stage, target, when):
    stage.writer = Dying(stage.writer, "patch", when=when, error=LOST)
    stage.restart()
    assert run(stage, fallback(target)).result.outcome is Outcome.SUCCEEDED
    assert (len(stage.writes), present(stage, target)) == (1, AFTER[target])


def test_a_change_between_reading_and_writing_refuses_the_patch(stage):
    class Meddled:
        def patch(self, *args: Any, **options: Any) -> Any:
            if not stage.writes:
                stage.memory.writer("ann", "ann").patch(CONFIG, {"data": {"mode": "another"}})
            return stage.memory.writer().patch(*args, **options)

    stage.writer = Meddled()
    stage.restart()
    done = run(stage, fallback(CONFIG))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "PreconditionFailed")
    assert present(stage, CONFIG) == "another"


@pytest.mark.parametrize("action", [fallback, restore])
def test_a_target_that_vanished(stage, action):
    stage.memory.remove(CONFIG)
    assert run(stage, action(CONFIG)).result.reason == "TargetVanished"


@MODES
def test_dry_run_shows_the_change_and_makes_none(stage, target):
    done = run(stage, fallback(target), simulated=True)
    assert done.result.outcome is Outcome.SIMULATED
    (change,) = done.plan.changes
    assert f"+{'      schedulerName: ' if target is CHECKOUT else '  mode: '}{AFTER[target]}" in change.diff
    assert present(stage, target) == BEFORE[target]
    assert stage.writes == []


def test_arguments_that_do_not_fit_the_target(stage):
    assert run(stage, fallback(CHECKOUT, arguments={"key": "mode"})).result.reason == "InvalidArguments"
    bare = step("scheduler-fallback", "away", arguments={}, target=CONFIG)
    assert run(stage, bare, identity="plan-2").result.reason == "InvalidArguments"
    assert run(stage, fallback(CONFIG, arguments={"key": "none"}), identity="plan-3").result.reason == "NoSuchKey"
    pod = step("scheduler-fallback", "away", target=TargetRef("Pod", "shop", "x"))
    assert run(stage, pod, identity="plan-4").result.reason == "WrongKind"


def test_a_paused_workload_is_not_switched(stage):
    stage.patch_by("ann", {"spec": {"paused": True}})
    assert run(stage, fallback()).result.reason == "RolloutPaused"


def test_it_goes_back_only_once_the_scheduler_was_good_for_a_while():
    stage = staged(levels=lambda at: [0.9] if at < START + 500 else [0.05])
    checks = {"promql": "model_psi", "passes": "value < 0.1", "for": 60.0}
    run(stage, fallback())
    done = run(stage, restore(arguments=checks), identity="plan-2")
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "ChecksFailed")
    stage.pass_time(START + 520 - stage.time.now())
    assert run(stage, restore(arguments=checks), identity="plan-3").result.reason == "ChecksFailed"
    stage.pass_time(60)
    assert run(stage, restore(arguments=checks), identity="plan-4").result.outcome is Outcome.SUCCEEDED
    stage.source.levels = lambda _at: None
    run(stage, fallback(), identity="plan-5")
    assert run(stage, restore(arguments=checks), identity="plan-6").result.reason == "Timeout"
    assert present(stage, CHECKOUT) == "default-scheduler"


# --- set-scheduler-parameter


def parameter(key: str = "batch", **arguments: Any) -> PlannedStep:
    return step("set-scheduler-parameter", "set", arguments={"key": key, "minimum": 1.0, "maximum": 20.0, **arguments}, target=CONFIG)


def value(stage: Any, key: str) -> str:
    return str(stage.memory.reader.get(CONFIG)["data"][key])


@pytest.mark.parametrize(
    ("key", "arguments", "expected"),
    [
        ("batch", {"to": 12.0}, "12"),
        ("batch", {"to": 12.5}, "12.5"),
        ("batch", {"by": "+50%"}, "15"),
        ("batch", {"by": "+33%"}, "13"),
        ("batch", {"by": "-33%"}, "7"),
        ("batch", {"by": "+500%"}, "20"),
        ("batch", {"by": "-50"}, "1"),
        ("spread", {"to": 2.0}, "2.0"),
        ("spread", {"by": "+50%", "minimum": 0.1}, "1.2"),
        ("spread", {"by": "-25%", "minimum": 0.1}, "0.6"),
    ],
)
def test_a_number_is_set_and_put_back(stage, key, arguments, expected):
    before = value(stage, key)
    assert run(stage, parameter(key, **arguments)).result.outcome is Outcome.SUCCEEDED
    assert value(stage, key) == expected
    done = run(stage, parameter(key, to=19.0), failing("set"), identity="plan-2")
    assert done.steps[0].state == "undone"
    assert value(stage, key) == expected != before


@pytest.mark.parametrize(
    ("key", "arguments", "reason"),
    [
        ("batch", {"to": 21.0}, "OutOfBounds"),
        ("batch", {"to": 0.0}, "OutOfBounds"),
        ("batch", {"to": 10.0}, "AlreadyThere"),
        ("batch", {"by": "+1%"}, "AlreadyThere"),
        ("batch", {"by": "+1", "maximum": 10.0}, "AtMaximum"),
        ("batch", {"by": "+1", "maximum": 5.0}, "AtMaximum"),
        ("batch", {"by": "-1", "minimum": 10.0}, "AtMinimum"),
        ("batch", {"by": "-1", "minimum": 5.0, "maximum": 4.0}, "InvalidArguments"),
        ("batch", {"by": "a lot"}, "InvalidArguments"),
        ("batch", {}, "InvalidArguments"),
        ("mode", {"to": 3.0}, "NotANumber"),
        ("none", {"to": 3.0}, "NoSuchKey"),
    ],
)
def test_numbers_that_are_not_set(stage, key, arguments, reason):
    assert run(stage, parameter(key, **arguments)).steps[0].result.reason == reason
    assert stage.writes == []


def test_an_override_holds_for_parameters_too(stage):
    annotate(stage, CONFIG, override="ann")
    assert run(stage, parameter(to=12.0)).steps[0].result.reason == "ManualOverride"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_change_of_a_number_adds_up_once_whatever_happens(stage, when):
    real = stage.writer
    stage.writer = Dying(real, "patch", when=when)
    stage.restart()
    assert die_and_live(stage, stage.submit(parameter(by="+2")), lambda: setattr(stage, "writer", real)).result.outcome is Outcome.SUCCEEDED
    assert (value(stage, "batch"), len(stage.writes)) == ("12", 1)


@given(present=st.decimals(0, 1000, places=2), by=st.from_regex(r"\A[+-][0-9]{1,3}%?\Z"), low=st.integers(0, 500), size=st.integers(0, 500))
def test_a_bound_never_turns_a_change_round(present, by, low, size):
    found = scheduler_parameter.wanted(str(present), {"by": by, "minimum": float(low), "maximum": float(low + size)})
    if not isinstance(found, Result) and found != float(present):
        assert low <= found <= low + size
        assert (found >= float(present)) if by.startswith("+") else (found <= float(present))


def test_a_namespace_that_is_gone_has_no_override(stage):
    stage.memory.remove(NAMESPACE)
    assert run(stage, fallback(CONFIG)).result.reason == "Completed"

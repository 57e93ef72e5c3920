"""Actions on the pod template and on roll-outs: what each decides, sends, leaves, takes back; and what becomes of it after a crash."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.errors import ClusterUnavailableError, InvalidError
from aiops.domain.outcome import Outcome, Result
from aiops.execution.actions import quantities, set_image
from aiops.execution.actions.contract import STAMP, Context, Looked
from aiops.execution.actions.pause import PAUSED
from aiops.execution.actions.registry import REGISTRY
from tests.unit.execution.stage import CHECKOUT, Stage, step

RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}}
CHANGES: dict[str, dict[str, Any]] = {
    "set-image": {"image": "shop/checkout:2"},
    "set-env": {"name": "MODE", "value": "slow"},
    "set-resources": {"memoryLimit": "+50%", "memoryMaximum": "1Gi"},
    "pause-rollout": {},
}


@pytest.fixture
def stage():
    stage = Stage()
    stage.patch_by("ada", [{"op": "add", "path": "/spec/template/spec/containers/0/resources", "value": RESOURCES}])
    stage.pass_time(20)
    return stage


def container(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = stage.checkout()["spec"]["template"]["spec"]["containers"][0]
    return found


def prepared(stage: Stage, action: str, **arguments: Any) -> Any:
    return REGISTRY[action].prepare(context(stage), arguments)


def context(stage: Stage, key: str = "run-1.step.1") -> Context:
    return Context(CHECKOUT, stage.cluster(simulated=False), {}, stage.time.now(), key)


def reason(stage: Stage, action: str, **arguments: Any) -> str:
    found = prepared(stage, action, **arguments).skip
    return found.reason if found else ""


# --- all of them


@pytest.mark.parametrize("action", CHANGES)
def test_it_is_done_once_and_taken_back(stage, action):
    before = stage.checkout()["spec"]
    done = stage.run(stage.submit(step(action, arguments=CHANGES[action]), undo_on_failure=False))
    assert done.result.outcome is Outcome.SUCCEEDED, done.result
    assert stage.checkout()["spec"] != before
    assert len(stage.writes) == 1
    undone = REGISTRY[action].prepare(context(stage, f"{done.id}.{action}~undo.1"), done.steps[0].inverse)
    REGISTRY[action].start(context(stage, f"{done.id}.{action}~undo.1"), undone)
    assert stage.checkout()["spec"] == before


@pytest.mark.parametrize("action", CHANGES)
def test_a_failing_later_step_takes_it_back_through_the_engine(stage, action):
    before = stage.checkout()["spec"]
    bad = step("set-image", "bad", arguments={"image": "not an image"}, needs=(action,), on_failure="undo")
    done = stage.run(stage.submit(step(action, arguments=CHANGES[action]), bad))
    assert done.steps[0].undo is not None
    assert done.steps[0].undo.outcome is Outcome.SUCCEEDED
    assert stage.checkout()["spec"] == before


class Lost:
    """A writer whose first patch arrives, or does not, and whose answer is lost in either case."""

    def __init__(self, writer: Any, *, arrives: bool) -> None:
        self._writer, self._arrives, self.calls = writer, arrives, 0

    def patch(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls > 1:
            return self._writer.patch(*args, **kwargs)
        if self._arrives:
            self._writer.patch(*args, **kwargs)
        raise ClusterUnavailableError("TimedOut", "no answer")


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("action", CHANGES)
def test_a_lost_answer_is_looked_up_and_the_effect_is_there_once(stage, action, arrives):
    stage.writer = Lost(stage.memory.writer(), arrives=arrives)
    stage.restart()
    done = stage.run(stage.submit(step(action, arguments=CHANGES[action])))
    assert done.result.outcome is Outcome.SUCCEEDED, done.result
    assert stage.writer.calls == (1 if arrives else 2)
    assert stage.checkout()["metadata"]["annotations"][STAMP].startswith(f"{done.id}.{action}.")


@pytest.mark.parametrize("action", CHANGES)
def test_a_crash_before_the_answer_is_written_does_it_no_second_time(stage, action):
    class Dies:
        def patch(self, *args: Any, **kwargs: Any) -> Any:
            stage.memory.writer().patch(*args, **kwargs)
            raise KeyboardInterrupt

    stage.writer = Dies()
    execution = stage.submit(step(action, arguments=CHANGES[action]))
    stage.restart()
    with pytest.raises(KeyboardInterrupt):
        stage.executor.advance(execution.id)
    stage.writer = stage.memory.writer()
    stage.restart(owner="two").recover()
    stage.pass_time(stage.settings.lease_ttl + 1)
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert len(stage.writes) == 1


@pytest.mark.parametrize("action", CHANGES)
def test_what_somebody_changed_meanwhile_refuses_it(stage, action):
    ready = prepared(stage, action, **CHANGES[action])
    change: Any = {"spec": {"paused": True}} if action == "pause-rollout" else {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}
    stage.patch_by("bob", change)
    with pytest.raises(InvalidError):
        REGISTRY[action].start(context(stage), ready)
    assert REGISTRY[action].look(context(stage), ready).looked is Looked.UNKNOWN


@pytest.mark.parametrize("action", CHANGES)
def test_a_target_that_is_gone_ends_it(stage, action):
    stage.memory.remove(CHECKOUT)
    done = stage.run(stage.submit(step(action, arguments=CHANGES[action])))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "TargetVanished")
    assert not stage.writes


@pytest.mark.parametrize("action", ["set-image", "set-env", "set-resources"])
def test_a_paused_deployment_would_not_roll_out(stage, action):
    stage.patch_by("ada", {"spec": {"paused": True}})
    assert reason(stage, action, **CHANGES[action]) == "RolloutPaused"


def test_a_container_is_named_where_there_are_several(stage):
    side = {"name": "side", "image": "side:1"}
    stage.patch_by("ada", [{"op": "add", "path": "/spec/template/spec/containers/-", "value": side}])
    stage.pass_time(20)
    assert reason(stage, "set-image", image="x:2") == "InvalidArguments"
    assert reason(stage, "set-image", image="x:2", container="sied") == "NoSuchContainer"
    done = stage.run(stage.submit(step("set-image", arguments={"image": "side:2", "container": "side"})))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert [c["image"] for c in stage.checkout()["spec"]["template"]["spec"]["containers"]] == ["shop/checkout:1", "side:2"]


# --- set-image


@pytest.mark.parametrize(
    "image", ["a:1", "shop/checkout:2.0-rc_1", "registry.example:5000/shop/checkout:2", "[::1]:5000/a/b:1", "a/b__c-d.e:1", f"a@sha256:{'0' * 64}", f"a:1@sha256:{'a' * 64}"],
)
def test_image_references_that_are_ones(image):
    assert set_image.problem(image) == ""


@pytest.mark.parametrize("image", ["", "a", "shop/checkout", "A:1", "a:", "a:1 ", "a:1\n", "a b:1", "a:1;rm", "http://a:1", "a@sha256:12", "-a:1", f"{'a' * 600}:1"])
def test_image_references_that_are_none_or_say_too_little(image):
    assert set_image.problem(image)


def test_the_image_that_runs_already_is_nothing_to_do(stage):
    assert reason(stage, "set-image", image="shop/checkout:1") == "AlreadyThere"


# --- set-env


def test_a_variable_is_added_changed_and_removed_in_its_place(stage):
    env = {"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}]}
    stage.patch_by("ada", [env])
    stage.pass_time(20)
    for arguments, names in (({"name": "B", "value": "9"}, "ABC"), ({"name": "B", "remove": True}, "AC"), ({"name": "D", "value": ""}, "ABCD")):
        ready = prepared(stage, "set-env", **arguments)
        REGISTRY["set-env"].start(context(stage), ready)
        assert "".join(e["name"] for e in container(stage)["env"]) == names
        REGISTRY["set-env"].start(context(stage), prepared(stage, "set-env", **ready.inverse))
        assert container(stage)["env"] == env["value"]


def test_the_last_variable_takes_the_list_with_it(stage):
    stage.patch_by("ada", [{"op": "replace", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "A", "value": "1"}]}])
    REGISTRY["set-env"].start(context(stage), prepared(stage, "set-env", name="A", remove=True))
    assert "env" not in container(stage)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"name": "DB_PASSWORD", "value": "x"}, "SecretVariable"),
        ({"name": "API_TOKEN", "remove": True}, "SecretVariable"),
        ({"name": "A=B", "value": "x"}, "InvalidArguments"),
        ({"name": "MODE"}, "InvalidArguments"),
        ({"name": "MODE", "value": "x", "remove": True}, "InvalidArguments"),
        ({"name": "MODE", "value": "fast"}, "AlreadyThere"),
        ({"name": "NOT_THERE", "remove": True}, "AlreadyThere"),
    ],
)
def test_variables_that_are_not_set(stage, arguments, why):
    assert reason(stage, "set-env", **arguments) == why


def test_a_variable_that_comes_from_elsewhere_is_refused(stage):
    entry = {"name": "ZONE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    stage.patch_by("ada", [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": entry}])
    assert reason(stage, "set-env", name="ZONE", value="a") == "ValueFromElsewhere"
    assert reason(stage, "set-env", name="ZONE", remove=True) == "ValueFromElsewhere"


# --- set-resources


@pytest.mark.parametrize(
    ("arguments", "requests", "limits"),
    [
        ({"memoryLimit": "+50%", "memoryMaximum": "1Gi"}, {}, {"memory": "384Mi"}),
        ({"memoryLimit": "+900%", "memoryMaximum": "1Gi"}, {}, {"memory": "1Gi"}),
        ({"cpuLimit": "0.75"}, {}, {"cpu": "750m"}),
        ({"cpuLimit": "2000m", "cpuRequest": "1"}, {"cpu": "1"}, {"cpu": "2"}),
        ({"cpuRequest": "-50%", "cpuMinimum": "80m"}, {"cpu": "80m"}, {}),
        ({"cpuRequest": "+33%", "cpuMaximum": "2"}, {"cpu": "133m"}, {}),
        ({"memoryRequest": "200M", "memoryMaximum": "190Mi"}, {"memory": "190Mi"}, {}),
    ],
)
def test_requests_and_limits(stage, arguments, requests, limits):
    done = stage.run(stage.submit(step("set-resources", arguments=arguments)))
    assert done.result.outcome is Outcome.SUCCEEDED, done.result
    assert container(stage)["resources"] == {"requests": RESOURCES["requests"] | requests, "limits": RESOURCES["limits"] | limits}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "InvalidArguments"),
        ({"memoryLimit": "a lot"}, "InvalidArguments"),
        ({"memoryLimit": "+50%"}, "InvalidArguments"),
        ({"memoryLimit": "-50%", "memoryMaximum": "1Gi"}, "InvalidArguments"),
        ({"memoryLimit": "1Gi", "memoryMinimum": "1Gi", "memoryMaximum": "1Mi"}, "InvalidArguments"),
        ({"memoryLimit": "0"}, "InvalidArguments"),
        ({"memoryLimit": "64Mi"}, "LimitBelowRequest"),
        ({"cpuRequest": "501m"}, "LimitBelowRequest"),
        ({"memoryLimit": "+50%", "memoryMaximum": "256Mi"}, "AtBound"),
        ({"memoryLimit": "+50%", "memoryMaximum": "200Mi"}, "AtBound"),
        ({"memoryLimit": "262144Ki"}, "AlreadyThere"),
    ],
)
def test_requests_and_limits_that_are_not_set(stage, arguments, why):
    assert reason(stage, "set-resources", **arguments) == why


def test_a_share_of_nothing_is_refused():
    assert reason(Stage(), "set-resources", memoryLimit="+50%", memoryMaximum="1Gi") == "NothingToChange"


@given(st.integers(1, 2**50))
def test_sizes_are_read_back_as_they_were_written_and_are_never_smaller(number):
    text = quantities.size(Fraction(number))
    assert number <= quantities.parse(text) < number + 1024
    assert quantities.size(quantities.parse(text)) == text


@given(st.fractions(min_value=Fraction(1, 1000), max_value=900))
def test_cores_are_read_back_as_they_were_written_and_are_never_fewer(value):
    text = quantities.cores(value)
    assert value <= quantities.parse(text) < value + Fraction(1, 1000)
    assert quantities.cores(quantities.parse(text)) == text


@given(old=st.integers(2, 4096), limit=st.from_regex(r"[+-][0-9]{1,3}%", fullmatch=True), low=st.integers(1, 4096), high=st.integers(1, 4096))
def test_resources_stay_within_bounds_and_a_limit_never_ends_below_its_request(old, limit, low, high):
    before = {"name": "main", "resources": {"requests": {"memory": f"{old // 2}Mi"}, "limits": {"memory": f"{old}Mi"}}}
    found = REGISTRY["set-resources"].wanted(before, {"memoryLimit": limit, "memoryMinimum": f"{low}Mi", "memoryMaximum": f"{high}Mi"})  # type: ignore[attr-defined]
    if isinstance(found, Result) or found.container == before:
        return
    after, unit = quantities.parse(found.container["resources"]["limits"]["memory"]), 2**20
    assert low * unit <= after <= high * unit
    assert after >= quantities.parse(found.container["resources"]["requests"]["memory"])
    assert (after > old * unit) == limit.startswith("+")


@pytest.mark.parametrize("text", ["", "1 Gi", "-1", "1Gb", "1.2.3", "\u0661", "1e999", "0x10"])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="write for example"):
        quantities.parse(text)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("500m", Fraction(1, 2)), ("1.5Gi", 3 * 2**29), ("1e3", 1000), ("2E", 2 * 10**18), ("1Ei", 2**60), (".5k", 500)])
def test_quantities(text, number):
    assert quantities.parse(text) == number


# --- pausing


def test_what_we_paused_we_let_go_on(stage):
    stage.run(stage.submit(step("pause-rollout")))
    assert stage.checkout()["spec"]["paused"] is True
    stage.patch_by("ada", {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}})
    done = stage.run(stage.submit(step("resume-rollout"), id="plan-2"))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert PAUSED.mark not in stage.checkout()["metadata"]["annotations"]
    assert "2 of 2 pods are new" in done.steps[0].result.detail


def test_what_a_person_paused_stays_so_unless_forced_and_an_undo_puts_their_pause_back(stage):
    stage.patch_by("ada", {"spec": {"paused": True}})
    assert reason(stage, "pause-rollout") == "AlreadyThere"
    assert reason(stage, "resume-rollout") == "PausedByPerson"
    ready = prepared(stage, "resume-rollout", force=True)
    REGISTRY["resume-rollout"].start(context(stage), ready)
    assert not stage.checkout()["spec"].get("paused")
    REGISTRY["resume-rollout"].start(context(stage), prepared(stage, "resume-rollout", **ready.inverse))
    assert stage.checkout()["spec"]["paused"] is True
    assert PAUSED.mark not in stage.checkout()["metadata"]["annotations"]


def test_one_that_is_not_paused_is_nothing_to_let_go_on(stage):
    assert reason(stage, "resume-rollout") == "AlreadyThere"


def test_somebody_letting_go_on_what_we_paused_is_seen(stage):
    ready = prepared(stage, "pause-rollout")
    REGISTRY["pause-rollout"].start(context(stage), ready)
    stage.patch_by("ada", {"spec": {"paused": None}})
    found = REGISTRY["pause-rollout"].check(context(stage), ready, 0)
    assert found.result.reason == "Superseded"  # type: ignore[union-attr]


# --- rollback to a revision


def released(stage: Stage, *images: str) -> None:
    for image in images:
        stage.patch_by("ada", [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}])
        stage.pass_time(20)


def test_a_revision_is_gone_back_to_by_its_number_and_an_undo_comes_back(stage):
    released(stage, "shop/checkout:2", "shop/checkout:3")
    present = int(stage.checkout()["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
    bad = step("set-image", "bad", arguments={"image": "?"}, needs=("rollback",))
    done = stage.run(stage.submit(step("rollback", arguments={"toRevision": present - 2})))
    assert (done.result.outcome, stage.image) == (Outcome.SUCCEEDED, "shop/checkout:1")
    assert done.steps[0].output == {"fromRevision": present, "toRevision": present - 2}
    released(stage, "shop/checkout:3")
    now = int(stage.checkout()["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
    undone = stage.run(stage.submit(step("rollback", arguments={"toRevision": present - 1}), step("set-image", "bad", arguments=bad.arguments, needs=bad.needs, on_failure="undo"), id="plan-2"))
    assert undone.steps[0].undo is not None
    assert undone.steps[0].undo.outcome is Outcome.SUCCEEDED
    assert stage.image == "shop/checkout:3"
    assert reason(stage, "rollback", toRevision=now) == "RevisionNotFound"  # what is gone back to is numbered anew
    assert reason(stage, "rollback", toRevision=now + 2) == "AlreadyThere"

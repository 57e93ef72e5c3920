"""Jobs that are run and deleted, and keys of ConfigMaps: names, stamps, crashes, what is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.definitions.arguments import check_arguments
from aiops.domain.errors import ClusterUnavailableError, InvalidError
from aiops.domain.outcome import Outcome
from aiops.domain.plan import PlannedStep, PlannedUndo
from aiops.domain.runbook import Retry, UndoMode
from aiops.domain.target import TargetRef
from aiops.execution.actions.contract import STAMP, Context, Looked
from aiops.execution.actions.registry import REGISTRY, SPECS
from aiops.execution.actions.run_job import body_of, job_name
from tests.unit.execution.stage import CHECKOUT, Stage, step

CLEAN = TargetRef("CronJob", "shop", "clean")
SLOW = {"testbed.aiops/run-for": "30m"}
STUCK = {"testbed.aiops/state": "ImagePullBackOff"}


def template(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    pod = {"metadata": {"annotations": annotations or {}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "clean:1"}]}}
    return {"metadata": {"labels": {"app": "clean"}}, "spec": {"template": pod, **spec}}


@pytest.fixture
def stage():
    stage = Stage()
    spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": template()}
    stage.memory.apply({"kind": "CronJob", "metadata": {"name": "clean", "namespace": "shop"}, "spec": spec})
    stage.memory.apply({"kind": "ConfigMap", "metadata": {"name": "checkout", "namespace": "shop"}, "data": {"mode": "fast", "size": "1"}})
    return stage


def jobs(stage: Stage) -> list[dict[str, Any]]:
    return list(stage.memory.reader.list("Job", "shop").items)


def run_job(**fields: Any) -> PlannedStep:
    return step("run-job", arguments=fields.pop("arguments", {"cronJob": "clean"}), **fields)


def finish(stage: Stage, *steps: PlannedStep, **plan: Any) -> Any:
    done = stage.run(stage.submit(*steps, **plan))
    assert done.result is not None
    return done


def context(stage: Stage, key: str = "run-1.step.1", target: TargetRef = CHECKOUT) -> Context:
    return Context(target, stage.cluster(simulated=False), {}, stage.time.now(), key)


def reason(stage: Stage, action: str, target: TargetRef = CHECKOUT, **arguments: Any) -> str:
    found = REGISTRY[action].prepare(context(stage, target=target), arguments).skip
    return found.reason if found else ""


# --- run-job


@pytest.mark.parametrize(
    ("target", "arguments"),
    [(CHECKOUT, {"cronJob": "clean"}), (CLEAN, {}), (CHECKOUT, {"template": template()}), (CLEAN, {"template": template()})],
)
def test_a_job_is_run_to_its_end_from_a_cron_job_or_a_template(stage, target, arguments):
    done = finish(stage, run_job(target=target, arguments=arguments))
    assert done.result.outcome is Outcome.SUCCEEDED, done.result
    (job,) = jobs(stage)
    assert job["metadata"]["annotations"][STAMP] == f"{done.id}.run-job.1"
    assert job["metadata"]["labels"] == {"app": "clean"}
    assert done.steps[0].output["job"] == job["metadata"]["name"]
    assert done.steps[0].output["succeeded"] == 1


def test_two_runs_have_a_job_each_and_names_are_short_enough_for_labels(stage):
    for plan in ("plan-1", "plan-2"):
        finish(stage, run_job(), id=plan)
    assert len({j["metadata"]["name"] for j in jobs(stage)}) == 2
    assert len(job_name("x" * 200, "run-1.step.")) <= 63
    assert job_name("a-very-long-name-of-a-cron-job-that-ends-here.", "s")[45:46] == "-"


def test_a_job_that_fails_is_a_failure_and_undone_it_is_deleted_with_its_pods(stage):
    done = finish(stage, run_job(arguments={"template": template(STUCK, activeDeadlineSeconds=20)}, on_failure="undo"))
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "JobFailed")
    assert done.steps[0].undo is not None
    assert done.steps[0].undo.outcome is Outcome.SUCCEEDED
    assert jobs(stage) == []
    stage.pass_time(5)
    assert not stage.memory.reader.list("Pod", "shop", label_selector="job-name").items


def test_a_job_that_somebody_deletes_is_a_failure(stage):
    execution = stage.submit(run_job(arguments={"template": template(SLOW)}))
    stage.run(execution, seconds=10)
    (job,) = jobs(stage)
    stage.memory.remove(TargetRef("Job", "shop", job["metadata"]["name"]))
    assert stage.run(execution).result.reason == "TargetVanished"


def test_a_job_that_failed_is_followed_by_another_of_its_own_name_where_the_runbook_says_so(stage):
    patch = {"spec": {"jobTemplate": template(STUCK, activeDeadlineSeconds=20)}}
    stage.memory.writer("ann", "kubectl").patch(CLEAN, patch)
    execution = stage.submit(run_job(retry=Retry(2, initial=30.0, factor=1.0, on=("JobFailed",))))
    stage.run(execution, seconds=25)
    assert stage.get(execution).step("run-job").rounds == 1
    stage.memory.writer("ann", "kubectl").patch(CLEAN, {"spec": {"jobTemplate": {"spec": {"template": {"metadata": {"annotations": {"testbed.aiops/state": None}}}}}}})
    stage.restart("two")
    stage.pass_time(60)
    done = stage.run(execution)
    assert (done.result.outcome, done.steps[0].tries, done.steps[0].rounds) == (Outcome.SUCCEEDED, 1, 1), done.result
    assert len({j["metadata"]["name"] for j in jobs(stage)}) == 2
    assert sorted(j["metadata"]["annotations"][STAMP] for j in jobs(stage)) == [f"{done.id}.run-job.1", f"{done.id}.run-job~2.2"]


def test_without_being_told_to_a_job_that_failed_is_not_run_again_and_one_that_is_at_work_never(stage):
    failing, slow = template(STUCK, activeDeadlineSeconds=20), template(SLOW)
    for retry, body, why in ((Retry(2), failing, "JobFailed"), (Retry(2, on=("JobFailed", "failed", "timeout")), slow, "TimedOut")):
        done = finish(stage, run_job(arguments={"template": body}, retry=retry, timeout=60.0, undo=PlannedUndo(UndoMode.NONE)), id=f"plan-{why}")
        assert done.result.reason == why
    assert len(jobs(stage)) == 2


@pytest.mark.parametrize("after", [True, False])
def test_killed_between_two_rounds_there_are_no_more_jobs_than_rounds(stage, after):
    patch = {"spec": {"jobTemplate": template(STUCK, activeDeadlineSeconds=20)}}
    stage.memory.writer("ann", "kubectl").patch(CLEAN, patch)
    execution = stage.submit(run_job(retry=Retry(1, initial=5.0, on=("JobFailed",))))
    stage.run(execution, seconds=22)
    assert len(jobs(stage)) == 1
    stage.writer = Dying(stage.memory.writer(), "create", ClusterUnavailableError("NoAnswer", "cut"), done=after)
    stage.restart()
    done = stage.run(execution)
    assert (done.result.reason, len(jobs(stage))) == ("JobFailed", 2)


class Dying:
    """A writer whose first such call ends the process or loses its answer, before it is sent or after it was done."""

    def __init__(self, writer: Any, name: str, error: BaseException, *, done: bool) -> None:
        self._writer, self._name, self._error, self._done, self._armed = writer, name, error, done, True

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name != self._name or not self._armed:
                return getattr(self._writer, name)(*args, **kwargs)
            self._armed = False
            if self._done:
                getattr(self._writer, name)(*args, **kwargs)
            raise self._error

        return call


@pytest.mark.parametrize("done", [False, True])
def test_a_crash_around_the_creation_makes_one_job(stage, done):
    stage.writer = Dying(stage.memory.writer(), "create", KeyboardInterrupt(), done=done)
    stage.restart()
    execution = stage.submit(run_job())
    with pytest.raises(KeyboardInterrupt):
        stage.run(execution)
    stage.writer = stage.memory.writer()
    stage.restart(owner="two").recover()
    stage.pass_time(stage.settings.lease_ttl + 1)
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert len(jobs(stage)) == 1


@pytest.mark.parametrize("done", [False, True])
def test_a_lost_answer_makes_one_job(stage, done):
    stage.writer = Dying(stage.memory.writer(), "create", ClusterUnavailableError("TimedOut", "no answer"), done=done)
    stage.restart()
    assert finish(stage, run_job()).result.outcome is Outcome.SUCCEEDED
    assert len(jobs(stage)) == 1


def test_a_creation_that_arrives_after_we_looked_is_found_by_its_name(stage):
    here = context(stage)
    first = REGISTRY["run-job"].prepare(here, {"cronJob": "clean"})
    assert REGISTRY["run-job"].look(here, first).looked is Looked.NOT
    REGISTRY["run-job"].start(here, first)  # late
    second = REGISTRY["run-job"].prepare(context(stage, "run-1.step.2"), {"cronJob": "clean"})
    assert second.pre_state == first.pre_state
    seen = REGISTRY["run-job"].look(context(stage, "run-1.step.2"), second)
    assert (seen.looked, seen.key) == (Looked.HAPPENED, "run-1.step.1")


def test_a_job_of_that_name_that_is_not_ours_is_not_taken_for_ours(stage):
    execution = stage.submit(run_job())
    name = job_name("clean", f"{execution.id}.run-job.")
    stage.memory.apply({"kind": "Job", "metadata": {"name": name, "namespace": "shop"}, "spec": template(SLOW)["spec"]})
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "Conflict")


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"cronJob": "clean", "template": template()}, {"template": {"spec": {}}}, {"template": {"spec": {"template": {"spec": {"containers": []}}}}},
        {"template": {"spec": {"template": "x"}}}, {"template": {"spec": {"template": {"spec": {"restartPolicy": "Always", "containers": [{"name": "a"}]}}}}},
    ],
)
def test_templates_that_are_none(stage, arguments):
    assert reason(stage, "run-job", **arguments) == "InvalidArguments"


def test_a_cron_job_that_is_not_there(stage):
    assert finish(stage, run_job(arguments={"cronJob": "none"})).result.reason == "TargetVanished"


def test_a_finished_job_stays_long_enough_to_be_looked_for():
    body = body_of(template(ttlSecondsAfterFinished=0), "x", "shop", "key")
    assert body["spec"]["ttlSecondsAfterFinished"] == 86_400


def test_a_rehearsal_makes_no_job(stage):
    done = finish(stage, run_job(), simulated=True)
    assert done.result.outcome is Outcome.SIMULATED
    assert jobs(stage) == []
    assert "image: clean:1" in done.plan.changes[0].diff


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("text", "must be a mapping"), ({"a": "{{ target.name }}"}, "no template"), ({"a": "x" * 20_000}, "not be longer"), ({"a": float("nan")}, "must be a mapping"),
        ({"a": {1, 2}}, "must be a mapping"), ("{{ target.name }}", "a template stands only"),
    ],
)
def test_a_template_in_a_runbook_is_a_plain_mapping(value, words):
    ((name, message),) = check_arguments(SPECS["run-job"], {"template": value})[1]
    assert name == "template"
    assert words in message


def test_a_template_in_a_runbook_is_taken_as_it_stands():
    assert check_arguments(SPECS["run-job"], {"template": template()}) == ({"template": template()}, [])


# --- delete-job


def job(stage: Stage, annotations: dict[str, str], name: str = "import", **spec: Any) -> TargetRef:
    stage.memory.apply({"kind": "Job", "metadata": {"name": name, "namespace": "shop"}, "spec": template(annotations, **spec)["spec"]})
    return TargetRef("Job", "shop", name)


@pytest.mark.parametrize("named", [True, False])
def test_a_job_that_is_stuck_is_deleted_with_its_pods(stage, named):
    ref = job(stage, STUCK)
    stage.pass_time(700)
    where = {"arguments": {"job": "import"}} if named else {"target": ref}
    assert finish(stage, step("delete-job", **where)).result.outcome is Outcome.SUCCEEDED
    assert jobs(stage) == []
    (write,) = stage.writes
    assert (write.verb, write.body["kind"]) == ("delete", "DeleteOptions")
    assert "uid" in write.body["preconditions"]


def test_a_job_that_gets_on_is_young_suspended_or_has_ended_is_left_alone(stage):
    young, busy, ended, suspended = job(stage, STUCK, "young"), job(stage, SLOW, "busy"), job(stage, {}, "ended"), job(stage, STUCK, "idle", suspend=True)
    assert reason(stage, "delete-job", young) == "NotStuck"
    stage.pass_time(700)
    assert reason(stage, "delete-job", young) == ""
    assert reason(stage, "delete-job", young, stuckFor=3600.0) == "NotStuck"
    assert reason(stage, "delete-job", busy) == "NotStuck"
    assert reason(stage, "delete-job", ended) == "Ended"
    assert reason(stage, "delete-job", suspended) == "Suspended"


def test_a_job_of_which_a_pod_has_succeeded_lately_gets_on(stage):
    ref = job(stage, {"testbed.aiops/run-for": "10m"}, completions=2)
    stage.pass_time(605)  # the first has just succeeded, the second is starting
    assert reason(stage, "delete-job", ref, stuckFor=60.0) == "NotStuck"


def test_a_job_of_another_controller_is_not_ours_to_delete(stage):
    owner = [{"apiVersion": "workflows.example/v1", "kind": "Workflow", "name": "w", "uid": "u", "controller": True}]
    stage.memory.apply({"kind": "Job", "metadata": {"name": "part", "namespace": "shop", "ownerReferences": owner}, "spec": template(STUCK)["spec"]})
    stage.pass_time(700)
    assert reason(stage, "delete-job", TargetRef("Job", "shop", "part")) == "OwnedByController"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ClusterUnavailableError("TimedOut", "no answer")])
@pytest.mark.parametrize("done", [False, True])
def test_a_stuck_job_is_deleted_once_whatever_happens(stage, done, error):
    ref = job(stage, STUCK)
    stage.pass_time(700)
    stage.writer = Dying(stage.memory.writer(), "delete", error, done=done)
    stage.restart()
    execution = stage.submit(step("delete-job", target=ref))
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            stage.run(execution)
        stage.restart(owner="two").recover()
        stage.pass_time(stage.settings.lease_ttl + 1)
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert len(stage.writes) == 1


def test_another_job_of_the_same_name_is_not_deleted(stage):
    ref = job(stage, STUCK)
    stage.pass_time(700)
    ready = REGISTRY["delete-job"].prepare(context(stage, target=ref), {})
    stage.memory.remove(ref)
    job(stage, SLOW)
    assert REGISTRY["delete-job"].look(context(stage, target=ref), ready).looked is Looked.HAPPENED
    assert reason(stage, "delete-job", TargetRef("Job", "shop", "none"), job="other") == "InvalidArguments"
    assert reason(stage, "delete-job") == "InvalidArguments"


# --- set-config


CONFIG = TargetRef("ConfigMap", "shop", "checkout")


def data(stage: Stage) -> dict[str, str]:
    found: dict[str, str] = stage.memory.reader.get(CONFIG).get("data", {})
    return found


def set_config(**arguments: Any) -> PlannedStep:
    return step("set-config", arguments={"configMap": "checkout", "key": "mode", **arguments})


@pytest.mark.parametrize(
    ("arguments", "after"),
    [({"value": "slow"}, {"mode": "slow", "size": "1"}), ({"remove": True}, {"size": "1"}), ({"key": "new/key".replace("/", "."), "value": ""}, {"mode": "fast", "size": "1", "new.key": ""})],
)
def test_a_key_is_set_or_removed_and_put_back(stage, arguments, after):
    before = data(stage)
    bad = step("set-image", "bad", arguments={"image": "?"}, needs=("set-config",))
    assert finish(stage, set_config(**arguments)).result.outcome is Outcome.SUCCEEDED
    assert data(stage) == after
    stage.memory.apply({"kind": "ConfigMap", "metadata": {"name": "checkout", "namespace": "shop"}, "data": before})
    undone = finish(stage, set_config(**arguments), step("set-image", "bad", arguments=bad.arguments, needs=bad.needs, on_failure="undo"), id="plan-2")
    assert undone.steps[0].undo is not None
    assert undone.steps[0].undo.outcome is Outcome.SUCCEEDED
    assert data(stage) == before


def test_an_empty_config_map_takes_its_first_key(stage):
    stage.memory.apply({"kind": "ConfigMap", "metadata": {"name": "empty", "namespace": "shop"}})
    assert finish(stage, step("set-config", target=TargetRef("ConfigMap", "shop", "empty"), arguments={"key": "a", "value": "b"})).result.outcome is Outcome.SUCCEEDED
    assert stage.memory.reader.get(TargetRef("ConfigMap", "shop", "empty"))["data"] == {"a": "b"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"key": "mode", "value": "fast"}, "AlreadyThere"),
        ({"key": "none", "remove": True}, "AlreadyThere"),
        ({"key": "db_password", "value": "x"}, "SecretKey"),
        ({"key": "a b", "value": "x"}, "InvalidArguments"),
        ({"key": "mode"}, "InvalidArguments"),
        ({"key": "mode", "value": "x", "remove": True}, "InvalidArguments"),
        ({"key": "mode", "value": "x", "configMap": ""}, "InvalidArguments"),
    ],
)
def test_keys_that_are_not_set(stage, arguments, why):
    assert reason(stage, "set-config", **{"configMap": "checkout", **arguments}) == why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"immutable": True}, "Immutable"),
        ({"binaryData": {"mode": "AA=="}, "data": {"size": "1"}}, "BinaryData"),
        ({"data": {"mode": "x" * 40_000}}, "TooLarge"),
        ({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}}, "OwnedByFlux"),
        ({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}}, "OwnedByArgoCD"),
    ],
)
def test_config_maps_that_are_not_ours_to_write(stage, change, why):
    base: dict[str, Any] = {"kind": "ConfigMap", "metadata": {"name": "other", "namespace": "shop"}, "data": {"mode": "fast"}}
    stage.memory.apply({**base, **change, "metadata": {**base["metadata"], **change.get("metadata", {})}})
    assert reason(stage, "set-config", configMap="other", key="mode", value="slow") == why


def test_a_key_that_somebody_changed_meanwhile_refuses_it_and_another_key_does_not(stage):
    ready = REGISTRY["set-config"].prepare(context(stage), {"configMap": "checkout", "key": "mode", "value": "slow"})
    stage.memory.writer("ada").patch(CONFIG, {"data": {"size": "2"}})
    assert REGISTRY["set-config"].look(context(stage), ready).looked is Looked.NOT
    stage.memory.writer("ada").patch(CONFIG, {"data": {"mode": "medium"}})
    with pytest.raises(InvalidError):
        REGISTRY["set-config"].start(context(stage), ready)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ClusterUnavailableError("TimedOut", "no answer")])
@pytest.mark.parametrize("done", [False, True])
def test_a_key_is_set_once_whatever_happens(stage, done, error):
    stage.writer = Dying(stage.memory.writer(), "patch", error, done=done)
    stage.restart()
    execution = stage.submit(set_config(value="slow"))
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            stage.run(execution)
        stage.restart(owner="two").recover()
        stage.pass_time(stage.settings.lease_ttl + 1)
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert len(stage.writes) == 1


def test_a_config_map_that_is_gone(stage):
    assert finish(stage, set_config(configMap="none", value="x")).result.reason == "TargetVanished"

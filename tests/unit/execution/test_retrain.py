"""Training anew: one Job for a step whatever happens, or a webhook asked at most once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiops.domain.errors import ClusterUnavailableError, OutsideUnavailableError
from aiops.domain.outcome import Outcome
from aiops.domain.plan import PlannedStep
from aiops.domain.target import TargetRef
from aiops.execution.actions.contract import STAMP
from aiops.execution.actions.retrain import job_name
from tests.unit.execution.kill import Dying, die_and_live
from tests.unit.execution.stage import Stage, step

LOST = ClusterUnavailableError("Timeout", "no answer in 10 s")
HOOK = "https://hooks.example.org/train"


def cron(policy: str = "Forbid", **spec: Any) -> dict[str, Any]:
    container = {"name": "train", "image": "train:1", "env": [{"name": "MODEL", "value": "demand"}, {"name": "ROWS", "value": "1"}]}
    long = {"annotations": {"testbed.aiops/run-for": "9999m"}}  # until `end`
    job = {"template": {"metadata": long, "spec": {"restartPolicy": "Never", "containers": [container]}}, **spec}
    template = {"metadata": {"labels": {"app": "train"}, "annotations": {"team": "ml"}}, "spec": job}
    return {
        "kind": "CronJob", "metadata": {"name": "train-demand", "namespace": "shop"},
        "spec": {"schedule": "0 3 * * *", "concurrencyPolicy": policy, "jobTemplate": template},
    }


@pytest.fixture
def stage():
    stage: Any = Stage()
    stage.memory.apply(cron())
    return stage


def retrain(**arguments: Any) -> PlannedStep:
    fields = {name: arguments.pop(name) for name in ("needs", "timeout") if name in arguments}
    given = {"cronJob": "train-demand"} if "webhook" not in arguments else {}
    return step("retrain", arguments={"deadline": 6 * 3600.0, **given, **arguments}, **fields)


def run(stage: Any, *steps: PlannedStep, identity: str = "plan-1", **plan: Any) -> Any:
    return stage.run(stage.submit(*steps, id=identity, **plan))


def jobs(stage: Any) -> list[dict[str, Any]]:
    return list(stage.memory.reader.list("Job", "shop").items)


def end(stage: Any, kind: str, reason: str = "") -> None:
    (job,) = jobs(stage)
    ref = TargetRef("Job", "shop", job["metadata"]["name"])
    stage.memory.apply({**job, "status": {"conditions": [{"type": kind, "status": "True", "reason": reason, "message": reason}]}})
    assert stage.memory.reader.get(ref)["status"]["conditions"]


def test_the_job_is_the_cron_jobs_with_our_stamp_and_a_deadline(stage):
    execution = stage.submit(retrain(parameters=("ROWS=500", "SINCE=2027-01-01")))
    done = stage.run(execution)
    assert done.result.outcome is Outcome.SUCCEEDED
    (job,) = jobs(stage)
    assert job["metadata"]["name"] == job_name("train-demand", f"{execution.id}.retrain.") == done.steps[0].output["job"]
    assert job["metadata"]["labels"]["app"] == "train"
    notes = job["metadata"]["annotations"]
    assert (notes["team"], notes[STAMP], notes["cronjob.kubernetes.io/instantiate"]) == ("ml", f"{execution.id}.retrain.1", "manual")
    assert job["metadata"]["ownerReferences"][0]["name"] == "train-demand"
    assert job["spec"]["activeDeadlineSeconds"] == 6 * 3600
    assert job["spec"]["template"]["spec"]["containers"][0]["env"] == [
        {"name": "MODEL", "value": "demand"}, {"name": "ROWS", "value": "500"}, {"name": "SINCE", "value": "2027-01-01"},
    ]  # fmt: skip
    assert done.steps[0].output["deadlineAt"] == "2027-01-15T14:00:10+00:00"


def test_the_jobs_own_deadline_stays_if_it_is_sooner_and_its_end_can_be_seen(stage):
    stage.memory.apply(cron(activeDeadlineSeconds=60, ttlSecondsAfterFinished=0))
    run(stage, retrain())
    (job,) = jobs(stage)
    assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["ttlSecondsAfterFinished"]) == (60, 3600)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [None, LOST], ids=["crash", "lost"])
def test_there_is_one_job_whatever_happens(stage, when, error):
    real = stage.writer
    stage.writer = Dying(real, "create", when=when, error=error)
    stage.restart()
    execution = stage.submit(retrain())
    done = stage.run(execution) if error else die_and_live(stage, execution, lambda: setattr(stage, "writer", real))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert len(jobs(stage)) == len(stage.writes) == 1


def test_a_name_that_somebody_else_has_taken_is_not_taken_for_ours(stage):
    execution = stage.submit(retrain())
    name = job_name("train-demand", f"{execution.id}.retrain.")
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}}
    stage.memory.apply({"kind": "Job", "metadata": {"name": name, "namespace": "shop"}, "spec": {"template": template}})
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.FAILED, "Conflict")


def test_one_that_trains_already_is_enough_unless_they_may_overlap(stage):
    run(stage, retrain())
    assert run(stage, retrain(), identity="plan-2").steps[0].result.reason == "AlreadyTraining"
    end(stage, "Complete")
    assert run(stage, retrain(), identity="plan-3").result.outcome is Outcome.SUCCEEDED
    stage.memory.apply(cron("Allow"))
    assert run(stage, retrain(), identity="plan-4").result.outcome is Outcome.SUCCEEDED
    assert len(jobs(stage)) == 3


def test_it_waits_for_the_end_if_that_is_wished(stage):
    execution = stage.submit(retrain(wait=True, timeout=60))
    stage.run(execution, seconds=600)
    assert stage.get(execution).steps[0].state == "started"  # waiting is the work: the step's time-out does not count
    end(stage, "Complete")
    done = stage.run(execution)
    assert (done.result.outcome, done.steps[0].result.detail.endswith("is complete")) == (Outcome.SUCCEEDED, True)


@pytest.mark.parametrize(("reason", "expected"), [("BackoffLimitExceeded", "TrainingFailed"), ("DeadlineExceeded", "DeadlinePassed")])
def test_a_training_that_fails_is_a_failure(stage, reason, expected):
    execution = stage.submit(retrain(wait=True))
    stage.run(execution, seconds=30)
    end(stage, "Failed", reason)
    assert stage.run(execution).result.reason == expected


def test_a_training_that_never_ends_is_a_failure_at_its_deadline(stage):
    done = stage.run(stage.submit(retrain(wait=True, deadline=300.0)), seconds=900)
    assert (done.result.reason, 300 <= done.updated_at - done.created_at <= 400) == ("DeadlinePassed", True)


def test_a_job_that_somebody_removed_is_a_failure(stage):
    execution = stage.submit(retrain(wait=True))
    stage.run(execution, seconds=30)
    stage.memory.remove(TargetRef("Job", "shop", jobs(stage)[0]["metadata"]["name"]))
    assert stage.run(execution).result.reason == "TargetVanished"


def test_what_cannot_be_made(stage):
    assert run(stage, retrain(cronJob="none")).result.reason == "TargetVanished"
    assert run(stage, retrain(parameters=("API_TOKEN=x",)), identity="plan-2").result.reason == "SecretVariable"
    assert run(stage, retrain(parameters=("a b=x",)), identity="plan-3").result.reason == "InvalidArguments"
    assert run(stage, retrain(webhook=HOOK, wait=True), identity="plan-4").result.reason == "InvalidArguments"
    assert run(stage, retrain(webhook="https://elsewhere.example/"), identity="plan-5").result.reason == "NotAllowed"
    assert (jobs(stage), stage.outbound.received) == ([], [])


@pytest.mark.parametrize("arguments", [{}, {"webhook": HOOK}])
def test_dry_run_makes_and_sends_nothing(stage, arguments):
    done = run(stage, retrain(**arguments), simulated=True)
    assert done.result.outcome is Outcome.SIMULATED
    assert (jobs(stage), stage.outbound.received, stage.writes) == ([], [], [])


def test_a_webhook_is_told_what_is_wished(stage):
    execution = stage.submit(retrain(webhook=HOOK, parameters=("rows=500",), reason="psi 0.4", idempotencyKey=True))
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    (sent,) = stage.outbound.received
    assert json.loads(sent.body) == {
        "operation": f"{execution.id}.retrain", "target": "shop/deployment/checkout", "reason": "psi 0.4", "deadlineAt": "2027-01-15T14:00:10+00:00",
        "parameters": {"rows": "500"},
    }  # fmt: skip
    assert sent.headers["Idempotency-Key"] == f"{execution.id}.retrain"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [None, OutsideUnavailableError("ConnectionLost")], ids=["crash", "lost"])
def test_a_webhook_is_asked_at_most_once(stage, when, error):
    real = stage.outbound
    stage.outbound = Dying(real, "send", when=when, error=error)
    stage.restart()
    execution = stage.submit(retrain(webhook=HOOK))
    done = stage.run(execution) if error else die_and_live(stage, execution, lambda: setattr(stage, "outbound", real))
    assert (done.result.outcome, done.result.reason) == (Outcome.INCONCLUSIVE, "EffectUnknown")
    assert len(real.received) == (when == "after")


@pytest.mark.parametrize("series", ["run-1.a.", "run-1.b."])
def test_names_are_short_enough_for_the_pods_label(series):
    assert len(job_name("x" * 52, series)) <= 63
    assert job_name("a-very-long-name-that-ends-in-a-dash-at-40-characters", series).count("--") == 0

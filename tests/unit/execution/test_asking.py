"""`query` and `wait-for`: what is asked, what an answer that is none means, and that waiting holds nobody up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops.adapters.memory_logs import MemoryLogs
from aiops.domain.outcome import Outcome
from aiops.domain.plan import PlannedStep
from aiops.domain.series import SampleBatch
from aiops.domain.target import TargetRef
from aiops.ports.outbound import OutboundAnswer
from tests.unit.execution.stage import START, Stage, scale, step


def staged(**options: Any) -> Any:
    return Stage(**options)


def ask(**arguments: Any) -> PlannedStep:
    return step("query", "ask", arguments={"promql": "load", **arguments})


def wait_for(**arguments: Any) -> PlannedStep:
    fields = {name: arguments.pop(name) for name in ("timeout", "needs", "target") if name in arguments}
    given = {"passes": "value < 1.0", "promql": "load", **arguments} if "condition" not in arguments else arguments
    return step("wait-for", "wait", arguments=given, **fields)


@pytest.mark.parametrize(("worst", "value", "pod"), [("max", 7.0, "p1"), ("min", 2.0, "p0")])
def test_the_worst_series_is_the_output(worst, value, pod):
    stage = staged(levels=lambda _at: [2.0, 7.0, float("nan")])
    done = stage.run(stage.submit(ask(worst=worst)))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert dict(done.steps[0].output) == {"value": value, "count": 2, "labels": {"pod": pod}}


def test_the_output_is_an_argument_and_a_condition():
    stage = staged(levels=lambda _at: [4.0])
    to = step("scale", arguments={"to": "{{ steps.ask.output.value | number }}"}, needs=("ask",), late=("to",), when="steps.ask.output.value > 3.0")
    done = stage.run(stage.submit(ask(), to))
    assert (done.result.outcome, stage.replicas) == (Outcome.SUCCEEDED, 4)


def test_a_hostile_output_stays_a_value_in_a_later_query():
    stage = staged(levels=lambda _at: [4.0])
    stage.outbound.handler = lambda _request: OutboundAnswer(200, {}, b'x"} or vector(0) #')
    first = step("http-request", "first", arguments={"url": "https://hooks.example.org/"})
    asked: list[str] = []
    real = stage.source.instant
    stage.source.instant = lambda query, at: (asked.append(query), real(query, at))[1]
    later = step("query", "ask", arguments={"promql": 'up{n="{{ steps.first.output.body }}"}'}, needs=("first",), late=("promql",))
    assert stage.run(stage.submit(first, later)).result.outcome is Outcome.SUCCEEDED
    assert asked == ['up{n="x\\"} or vector(0) #"}']


@pytest.mark.parametrize("levels", [[], [float("nan")]])
def test_no_value_is_a_failure_unless_it_may_be(levels):
    stage = staged(levels=lambda _at: levels)
    done = stage.run(stage.submit(ask(), scale(needs=("ask",))))
    assert (done.result.outcome, done.result.reason, stage.replicas) == (Outcome.FAILED, "NoData", 2)
    done = stage.run(stage.submit(ask(empty="pass"), id="plan-2"))
    assert (done.result.outcome, done.steps[0].output["count"]) == (Outcome.SUCCEEDED, 0)


def test_an_answer_that_is_not_whole_is_an_error():
    stage = staged()
    stage.source.partial = True
    done = stage.run(stage.submit(ask()))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "Partial")


def test_a_source_that_is_down_is_waited_for_but_not_for_long():
    stage = staged(levels=lambda at: [3.0] if at > START + 30 else None)
    assert stage.run(stage.submit(ask())).steps[0].output["value"] == 3.0
    stage.source.levels = lambda _at: None
    done = stage.run(stage.submit(ask(), id="plan-2"))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "Timeout")


def test_a_source_that_is_not_there_is_an_error():
    stage = staged()
    done = stage.run(stage.submit(ask(source="thanos")))
    assert (done.result.reason, "there are: prometheus" in done.result.detail) == ("InvalidArguments", True)


def test_asking_works_in_dry_run_and_writes_nothing():
    stage = staged(levels=lambda _at: [3.0])
    done = stage.run(stage.submit(ask(), simulated=True))
    assert done.steps[0].output["value"] == 3.0
    assert stage.memory.write_log == [w for w in stage.memory.write_log if w.user != "aiops"]


class Counted(MemoryLogs):
    """Answers every count with the same columns."""

    def counts(self, query: Any, at: float) -> SampleBatch:
        self.asked = query
        labels = ({"service": "cart"}, {"service": "checkout"})
        return SampleBatch(self.name, str(query), at, labels, np.array([at, at]), np.array([3.0, 12.0]))


def logs_stage(logs: MemoryLogs) -> Any:
    stage = staged()
    stage.logs = {"elasticsearch": logs}
    stage.restart()
    return stage


def test_records_are_counted():
    stage = logs_stage(logs := Counted("elasticsearch"))
    given = {"index": "logs-*", "window": 600.0, "where": ("level=ERROR", "level=FATAL", "team=a=b"), "phrase": "timed out", "groupBy": ("service",)}
    done = stage.run(stage.submit(step("query", "ask", arguments=given)))
    assert dict(done.steps[0].output) == {"value": 12.0, "count": 2, "labels": {"service": "checkout"}}
    assert str(logs.asked) == "logs-*[600s] level=ERROR|FATAL team=a=b message~'timed out' by (service)"


def test_no_record_is_the_number_nought():
    stage = logs_stage(MemoryLogs("elasticsearch", indices=("logs-shop",)))
    done = stage.run(stage.submit(step("query", "ask", arguments={"index": "logs-shop"})))
    assert (done.result.outcome, done.steps[0].output["value"]) == (Outcome.SUCCEEDED, 0.0)


# --- wait-for


def test_it_waits_until_the_level_passes():
    stage = staged(levels=lambda at: [5.0, 0.5 if at > START + 100 else 2.0] if at < START + 200 else [0.5])
    done = stage.run(stage.submit(wait_for(timeout=600), scale(needs=("wait",))))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert 180 <= done.steps[0].output["waited"] <= 210
    assert stage.replicas == 4


def test_it_must_have_been_good_for_a_while_at_every_point():
    def levels(at: float) -> list[float]:
        return [9.0] if at < START + 100 or START + 150 <= at < START + 160 else [0.1]

    stage = staged(levels=levels)
    execution = stage.submit(wait_for(**{"for": 60.0, "timeout": 600}))
    stage.run(execution, seconds=200)
    assert stage.get(execution).steps[0].state == "started"
    done = stage.run(execution)
    assert done.result.outcome is Outcome.SUCCEEDED
    assert START + 160 + 60 <= done.updated_at <= START + 160 + 60 + 25


def test_a_gap_is_no_health():
    stage = staged(levels=lambda at: [0.1] if at > START + 100 else [])
    execution = stage.submit(wait_for(**{"for": 60.0, "timeout": 600}))
    stage.run(execution, seconds=140)
    assert stage.get(execution).steps[0].state == "started"
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("levels", [lambda _at: [5.0], lambda _at: [], lambda _at: None])
def test_it_gives_up_at_its_timeout(levels):
    stage = staged(levels=levels)
    done = stage.run(stage.submit(wait_for(timeout=60), scale(needs=("wait",))))
    assert (done.result.outcome, done.result.reason, stage.replicas) == (Outcome.FAILED, "TimedOut", 2)


def test_a_condition_over_the_target():
    stage = staged()
    execution = stage.submit(wait_for(condition="object.spec.replicas >= 4", timeout=600))
    stage.run(execution, seconds=30)
    assert stage.get(execution).steps[0].state == "started"
    stage.patch_by("ann", {"spec": {"replicas": 5}})
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED


def test_a_field_that_is_not_there_does_not_hold_and_a_target_that_vanished_ends_it():
    stage = staged()
    execution = stage.submit(wait_for(condition='object.status.nothing == "x"', timeout=60))
    assert stage.run(execution).result.reason == "TimedOut"
    done = stage.run(stage.submit(wait_for(condition="true", target=TargetRef("Deployment", "shop", "gone")), id="plan-2"))
    assert done.result.reason == "TargetVanished"


@pytest.mark.parametrize("arguments", [{"passes": "nonsense"}, {"source": "thanos"}, {"passes": ""}])
def test_what_cannot_be_asked_is_an_error_at_once(arguments):
    stage = staged()
    done = stage.run(stage.submit(wait_for(**arguments)))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "InvalidArguments")


def test_waiting_survives_a_restart():
    stage = staged(levels=lambda at: [5.0] if at < START + 100 else [0.1])
    execution = stage.submit(wait_for(timeout=600))
    stage.run(execution, seconds=30)
    stage.restart("two")
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED


def test_a_rehearsal_does_not_wait():
    stage = staged(levels=lambda _at: [5.0])
    execution = stage.submit(wait_for(timeout=600), simulated=True)
    done = stage.run(execution, seconds=5)
    assert done.result is not None
    assert done.steps[0].result.outcome is Outcome.SIMULATED

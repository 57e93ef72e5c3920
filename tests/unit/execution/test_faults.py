"""What does not answer, answers late, or answers strangely; leases, clocks, and the store going away."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from aiops.domain.errors import ClusterError, ClusterUnavailableError, ConflictError, LeaseLostError, StoreError
from aiops.domain.execution import ExecutionState, StepState
from aiops.domain.outcome import Outcome
from aiops.domain.plan import Plan
from aiops.domain.runbook import Retry
from aiops.execution.leases import Leases
from aiops.execution.progress import open_steps
from aiops.execution.settings import EngineSettings
from tests.unit.execution.stage import CHECKOUT, Stage, scale, step


@pytest.fixture
def stage():
    return Stage()


class Down:
    """A port of which the named calls fail until `up`."""

    def __init__(self, port, names, error):
        self._port, self._names, self._error, self.up, self.calls = port, names, error, False, 0

    def __getattr__(self, name):
        if name in self._names and not self.up:
            def fail(*_args, **_kwargs):
                self.calls += 1
                raise self._error
            return fail
        return getattr(self._port, name)


UNAVAILABLE = ClusterUnavailableError("Timeout", "no answer in 10 s")


def test_an_api_that_is_down_before_the_effect_is_waited_for(stage):
    stage.reader = Down(stage.memory.reader, ("get",), UNAVAILABLE)
    stage.restart()
    execution = stage.submit(scale())
    stage.run(execution, seconds=20)
    assert stage.get(execution).steps[0].attempt == 0
    stage.reader.up = True
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED


def test_but_not_until_the_plan_is_stale(stage):
    stage.reader = Down(stage.memory.reader, ("get",), UNAVAILABLE)
    stage.restart()
    done = stage.run(stage.submit(scale()))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "ClusterUnavailable")
    assert done.updated_at - done.created_at <= stage.settings.patience + stage.settings.again_after
    assert not stage.memory.write_log


def test_an_api_that_is_down_during_the_check_is_waited_for(stage):
    execution = stage.submit(scale())
    stage.executor.advance(execution.id)
    stage.reader = Down(stage.memory.reader, ("get",), UNAVAILABLE)
    stage.restart()
    stage.run(execution, seconds=60)
    assert stage.get(execution).steps[0].state is StepState.STARTED
    stage.reader.up = True
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED


def test_an_api_that_never_comes_back_leaves_it_inconclusive(stage):
    execution = stage.submit(scale(timeout=120))
    stage.writer = Down(stage.memory.writer(), ("patch",), UNAVAILABLE)
    stage.restart()
    stage.executor.advance(execution.id)
    stage.reader = Down(stage.memory.reader, ("get",), UNAVAILABLE)
    stage.restart()
    done = stage.run(execution)
    assert (done.result.outcome, done.result.reason) == (Outcome.INCONCLUSIVE, "EffectUnknown")
    assert done.updated_at - done.created_at < 130


def test_writes_that_never_arrive_are_given_up(stage):
    stage.writer = Down(stage.memory.writer(), ("patch",), UNAVAILABLE)
    stage.restart()
    done = stage.run(stage.submit(scale()))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "NotSent")
    assert stage.writer.calls == stage.settings.recoveries + 1


def test_a_conflict_is_retried_with_growing_waits(stage):
    times: list[float] = []
    real = stage.memory.writer()

    class Busy:
        def patch(self, *args, **kwargs):
            times.append(stage.time.now())
            if len(times) < 4:
                raise ConflictError("Conflict", "busy", 409)
            return real.patch(*args, **kwargs)

    stage.writer = Busy()
    stage.restart()
    done = stage.run(stage.submit(scale(retry=Retry(limit=3, initial=4, factor=2, maximum=10))))
    assert done.result.outcome is Outcome.SUCCEEDED
    waits = [b - a for a, b in pairwise(times)]
    assert all(full / 2 <= wait <= full + 1 for wait, full in zip(waits, (4, 8, 10), strict=True)), waits
    assert len(stage.writes) == 1


def test_an_answer_nobody_foresaw_is_an_error_with_its_reason(stage):
    stage.writer = Down(stage.memory.writer(), ("patch",), ClusterError("Teapot", "short and stout", 418))
    stage.restart()
    done = stage.run(stage.submit(scale(retry=Retry(limit=5))))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "Teapot")
    assert stage.writer.calls == 1


def test_objects_of_a_strange_shape_are_an_error_not_a_crash(stage):
    class Strange:
        list = stage.memory.reader.list

        def get(self, _ref):
            return {"metadata": {}}

    stage.reader = Strange()
    stage.restart()
    done = stage.run(stage.submit(scale()))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "InvalidArguments")


def test_a_plan_for_an_unknown_cluster_or_action(stage):
    elsewhere = replace(CHECKOUT, context="elsewhere")
    assert stage.run(stage.submit(scale(), id="p2", target=elsewhere)).result.reason == "UnknownCluster"
    assert stage.run(stage.submit(step("explode"), id="p3")).result.reason == "UnknownAction"


def test_a_store_that_fails_after_the_effect_does_not_double_it(stage):
    execution = stage.submit(scale())

    class Full(Down):
        def write(self, changes, **options):
            if changes.entries and changes.entries[0].kind == "effect":
                raise StoreError("disk full")
            stage.store.write(changes, **options)

    stage.restart(store=Full(stage.store, (), None))
    with pytest.raises(StoreError):
        stage.executor.advance(execution.id)
    assert stage.replicas == 4
    stage.restart()
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert len(stage.writes) == 1


def test_a_store_error_in_the_worker_is_logged_and_the_run_stays_due(stage, caplog):
    execution = stage.submit(scale())
    stage.restart(store=Down(stage.store, ("write",), StoreError("disk full")))
    stage.run(execution, seconds=2)
    assert "could not be advanced" in caplog.text
    assert not stage.memory.write_log
    stage.restart()
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED


def test_a_lost_lease_stops_us_before_the_effect(stage):
    execution = stage.submit(scale())

    class Thief(Down):
        """Another owner takes the lease between our acquiring it and our intent."""

        def write(self, changes, **options):
            if not self.up and changes.entries and changes.entries[0].kind == "intent":
                self.up = True
                stage.store.acquire("target/default/shop/deployment/checkout", "one", 30, stage.time.now())
            stage.store.write(changes, **options)

    stage.restart(store=Thief(stage.store, (), None))
    due = stage.executor.advance(execution.id)
    assert due is not None
    assert not stage.memory.write_log
    assert stage.get(execution).steps[0].state is StepState.PENDING


def test_nothing_is_sent_when_the_intent_took_too_long_to_write(stage):
    execution = stage.submit(scale())

    class Slow(Down):
        def write(self, changes, **options):
            stage.store.write(changes, **options)
            if not self.up and changes.entries and changes.entries[0].kind == "intent":
                self.up = True
                stage.pass_time(stage.settings.lease_ttl - stage.settings.needed + 1)

    stage.restart(store=Slow(stage.store, (), None))
    stage.executor.advance(execution.id)
    assert not stage.memory.write_log
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED
    assert len(stage.writes) == 1


def test_a_slow_read_costs_a_renewal_and_no_attempt(stage):
    class Slow(Down):
        def get(self, ref):
            if not self.up:
                self.up = True
                stage.pass_time(stage.settings.lease_ttl - stage.settings.needed + 1)
            return stage.memory.reader.get(ref)

    stage.reader = Slow(stage.memory.reader, (), None)
    stage.restart()
    done = stage.run(stage.submit(scale()))
    assert (done.result.outcome, done.steps[0].attempt) == (Outcome.SUCCEEDED, 1)


class SetClock:
    """A wall clock that somebody sets, beside a monotonic one that nobody can."""

    def __init__(self):
        self.wall, self.steady = 1_000_000.0, 0.0

    def now(self):
        return self.wall

    def monotonic(self):
        return self.steady


def test_a_wall_clock_set_back_does_not_lengthen_a_lease(stage):
    clock = SetClock()
    leases = Leases(stage.store, clock, "one", EngineSettings())
    with leases.entered("x") as ours:
        assert ours
        assert leases.enough("x")
        clock.wall -= 3600
        clock.steady += 20
        assert not leases.enough("x")


def test_a_wall_clock_set_forward_loses_the_lease_and_says_so(stage):
    clock = SetClock()
    leases = Leases(stage.store, clock, "one", EngineSettings())
    with leases.entered("x"):
        clock.wall += 3600
        clock.steady += 20
        with pytest.raises(LeaseLostError):
            leases.extend("x")


def test_one_name_is_worked_on_by_one_thread_at_a_time(stage):
    leases = Leases(stage.store, stage.time, "one", EngineSettings())
    with leases.entered("x") as first, leases.entered("x") as second, leases.entered("y") as other:
        assert (first, second, other) == (True, False, True)


def test_a_lease_let_go_during_a_stop_is_given_back_at_the_end(stage):
    leases = Leases(stage.store, stage.time, "one", EngineSettings())
    with leases.entered("x"):
        leases.stop()
        assert [lease.name for lease in stage.store.leases()] == ["x"]
    assert stage.store.leases() == []


def test_what_is_due_is_handed_over_once(stage):
    stage.submit(scale())
    handed = []
    assert stage.executor.run_due(lambda key, work: handed.append((key, work))) == 1
    assert stage.executor.run_due(lambda key, work: handed.append((key, work))) == 0
    ((key, work),) = handed
    assert key == "shop/deployment/checkout"
    work()
    stage.pass_time(1)
    assert stage.executor.run_due(lambda _key, _work: None) == 1


def test_no_unfinished_run_is_ever_without_a_due_time(stage):
    execution = stage.submit(scale("+1", name="a"), step("wait", arguments={"for": 20}, needs=("a",)), scale("+1", name="b", needs=("wait",)))
    while (present := stage.get(execution)).state is not ExecutionState.DONE:
        assert present.due_at <= stage.time.now() + 20
        assert open_steps(present) or present.due_at <= stage.time.now()
        stage.run(execution, seconds=0)


def test_the_plan_is_not_lost_on_the_way_through_the_store(stage):
    execution = stage.submit(scale())
    assert isinstance(stage.get(execution).plan, Plan)
    assert stage.get(execution) == execution

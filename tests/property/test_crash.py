"""Killed at any moment, the engine makes each effect exactly once: counted in the cluster's own write log, not in ours.

A process dies between any two calls that leave it: before and after each transaction of the store, each read and each write of the cluster.
What is left is the store and the cluster; a new process goes on with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.adapters.store import open_store
from aiops.domain.command import CommandKind
from aiops.domain.errors import ClusterUnavailableError, ConflictError, InvalidError
from aiops.domain.execution import Execution, ExecutionState
from aiops.domain.outcome import Outcome
from aiops.domain.plan import PlannedUndo
from aiops.domain.runbook import OnFailure, Retry, UndoMode
from aiops.domain.target import TargetRef
from aiops.execution.actions.contract import STAMP
from tests.unit.execution.stage import VERIFY, Stage, deployment, scale, step


class Killed(BaseException):
    """The process is gone; no handler may catch it."""


class Fate:
    """Counts the moments at which the process could die, and kills it at the chosen ones."""

    def __init__(self, *moments: int) -> None:
        self.moments = list(moments)
        self.count = 0

    def moment(self) -> None:
        self.count += 1
        if self.moments and self.count == self.moments[0]:
            self.moments.pop(0)
            self.count = 0
            raise Killed


class Mortal:
    """A port whose every call has a moment before and a moment after it."""

    def __init__(self, port: Any, fate: Fate, names: tuple[str, ...]) -> None:
        self._port, self._fate, self._names = port, fate, names

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name not in self._names:
            return call

        def mortal(*args: Any, **kwargs: Any) -> Any:
            self._fate.moment()
            result = call(*args, **kwargs)
            self._fate.moment()
            return result

        return mortal


@dataclass(frozen=True)
class Story:
    """A plan, what the world is like, and what must come of it however often the process dies."""

    steps: tuple[Any, ...]
    outcome: Outcome
    replicas: int = 2
    image: str = "shop/checkout:2"
    messages: int = 0
    verify: Any = None
    level: float = 0.1
    refusals: int = 0


class Busy:
    """A writer that the server tells at first that the object is busy."""

    def __init__(self, writer: Any, refusals: int) -> None:
        self._writer, self._left = writer, refusals

    def patch(self, *args: Any, **options: Any) -> Any:
        if self._left:
            self._left -= 1
            raise ConflictError("Conflict", "busy", 409)
        return self._writer.patch(*args, **options)


AGAIN = Retry(limit=3, initial=2)
GONE = TargetRef("Deployment", "shop", "gone")
ITEMS = tuple(scale("+1", name=f"grow[{n}]", part_of="grow", needs=("ask",), retry=AGAIN) for n in range(2))
ASK = step("suspend", name="ask", arguments={"question": "how many?", "type": "int", "for": 4.0, "default": "5"})

STORIES = {
    "scale": Story((scale("+50%"),), Outcome.SUCCEEDED, replicas=3),
    "restart": Story((step("restart"),), Outcome.SUCCEEDED),
    "rollback": Story((step("rollback"),), Outcome.SUCCEEDED, image="shop/checkout:1"),
    "several": Story(
        (scale("+1", name="a"), step("wait", arguments={"for": 5}, needs=("a",)), scale("+1", name="b", needs=("wait",)),
         step("notify", arguments={"message": "done"}, needs=("b",))),
        Outcome.SUCCEEDED, replicas=4, messages=1,
    ),
    "undone": Story((scale("+2"), step("rollback")), Outcome.FAILED, verify=VERIFY, level=0.9),
    "parts": Story(  # a question, two items one after the other of which one is refused at first, and what was answered at the end
        (ASK, *ITEMS, step("collect", name="grow", needs=("grow[0]", "grow[1]"), collects=("grow[0]", "grow[1]"), parallel=1),
         step("scale", name="set", arguments={"to": "{{ steps.ask.output.answer }}"}, late=("to",), needs=("grow",))),
        Outcome.SUCCEEDED, replicas=5, messages=1, refusals=1,
    ),
    "branches": Story(  # two branches, a retry and a wait, then a step that fails: everything is taken back, one step by an action of its own
        (scale("+1", name="a", retry=AGAIN), step("wait", arguments={"for": 3}), step("restart", name="b", needs=("wait",), undo=PlannedUndo(UndoMode.NONE)),
         step("notify", arguments={"message": "both"}, needs=("a", "wait"), undo=PlannedUndo(UndoMode.OWN, "notify", {"message": "taken back"})),
         scale(name="end", needs=("a", "b", "notify"), target=GONE, on_failure=OnFailure.UNDO)),
        Outcome.FAILED, messages=2, refusals=1,
    ),
}


def set_up(story: Story, fate: Fate) -> tuple[Stage, Execution]:
    store = open_store("sqlite:///:memory:")
    stage = Stage(store=store, levels=lambda _at: [story.level])
    stage.memory.apply(deployment(image="shop/checkout:2"))
    stage.pass_time(20)
    execution = stage.submit(*story.steps, verify=story.verify)
    stage.reader = Mortal(stage.memory.reader, fate, ("get", "list"))
    stage.writer = Mortal(Busy(stage.memory.writer(), story.refusals), fate, ("patch",))
    return stage, execution


def live(stage: Stage, execution: Execution, fate: Fate) -> int:
    """Processes one after another until the run is done; how many died."""
    deaths = 0
    while True:
        stage.restart(store=Mortal(stage.store, fate, ("write", "acquire", "renew", "release")))
        try:
            stage.executor.recover()
            done = stage.run(execution)
        except Killed:
            deaths += 1
            stage.time.stop(0)  # what the process had in mind is gone with it
            stage.time._stopped = False
            continue
        assert done.state is ExecutionState.DONE
        fate.moments.clear()  # the last process lives on
        stage.executor.recover()
        return deaths


def effects(stage: Stage) -> Counter[str]:
    """Accepted writes by the step (and direction) that they are stamped with."""
    stamps = [op["value"] for write in stage.writes for op in write.body if op["op"] == "add" and op["path"].endswith("aiops~1operation")]
    assert len(stamps) == len(stage.writes)
    return Counter(str(stamp).rpartition(".")[0].partition(".")[2] for stamp in stamps)


def expected_effects(story: Story) -> set[str]:
    acting = [s for s in story.steps if s.action in ("scale", "restart", "rollback") and s.target is not GONE]
    back = {f"{s.name}~undo" for s in acting if story.outcome is Outcome.FAILED and s.undo.mode is UndoMode.AUTO}
    return {s.name for s in acting} | back


def assert_as_told(stage: Stage, execution: Execution, story: Story) -> None:
    done = stage.get(execution)
    assert done.result is not None
    assert (done.state, done.result.outcome) == (ExecutionState.DONE, story.outcome), done.result
    assert (stage.replicas, stage.image) == (story.replicas, story.image)
    assert effects(stage) == Counter(dict.fromkeys(expected_effects(story), 1))
    assert len(stage.store.messages()) == story.messages
    assert stage.store.leases() == []


def moments_of(story: Story) -> int:
    fate = Fate()
    stage, execution = set_up(story, fate)
    assert live(stage, execution, fate) == 0
    assert_as_told(stage, execution, story)
    return fate.count


@pytest.mark.parametrize("name", STORIES)
def test_one_death_at_every_moment(name: str) -> None:
    story = STORIES[name]
    moments = moments_of(story)
    # Most moments of a long wait are the same transition again: all of the first, each third of the others.
    for moment in [*range(1, min(moments, 40) + 1), *range(41, moments + 1, 3)]:
        fate = Fate(moment)
        stage, execution = set_up(story, fate)
        assert live(stage, execution, fate) == 1
        assert_as_told(stage, execution, story)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(STORIES)), st.lists(st.integers(1, 12), min_size=2, max_size=3))
def test_deaths_during_recovery(name: str, moments: list[int]) -> None:
    story, fate = STORIES[name], Fate(*moments)
    stage, execution = set_up(story, fate)
    live(stage, execution, fate)
    assert_as_told(stage, execution, story)


class Network:
    """A writer behind a bad network: what `before` does happens while our request is on its way, and its answer may be lost.

    A request that is `late` does not arrive with the call; `arrive` delivers it whenever the test likes.
    """

    def __init__(self, stage: Stage, *, before: Callable[[], None] | None = None, lose: int = 0, late: int = 0) -> None:
        self._writer, self._before, self._lose, self._late = stage.memory.writer(), before, lose, late
        self._held: list[tuple[Any, Any]] = []

    def arrive(self) -> None:
        """What was held back reaches the server; nobody is there to hear the answer. Only a refused precondition may come of it, or the effect."""
        for ref, body in self._held:
            with suppress(InvalidError):
                self._writer.patch(ref, body)
        self._held.clear()

    def patch(self, ref: Any, body: Any, **options: Any) -> Any:
        before, self._before = self._before, None
        if before:
            before()
        if self._late:
            self._late -= 1
            self._held.append((ref, body))
            raise ClusterUnavailableError("Timeout", "no answer in 10 s")
        result = self._writer.patch(ref, body, **options)
        if self._lose:
            self._lose -= 1
            raise ClusterUnavailableError("Timeout", "no answer in 10 s")
        return result


@pytest.mark.parametrize("name", ["scale", "restart", "rollback", "several", "undone"])
def test_a_lost_answer_is_looked_up_not_repeated(name: str) -> None:
    story = STORIES[name]
    stage, execution = set_up(story, Fate())
    stage.writer = Network(stage, lose=2)
    stage.restart()
    stage.run(execution)
    assert_as_told(stage, execution, story)


@pytest.mark.parametrize("name", ["scale", "restart", "rollback"])
@pytest.mark.parametrize("seconds", [0, 1, 3, 10])
def test_a_request_that_lands_long_after_its_time_out_adds_nothing(name: str, seconds: float) -> None:
    story = STORIES[name]
    stage, execution = set_up(story, Fate())
    network = Network(stage, late=1)
    stage.writer = network
    stage.restart()
    stage.run(execution, seconds=seconds)
    network.arrive()
    stage.run(execution)
    network.arrive()
    assert_as_told(stage, execution, story)


@pytest.mark.parametrize("name", ["scale", "restart", "rollback"])
def test_a_late_request_that_overtakes_the_second_try_counts_for_it(name: str) -> None:
    """Looked for and not found, tried again; but the first request lands while the second is on its way, which is then refused."""
    story = STORIES[name]
    stage, execution = set_up(story, Fate())
    network = Network(stage, late=1)
    stage.writer = network
    stage.restart()
    stage.executor.advance(execution.id)
    network._before = network.arrive
    stage.run(execution)
    assert_as_told(stage, execution, story)
    assert stage.get(execution).steps[0].attempt == 2


@pytest.mark.parametrize("owner", ["one", "two"])
@pytest.mark.parametrize("name", ["scale", "restart", "rollback"])
def test_a_frozen_owner_that_wakes_up_changes_nothing(name: str, owner: str) -> None:
    """The process stops between intent and request; another takes over when the lease has run out, and ends the run; then the first wakes."""
    story = STORIES[name]
    stage, execution = set_up(story, Fate())

    def another_does_it_all() -> None:
        frozen = stage.executor
        stage.writer = stage.memory.writer()
        stage.pass_time(0 if owner == "one" else stage.settings.lease_ttl + 1)
        stage.restart(owner)
        stage.run(execution)
        stage.executor = frozen

    stage.writer = Network(stage, before=another_does_it_all)
    sleeper = stage.restart("one")
    sleeper.advance(execution.id)
    assert stage.get(execution).state is ExecutionState.DONE
    assert_as_told(stage, execution, story)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(STORIES)), st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0, 1, 7, 31])), max_size=30))
def test_two_owners_on_one_store_never_do_it_twice(name: str, order: list[tuple[str, float]]) -> None:
    story = STORIES[name]
    stage, execution = set_up(story, Fate())
    stage.reader, stage.writer = stage.memory.reader, stage.memory.writer()
    owners = {name: stage.restart(name) for name in "ab"}
    for owner, seconds in order:
        owners[owner].advance(execution.id)
        stage.pass_time(seconds)
    for owner in "ab":
        owners[owner].stop()
    stage.restart("c")
    stage.run(execution)
    assert_as_told(stage, execution, story)


def test_a_dead_owners_run_waits_for_its_lease_and_then_goes_on() -> None:
    story = STORIES["scale"]
    stage, execution = set_up(story, Fate())
    stage.writer = Mortal(stage.memory.writer(), Fate(1), ("patch",))
    stage.restart("dead")
    with pytest.raises(Killed):
        stage.executor.advance(execution.id)
    stage.writer = stage.memory.writer()
    stage.restart("heir")
    assert stage.executor.advance(execution.id) is None
    assert not stage.writes
    stage.pass_time(stage.settings.lease_ttl)
    stage.run(execution)
    assert_as_told(stage, execution, story)


def test_a_wiped_stamp_and_a_changed_value_are_unknown_and_not_repeated() -> None:
    """Killed after the effect; then somebody replaces the object without our annotation and with another count: nobody can tell."""
    story = STORIES["scale"]
    stage, execution = set_up(story, Fate())
    stage.writer = Mortal(stage.memory.writer(), Fate(2), ("patch",))
    stage.restart()
    with pytest.raises(Killed):
        stage.executor.advance(execution.id)
    stage.patch_by("somebody", {"metadata": {"annotations": {STAMP: None}}, "spec": {"replicas": 9}})
    stage.writer = stage.memory.writer()
    stage.restart()
    done = stage.run(execution)
    assert done.result is not None
    assert (done.result.outcome, done.result.reason) == (Outcome.INCONCLUSIVE, "EffectUnknown")
    assert stage.replicas == 9


def test_an_undo_that_was_made_is_found_again_even_if_somebody_changed_the_count_since() -> None:
    """Killed after the inverse was sent: it was undone, and what a person did afterwards is that person's."""
    story = STORIES["scale"]
    stage, execution = set_up(story, Fate())
    stage.reader, stage.writer = stage.memory.reader, stage.memory.writer()
    stage.restart()
    stage.run(execution)
    stage.command(CommandKind.UNDO, execution)
    stage.writer = Mortal(stage.memory.writer(), Fate(2), ("patch",))
    stage.restart()
    with pytest.raises(Killed):
        stage.executor.advance(execution.id)
    stage.patch_by("somebody", {"spec": {"replicas": 9}})
    stage.writer = stage.memory.writer()
    stage.restart()
    stage.run(execution)
    entries = [(entry.kind.value, entry.data.get("looked")) for entry in stage.store.journal(execution.id)]
    assert ("looked", "happened") in entries
    assert (stage.replicas, len(stage.writes)) == (9, 2)

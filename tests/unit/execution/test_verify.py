"""Before and after: what would have healed by itself is not counted as help, what got much worse is taken back at once, what cannot be seen is neither."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.domain.errors import SourceRejectedError
from aiops.domain.execution import Execution, ExecutionState, VerifyRun
from aiops.domain.outcome import Judgement, Outcome
from tests.unit.execution.stage import START, VERIFY, Stage, scale


def level(stage: Stage, *, by_itself: float = 0.0, once_scaled: float | None = None) -> None:
    """The level begins at 0.9, moves by itself by so much a minute, and is `once_scaled` as soon as there are four replicas."""

    def at(time: float) -> list[float]:
        # What a range query asks of the past was before the scaling.
        scaled = stage.replicas > 2 and time >= stage.time.now() - 1
        return [once_scaled] if scaled and once_scaled is not None else [0.9 + by_itself * (time - START) / 60]

    stage.source.levels = at


def reason(execution: Execution) -> str:
    return execution.result.reason if execution.result else ""


def verified(execution: Execution) -> VerifyRun:
    assert execution.verification is not None
    return execution.verification


@pytest.fixture
def stage() -> Stage:
    built = Stage()
    built.pass_time(600)
    return built


def test_a_level_that_stood_and_is_good_afterwards_was_helped(stage: Stage) -> None:
    level(stage, once_scaled=0.1)
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (reason(done), verified(done).judgement) == ("Verified", Judgement.HELPED)
    assert verified(done).before_values == (0.9,) * len(verified(done).before_values)
    assert len(verified(done).before_values) == 60
    assert verified(done).before_times[0] >= START + 10


def test_a_level_that_was_falling_to_good_healed_by_itself_and_nothing_is_taken_back(stage: Stage) -> None:
    level(stage, by_itself=-0.038)  # 0.52 when it acts, below 0.5 half a minute later
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (done.result and done.result.outcome, reason(done)) == (Outcome.FAILED, "SelfHealed")
    assert verified(done).judgement is Judgement.NO_EFFECT
    assert stage.replicas == 4
    entry = next(e for e in stage.store.journal(done.id) if e.kind == "verified")
    assert entry.data["reason"] == "SelfHealed"


def test_much_worse_is_undone_long_before_the_end(stage: Stage) -> None:
    level(stage, once_scaled=5.0)
    begun = stage.time.now()
    done = stage.run(stage.submit(scale(), verify=replace(VERIFY, within=600)))
    assert (reason(done), stage.replicas) == ("Harmed", 2)
    assert done.state is ExecutionState.DONE
    assert stage.time.now() - begun < 120


@pytest.mark.parametrize("seen", [[], [float("nan")], None])
def test_what_cannot_be_measured_is_inconclusive(stage: Stage, seen: list[float] | None) -> None:
    stage.source.levels = lambda _time: [0.9] if stage.replicas == 2 else seen
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (done.result and done.result.outcome, verified(done).judgement) == (Outcome.INCONCLUSIVE, Judgement.INCONCLUSIVE)


def test_a_partial_answer_is_inconclusive(stage: Stage) -> None:
    level(stage, once_scaled=0.1)
    run = stage.submit(scale(), verify=VERIFY)
    stage.executor.run_due(stage.time.soon)
    stage.time.run_until(stage.time.now())
    stage.source.partial = True
    assert verified(stage.run(run)).judgement is Judgement.INCONCLUSIVE


def test_what_an_earlier_run_did_is_no_trend(stage: Stage) -> None:
    level(stage, once_scaled=0.6)
    first = stage.run(stage.submit(scale(), verify=VERIFY, undo_on_failure=False))
    assert reason(first) == "NoEffect"
    ended = stage.time.now()
    stage.pass_time(120)
    run = stage.submit(scale(), verify=VERIFY, id="plan-2")
    second = stage.run(run)
    assert verified(second).before_times
    assert min(verified(second).before_times) >= ended


def test_without_a_history_it_acts_all_the_same(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise SourceRejectedError("prometheus", "BadQuery", "exceeded maximum resolution")

    level(stage, once_scaled=0.1)
    monkeypatch.setattr(stage.source, "range", refused)
    done = stage.run(stage.submit(scale(), verify=VERIFY))
    assert (reason(done), verified(done).before_values) == ("Verified", ())


def test_a_rehearsal_says_that_it_is_healing(stage: Stage) -> None:
    level(stage, by_itself=-0.038)
    done = stage.run(stage.submit(scale(), verify=VERIFY, simulated=True), seconds=5)
    assert "by itself" in verified(done).detail

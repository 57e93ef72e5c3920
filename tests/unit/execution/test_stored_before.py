"""A run that an earlier version stored in the middle of its work is read, and goes on to its end.

`stored_before.json` is an `Execution` as the store's codec wrote it before steps had targets, late arguments, items, undo and a deadline.
"""

from __future__ import annotations

from pathlib import Path

from aiops.adapters.store.codec import decode
from aiops.domain.execution import Execution, StepState
from aiops.domain.outcome import Outcome
from aiops.domain.plan import PlannedUndo
from aiops.domain.target import TargetRef
from aiops.ports.storage import Changes
from tests.unit.execution.stage import CHECKOUT, START, Stage

TEXT = (Path(__file__).parent / "stored_before.json").read_text()


def test_what_was_not_there_has_the_meaning_that_it_had():
    run = decode(Execution, TEXT)
    assert run.plan.targets == (CHECKOUT,) == (TargetRef("Deployment", "shop", "checkout"),)
    assert {step.target for step in run.plan.steps} == {None}
    assert all((step.late, step.undo, step.part_of, step.gates, step.late_item) == ((), PlannedUndo(), "", (), None) for step in run.plan.steps)
    assert (run.plan.deadline, run.deadline_at) == (None, None)
    assert [run.state for run in run.steps] == [StepState.DONE, StepState.STARTED, StepState.PENDING]


def test_it_goes_on_where_it_stood():
    stage = Stage(replicas=3, levels=lambda at: [0.9 if at < START + 60 else 0.1])
    execution = decode(Execution, TEXT)
    stage.store.write(Changes(executions=(execution,)))
    done = stage.run(execution)
    assert done.result is not None
    assert (done.result.outcome, done.result.reason) == (Outcome.SUCCEEDED, "Verified")
    assert [write.body[-1]["value"] for write in stage.writes] == [f"{done.id}.b.1"]
    assert stage.replicas == 4

"""The two directions in which a step's effect is made: forward, and its inverse. Everything that makes an effect happen once is shared.

Neighbours: `effects` and `recovery` work along a lane; `forward` and `undo` choose it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from aiops.domain.execution import EntryKind, Execution, StepRun, StepState
from aiops.domain.outcome import Outcome, Result
from aiops.domain.plan import PlannedStep
from aiops.domain.runbook import UndoMode
from aiops.execution.actions.contract import Prepared
from aiops.remediate.field_owners import other_writers


class Lane(Protocol):
    """How one direction names and keeps things."""

    pending: StepState
    intended: StepState
    started: StepState
    intent: EntryKind
    effect: EntryKind

    def label(self, step: PlannedStep) -> str:
        """The step's part of the operation key."""
        ...

    def arguments(self, step: PlannedStep, run: StepRun) -> Mapping[str, Any] | None:
        """What the action is given; None: what the step says."""
        ...

    def objection(self, execution: Execution, step: PlannedStep, run: StepRun, prepared: Prepared) -> Result | None:
        """Why this must not be sent, judged on the fresh read; None if it may."""
        ...

    def keep(self, run: StepRun, prepared: Prepared) -> StepRun:
        """Put into the step's record what looking and checking will need."""
        ...

    def kept(self, run: StepRun) -> Prepared:
        """The same again, after a restart too. The request is in the journal only."""
        ...

    def settle(self, run: StepRun, result: Result) -> StepRun:
        """The step's record once this direction is through."""
        ...


def _replaced(known: Mapping[str, Any], prepared: Prepared) -> Result | None:
    """An object of the same name but another uid is another object."""
    if known.get("uid") and prepared.pre_state.get("uid") and known["uid"] != prepared.pre_state["uid"]:
        return Result(Outcome.FAILED, "TargetReplaced", "the object was deleted and made anew since the plan was made")
    return None


class Forward:
    """What the runbook asks for."""

    pending, intended, started = StepState.PENDING, StepState.INTENDED, StepState.STARTED
    intent, effect = EntryKind.INTENT, EntryKind.EFFECT

    def label(self, step: PlannedStep) -> str:
        """The step's name."""
        return step.name

    def arguments(self, step: PlannedStep, run: StepRun) -> Mapping[str, Any] | None:  # noqa: ARG002 (the protocol's signature)
        """As planned."""
        return None

    def objection(self, execution: Execution, step: PlannedStep, run: StepRun, prepared: Prepared) -> Result | None:  # noqa: ARG002 (as the protocol)
        """Only that it is another object than the one approved or tried before."""
        return _replaced(run.pre_state, prepared)

    def keep(self, run: StepRun, prepared: Prepared) -> StepRun:
        """In the step's own fields."""
        return replace(run, pre_state=prepared.pre_state, leaves=prepared.leaves, inverse=prepared.inverse, output=prepared.output)

    def kept(self, run: StepRun) -> Prepared:
        """From the step's own fields."""
        return Prepared(pre_state=run.pre_state, leaves=run.leaves, inverse=run.inverse, output=run.output)

    def settle(self, run: StepRun, result: Result) -> StepRun:
        """Done, with the result."""
        return replace(run, state=StepState.DONE, result=result)


class Backward:
    """The inverse, if what we left is still as we left it: a person's change is respected."""

    pending, intended, started = StepState.DONE, StepState.UNDO_INTENDED, StepState.UNDO_STARTED
    intent, effect = EntryKind.UNDO_INTENT, EntryKind.UNDO_EFFECT

    def label(self, step: PlannedStep) -> str:
        """Apart from the forward keys of the step."""
        return f"{step.name}~undo"

    def arguments(self, step: PlannedStep, run: StepRun) -> Mapping[str, Any] | None:
        """The inverse that was recorded with the intent, unless the runbook names an action of its own."""
        return None if step.undo.mode is UndoMode.OWN else run.inverse

    def objection(self, execution: Execution, step: PlannedStep, run: StepRun, prepared: Prepared) -> Result | None:
        """Nobody else may have written the fields since, the stamp must be of this run, and every value still what we set.

        A compensating action elsewhere has nothing of ours to find.
        """
        if step.undo.target is not None:
            return None
        if replaced := _replaced(run.pre_state, prepared):
            return replaced
        # The values alone do not tell: what somebody changed and set back is theirs now.
        others = [f"{field} was written by {managers} since" for field, managers in other_writers(prepared.before, prepared.request).items()]
        present, stamp = prepared.pre_state, prepared.pre_state.get("stamp")
        if "stamp" in present and not str(stamp).startswith(f"{execution.id}."):
            return Result(Outcome.FAILED, "ChangedByOther", f"the last operation on it is {stamp or 'not ours'}, none of this run")
        own = step.undo.mode is UndoMode.OWN  # it may look at other values than the action that it takes back
        for name, value in run.leaves.items():
            if name not in ("uid", "stamp") and (name in present or not own) and present.get(name) != value:
                return Result(Outcome.FAILED, "ChangedByOther", "; ".join((f"{name} is {present.get(name)} now, we had left {value}", *others)))
        return Result(Outcome.FAILED, "ChangedByOther", "; ".join(others)) if others else None

    def keep(self, run: StepRun, prepared: Prepared) -> StepRun:
        """Apart from the forward record, which a further try needs."""
        kept = {"pre_state": dict(prepared.pre_state), "leaves": dict(prepared.leaves), "output": dict(prepared.output)}
        return replace(run, reversal=kept)

    def kept(self, run: StepRun) -> Prepared:
        """From the reversal's record."""
        kept = run.reversal
        return Prepared(pre_state=kept.get("pre_state", {}), leaves=kept.get("leaves", {}), output=kept.get("output", {}))

    def settle(self, run: StepRun, result: Result) -> StepRun:
        """Undone, or done as before with the reason why it was not undone."""
        undone = result.outcome in (Outcome.SUCCEEDED, Outcome.SKIPPED)
        return replace(run, state=StepState.UNDONE if undone else StepState.DONE, undo=result)


def series_of(lane: Lane, step: PlannedStep, run: StepRun) -> str:
    """The step's part of the operation key: one of its own for each effect that follows one which has ended, so that it is looked up by itself."""
    return f"{lane.label(step)}~{run.rounds + 1}" if lane is FORWARD and run.rounds else lane.label(step)


FORWARD: Lane = Forward()
BACKWARD: Lane = Backward()

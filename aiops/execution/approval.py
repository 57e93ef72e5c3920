"""What people ask of runs: approve, reject, undo; and what they answer. The engine decides, and the answer says why not.

An approval is bound to the plan's hash and to the state of the target that the plan was shown with; it is void when either changed, when the
runbook did, and when it expired. A void one ends the run, so that a new plan can be shown. Neighbours: `ports.commands` brings commands, `executor.commands` is the door.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiops.domain.command import Command, CommandKind
from aiops.domain.execution import EntryKind, Execution, ExecutionState, JournalEntry, Lease, StepRun, StepState
from aiops.domain.outcome import Outcome, Result
from aiops.execution.actions.suspend import Suspend, typed_answer
from aiops.execution.desk import Desk
from aiops.execution.leases import lease_names
from aiops.execution.preview import pre_states
from aiops.execution.progress import begun, planned, reversible, settle_due, with_step
from aiops.execution.undo import enter_undo
from aiops.ports.storage import Changes

KINDS = (CommandKind.APPROVE, CommandKind.REJECT, CommandKind.UNDO, CommandKind.ANSWER)
SUSPEND = Suspend.spec.name
Answer = tuple[Execution | None, tuple[JournalEntry, ...], str]
"""The run as it is to be stored (None: refused, nothing changes), journal lines, and words for the person."""
VOID = "ApprovalVoid"
"""The reason of a run that ended because what it was to be approved for is no more: refused, and stored all the same."""


def carry_out(desk: Desk, command: Command) -> Command:
    """The command as it is stored afterwards; still not done if another owner is at the run just now. Raises StoreError."""
    if command.done:
        return command
    execution = desk.store.execution(command.subject)
    if execution is None:
        return _store(desk, command, None, (), f"there is no run {command.subject!r}")
    names = lease_names(execution)
    with desk.leases.entered(*names) as ours:
        if not ours:
            return command
        execution = desk.store.execution(command.subject) or execution
        rules = {CommandKind.APPROVE: _approve, CommandKind.REJECT: _reject, CommandKind.UNDO: _undo, CommandKind.ANSWER: _answer}
        stored = _store(desk, command, *rules[command.kind](desk, execution, command), held=desk.held(execution))
        current = desk.store.execution(command.subject)
        if current is None or current.state in (ExecutionState.DONE, ExecutionState.AWAITING_APPROVAL):
            desk.leases.release(*names)
        return stored


def _store(desk: Desk, command: Command, execution: Execution | None, entries: tuple[JournalEntry, ...], words: str, *, held: tuple[Lease, ...] = ()) -> Command:
    void = execution is not None and execution.result is not None and execution.result.reason == VOID
    done = replace(command, done=True, accepted=execution is not None and not void, result=words)
    now = desk.clock.now()
    runs = (replace(execution, updated_at=now),) if execution is not None else ()
    changes = Changes(executions=runs, entries=entries, commands=(done,))
    desk.store.write(changes, lease=held, now=now)
    for run in runs:
        desk.tell(run)
    return done


def _awaiting(desk: Desk, execution: Execution) -> str:
    """Why there is nothing to approve or reject, or empty."""
    if execution.state is not ExecutionState.AWAITING_APPROVAL:
        return f"the run does not wait for approval, it is {execution.state}"
    if execution.expires_at is not None and desk.clock.now() >= execution.expires_at:
        return "the time for approval has run out"
    return ""


def _unreadable(present: Mapping[str, Mapping[str, Any]]) -> str:
    """What cannot be read now, or empty: that says nothing about whether it changed."""
    return next((f"the target cannot be read now ({step}: {state['unreadable']})" for step, state in present.items() if "unreadable" in state), "")


def _changed(seen: Mapping[str, Mapping[str, Any]], present: Mapping[str, Mapping[str, Any]]) -> str:
    """What is not as it was shown, or empty."""
    for step, state in present.items():
        for name in sorted({*state, *seen[step]}):
            if state.get(name) != seen[step].get(name):
                return f"the target changed since the plan was shown ({step}: {name} was {seen[step].get(name)}, is {state.get(name)})"
    return ""


def _approve(desk: Desk, execution: Execution, command: Command) -> Answer:
    if no := _awaiting(desk, execution):
        return None, (), no
    asked = command.arguments.get("hash")
    if asked and asked != execution.plan.hash:
        return None, (), f"the approval is for another plan ({asked}) than this run's ({execution.plan.hash})"
    if not desk.in_force(execution.plan):
        return _void(desk, execution, command, f"the runbook {execution.plan.runbook} is not what it was when the plan was shown")
    present = pre_states(desk, execution.plan)
    if no := _unreadable(present):
        return None, (), no
    if no := _changed({run.name: run.pre_state for run in execution.steps}, present):
        return _void(desk, execution, command, no)
    now = desk.clock.now()
    entry = desk.entry(execution, EntryKind.APPROVED, by=command.by, hash=execution.plan.hash, command=command.id)
    until = None if execution.plan.deadline is None else now + execution.plan.deadline
    return replace(execution, state=ExecutionState.RUNNING, approved_by=command.by, due_at=now, deadline_at=until), (entry,), "approved"


def _void(desk: Desk, execution: Execution, command: Command, words: str) -> Answer:
    entry = desk.entry(execution, EntryKind.REJECTED, by=command.by, command=command.id, void=words)
    result = Result(Outcome.SKIPPED, VOID, words)
    ended = replace(execution, state=ExecutionState.DONE, result=result, due_at=desk.clock.now())
    return ended, (entry, desk.entry(execution, EntryKind.FINISHED, outcome=result.outcome.value, reason=result.reason, detail=result.detail)), words


def _reject(desk: Desk, execution: Execution, command: Command) -> Answer:
    if no := _awaiting(desk, execution):
        return None, (), no
    entry = desk.entry(execution, EntryKind.REJECTED, by=command.by, command=command.id)
    result = Result(Outcome.SKIPPED, "Rejected", f"by {command.by}")
    ended = replace(execution, state=ExecutionState.DONE, result=result, due_at=desk.clock.now())
    return ended, (entry, desk.entry(execution, EntryKind.FINISHED, outcome=result.outcome.value, reason=result.reason, detail=result.detail)), "rejected"


def waiting_steps(execution: Execution) -> tuple[str, ...]:
    """The steps that wait for a person's answer."""
    if execution.state is not ExecutionState.RUNNING:
        return ()
    return tuple(run.name for run in _asking(execution) if "answer" not in run.output)


def _asking(execution: Execution) -> list[StepRun]:
    return [run for run in execution.steps if run.state is StepState.STARTED and planned(execution.plan, run.name).action == SUSPEND]


def _answer(desk: Desk, execution: Execution, command: Command) -> Answer:
    """A typed answer to a step that waits for one: the first counts."""
    name, now = str(command.arguments.get("step", "")), desk.clock.now()
    run = next((run for run in _asking(execution) if run.name == name), None)
    if execution.state is not ExecutionState.RUNNING or run is None:
        others = ", ".join(waiting_steps(execution))
        return None, (), f"no step {name!r} of the run waits for an answer" + (f"; these do: {others}" if others else "")
    if "answer" in run.output:
        return None, (), f"it was answered already: {run.output['answer']} by {run.output.get('by', '')}"
    if now >= run.started_at + float(run.output["for"]):
        return None, (), "the time for an answer has run out"
    try:
        value = typed_answer(run.output, str(command.arguments.get("value", "")))
    except ValueError as error:
        return None, (), str(error)
    answered = with_step(execution, replace(run, output={**run.output, "answer": value, "by": command.by}, due_at=now))
    entry = desk.entry(execution, EntryKind.ANSWERED, step=name, attempt=run.attempt, by=command.by, answer=value, command=command.id)
    return settle_due(answered, now), (entry,), f"answered {value!r}"


def _undo(desk: Desk, execution: Execution, command: Command) -> Answer:
    if execution.simulated:
        return None, (), "the run was simulated, nothing was changed"
    if execution.state is ExecutionState.UNDOING:
        return None, (), "it is being undone already"
    if execution.state is ExecutionState.AWAITING_APPROVAL or not begun(execution):
        return None, (), "nothing was done yet: reject it instead"
    # What was refused before may be tried again: a person asks, and the ownership check is made anew.
    execution = replace(execution, steps=tuple(run if run.state is StepState.UNDONE else replace(run, undo=None, reversal={}) for run in execution.steps))
    unclear = any(run.state is StepState.INTENDED for run in execution.steps)
    if not reversible(execution) and not unclear:
        return None, (), "nothing of it can be undone"
    was = f"{execution.result.outcome} {execution.result.reason}" if execution.result else str(execution.state)
    cause = Result(Outcome.FAILED, "UndoAsked", f"asked for by {command.by}; before: {was}")
    turned = enter_undo(execution, cause, desk.clock.now())
    return replace(turned, due_at=desk.clock.now()), (desk.entry(execution, EntryKind.UNDO_INTENT, by=command.by, command=command.id),), "being undone"

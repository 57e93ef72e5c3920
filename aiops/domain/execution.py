"""One run of a plan, and the journal that it can be rebuilt from after a crash.

Neighbours: `execution.executor` advances runs, `ports.storage` keeps them, `aiops incidents show` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiops.domain.outcome import Judgement, Result
from aiops.domain.plan import Plan


class ExecutionState(StrEnum):
    """Where a run stands; only DONE is final. Every state but DONE has a due time, so none can be stuck for ever."""

    AWAITING_APPROVAL = "awaiting-approval"
    RUNNING = "running"
    VERIFYING = "verifying"
    UNDOING = "undoing"
    DONE = "done"


class StepState(StrEnum):
    """INTENDED: the intent is durable, whether the effect happened is to be looked up. STARTED: the effect is recorded, the check is not passed.

    UNDO_INTENDED and UNDO_STARTED are the same for the inverse.
    """

    PENDING = "pending"
    INTENDED = "intended"
    STARTED = "started"
    DONE = "done"
    UNDO_INTENDED = "undo-intended"
    UNDO_STARTED = "undo-started"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class StepRun:
    """One step's progress. `key` is the operation key of the current attempt; `pre_state` what was relied on; `inverse` arguments that undo it.

    `attempt` rises with each intent and never starts anew; `tries` counts the answers that were refusals, `lost` the intents that were
    never sent, `rounds` the effects that ended badly by themselves before this one. `effect`: it is known to have happened, and `leaves` are the keys of `pre_state` as it left them. `reversal` is the undo's
    own pre-state, `undo` what came of undoing.
    """

    name: str
    state: StepState = StepState.PENDING
    attempt: int = 0
    key: str = ""
    pre_state: Mapping[str, Any] = field(default_factory=dict)
    inverse: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)
    result: Result | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    tries: int = 0
    lost: int = 0
    effect: bool = False
    leaves: Mapping[str, Any] = field(default_factory=dict)
    reversal: Mapping[str, Any] = field(default_factory=dict)
    undo: Result | None = None
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class VerifyRun:
    """Verification's progress: baseline before acting, the last levels seen, since when it passes without a break.

    `before_times` and `before_values` are the levels of the time before acting. `reason` is a code where the judgement alone says too little.
    """

    baseline: float | None = None
    started_at: float = 0.0
    passing_since: float | None = None
    times: tuple[float, ...] = ()
    values: tuple[float | None, ...] = ()
    judgement: Judgement | None = None
    detail: str = ""
    before_times: tuple[float, ...] = ()
    before_values: tuple[float | None, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """One run. `due_at` (Unix seconds) is when the engine must look at it again. `simulated`: the dry-run writer was used.

    `deadline_at`: when it is stopped, whatever it is at.
    """

    id: str
    plan: Plan
    state: ExecutionState
    created_at: float
    updated_at: float
    due_at: float
    simulated: bool
    steps: tuple[StepRun, ...]
    verification: VerifyRun | None = None
    result: Result | None = None
    approved_by: str = ""
    expires_at: float | None = None
    deadline_at: float | None = None

    @property
    def target(self) -> str:
        """Key for serialising runs: `str(TargetRef)`."""
        return str(self.plan.target)

    def step(self, name: str) -> StepRun:
        """The run of the step of this name; KeyError if the plan has none."""
        for run in self.steps:
            if run.name == name:
                return run
        raise KeyError(name)


class EntryKind(StrEnum):
    """What a journal line says. INTENT is durable before the effect is sent; EFFECT, after the answer came."""

    CREATED = "created"
    APPROVED = "approved"
    REJECTED = "rejected"
    ANSWERED = "answered"
    INTENT = "intent"
    EFFECT = "effect"
    LOOKED = "looked"
    CHECKED = "checked"
    STEP_DONE = "step-done"
    VERIFIED = "verified"
    UNDO_INTENT = "undo-intent"
    UNDO_EFFECT = "undo-effect"
    FINISHED = "finished"
    TAKEN_OVER = "taken-over"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One append-only line; `data` is JSON-ready. The store numbers them for each execution."""

    execution: str
    kind: EntryKind
    at: float
    step: str = ""
    attempt: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)


class ReviewVerdict(StrEnum):
    """What a person thinks of what dry-run would have done."""

    RIGHT = "right"
    WRONG = "wrong"
    NEEDLESS = "needless"


@dataclass(frozen=True, slots=True)
class Review:
    """A person's mark on one simulated (or real) execution."""

    execution: str
    verdict: ReviewVerdict
    by: str
    at: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """Ownership of a name until `expires_at`; `token` rises at each acquisition."""

    name: str
    owner: str
    token: int
    expires_at: float

"""A runbook bound to an incident: everything rendered, nothing left to decide but the guards and a person.

Neighbours: `remediate.planner` makes plans, guards judge them, the journal keeps them, `execution` carries them out.
Plans hold expressions as text, so that they survive a restart and a reload of the runbooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aiops.domain.outcome import Verdict
from aiops.domain.runbook import Mode, OnFailure, Retry, UndoMode
from aiops.domain.target import TargetRef


@dataclass(frozen=True, slots=True)
class PlannedUndo:
    """`UndoSpec` rendered; `target` None is the step's. `late` as for steps."""

    mode: UndoMode = UndoMode.AUTO
    action: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    late: tuple[str, ...] = ()
    target: TargetRef | None = None


COLLECT = "collect"
"""In place of an action: the step does nothing itself, it is done when its parts are and gathers their outputs."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition that a step shares with others: text of the `step` vocabulary, and the names and facts that it is judged with."""

    when: str
    scope: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a late argument may come to, as far as the plan knows: a number between two others, or one of some texts."""

    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def objection(self, value: Any) -> str:
        """Why the value is outside, or empty. What is no number is outside the bounds of one."""
        if self.choices and str(value) not in self.choices:
            return f"{value!r} is none of {', '.join(self.choices)}"
        if self.minimum is None and self.maximum is None:
            return ""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum):
            return ""
        return f"{value!r} is not{self}"

    def __str__(self) -> str:
        if self.choices:
            return f" one of {', '.join(self.choices)}"
        low = f" from {self.minimum:g}" if self.minimum is not None else ""
        return low + (f" up to {self.maximum:g}" if self.maximum is not None else "")


@dataclass(frozen=True, slots=True)
class LateItem:
    """The item of a list that only other steps' outputs tell: the `index`-th of what `expression` gives; more than `limit` are an error."""

    expression: str
    index: int
    limit: int


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step with its arguments rendered and typed. `when` is text of the `step` vocabulary, empty for always; `target` None is the plan's.

    `late` names the arguments that speak of other steps' outputs: they stay templates and are rendered and typed when the step begins; `bounds` are
    those of them that are known beforehand, because a person is asked for a value within them. An approval covers what is within.
    `beside` is the workload beside which the step named its target, in an argument.

    A step for each item and a sub-runbook stand in the plan as their parts (`NAME[0]`, `NAME/child`) and one step that `collects` them, of which at
    most `parallel` are at work at once (0: all). A part is `part_of` that step; `scope` is what its own steps' names begin with, `facts` what it
    knows besides the plan's facts (`parameters`, `item`), `gates` the conditions of the steps that it is part of.
    """

    name: str
    action: str
    arguments: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    when: str = ""
    timeout: float = 300.0
    retry: Retry = field(default_factory=Retry)
    on_failure: OnFailure = OnFailure.STOP
    target: TargetRef | None = None
    late: tuple[str, ...] = ()
    undo: PlannedUndo = field(default_factory=PlannedUndo)
    part_of: str = ""
    scope: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    collects: tuple[str, ...] = ()
    parallel: int = 0
    late_item: LateItem | None = None
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    beside: TargetRef | None = None

    @property
    def open_words(self) -> str:
        """What is decided only when the step begins, and within what; empty if nothing is."""
        return ", ".join(f"{name}{self.bounds.get(name, '')}" for name in self.late)


@dataclass(frozen=True, slots=True)
class PlannedVerify:
    """`VerifySpec` with the query rendered (label values escaped) and the expression as text."""

    source: str
    query: str
    passes: str
    after: float
    within: float
    every: float
    hold: float
    worst: str
    before: float = 600.0


@dataclass(frozen=True, slots=True)
class Change:
    """What a step would send and what the object would become: for people and for the review list.

    `request` is the body as it would go out; `diff` a unified diff of the object's YAML; `origin` says whose diff it is
    (`server`: the API server's own dry-run; `computed`: worked out here; `none`: nothing on the cluster changes).
    """

    step: str
    action: str
    target: str
    request: str
    diff: str
    origin: str
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """One intended run; no slots, so that what follows from it is worked out once, for guards ask it of hundreds of runs. `hash` covers runbook content, targets, steps and verification: what an approval is bound to."""

    id: str
    incident: str
    runbook: str
    runbook_hash: str
    mode: Mode
    target: TargetRef
    steps: tuple[PlannedStep, ...]
    created_at: float
    hash: str
    verify: PlannedVerify | None = None
    undo_on_failure: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    changes: tuple[Change, ...] = ()
    cooldown: float = 0.0
    deadline: float | None = None

    def target_of(self, step: PlannedStep) -> TargetRef:
        """What the step works on."""
        return step.target or self.target

    @cached_property
    def calls(self) -> tuple[tuple[str, TargetRef], ...]:
        """Every action that the plan may carry out and what on: of its steps, and of what the runbook names to take them back."""
        back = [(s.undo.action, s.undo.target or self.target_of(s)) for s in self.steps if s.undo.mode is UndoMode.OWN]
        return (*((s.action, self.target_of(s)) for s in self.steps), *back)

    @cached_property
    def targets(self) -> tuple[TargetRef, ...]:
        """Everything that the plan works on: the incident's target first, each once."""
        undone = (step.undo.target for step in self.steps if step.undo.target is not None)
        beside = (step.beside for step in self.steps if step.beside is not None)
        return tuple(dict.fromkeys((self.target, *map(self.target_of, self.steps), *beside, *undone)))

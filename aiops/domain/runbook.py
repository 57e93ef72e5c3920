"""The declared remedy: when it applies, what it does, what limits it, how it is verified and undone.

Neighbours: `definitions` makes runbooks from YAML, `remediate` matches and plans them, `execution` runs plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiops.domain.expression import Expression
from aiops.domain.outcome import GuardMode


class Mode(StrEnum):
    """The ladder of autonomy. OBSERVE records that it would match; SUGGEST plans and tells; APPROVE waits for a person; AUTO acts."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    APPROVE = "approve"
    AUTO = "auto"


class EffectClass(StrEnum):
    """How an effect is made exactly-once, see docs/architecture.md."""

    STAMPED = "stamped"
    NAMED = "named"
    UID = "uid"
    CONVERGENT = "convergent"
    AT_MOST_ONCE = "at-most-once"
    NONE = "none"


REPEATABLE = (EffectClass.NONE, EffectClass.CONVERGENT)
"""Effects after which another try may follow: none, and one that repeating does not change. A named one would only be found again."""


class OnFailure(StrEnum):
    """What a failed step does to the run."""

    STOP = "stop"
    CONTINUE = "continue"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """A typed parameter of an action: `type` is one of string, int, float, bool, duration, strings, quantity-change, promql, verify-cel, object-cel."""

    type: str
    doc: str
    required: bool = False
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Permission:
    """One RBAC need: `deployments` in `apps`, verb `patch`."""

    group: str
    resource: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """What an action is, for loading and for people: parameters, effect class, rights, kinds of target it takes (empty: any), undoable or not.

    `one_of`: groups of parameters of which exactly one must be given. `repeats`: reasons that say that what was made has ended for good, so that
    another may be made, under a name of its own. `objection`: what is wrong with arguments that are all known, as name and words; None if nothing is.
    """

    name: str
    doc: str
    effect: EffectClass
    parameters: Mapping[str, ParamSpec] = field(default_factory=dict)
    permissions: tuple[Permission, ...] = ()
    target_kinds: tuple[str, ...] = ()
    undoable: bool = False
    one_of: tuple[tuple[str, ...], ...] = ()
    repeats: tuple[str, ...] = ()
    objection: Callable[[Mapping[str, Any]], tuple[str, str] | None] | None = None

    def repeatable(self, reason: str) -> bool:
        """Whether another effect may follow one that came to nothing for this reason: nothing adds up by it."""
        return self.effect in REPEATABLE or reason in self.repeats


@dataclass(frozen=True, slots=True)
class Retry:
    """Further tries after the first, waits in seconds: initial · factor^n, at most `maximum`, of which up to a half is taken off by chance.

    `limits` is the limit by the incident's severity, with `default` for others; a plan has the one number that applies. `on` says after which
    errors: reason codes and the classes of `ERROR_CLASSES`; empty is `transient`.
    """

    limit: int = 0
    initial: float = 5.0
    factor: float = 2.0
    maximum: float = 60.0
    on: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)


ERROR_CLASSES = ("transient", "failed", "error", "timeout")
"""What a retry may be asked for besides a reason: what may pass by itself, any failure, any error, work that was not complete in time."""


class UndoMode(StrEnum):
    """How a step is taken back: by its action's inverse, not at all, or by an action of its own."""

    AUTO = "auto"
    NONE = "none"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """What a step works on instead of the incident's target, as templates; an empty field is that of the incident's target."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    context: str = ""


@dataclass(frozen=True, slots=True)
class UndoSpec:
    """How a step is taken back; the rest only for OWN: the compensating action, its arguments, and its target (None: the step's)."""

    mode: UndoMode = UndoMode.AUTO
    action: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    target: TargetSpec | None = None


@dataclass(frozen=True, slots=True)
class ForEach:
    """A step done once for each item: texts or maps, written down as `items` or given by `expression` (of the `list` vocabulary).

    `concurrency` items are at work at once; more than `limit` are an error, and none is begun.
    """

    items: tuple[Any, ...] = ()
    expression: Expression | None = None
    concurrency: int = 1
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a runbook may be given. `convert` types a value or a rendered text; it raises ValueError saying what is allowed."""

    spec: ParamSpec
    convert: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One entry of a runbook. `arguments` hold templates where the author wrote `{{ }}`; `when` is of the `step` vocabulary.

    `target`: None is the incident's. With a `runbook`, its steps stand in place of an action (which is empty then), given the parameters `given`.
    """

    name: str
    action: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    when: Expression | None = None
    timeout: float = 300.0
    retry: Retry = field(default_factory=Retry)
    on_failure: OnFailure = OnFailure.STOP
    target: TargetSpec | None = None
    undo: UndoSpec = field(default_factory=UndoSpec)
    for_each: ForEach | None = None
    runbook: Runbook | None = None
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VerifySpec:
    """Measure the level after acting: from `after` seconds on, each `every`, until `passes` held for `hold`, at most `within` (seconds).

    `query` is a PromQL template; `passes` is of the `verify` vocabulary: `value` (the worst series by `direction`), `baseline` (before acting), `count`.
    An empty answer is not a pass. `before`: so long (seconds) before acting the level is looked at, to tell what it would have done by itself.
    """

    source: str
    query: str
    passes: Expression
    after: float = 15.0
    within: float = 300.0
    every: float = 10.0
    hold: float = 0.0
    worst: str = "max"
    before: float = 600.0


@dataclass(frozen=True, slots=True)
class GuardSpec:
    """The limits of one runbook. None means the global default. Shares are 0..1."""

    cooldown: float | None = None
    minimum_replicas: int | None = None
    maximum_replicas: int | None = None
    maximum_pods: int | None = None
    maximum_share: float | None = None
    maximum_per_hour: int | None = None
    maximum_per_incident: int | None = None
    modes: Mapping[str, GuardMode] = field(default_factory=dict)


PERSON = "page-a-person"
"""The name of the runbook at the end of every escalation. A built-in one stands in where none of this name is loaded."""


@dataclass(frozen=True, slots=True)
class Runbook:
    """One runbook. Lower `priority` is tried first. `match` is of the `match` vocabulary. `hash` changes with the file's content and that of the runbooks it calls.

    `deadline`: seconds for the whole run, from its beginning or approval to the end of its verification; None for no limit but those of its steps.
    `escalates_to`: runbooks that follow, in this order, when it did not help; empty: the next by priority.
    """

    name: str
    mode: Mode
    match: Expression
    steps: tuple[StepSpec, ...]
    description: str = ""
    priority: int = 100
    needs_sight: tuple[str, ...] = ()
    verify: VerifySpec | None = None
    undo_on_failure: bool = True
    guards: GuardSpec = field(default_factory=GuardSpec)
    labels: Mapping[str, str] = field(default_factory=dict)
    escalates_to: tuple[str, ...] = ()
    hash: str = ""
    file: str = ""
    line: int = 0
    deadline: float | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

"""What an action is to the engine: it reads, decides purely, sends one thing, and can be asked afterwards whether it happened.

No step sleeps: `start` sends, `check` looks and says when to look again. Nothing here knows whether the writer is a dry one.
Neighbours: one file for each action beside this, `registry` names them, `execution.effects` carries them out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from aiops.domain.errors import AiopsError, trimmed
from aiops.domain.expression import Compiler, Expression
from aiops.domain.message import Message
from aiops.domain.outcome import Result
from aiops.domain.runbook import ActionSpec
from aiops.domain.target import JsonObject, TargetRef
from aiops.ports.alerts import NoSilences, Silences
from aiops.ports.cache import Cache
from aiops.ports.cluster import Cluster, WriteResult
from aiops.ports.outbound import ClosedOutbound, Outbound
from aiops.ports.sources import LogSource, MetricSource

STAMP = "aiops/operation"
"""The annotation that carries the operation key of our last effect on an object."""

Channels = Callable[[str, TargetRef], tuple[str, ...]]
"""Severity and target in, channels that are to be told out."""


def _no_compiler(text: str, vocabulary: str) -> Expression:
    raise ValueError(f"no compiler for the vocabulary {vocabulary}: {text}")


@dataclass(frozen=True, slots=True)
class Context:
    """One try of one step. `key` is the operation key, `series` the part of it that all tries of this step share; times in seconds.

    `cluster` is the target's; `clusters` are those of every context, `metrics` and `logs` the sources by name, `outbound` HTTP to where the
    settings allow, `alerts` the Alertmanager. In dry-run the writing ones only record.
    """

    target: TargetRef
    cluster: Cluster
    caches: Mapping[str, Cache]
    now: float
    key: str
    execution: str = ""
    incident: str = ""
    request_timeout: float = 10.0
    channels: Channels = lambda _severity, _target: ("",)
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    metrics: Mapping[str, MetricSource] = field(default_factory=dict)
    logs: Mapping[str, LogSource] = field(default_factory=dict)
    outbound: Outbound = field(default_factory=ClosedOutbound)
    alerts: Silences = field(default_factory=NoSilences)
    compile: Compiler = _no_compiler

    @property
    def series(self) -> str:
        """`EXECUTION.STEP.`: what the stamps of all tries of one step begin with."""
        return self.key.rpartition(".")[0] + "."

    @property
    def attempt(self) -> int:
        """The number of this try, from 1 on; in a preview it is 1 too."""
        last = self.key.rpartition(".")[2]
        return max(int(last), 1) if last.isdecimal() else 1


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be sent, decided on a fresh read and journalled before it is sent.

    `pre_state`: what is relied on, as JSON. `leaves`: the same keys as they will stand afterwards. `inverse`: arguments of the same action
    that undo it, empty if it cannot be undone. `request`: the body, JSON-ready. `before`: the object as it was read, for the diff; not journalled. `skip`: nothing is to be sent, and why.
    """

    pre_state: Mapping[str, Any] = field(default_factory=dict)
    leaves: Mapping[str, Any] = field(default_factory=dict)
    inverse: Mapping[str, Any] = field(default_factory=dict)
    request: Any = None
    before: JsonObject | None = None
    output: Mapping[str, Any] = field(default_factory=dict)
    skip: Result | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of sending. `applied` is False where the writer only recorded. `messages` go into the outbox in the transaction that records the effect."""

    applied: bool
    write: WriteResult | None = None
    note: str = ""
    output: Mapping[str, Any] = field(default_factory=dict)
    leaves: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()


class ActionRefusedError(AiopsError):
    """It was refused before anything was sent, for good. `reason` is a CamelCase code."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(trimmed(detail))


class Looked(StrEnum):
    """Whether an intended effect happened. UNKNOWN is an answer too, and then a person is asked."""

    HAPPENED = "happened"
    NOT = "not"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Seen:
    """The answer to a look; `key` is the operation key that was found, which may be that of an earlier try."""

    looked: Looked
    key: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The step's work is complete."""

    output: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not yet: look again in `due_in` seconds. `patient`: waiting is the work itself, so the step's time-out does not count."""

    due_in: float
    detail: str = ""
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """What was sent is through, and more is to be sent: another attempt, with an intent of its own, begins in `due_in` seconds. The step's time-out counts."""

    due_in: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It will not become complete."""

    result: Result


Checked = Done | Waiting | Again | Failed


class Action(Protocol):
    """One kind of effect. All may raise what `execution.failures.OUTSIDE` names, `start` ActionRefusedError; none sleeps, retries or catches what it cannot judge."""

    @property
    def spec(self) -> ActionSpec:
        """Parameters, effect class, rights."""
        ...

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Read the target fresh and decide what is to be sent. Sends nothing."""
        ...

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """Send it, once."""
        ...

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """Did a try of this step happen? Asked after a crash, after a lost answer and after a refused precondition."""
        ...

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:
        """Is what was started complete?"""
        ...

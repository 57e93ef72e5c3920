"""Any value of any domain type, for hypothesis, and small makers for readable tests."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any

from hypothesis import strategies as st

from aiops.domain.decision import Decision, Stage
from aiops.domain.execution import Execution, ExecutionState, StepRun
from aiops.domain.incident import Incident, IncidentState
from aiops.domain.message import Message, MessageKind
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.runbook import Mode
from aiops.domain.signal import Severity
from aiops.domain.target import TargetRef

# All that a column of any database takes; what it cannot take (surrogates, NUL) is tested on its own.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def any_of(hint: Any) -> st.SearchStrategy[Any]:
    """A strategy for a type as the domain writes it: dataclasses, enums, tuples, mappings, unions and plain values."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    plain = {str: texts, float: numbers, int: st.integers(-(2**63), 2**63 - 1), bool: st.booleans(), NoneType: st.none(), Any: json_values}
    if hint in plain:
        return plain[hint]
    if origin in (typing.Union, UnionType):
        return st.one_of([any_of(a) for a in arguments])
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is ...:
            return st.lists(any_of(arguments[0]), max_size=2).map(tuple)
        return st.tuples(*[any_of(a) for a in arguments])
    if origin in (dict, Mapping):
        return st.dictionaries(any_of(arguments[0]), any_of(arguments[1]), max_size=2)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{f.name: any_of(hints[f.name]) for f in dataclasses.fields(hint)})
    raise TypeError(f"no strategy for {hint}")


TARGET = TargetRef("Deployment", "shop", "checkout")


def incident(number: int = 1, *, at: float = 1000.0, state: IncidentState = IncidentState.OPEN, fingerprint: str = "fp") -> Incident:
    resolved = at if state is IncidentState.RESOLVED else None
    return Incident(
        f"inc-{number}", fingerprint, f"latency {number}", state, Severity.WARNING, at, at, TARGET, {"app": "checkout"}, resolved_at=resolved
    )


def plan(number: int = 1, *, incident_id: str = "inc-1", runbook: str = "scale-out", at: float = 1000.0, target: TargetRef = TARGET) -> Plan:
    steps = (PlannedStep("scale", "scale", {"by": "+50%"}),)
    return Plan(f"plan-{number}", incident_id, runbook, "hash", Mode.AUTO, target, steps, at, f"h{number}")


def execution(
    number: int = 1,
    *,
    state: ExecutionState = ExecutionState.RUNNING,
    at: float = 1000.0,
    due: float = 1000.0,
    incident_id: str = "inc-1",
    runbook: str = "scale-out",
    target: TargetRef = TARGET,
) -> Execution:
    bound = plan(number, incident_id=incident_id, runbook=runbook, at=at, target=target)
    return Execution(f"exe-{number}", bound, state, at, at, due, False, (StepRun("scale"),))


def decision(at: float = 1000.0, *, reason: str = "NoMatch", detail: str = "", subject: str = "scale-out", target: str = str(TARGET)) -> Decision:
    return Decision(at, Stage.DECIDE, subject, False, reason, detail, target)


def message(
    key: str = "m1",
    *,
    sequence: int = 1,
    text: str = "hello",
    kind: MessageKind = MessageKind.INCIDENT,
    incident_id: str = "inc-1",
    at: float = 1000.0,
    due: float = 0.0,
) -> Message:
    return Message(key, "#ops", incident_id, kind, at, sequence, text, due_at=due)

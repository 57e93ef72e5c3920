"""What people ask of the engine; the engine alone decides. Terminal, page and Slack write these, nothing else.

Neighbours: `ports.commands` carries them, `execution` and `pipeline` consume them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class CommandKind(StrEnum):
    """What is asked."""

    APPROVE = "approve"
    REJECT = "reject"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    SILENCE = "silence"
    PAUSE = "pause"
    RESUME = "resume"
    UNDO = "undo"
    ANSWER = "answer"
    RELOAD = "reload"
    PROMOTE = "promote"
    DEMOTE = "demote"
    RUN = "run"
    NOT_AN_ANOMALY = "not-an-anomaly"
    FORGET_FEEDBACK = "forget-feedback"


@dataclass(frozen=True, slots=True)
class Command:
    """One request. `subject` is an execution, incident, feedback or empty; `arguments` are JSON-ready. `result` is empty until it was carried out."""

    id: str
    kind: CommandKind
    subject: str
    by: str
    at: float
    arguments: Mapping[str, Any] = field(default_factory=dict)
    done: bool = False
    accepted: bool = False
    result: str = ""

"""The record of why, and of why not: one line for every record a stage passed on or dropped.

Neighbours: every stage of `pipeline` writes them, `aiops why` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The stages, in the order of the flow."""

    POLL = "poll"
    OBSERVE = "observe"
    TRIAGE = "triage"
    DECIDE = "decide"
    ACT = "act"
    VERIFY = "verify"
    ANNOUNCE = "announce"


@dataclass(frozen=True, slots=True)
class Decision:
    """`passed` or dropped, with a CamelCase reason. `subject` is a rule, runbook, guard or step; `target` as `str(TargetRef)` or empty.

    The store counts mere repetitions instead of keeping each: `count` times between `at` and `last_at` (None: once), with the last `detail`.
    """

    at: float
    stage: Stage
    subject: str
    passed: bool
    reason: str
    detail: str = ""
    target: str = ""
    incident: str = ""
    execution: str = ""
    count: int = 1
    last_at: float | None = None

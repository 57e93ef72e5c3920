"""Whether a step is tried again, and when. Pure.

Trying again before anything happened is always harmless; after an effect it is so only where a second one does not add up, so stamped, named,
uid-bound and at-most-once effects are never repeated. Neighbours: `settling` asks; `definitions` refuses what can not be.
"""

from __future__ import annotations

from aiops.domain.ids import fraction
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import Retry
from aiops.remediate.backoff import wait

TIMED_OUT = "TimedOut"


def wanted(retry: Retry, result: Result, *, transient: bool) -> bool:
    """Whether the author wants another try after this. What is inconclusive is never repeated."""
    if result.outcome not in (Outcome.FAILED, Outcome.ERROR):
        return False
    classes = {
        "transient": transient, "failed": result.outcome is Outcome.FAILED, "error": result.outcome is Outcome.ERROR, "timeout": result.reason == TIMED_OUT,
    }  # fmt: skip
    return any(classes.get(name, name == result.reason) for name in retry.on or ("transient",))


def pause(retry: Retry, tries: int, *parts: object) -> float:
    """Seconds before the next try after `tries` failed ones; `parts` name the step, and chance is drawn from them, so that it is the same again after a crash."""
    return wait(retry, tries, fraction(*parts, tries))

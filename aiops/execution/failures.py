"""What an error means for a step: the outcome with its reason, and whether another try makes sense. Pure.

Neighbours: `effects`, `recovery`, `preview`.
"""

from __future__ import annotations

from aiops.domain.errors import (
    AiopsError,
    CacheUnavailableError,
    ClusterError,
    ClusterUnavailableError,
    ConflictError,
    DisruptionRefusedError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    OutsideError,
    OutsideRefusedError,
    OutsideUnavailableError,
    SourceError,
    SourceRejectedError,
    SourceUnavailableError,
)
from aiops.domain.outcome import Outcome, Result
from aiops.execution.actions.contract import ActionRefusedError

OUTSIDE = (ClusterError, CacheUnavailableError, OutsideError, SourceError)
"""What the ports raise that actions work through."""

NO_ANSWER = (ClusterUnavailableError, OutsideUnavailableError, SourceUnavailableError)
"""Nobody answered: what was asked may have happened. While only reading, asking again is harmless."""

MALFORMED = (KeyError, TypeError, ValueError)
"""What reading arguments or an object of an unexpected shape raises."""


def result_of(error: Exception) -> tuple[Result, bool]:
    """The result, and True if trying again may help."""
    table: tuple[tuple[type[Exception], Outcome, str, bool], ...] = (
        (ForbiddenError, Outcome.ERROR, "Forbidden", False),
        (NotFoundError, Outcome.FAILED, "TargetVanished", False),
        (InvalidError, Outcome.FAILED, "PreconditionFailed", True),
        (ConflictError, Outcome.FAILED, "Conflict", True),
        (DisruptionRefusedError, Outcome.FAILED, "DisruptionRefused", True),
        (ClusterUnavailableError, Outcome.ERROR, "ClusterUnavailable", True),
        (CacheUnavailableError, Outcome.FAILED, "CacheUnavailable", True),
    )
    for kind, outcome, reason, again in table:
        if isinstance(error, kind):
            return Result(outcome, reason, str(error)), again
    if isinstance(error, ActionRefusedError):
        return Result(Outcome.ERROR, error.reason, str(error)), False
    if isinstance(error, OutsideError | SourceError):
        outcome = Outcome.ERROR if isinstance(error, OutsideRefusedError | SourceError) else Outcome.FAILED
        return Result(outcome, error.reason, str(error)), not isinstance(error, OutsideRefusedError | SourceRejectedError)
    if isinstance(error, ClusterError):
        return Result(Outcome.ERROR, error.reason or "ClusterError", str(error)), False
    if isinstance(error, AiopsError):
        return Result(Outcome.ERROR, type(error).__name__.removesuffix("Error"), str(error)), False
    return Result(Outcome.ERROR, "InvalidArguments", f"{type(error).__name__}: {error}"), False

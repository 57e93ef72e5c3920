"""The errors that cross a room's door.

Adapters map what their vendor raises to one of these, with the cause chained, so that no other room knows a vendor.
Texts are trimmed and never carry credentials. Neighbours: every adapter raises them, `pipeline` and `execution` decide on them.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_TEXT = 500


def trimmed(text: str, limit: int = MAX_TEXT) -> str:
    """One line of at most `limit` characters: answers of servers may be huge and may hold control characters."""
    flat = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


class AiopsError(Exception):
    """Base of all errors of this project."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: `file:line: key: what is wrong, what is allowed`."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.message}"


class DefinitionError(AiopsError):
    """Rules, runbooks or settings that cannot be used; carries every problem found, not the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(p) for p in problems))


class ExpressionError(AiopsError):
    """A compiled expression could not be evaluated on the given values (never a syntax error: those are Problems at load)."""


class SourceError(AiopsError):
    """A source of telemetry did not give a whole and valid answer. `reason` is an enumerable CamelCase code for metrics and records."""

    def __init__(self, source: str, reason: str, detail: str = "") -> None:
        self.source, self.reason, self.detail = source, reason, trimmed(detail)
        super().__init__(f"{source}: {reason}: {self.detail}" if detail else f"{source}: {reason}")


class SourceUnavailableError(SourceError):
    """Refused, timed out, 5xx, or the circuit is open: trying later may help."""


class SourceThrottledError(SourceUnavailableError):
    """429 or the like; `retry_after` in seconds, when the server said it."""

    def __init__(self, source: str, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(source, "Throttled", detail)
        self.retry_after = retry_after


class SourceRejectedError(SourceError):
    """The server understood and refused (bad query, 401, 403): trying again without a change will not help."""


class SourceGarbledError(SourceError):
    """The answer could not be read: not JSON, wrong shape, cut off in the middle."""


class ClusterError(AiopsError):
    """The Kubernetes API did not do what was asked. `status` is the HTTP code (0: no answer), `reason` Kubernetes' own or ours."""

    def __init__(self, reason: str, detail: str = "", status: int = 0) -> None:
        self.reason, self.detail, self.status = reason, trimmed(detail), status
        super().__init__(f"{reason} ({status}): {self.detail}" if status else f"{reason}: {self.detail}")


class NotFoundError(ClusterError):
    """404: the object is not there (any more)."""


class ForbiddenError(ClusterError):
    """401 or 403: RBAC or admission says no."""


class ConflictError(ClusterError):
    """409: resourceVersion, uid precondition, or the name exists already."""


class InvalidError(ClusterError):
    """400 or 422: the request is not acceptable; a failing `test` operation of a JSON patch is one."""


class GoneError(ClusterError):
    """410: the resourceVersion of a watch or of a page is too old; list again."""


class DisruptionRefusedError(ClusterError):
    """429 of the eviction API: a PodDisruptionBudget does not allow it now."""


class ClusterUnavailableError(ClusterError):
    """No answer, 429 of the server itself, or 5xx: whether a write happened is unknown."""


class CacheUnavailableError(AiopsError):
    """The cache (Redis) did not answer or broke off; how far a flush came is in `done`."""

    def __init__(self, detail: str, done: int = 0) -> None:
        super().__init__(trimmed(detail))
        self.done = done


class OutsideError(AiopsError):
    """Something outside the clusters (an HTTP endpoint, Alertmanager) did not do what was asked. `reason` is an enumerable CamelCase code."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, trimmed(detail)
        super().__init__(f"{reason}: {self.detail}" if detail else reason)


class OutsideRefusedError(OutsideError):
    """A clear no, by our own allow-list or by the server: nothing happened, and asking again without a change will not help."""


class OutsideUnsentError(OutsideError):
    """No connection, or a clear "not now": nothing happened, asking again later may help."""


class OutsideUnavailableError(OutsideError):
    """No whole answer after bytes may have left: whether it took effect is unknown."""


class NotifyError(AiopsError):
    """A message could not be delivered. `permanent` says that trying again will not help; `retry_after` in seconds if the server said it."""

    def __init__(self, reason: str, detail: str = "", *, permanent: bool = False, retry_after: float | None = None) -> None:
        self.reason, self.detail, self.permanent, self.retry_after = reason, trimmed(detail), permanent, retry_after
        super().__init__(f"{reason}: {self.detail}" if detail else reason)


class StoreError(AiopsError):
    """The store could not read or write; what was asked did not happen."""


class CommitUnknownError(StoreError):
    """The one exception to that: the store broke off while it wrote, and cannot be asked. Read again before anything is done twice."""


class LeaseLostError(StoreError):
    """Another owner holds the execution now: stop, write nothing."""


class CommandError(AiopsError):
    """A person's command cannot be carried out (unknown id, expired approval, wrong state); the text says why."""

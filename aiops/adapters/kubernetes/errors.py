"""The API server's refusals as `domain.errors`. Pure. Neighbour: `connection`.

By HTTP code and the Status object of the answer: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.domain.errors import (
    ClusterError,
    ClusterUnavailableError,
    ConflictError,
    DisruptionRefusedError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
)

_BY_CODE: Mapping[int, type[ClusterError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
}


def refusal(code: int, status: Mapping[str, Any]) -> ClusterError:
    """The error for an answer of 300 or above, or for an ERROR event of a watch. `status` is the decoded Status, or empty if it was none."""
    reason, message = _text(status, "reason") or f"Http{code}", _text(status, "message")
    if code == 429 and _names_budget(status):
        return DisruptionRefusedError(reason, message, code)
    if code in _BY_CODE:
        return _BY_CODE[code](reason, message, code)
    if code == 429 or code >= 500 or code < 400:
        return ClusterUnavailableError(reason, message, code)
    return InvalidError(reason, message, code)


def _text(status: Mapping[str, Any], name: str) -> str:
    found = status.get(name)
    return found if isinstance(found, str) else ""


def _names_budget(status: Mapping[str, Any]) -> bool:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    return isinstance(causes, list) and any(isinstance(c, Mapping) and c.get("reason") == "DisruptionBudget" for c in causes)

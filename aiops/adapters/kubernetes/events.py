"""Events on the objects we work on, so that `kubectl describe` tells what happened. Neighbours: `ports.cluster` (any writer will do)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from aiops.domain.errors import ConflictError, trimmed
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.ports.cluster import ClusterWriter

_MOST_MESSAGE = 1024
COMPONENT = "aiops"


def emit_event(
    writer: ClusterWriter,
    target: TargetRef,
    *,
    reason: str,
    message: str,
    type: str = "Normal",  # noqa: A002 (the API's word)
    now: float,
    name_key: str,
    uid: str = "",
) -> bool:
    """Create one core/v1 Event about `target`; False if the one of this key was there already (named by it, so a repeat is harmless).

    `reason` is CamelCase, `type` Normal or Warning, `now` Unix seconds; `uid` of the target lets `kubectl describe` find it.
    Raises the ClusterError family.
    """
    body = event_body(target, reason=reason, message=message, type=type, now=now, name_key=name_key, uid=uid)
    try:
        writer.create("Event", body["metadata"]["namespace"], body)
    except ConflictError:
        return False
    return True


def event_body(
    target: TargetRef,
    *,
    reason: str,
    message: str,
    type: str,  # noqa: A002
    now: float,
    name_key: str,
    uid: str = "",
) -> JsonObject:
    """The Event object. Cluster-scoped targets have theirs in `default`, as the API wants it."""
    namespace = target.namespace or "default"
    mark = hashlib.sha256(name_key.encode()).hexdigest()[:16]
    at = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about: JsonObject = {"apiVersion": KINDS[target.kind].api_version, "kind": target.kind, "name": target.name}
    about |= ({"namespace": target.namespace} if target.namespace else {}) | ({"uid": uid} if uid else {})
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{target.name[:200].rstrip('.-')}.{mark}", "namespace": namespace},
        "involvedObject": about,
        "reason": reason[:128],
        "message": trimmed(message, _MOST_MESSAGE),
        "type": type,
        "count": 1,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
    }

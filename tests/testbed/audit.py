"""The API server's audit log, read back as a list of writes; what tests count effects on. Written by `apiserver`, offered by `plane`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITE_VERBS = ("create", "update", "patch", "delete", "deletecollection")

# The control plane and kwok write all the time (statuses, leases): those are logged without bodies to keep the log small.
# Answers that carry tokens are never logged with bodies.
POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {
            "level": "Metadata",
            "resources": [
                {"group": "", "resources": ["secrets", "serviceaccounts/token"]},
                {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
                {"group": "coordination.k8s.io", "resources": ["leases"]},
            ],
        },
        {"level": "Metadata", "userGroups": ["testbed:machinery", "system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "users": ["system:apiserver"]},
        {"level": "RequestResponse", "verbs": list(WRITE_VERBS)},
    ],
}


@dataclass(frozen=True, slots=True)
class Write:
    """One write that reached the API server, refused ones included."""

    user: str
    verb: str
    """create, update, patch, delete or deletecollection; an eviction is `create` with the subresource `eviction`."""
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    request_body: Any
    """As sent (a JSON patch is a list); None where the audit policy leaves bodies out."""
    response_code: int
    response_body: Any
    user_agent: str
    uri: str
    """Path and query, so that `dryRun=All` and `fieldManager` can be seen."""
    received: str
    """When the request arrived, RFC 3339 with microseconds."""

    @property
    def dry_run(self) -> bool:
        """Whether the server was asked not to persist it."""
        return "dryRun=" in self.uri


def read(path: Path) -> list[Write]:
    """All writes in the log so far, oldest first. A last line still being written is left for the next call."""
    if not path.exists():
        return []
    return list(_writes(path.read_bytes()))


def read_from(path: Path, offset: int) -> tuple[list[Write], int]:
    """The writes after `offset` bytes of the log, and the offset to go on from: for those who follow it as it grows."""
    if not path.exists():
        return [], offset
    with path.open("rb") as log:
        log.seek(offset)
        content = log.read()
    whole = content[: content.rfind(b"\n") + 1]
    return list(_writes(whole)), offset + len(whole)


def _writes(content: bytes) -> Iterator[Write]:
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        event = json.loads(line)
        if event.get("verb") in WRITE_VERBS and event.get("stage") == "ResponseComplete":
            yield _parse(event)


def _parse(event: Mapping[str, Any]) -> Write:
    what = event.get("objectRef") or {}
    created = event.get("responseObject") or {}
    return Write(
        user=event["user"].get("username", ""),
        verb=event["verb"],
        group=what.get("apiGroup", ""),
        resource=what.get("resource", ""),
        subresource=what.get("subresource", ""),
        namespace=what.get("namespace", ""),
        # A create by generateName has no name in the request; the answer has it.
        name=what.get("name") or (created.get("metadata") or {}).get("name", ""),
        request_body=event.get("requestObject"),
        response_code=int((event.get("responseStatus") or {}).get("code", 0)),
        response_body=event.get("responseObject"),
        user_agent=event.get("userAgent", ""),
        uri=event.get("requestURI", ""),
        received=event.get("requestReceivedTimestamp", ""),
    )

"""Writes to a real API server: one request each, never sent twice, under our own field manager. Neighbours: `ports.cluster`, `connection`."""

from __future__ import annotations

from aiops.domain.target import JsonObject, TargetRef
from aiops.ports.cluster import PatchBody, WriteResult

from .connection import Connection
from .paths import collection, item

FIELD_MANAGER = "aiops"


class KubernetesWriter:
    """`ports.cluster.ClusterWriter`. With `dry_run` each request says `dryRun=All`: the server checks and answers, and stores nothing."""

    def __init__(self, connection: Connection, *, dry_run: bool = False, field_manager: str = FIELD_MANAGER) -> None:
        self._connection = connection
        self._dry_run = dry_run
        self._query = {"fieldManager": field_manager} | ({"dryRun": "All"} if dry_run else {})

    @property
    def dry_run(self) -> bool:
        """True if every write is sent as `dryRun=All`."""
        return self._dry_run

    def patch(self, ref: TargetRef, body: PatchBody, *, subresource: str = "", timeout: float = 10.0) -> WriteResult:
        """See the port."""
        kind = "application/json-patch+json" if isinstance(body, list) else "application/merge-patch+json"
        path = item(ref, subresource)
        return self._result(self._connection.request("PATCH", path, query=self._query, body=body, content_type=kind, timeout=timeout))

    def create(self, kind: str, namespace: str, body: JsonObject, *, timeout: float = 10.0) -> WriteResult:
        """See the port."""
        return self._result(self._connection.request("POST", collection(kind, namespace), query=self._query, body=body, timeout=timeout))

    def delete(self, ref: TargetRef, *, uid: str, timeout: float = 10.0) -> WriteResult:
        """See the port. Dependents are deleted in the background."""
        options = self._options(uid) | {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        # With a body, the server takes dryRun from there and from nowhere else.
        self._connection.request("DELETE", item(ref), body=options, timeout=timeout)
        return self._result(None)

    def evict(self, ref: TargetRef, *, uid: str, timeout: float = 10.0) -> WriteResult:
        """See the port."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": ref.name, "namespace": ref.namespace},
            "deleteOptions": self._options(uid),
        }
        self._connection.request("POST", item(ref, "eviction"), query=self._query, body=body, timeout=timeout)
        return self._result(None)

    def _options(self, uid: str) -> JsonObject:
        return ({"preconditions": {"uid": uid}} if uid else {}) | ({"dryRun": ["All"]} if self._dry_run else {})

    def _result(self, after: JsonObject | None) -> WriteResult:
        return WriteResult(None, after, applied=not self._dry_run, origin="server")

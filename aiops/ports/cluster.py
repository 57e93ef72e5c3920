"""One Kubernetes cluster: reading, a cached view, and writing. Objects are JSON as the API has them.

Reader and writer are apart because dry-run swaps the writer, in the composition root only. All methods raise the `ClusterError` family.
Neighbours: `adapters.kubernetes`, `adapters.dry_run`, `adapters.memory_cluster`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiops.domain.target import JsonObject, TargetRef

PatchBody = JsonObject | list[JsonObject]
"""A dict is a merge patch (RFC 7386), a list is a JSON patch (RFC 6902)."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """A whole list (the adapter follows `continue`) and the resourceVersion to watch from."""

    items: tuple[JsonObject, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: JsonObject


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did, or would do. `applied` is False for every kind of dry-run; `origin` is whose answer `after` is: `server` or `computed`."""

    before: JsonObject | None
    after: JsonObject | None
    applied: bool
    origin: str
    note: str = ""


class ClusterReader(Protocol):
    """Reads of the API. `kind` is a key of `domain.target.KINDS`."""

    def get(self, ref: TargetRef) -> JsonObject:
        """Raises NotFoundError."""
        ...

    def list(self, kind: str, namespace: str = "", *, label_selector: str = "", field_selector: str = "") -> ListPage:
        """All namespaces if `namespace` is empty."""
        ...

    def watch(self, kind: str, resource_version: str, *, namespace: str = "", timeout: float = 300.0) -> Iterator[WatchEvent]:
        """Events after `resource_version`, until `timeout` seconds passed. Raises GoneError when it is too old: list again."""
        ...

    def can(self, verb: str, group: str, resource: str, namespace: str, *, subresource: str = "", name: str = "") -> bool:
        """SelfSubjectAccessReview."""
        ...


class ClusterWriter(Protocol):
    """Writes. Each is one request with a deadline shorter than what remains of the caller's lease; none retries by itself."""

    def patch(self, ref: TargetRef, body: PatchBody, *, subresource: str = "", timeout: float = 10.0) -> WriteResult:
        """Merge patch or JSON patch by the type of `body`. A failing `test` operation raises InvalidError."""
        ...

    def create(self, kind: str, namespace: str, body: JsonObject, *, timeout: float = 10.0) -> WriteResult:
        """Raises ConflictError if the name exists."""
        ...

    def delete(self, ref: TargetRef, *, uid: str, timeout: float = 10.0) -> WriteResult:
        """With the uid as precondition: another object of the same name raises ConflictError."""
        ...

    def evict(self, ref: TargetRef, *, uid: str, timeout: float = 10.0) -> WriteResult:
        """Through the Eviction API; DisruptionRefusedError if a PodDisruptionBudget forbids it now."""
        ...


@dataclass(frozen=True, slots=True)
class Sight:
    """How well the cached view can be trusted: `synced` once every kind was listed; `seen_at` the oldest last contact of its kinds (Unix seconds)."""

    synced: bool
    seen_at: float
    errors: Mapping[str, str]


class ClusterView(Protocol):
    """A cached, eventually consistent picture of one cluster, kept by list and watch. Never used as a write's precondition. Treat objects as read-only."""

    def objects(self, kind: str, namespace: str = "") -> Sequence[JsonObject]:
        """All cached objects of a kind, of one namespace or of all."""
        ...

    def find(self, ref: TargetRef) -> JsonObject | None:
        """The cached object, or None."""
        ...

    def sight(self) -> Sight:
        """How fresh the picture is."""
        ...


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster as the engine is given it. `simulated` says that the writer records only."""

    name: str
    reader: ClusterReader
    writer: ClusterWriter
    view: ClusterView
    simulated: bool
    facts: Mapping[str, Any]

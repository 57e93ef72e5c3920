"""The in-memory cluster as the ports see it: reader, writer and view. Neighbours: `ports.cluster`, `server`, `state`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiops.adapters.patching import clone
from aiops.adapters.view_shape import slim
from aiops.domain.errors import InvalidError
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.ports.cluster import ListPage, PatchBody, Sight, WatchEvent, WriteResult

from .objects import key_for, place_of
from .rbac import allowed
from .server import Account, ApiServer
from .state import State


class MemoryReader:
    """`ports.cluster.ClusterReader` with the rights of an account."""

    def __init__(self, server: ApiServer, account: Account, watch_wait: float) -> None:
        self._server, self._account, self._wait = server, account, watch_wait

    def get(self, ref: TargetRef) -> JsonObject:
        """See the port."""
        return self._server.get(self._account, ref)

    def list(self, kind: str, namespace: str = "", *, label_selector: str = "", field_selector: str = "") -> ListPage:
        """See the port."""
        items, version = self._server.list(self._account, kind, namespace, label_selector, field_selector)
        return ListPage(tuple(items), version)

    def watch(self, kind: str, resource_version: str, *, namespace: str = "", timeout: float = 300.0) -> Iterator[WatchEvent]:
        """See the port. In virtual time nothing can be waited for: what is there is yielded, and the watch ends (see `watch_wait`)."""
        namespace = place_of(kind, namespace)
        self._server.authorise(self._account, "watch", kind, namespace, "")
        state = self._server.state
        if not resource_version.isdecimal():
            raise InvalidError("BadRequest", f"Invalid value: {resource_version!r}: a resourceVersion of a list", 400)
        version, started = int(resource_version), state.clock.monotonic()
        while state.clock.monotonic() - started < timeout:
            with state.changed:
                changes = state.since(version, kind, namespace)
                if not changes and not (self._wait and state.changed.wait(min(self._wait, timeout))):
                    return
            for change in changes:
                version = change.version
                yield WatchEvent(change.type, clone(change.object))

    def can(self, verb: str, group: str, resource: str, namespace: str, *, subresource: str = "", name: str = "") -> bool:
        """See the port."""
        full = f"{resource}/{subresource}" if subresource else resource
        return allowed(self._account.rules, verb, group, full, namespace, name)


class MemoryWriter:
    """`ports.cluster.ClusterWriter` with the rights of an account."""

    def __init__(self, server: ApiServer, account: Account) -> None:
        self._server, self._account = server, account

    @property
    def dry_run(self) -> bool:
        """True if every write is sent as `dryRun=All`."""
        return self._account.dry_run

    def _result(self, after: JsonObject | None) -> WriteResult:
        return WriteResult(None, after, applied=not self._account.dry_run, origin="server")

    def patch(self, ref: TargetRef, body: PatchBody, *, subresource: str = "", timeout: float = 10.0) -> WriteResult:  # noqa: ARG002
        """See the port. Nothing here can time out."""
        return self._result(self._server.patch(self._account, ref, body, subresource))

    def create(self, kind: str, namespace: str, body: JsonObject, *, timeout: float = 10.0) -> WriteResult:  # noqa: ARG002
        """See the port."""
        return self._result(self._server.create(self._account, kind, namespace, body))

    def delete(self, ref: TargetRef, *, uid: str, timeout: float = 10.0) -> WriteResult:  # noqa: ARG002
        """See the port."""
        self._server.delete(self._account, ref, uid)
        return self._result(None)

    def evict(self, ref: TargetRef, *, uid: str, timeout: float = 10.0) -> WriteResult:  # noqa: ARG002
        """See the port."""
        self._server.evict(self._account, ref, uid)
        return self._result(None)


class MemoryView:
    """`ports.cluster.ClusterView` straight from the state: always in step. Objects are the stored ones: read-only."""

    def __init__(self, state: State) -> None:
        self._state = state

    def objects(self, kind: str, namespace: str = "") -> Sequence[JsonObject]:
        """See the port."""
        return [slim(kind, obj) for obj in self._state.all(kind, place_of(kind, namespace))] if kind in KINDS else []

    def find(self, ref: TargetRef) -> JsonObject | None:
        """See the port."""
        found = self._state.find(key_for(ref)) if ref.kind in KINDS else None
        return None if found is None else slim(ref.kind, found)

    def sight(self) -> Sight:
        """See the port."""
        return Sight(synced=True, seen_at=self._state.clock.now(), errors={})

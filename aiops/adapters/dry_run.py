"""Writers that write nothing: what a write would do, in the server's own words where it answers us, computed here where it does not.

Swapped in by the composition root; no action knows of it. Neighbours: `ports.cluster`, `ports.cache`, both cluster adapters.
"""

from __future__ import annotations

from typing import Protocol

from aiops.adapters import patching
from aiops.domain.errors import ClusterUnavailableError, ConflictError, InvalidError
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.ports.cache import Cache, FlushResult
from aiops.ports.cluster import ClusterReader, ClusterWriter, PatchBody, WriteResult

SERVER, COMPUTED = "server", "computed"


class ServerSideDryRun(ClusterWriter, Protocol):
    """A writer that says whether it sends `dryRun=All`."""

    @property
    def dry_run(self) -> bool:
        """True if the server stores nothing of what it sends."""
        ...


class DryRunWriter:
    """`ports.cluster.ClusterWriter` that changes nothing; every result has `applied=False` and the present object as `before`.

    Where the account may do the write, it goes to the server through `server_writer` (which must be one that sends `dryRun=All`, else
    ValueError) and `origin` is `server`: defaults, admission and RBAC have spoken. Otherwise (a read-only account gets Forbidden even for a
    dry-run) the outcome is computed from a fresh read, `origin` is `computed` and `note` says why.
    """

    def __init__(self, reader: ClusterReader, server_writer: ServerSideDryRun | None = None) -> None:
        if server_writer is not None and not server_writer.dry_run:
            raise ValueError("the dry-run writer takes only a writer that sends dryRun=All")
        self._reader = reader
        self._server = server_writer

    @property
    def dry_run(self) -> bool:
        """Always True."""
        return True

    def patch(self, ref: TargetRef, body: PatchBody, *, subresource: str = "", timeout: float = 10.0) -> WriteResult:
        """See the port."""
        before = self._reader.get(ref)
        server, why = self._asked("patch", ref, subresource)
        if server is not None:
            after = server.patch(ref, body, subresource=subresource, timeout=timeout).after
            return self._shown(before, _with_count(before, after) if subresource == "scale" and after else after)
        return WriteResult(before, _patched(before, body, subresource), applied=False, origin=COMPUTED, note=why)

    def create(self, kind: str, namespace: str, body: JsonObject, *, timeout: float = 10.0) -> WriteResult:
        """See the port."""
        ref = TargetRef(kind, namespace, "")
        server, why = self._asked("create", ref, "")
        if server is not None:
            return self._shown(None, server.create(kind, namespace, body, timeout=timeout).after)
        if kind not in KINDS:
            raise _unknown(kind)
        return WriteResult(None, {**body, "apiVersion": KINDS[kind].api_version, "kind": kind}, applied=False, origin=COMPUTED, note=why)

    def delete(self, ref: TargetRef, *, uid: str, timeout: float = 10.0) -> WriteResult:
        """See the port."""
        before = self._same_uid(ref, uid)
        server, why = self._asked("delete", ref, "")
        if server is not None:
            return self._shown(before, server.delete(ref, uid=uid, timeout=timeout).after)
        return WriteResult(before, None, applied=False, origin=COMPUTED, note=why)

    def evict(self, ref: TargetRef, *, uid: str, timeout: float = 10.0) -> WriteResult:
        """See the port. Computed here, disruption budgets are not asked, and the note says so."""
        before = self._same_uid(ref, uid)
        server, why = self._asked("create", ref, "eviction")
        if server is not None:
            return self._shown(before, server.evict(ref, uid=uid, timeout=timeout).after)
        return WriteResult(before, None, applied=False, origin=COMPUTED, note=f"{why}; disruption budgets were not asked")

    def _same_uid(self, ref: TargetRef, uid: str) -> JsonObject:
        before = self._reader.get(ref)
        if uid and before["metadata"].get("uid") != uid:
            raise ConflictError("Conflict", f"Precondition failed: another {ref} is there now (uid {before['metadata'].get('uid')})", 409)
        return before

    def _asked(self, verb: str, ref: TargetRef, subresource: str) -> tuple[ServerSideDryRun | None, str]:
        """The writer to ask the server with, or None and why not."""
        if self._server is None:
            return None, "computed here: no connection for dry-run writes"
        kind = KINDS.get(ref.kind)
        if kind is None:
            raise _unknown(ref.kind)
        what = f"{kind.plural}/{subresource}" if subresource else kind.plural
        # Nobody can be allowed `create` by name: the name is not known to the authoriser then.
        name = "" if verb == "create" and not subresource else ref.name
        try:
            allowed = self._reader.can(verb, kind.group, kind.plural, ref.namespace, subresource=subresource, name=name)
        except ClusterUnavailableError as error:
            return None, f"computed here: the server could not be asked whether we may {verb} {what} ({error.reason})"
        return (self._server, "") if allowed else (None, f"computed here: this account may not {verb} {what}")

    @staticmethod
    def _shown(before: JsonObject | None, after: JsonObject | None) -> WriteResult:
        return WriteResult(before, after, applied=False, origin=SERVER)


def _patched(before: JsonObject, body: PatchBody, subresource: str) -> JsonObject:
    """The object after the patch. Of a patch of `/scale`, the count is shown on the object itself, since that is what changes."""
    if not subresource:
        after = patching.apply_operations(before, body) if isinstance(body, list) else patching.merge(before, body)
    elif subresource == "scale":
        scale = {"metadata": before["metadata"], "spec": {"replicas": before.get("spec", {}).get("replicas")}}
        scaled = patching.apply_operations(scale, body) if isinstance(body, list) else patching.merge(scale, body)
        after = _with_count(before, scaled)
    else:
        raise InvalidError("NotSupported", f"a patch of {subresource!r} cannot be computed here: only the object itself and scale", 400)
    if not isinstance(after, dict) or not isinstance(after.get("metadata"), dict):
        raise InvalidError("Invalid", "the patch leaves no object", 422)
    if after["metadata"].get("uid", before["metadata"].get("uid")) != before["metadata"].get("uid"):
        raise InvalidError("Invalid", "metadata.uid: Invalid value: field is immutable", 422)
    return after


def _unknown(kind: str) -> InvalidError:
    return InvalidError("UnknownKind", f"the cluster has no kind {kind!r}: only {', '.join(sorted(KINDS))}", 400)


def _with_count(obj: JsonObject, scale: JsonObject) -> JsonObject:
    """An object with the count that its Scale has: before and after are then of one kind."""
    spec = scale.get("spec") if isinstance(scale, dict) else None
    replicas = spec.get("replicas") if isinstance(spec, dict) else None
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        raise InvalidError("Invalid", f"spec.replicas of a Scale must be a whole number from 0, not {replicas!r}", 422)
    return {**obj, "spec": {**(obj.get("spec") or {}), "replicas": replicas}}


class DryRunCache:
    """`ports.cache.Cache` that counts what a flush would match and removes nothing."""

    def __init__(self, cache: CountingCache) -> None:
        self._cache = cache

    @property
    def name(self) -> str:
        """As the real one."""
        return self._cache.name

    def flush(self, pattern: str, *, batch: int = 500, limit: int = 1_000_000, everything: bool = False, seconds: float = 10.0) -> FlushResult:
        """See the port."""
        return self._cache.count(pattern, batch=batch, limit=limit, everything=everything, seconds=seconds)


class CountingCache(Cache, Protocol):
    """A cache that can count what a pattern matches."""

    def count(self, pattern: str, *, batch: int = 500, limit: int = 1_000_000, everything: bool = False, seconds: float = 10.0) -> FlushResult:
        """Like `flush`, but `removed` is 0 and `applied` False."""
        ...

"""The API server of the in-memory cluster: each request is authorised, checked, applied or not (dry-run), and logged.

Answers are what kube-apiserver answers; the contract suite compares the two. Neighbours: `clients` are the ports' view of it,
`state` keeps, `controllers` react.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiops.adapters import patching
from aiops.adapters.patching import clone, same
from aiops.domain.errors import ClusterError, ClusterUnavailableError, ConflictError, ForbiddenError, InvalidError, NotFoundError
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.ports.cluster import PatchBody

from . import disruption, managed, shapes, validation
from .objects import digest, key_for, place_of, seconds_of, timestamp
from .rbac import EVERYTHING, Rule, allowed
from .selectors import as_text, parse_fields, parse_labels
from .state import State

_COUNTED = frozenset(
    {"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
)
"""Kinds that have a `metadata.generation`."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks: user, rights, the field manager of its writes, and whether its writes are `dryRun=All`."""

    user: str
    rules: tuple[Rule, ...] = EVERYTHING
    manager: str = "aiops"
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class LoggedWrite:
    """One write as an audit log has it. `verb` is patch, create, delete or evict; `time` Unix seconds; `code` the HTTP answer."""

    user: str
    verb: str
    ref: TargetRef
    subresource: str
    body: PatchBody | None
    code: int
    dry_run: bool
    time: float
    manager: str


class ApiServer:
    """Requests against the state. `after_write` is called, outside of dry-runs, once a write succeeded."""

    def __init__(self, state: State, context: str) -> None:
        self.state = state
        self.context = context
        self.log: list[LoggedWrite] = []
        self.after_write: Callable[[], None] = lambda: None

    # --- reads

    def get(self, account: Account, ref: TargetRef) -> JsonObject:
        """One object, a copy."""
        self.authorise(account, "get", ref.kind, ref.namespace, ref.name)
        return clone(self._found(ref))  # type: ignore[no-any-return]

    def list(self, account: Account, kind: str, namespace: str, labels: str, fields: str) -> tuple[list[JsonObject], str]:
        """Copies of what both selectors take, and the resourceVersion."""
        namespace = place_of(kind, namespace)
        self.authorise(account, "list", kind, namespace, "")
        by_label, by_field = parse_labels(labels), parse_fields(kind, fields)
        with self.state.lock:
            found = [clone(obj) for obj in self.state.all(kind, namespace) if by_label(obj) and by_field(obj)]
            return sorted(found, key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"])), str(self.state.version)

    def authorise(self, account: Account, verb: str, kind: str, namespace: str, name: str, subresource: str = "") -> None:
        """Raises ForbiddenError (403), and InvalidError for a kind that does not exist."""
        validation.known_kind(kind)
        known = KINDS[kind]
        resource = f"{known.plural}/{subresource}" if subresource else known.plural
        if not allowed(account.rules, verb, known.group, resource, namespace, name):
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            what = f"{known.plural}.{known.group}" if known.group else known.plural
            raise ForbiddenError(
                "Forbidden", f'{what} "{name}" is forbidden: User "{account.user}" cannot {verb} resource "{resource}"{where}', 403
            )

    def _found(self, ref: TargetRef) -> JsonObject:
        obj = self.state.find(key_for(ref))
        if obj is None:
            raise NotFoundError("NotFound", f'{KINDS[ref.kind].plural} "{ref.name}" not found', 404)
        return obj

    # --- writes

    @contextmanager
    def _logged(self, account: Account, verb: str, ref: TargetRef, subresource: str, body: PatchBody | None, code: int) -> Iterator[None]:
        try:
            with self.state.lock:
                yield
        except ClusterError as error:
            code = error.status
            raise
        finally:
            now = self.state.clock.now()
            self.log.append(LoggedWrite(account.user, verb, ref, subresource, clone(body), code, account.dry_run, now, account.manager))
        if not account.dry_run:
            self.after_write()

    def patch(self, account: Account, ref: TargetRef, body: PatchBody, subresource: str) -> JsonObject:
        """The object (or its Scale) after the patch; a copy."""
        with self._logged(account, "patch", ref, subresource, body, 200):
            self.authorise(account, "patch", ref.kind, ref.namespace, ref.name, subresource)
            before = self._found(ref)
            if subresource == "scale":
                return self._patch_scale(account, ref, before, body)
            if subresource not in ("", "status") or (subresource == "status" and ref.kind not in validation.WITH_STATUS):
                raise NotFoundError("NotFound", "the server could not find the requested resource", 404)
            patched = _patched(before, body)
            if subresource == "status":
                new = shapes.shaped({**clone(before), "status": patched.get("status") or {}})
                new["metadata"]["resourceVersion"] = patched["metadata"].get("resourceVersion")
            else:
                new = patched
                if ref.kind in validation.WITH_STATUS:
                    new.pop("status", None)
                    new |= {"status": clone(before["status"])} if "status" in before else {}
            return clone(self.update(account, before, new, subresource))  # type: ignore[no-any-return]

    def _patch_scale(self, account: Account, ref: TargetRef, before: JsonObject, body: PatchBody) -> JsonObject:
        if ref.kind not in validation.WITH_SCALE:
            raise NotFoundError("NotFound", "the server could not find the requested resource", 404)
        scale = _patched(_scale_of(before), body)
        replicas = (scale.get("spec") or {}).get("replicas", 0)
        if isinstance(replicas, bool) or not isinstance(replicas, int):
            raise InvalidError("BadRequest", f"Scale.spec.replicas: cannot unmarshal {type(replicas).__name__} into int32", 400)
        new = clone(before)
        new["spec"]["replicas"] = replicas
        # Only these two travel back from the Scale: its annotations and labels are dropped.
        new["metadata"] |= {name: scale["metadata"].get(name) for name in ("uid", "resourceVersion")}
        return _scale_of(self.update(account, before, new, "scale"))

    def update(self, account: Account, before: JsonObject, new: JsonObject, subresource: str) -> JsonObject:
        """Check and store the new state of an object; the stored one is returned (or what it would be)."""
        _keep_identity(before, new)
        if subresource != "status":
            new = validation.defaulted(new)
        validation.check(new, before)
        if same(new, before):
            return before
        meta = new["metadata"]
        if before["kind"] in _COUNTED and not same(_counted_part(new), _counted_part(before)):
            meta["generation"] = before["metadata"].get("generation", 1) + 1
        at = self.state.now()
        meta["managedFields"] = managed.record(before, new, manager=account.manager, subresource=subresource, at=at)
        if account.dry_run:
            return new
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and before["kind"] != "Pod":
            return self.state.remove(key_for(_ref(new))) or new
        return self.state.put(new)

    def create(self, account: Account, kind: str, namespace: str, body: JsonObject) -> JsonObject:
        """The stored object; a copy."""
        meta = body.get("metadata") or {}
        if not isinstance(meta, dict):
            raise InvalidError("BadRequest", f"metadata: cannot unmarshal {type(meta).__name__} into an object", 400)
        name = meta.get("name") or ""
        ref = TargetRef(kind, namespace, str(name), self.context)
        with self._logged(account, "create", ref, "", body, 201):
            self.authorise(account, "create", kind, namespace, "")
            if not name and meta.get("generateName"):
                name = f"{meta['generateName']}{digest(self.state.new_uid(), 5)}"
            return clone(self.insert(account, self._fresh(kind, namespace, str(name), body)))  # type: ignore[no-any-return]

    def _fresh(self, kind: str, namespace: str, name: str, body: JsonObject) -> JsonObject:
        known = KINDS[kind]
        if body.get("kind", kind) != kind or body.get("apiVersion", known.api_version) != known.api_version:
            raise InvalidError("BadRequest", f"{body.get('apiVersion')} {body.get('kind')} sent where {known.api_version} {kind} is", 400)
        meta = {k: v for k, v in (body.get("metadata") or {}).items() if k not in ("managedFields", "deletionTimestamp", "selfLink")}
        if meta.get("resourceVersion"):
            # The real server's own words and code.
            raise ClusterUnavailableError("Http500", "resourceVersion should not be set on objects to be created", 500)
        if meta.get("namespace", namespace) != namespace:
            raise InvalidError("BadRequest", "the namespace of the provided object does not match the namespace sent on the request", 400)
        if known.namespaced and not namespace:
            raise InvalidError("BadRequest", "an empty namespace may not be set during creation", 400)
        if known.namespaced and self.state.find(("Namespace", "", namespace)) is None:
            raise NotFoundError("NotFound", f'namespaces "{namespace}" not found', 404)
        if known.namespaced:
            meta["namespace"] = namespace
        elif namespace:
            raise InvalidError("BadRequest", "namespace may not be set for a cluster-scoped object", 400)
        meta["name"] = name
        obj = {**body, "apiVersion": known.api_version, "kind": kind, "metadata": meta}
        if kind in validation.WITH_STATUS and kind != "Node":
            obj.pop("status", None)
        return obj

    def insert(self, account: Account, obj: JsonObject) -> JsonObject:
        """Check a new object, give it its identity and store it (or not, in dry-run)."""
        obj = validation.defaulted(obj)
        validation.check(obj, None)
        kind, meta = obj["kind"], obj["metadata"]
        if self.state.find(key_for(_ref(obj))) is not None:
            raise ConflictError("AlreadyExists", f'{KINDS[kind].plural} "{meta["name"]}" already exists', 409)
        meta |= {"uid": self.state.new_uid(), "creationTimestamp": self.state.now()}
        if kind in _COUNTED:
            meta["generation"] = 1
        if kind == "Pod":
            obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
        if kind == "Job":
            shapes.label_job(obj)
        if kind == "Namespace":
            obj["status"] = {"phase": "Active"}
        if account.manager:
            meta["managedFields"] = managed.record(None, obj, manager=account.manager, subresource="", at=self.state.now())
        return obj if account.dry_run else self.state.put(obj)

    def delete(self, account: Account, ref: TargetRef, uid: str) -> None:
        """Delete in the background: dependents follow their owner."""
        body: JsonObject = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}} if uid else {}
        with self._logged(account, "delete", ref, "", body, 200):
            self.authorise(account, "delete", ref.kind, ref.namespace, ref.name)
            obj = self._found(ref)
            _require_uid(obj, uid)
            if not account.dry_run:
                self.drop(obj)

    def evict(self, account: Account, ref: TargetRef, uid: str) -> None:
        """Through the disruption budgets."""
        options = {"deleteOptions": {"preconditions": {"uid": uid}}} if uid else {}
        body: JsonObject = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": ref.name, "namespace": ref.namespace}}
        with self._logged(account, "evict", ref, "eviction", body | options, 201):
            if ref.kind != "Pod":
                raise NotFoundError("NotFound", "the server could not find the requested resource", 404)
            self.authorise(account, "create", "Pod", ref.namespace, ref.name, "eviction")
            pod = self._found(ref)
            _require_uid(pod, uid)
            budget = disruption.admit(self.state, pod)
            if account.dry_run:
                return
            if budget is not None:
                self.state.put(disruption.spent(budget, pod, self.state.now()))
            self.drop(pod)

    def drop(self, obj: JsonObject) -> None:
        """Delete an object: a pod on a node gets its grace period, one with finalizers waits for them, the rest goes with its dependents."""
        meta = obj["metadata"]
        graceful = obj["kind"] == "Pod" and obj["spec"].get("nodeName") and obj.get("status", {}).get("phase") in ("Pending", "Running")
        if graceful or meta.get("finalizers"):
            if "deletionTimestamp" not in meta:
                grace = obj["spec"].get("terminationGracePeriodSeconds", 30) if graceful else 0
                marked = clone(obj)
                at = timestamp(seconds_of(self.state.now()) + grace)
                marked["metadata"] |= {"deletionTimestamp": at, "deletionGracePeriodSeconds": grace}
                self.state.put(marked)
            return
        self.state.remove(key_for(_ref(obj)))
        for child in self.state.children(meta["uid"]):
            self.drop(child)


def _patched(document: JsonObject, body: PatchBody) -> JsonObject:
    result = patching.apply_operations(document, body) if isinstance(body, list) else patching.merge(clone(document), body)
    if not isinstance(result, dict) or not isinstance(result.get("metadata"), dict) or not isinstance(result.get("spec", {}), dict):
        raise InvalidError("Invalid", "the patch leaves no object with metadata and spec", 422)
    return result


def _scale_of(obj: JsonObject) -> JsonObject:
    meta = obj["metadata"]
    scale: JsonObject = {"apiVersion": "autoscaling/v1", "kind": "Scale"}
    scale["metadata"] = {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if k in meta}
    scale["spec"] = {"replicas": obj["spec"].get("replicas", 0)}
    scale["status"] = {"replicas": (obj.get("status") or {}).get("replicas", 0), "selector": as_text(obj["spec"]["selector"])}
    return scale


def _keep_identity(before: JsonObject, new: JsonObject) -> None:
    """Refuse what would make it another object, and put back what only the server writes."""
    old, meta = before["metadata"], new["metadata"]
    if (new.get("kind"), new.get("apiVersion")) != (before["kind"], before["apiVersion"]):
        raise InvalidError("BadRequest", "the kind or apiVersion of the object does not match the request", 400)
    for name in ("name", "namespace"):
        if meta.get(name, old.get(name)) != old.get(name):
            raise InvalidError(
                "BadRequest", f"the {name} of the object ({meta.get(name)}) does not match the request ({old.get(name)})", 400
            )
    if meta.get("uid") not in (None, old["uid"]):
        raise validation.invalid(before, "metadata.uid", f"Invalid value: {meta.get('uid')!r}: field is immutable")
    if meta.get("resourceVersion") not in (None, "", old["resourceVersion"]):
        raise ConflictError("Conflict", "the object has been modified; please apply your changes to the latest version and try again", 409)
    for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "deletionTimestamp"):
        meta.pop(name, None)
        if name in old:
            meta[name] = old[name]


def _counted_part(obj: JsonObject) -> JsonObject:
    """What a change of raises the generation: all but metadata and status, and the annotations of a Deployment."""
    part = {k: v for k, v in obj.items() if k not in ("metadata", "status")}
    return part | ({"annotations": obj["metadata"].get("annotations")} if obj["kind"] == "Deployment" else {})


def _require_uid(obj: JsonObject, uid: str) -> None:
    if uid and uid != obj["metadata"]["uid"]:
        why = f"the UID in the precondition ({uid}) does not match the UID in record ({obj['metadata']['uid']})"
        raise ConflictError("Conflict", f"Precondition failed: {why}", 409)


def _ref(obj: Any) -> TargetRef:
    return TargetRef(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])

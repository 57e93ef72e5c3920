"""The in-memory cluster as demos, replay and tests hold it: seeding, time, hooks to break things, and what was written.

It answers like the real API (one contract suite runs over both) and its controllers work in the time of the given clock.
Neighbours: `clients` (the ports), `server` (requests), `controllers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiops.adapters.patching import clone
from aiops.domain.errors import NotFoundError
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.ports.clock import Clock
from aiops.ports.cluster import WatchEvent

from . import validation
from .clients import MemoryReader, MemoryView, MemoryWriter
from .controllers.autoscaler import Autoscalers
from .controllers.deployment import Deployments
from .controllers.job import Jobs
from .controllers.kubelet import PREFIX, STATES, Kubelet, let_go
from .controllers.manager import Context, Manager
from .controllers.replicaset import ReplicaSets
from .controllers.statefulset import StatefulSets
from .objects import key_for, key_of, with_condition
from .rbac import EVERYTHING, Rule
from .server import Account, ApiServer, LoggedWrite
from .state import State

_SEEDER = Account("admin", manager="kubectl-client-side-apply")


class MemoryCluster:
    """One cluster.

    `nodes` fake nodes (node-0, node-1, …) and the namespace `default` are there from the start (neither without `controllers`).
    A pod is Ready `ready_after` seconds after it got its node, and gone `terminate_after` seconds after it was deleted.
    `history` changes are kept for watches. `watch_wait` is how long, in real seconds, a watch waits for the next event: 0 in virtual time.
    """

    def __init__(
        self,
        clock: Clock,
        name: str = "default",
        *,
        controllers: bool = True,
        nodes: int = 3,
        ready_after: float = 2.0,
        terminate_after: float = 1.0,
        history: int = 2000,
        watch_wait: float = 0.0,
    ) -> None:
        self.name = name
        self._clock = clock
        self._watch_wait = watch_wait
        self.state = State(clock, history)
        self.server = ApiServer(self.state, name)
        self._manager: Manager | None = None
        context = Context(self.state, self.server)
        self._kubelet = Kubelet(context, ready_after, terminate_after)
        if controllers:
            work = {
                "Deployment": Deployments(context).reconcile,
                "ReplicaSet": ReplicaSets(context).reconcile,
                "StatefulSet": StatefulSets(context).reconcile,
                "Job": Jobs(context).reconcile,
                "HorizontalPodAutoscaler": Autoscalers(context).reconcile,
                "Pod": self._kubelet.reconcile,
            }
            self._manager = Manager(context, work)
            self.server.after_write = self._after_write
            self.apply({"kind": "Namespace", "metadata": {"name": "default"}})
            for index in range(nodes):
                self.apply(node(index))

    # --- the ports

    @property
    def reader(self) -> MemoryReader:
        """Reads with all rights."""
        return self.reader_as()

    def reader_as(self, user: str = "admin", rules: Iterable[Rule] | None = None) -> MemoryReader:
        """Reads, and answers `can`, as an account; `rules` None is all rights."""
        return MemoryReader(self.server, Account(user, _rules(rules)), self._watch_wait)

    def writer(
        self, user: str = "aiops", field_manager: str = "aiops", rules: Iterable[Rule] | None = None, *, dry_run: bool = False
    ) -> MemoryWriter:
        """Writes as an account; with `dry_run` each is `dryRun=All`: checked and answered, never done."""
        return MemoryWriter(self.server, Account(user, _rules(rules), field_manager, dry_run))

    def view(self) -> MemoryView:
        """The cached view, always in step."""
        return MemoryView(self.state)

    @property
    def write_log(self) -> Sequence[LoggedWrite]:
        """Every write that was asked for through a writer, refused and dry-run ones too, oldest first."""
        return self.server.log

    # --- seeding

    def apply(self, obj: Mapping[str, Any]) -> JsonObject:
        """Create or replace, like `kubectl apply` of a whole manifest (a namespace that is missing is made). Not in the write log.

        `apiVersion` may be left out. The stored object is returned, a copy. Raises InvalidError as the API would.
        """
        new = clone(obj)
        validation.known_kind(new["kind"])
        kind = KINDS[new["kind"]]
        new["apiVersion"] = kind.api_version
        with self.state.lock:
            if kind.namespaced:
                namespace = new["metadata"].setdefault("namespace", "default")
                if self.state.find(("Namespace", "", namespace)) is None:
                    self.apply({"kind": "Namespace", "metadata": {"name": namespace}})
            before = self.state.find(key_of(new))
            if before is None:
                key = key_of(self.server.insert(_SEEDER, new))
            else:
                key = key_of(before)
                self.server.update(_SEEDER, before, _replaced(before, new), "")
        self._after_write()
        return clone(self.state.find(key))  # type: ignore[no-any-return]

    def remove(self, ref: TargetRef) -> None:
        """`kubectl delete`, by an administrator. Raises NotFoundError. Not in the write log."""
        with self.state.lock:
            self.server.drop(self._found(ref))
        self._after_write()

    def replay(self, event: WatchEvent) -> None:
        """Force the state of one object as a recording has it; only its resourceVersion becomes ours. Unknown kinds and bookmarks are passed over."""
        obj = event.object
        if event.type == "BOOKMARK" or obj.get("kind") not in KINDS:
            return
        with self.state.lock:
            if event.type == "DELETED":
                self.state.remove(key_of(obj))
            else:
                self.state.put(clone(obj))
        self._after_write()

    # --- time

    def step(self) -> bool:
        """Let the controllers do all that is due at the present clock time; True if there was anything."""
        return self._manager is not None and self._manager.run()

    def settle(self) -> None:
        """Like `step`: afterwards nothing changes until the clock moves (`next_due` says when)."""
        self.step()

    def next_due(self) -> float | None:
        """The clock time at which a controller has something to do next (pods becoming ready, deadlines), or None."""
        return None if self._manager is None else self._manager.context.next_due()

    def compact(self) -> None:
        """Forget the history: watches from before now are Gone (410)."""
        self.state.compact()

    def _after_write(self) -> None:
        self.step()

    # --- breaking things

    def fail(self, ref: TargetRef, state: str) -> None:
        """Make one pod NotReady, CrashLoopBackOff, OOMKilled or ImagePullBackOff from now on, by its annotation."""
        if state not in STATES:
            raise ValueError(f"{state!r} is no state of a pod: {', '.join(STATES)}")
        self._annotate(ref, state)

    def recover(self, ref: TargetRef) -> None:
        """End what `fail`, `set_pod_condition` or `set_container` did to a pod."""
        self._annotate(ref, None)
        with self.state.lock:
            let_go(self.state, self._kubelet, self._found(ref)["metadata"]["uid"])
        self._after_write()

    def set_pod_condition(self, ref: TargetRef, kind: str, status: str, reason: str = "", message: str = "") -> None:
        """Set one condition of a pod by hand (`Ready`, `False`, …); the kubelet leaves the pod alone until `recover` or its deletion."""
        new = {"type": kind, "status": status} | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})
        with self.state.lock:
            pod = self._hold(ref)
            status_now = pod.get("status") or {}
            conditions = with_condition(status_now.get("conditions") or [], new, self.state.now())
            self.state.put({**pod, "status": {**status_now, "conditions": conditions}})
        self._after_write()

    def set_container(
        self,
        ref: TargetRef,
        *,
        state: Mapping[str, Any] | None = None,
        last_state: Mapping[str, Any] | None = None,
        restarts: int | None = None,
        ready: bool | None = None,
        container: str = "",
    ) -> None:
        """Set the status of a container (the first, unless named) by hand: `{"waiting": {"reason": …}}`, restart count, readiness.

        The kubelet leaves the pod alone until `recover` or its deletion.
        """
        with self.state.lock:
            pod = self._hold(ref)
            name = container or pod["spec"]["containers"][0]["name"]
            status = clone(pod.get("status") or {})
            statuses = status.setdefault("containerStatuses", [])
            found = next((c for c in statuses if c["name"] == name), None)
            if found is None:
                found = {"name": name, "ready": False, "restartCount": 0, "state": {}}
                statuses.append(found)
            values = {"state": state, "lastState": last_state, "restartCount": restarts, "ready": ready}
            found |= {k: clone(v) for k, v in values.items() if v is not None}
            self.state.put({**pod, "status": status})
        self._after_write()

    def set_node_ready(self, name: str, *, ready: bool, reason: str = "") -> None:
        """A node goes NotReady (its pods at once, and given up after 300 s) or comes back."""
        with self.state.lock:
            found = self._found(TargetRef("Node", "", name))
            status = clone(found.get("status") or {})
            new = {"type": "Ready", "status": str(ready), "reason": reason or ("KubeletReady" if ready else "KubeletNotReady")}
            status["conditions"] = with_condition(status.get("conditions") or [], new, self.state.now())
            self.state.put({**found, "metadata": dict(found["metadata"]), "status": status})
        self._after_write()

    def _annotate(self, ref: TargetRef, state: str | None) -> None:
        with self.state.lock:
            pod = clone(self._found(ref))
            annotations = pod["metadata"].setdefault("annotations", {})
            annotations.pop(f"{PREFIX}state", None)
            if state is not None:
                annotations[f"{PREFIX}state"] = state
            self.state.put(pod)
        self._after_write()

    def _hold(self, ref: TargetRef) -> JsonObject:
        pod = self._found(ref)
        self._kubelet.held.add(pod["metadata"]["uid"])
        return {**pod, "metadata": dict(pod["metadata"])}

    def _found(self, ref: TargetRef) -> JsonObject:
        found = self.state.find(key_for(ref))
        if found is None:
            raise NotFoundError("NotFound", f"{ref} is not in the cluster", 404)
        return found


def node(index: int) -> JsonObject:
    """A Ready node of 16 cores and 64 GiB, named `node-<index>`; three zones in turn."""
    name = f"node-{index}"
    room = {"cpu": "16", "memory": "64Gi", "pods": "110"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": f"zone-{'abc'[index % 3]}"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {"allocatable": room, "capacity": room, "conditions": [ready]}
    return {"kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}


def _replaced(before: JsonObject, new: JsonObject) -> JsonObject:
    """The manifest over the stored object: what the manifest does not name of annotations and status stays (controllers write there)."""
    merged = clone(new)
    for part in ("annotations", "ownerReferences", "finalizers"):
        if part in before["metadata"]:
            old = before["metadata"][part]
            merged["metadata"][part] = {**old, **(merged["metadata"].get(part) or {})} if isinstance(old, dict) else old
    if "status" in before:
        merged.setdefault("status", clone(before["status"]))
    return merged  # type: ignore[no-any-return]


def _rules(rules: Iterable[Rule] | None) -> tuple[Rule, ...]:
    return EVERYTHING if rules is None else tuple(rules)

"""The work queue of the controllers: what changed is looked at again, and what falls due at a clock time is looked at then.

One thread, one order: the same inputs give the same cluster. Neighbours: `cluster` runs it, the other files here are the controllers.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping

from aiops.adapters.memory_cluster import disruption
from aiops.adapters.memory_cluster.objects import Key, controller_of, key_of, labels_of
from aiops.adapters.memory_cluster.selectors import matches
from aiops.adapters.memory_cluster.server import Account, ApiServer
from aiops.adapters.memory_cluster.state import Change, State
from aiops.adapters.patching import same
from aiops.domain.target import JsonObject

# One pass over a change needs a few looks; far more means two controllers undo each other, which is a bug to see.
_MOST_LOOKS = 200_000


class Context:
    """What a controller works with: the state, making and deleting, and being called again later."""

    def __init__(self, state: State, server: ApiServer) -> None:
        self.state = state
        self._server = server
        self._timers: list[tuple[float, Key]] = []
        # Controllers act with all rights and leave no managedFields: nobody asks who owns what they write.
        self._account = Account("system:kube-controller-manager", manager="")

    def now(self) -> float:
        """Unix seconds."""
        return self.state.clock.now()

    def create(self, obj: JsonObject) -> JsonObject:
        """Store a new object."""
        return self._server.insert(self._account, obj)

    def delete(self, obj: JsonObject) -> None:
        """Delete as the API does: pods with their grace period."""
        self._server.drop(obj)

    def put_status(self, obj: JsonObject, status: JsonObject) -> None:
        """Store a new status, if it is one."""
        if not same(obj.get("status") or {}, status):
            self.state.put({**obj, "metadata": dict(obj["metadata"]), "status": status})

    def put_spec(self, obj: JsonObject, **changes: object) -> JsonObject:
        """Store an object with changed members of its spec: the generation rises."""
        meta = {**obj["metadata"], "generation": obj["metadata"].get("generation", 1) + 1}
        return self.state.put({**obj, "metadata": meta, "spec": {**obj["spec"], **changes}})

    def put_annotations(self, obj: JsonObject, annotations: Mapping[str, str]) -> JsonObject:
        """Store an object with more annotations, if any of them is new."""
        old = obj["metadata"].get("annotations") or {}
        if all(old.get(k) == v for k, v in annotations.items()):
            return obj
        return self.state.put({**obj, "metadata": {**obj["metadata"], "annotations": {**old, **annotations}}})

    def again(self, when: float, obj: JsonObject) -> None:
        """Look at the object again at a clock time."""
        heapq.heappush(self._timers, (when, key_of(obj)))

    def due(self) -> list[Key]:
        """Take the keys whose time has come."""
        found, now = [], self.now()
        while self._timers and self._timers[0][0] <= now:
            found.append(heapq.heappop(self._timers)[1])
        return found

    def next_due(self) -> float | None:
        """When the next timer falls due, or None."""
        return self._timers[0][0] if self._timers else None


class Manager:
    """Runs the controllers of each kind over what changed."""

    def __init__(self, context: Context, controllers: Mapping[str, Callable[[JsonObject], None]]) -> None:
        self.context = context
        self._controllers = {**controllers, "PodDisruptionBudget": self._budget}
        self._queue: dict[Key, None] = {}
        self._running = False
        context.state.listeners.append(self._notice)

    def run(self) -> bool:
        """Look at all that changed or fell due, until nothing more changes at the present time; True if there was anything."""
        state = self.context.state
        with state.lock:
            if self._running:
                return False
            self._running = True
            looks = 0
            try:
                while True:
                    for key in self.context.due():
                        self._queue[key] = None
                    if not self._queue:
                        return looks > 0
                    key = next(iter(self._queue))
                    del self._queue[key]
                    looks += 1
                    if looks > _MOST_LOOKS:
                        raise RuntimeError(f"the controllers do not come to rest: last looked at {key}")
                    obj = state.find(key)
                    if obj is not None:
                        self._controllers[key[0]](obj)
            finally:
                self._running = False

    def _notice(self, change: Change) -> None:
        kind, namespace, _ = change.key
        self._enqueue(change.key)
        above = self._enqueue_owner(change.object, namespace)
        if change.type == "DELETED" and kind == "Pod" and above is not None:
            # A Deployment that recreates waits until the last pod is gone.
            self._enqueue_owner(above, namespace)
        if kind == "Node":
            for pod in self.context.state.all("Pod"):
                if pod["spec"].get("nodeName", "") in ("", change.key[2]):
                    self._enqueue(key_of(pod))
        else:
            self._enqueue_around(change)

    def _enqueue_around(self, change: Change) -> None:
        """What counts the object without owning it: budgets and autoscalers."""
        state, (kind, namespace, name) = self.context.state, change.key
        if kind == "Pod":
            for budget in state.all("PodDisruptionBudget", namespace):
                if matches(budget["spec"].get("selector"), labels_of(change.object)):
                    self._enqueue(key_of(budget))
        elif kind in ("Deployment", "StatefulSet", "ReplicaSet"):
            # How many pods a budget expects follows from the replicas wanted.
            for budget in state.all("PodDisruptionBudget", namespace):
                self._enqueue(key_of(budget))
            for autoscaler in state.all("HorizontalPodAutoscaler", namespace):
                if autoscaler["spec"]["scaleTargetRef"].get("name") == name:
                    self._enqueue(key_of(autoscaler))

    def _enqueue_owner(self, obj: JsonObject, namespace: str) -> JsonObject | None:
        owner = controller_of(obj)
        if owner is None or owner["kind"] not in self._controllers:
            return None
        key: Key = (owner["kind"], namespace, owner["name"])
        self._enqueue(key)
        return self.context.state.find(key)

    def _enqueue(self, key: Key) -> None:
        if key[0] in self._controllers:
            self._queue[key] = None

    def _budget(self, budget: JsonObject) -> None:
        state = self.context.state
        self.context.put_status(budget, disruption.status_of(state, budget))

"""The cached view of one cluster: a list and a watch for each kind, each in a thread of its own, resumed where it broke off.

Errors of one kind stay with that kind: they are in `sight().errors`, are logged when they begin and when they end, and are tried again with
a growing, jittered wait. Neighbours: `ports.cluster` (reader below, view above), `reader`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence

from aiops.adapters.view_shape import slim
from aiops.domain.errors import ClusterError, ForbiddenError, GoneError
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.ports.clock import Clock
from aiops.ports.cluster import ClusterReader, Sight, WatchEvent

log = logging.getLogger("aiops.kubernetes")

DEFAULT_KINDS = (
    *("Pod", "Node", "Namespace", "Event", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"),
    *("HorizontalPodAutoscaler", "PodDisruptionBudget", "Job", "CronJob", "ConfigMap", "Service", "EndpointSlice"),
)
OWNED_KINDS = frozenset({"Deployment", "StatefulSet", "HorizontalPodAutoscaler", "ConfigMap"})
"""Kinds whose managedFields are kept: who owns a replica count, the bounds of one, or a configuration, is asked of them."""

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_FORBIDDEN_WAIT = 60.0
_ENDED_AT_ONCE = 1.0

Watcher = Callable[[WatchEvent], None]


class _Cache:
    """The objects of one kind, and how well we see them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.objects: dict[str, dict[str, JsonObject]] = {}
        self.version = ""
        self.listed = False
        self.seen_at = 0.0
        self.error = ""
        self.forbidden = False
        self.failures = 0


class Informer:
    """`ports.cluster.ClusterView`.

    `jitter` gives numbers from 0 up to 1 for the waits between tries. `watch_seconds` is how long one watch lasts: a quiet kind is known to be
    alive only when its watch ends, so `sight().seen_at` can be that old in a healthy cluster. `interrupt` breaks off the reader's watches, so
    that `stop` need not wait for them. `whole`: nothing is left out of any kind (see `view_shape`), for recording. `on_event` is told of each change, in order within a kind, from that kind's thread (for recording).
    """

    def __init__(
        self,
        reader: ClusterReader,
        clock: Clock,
        *,
        context: str = "default",
        kinds: Iterable[str] = DEFAULT_KINDS,
        namespace: str = "",
        jitter: Callable[[], float],
        interrupt: Callable[[], None] = lambda: None,
        keep_managed: Collection[str] = OWNED_KINDS,
        watch_seconds: float = 30.0,
        on_event: Watcher | None = None,
        whole: bool = False,
    ) -> None:
        self._reader, self._clock, self._context, self._namespace = reader, clock, context, namespace
        self._jitter, self._interrupt = jitter, interrupt
        self._keep_managed, self._watch_seconds, self._on_event = frozenset(keep_managed), watch_seconds, on_event
        self._whole = whole
        self._caches = {kind: _Cache(kind) for kind in kinds}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._settled = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []

    # --- the port

    def objects(self, kind: str, namespace: str = "") -> Sequence[JsonObject]:
        """See the port. A kind that is not kept has no objects."""
        with self._lock:
            cache = self._caches.get(kind)
            if cache is None:
                return []
            if namespace and KINDS[kind].namespaced:
                return list(cache.objects.get(namespace, {}).values())
            return [obj for place in cache.objects.values() for obj in place.values()]

    def find(self, ref: TargetRef) -> JsonObject | None:
        """See the port."""
        with self._lock:
            cache = self._caches.get(ref.kind)
            namespace = ref.namespace if ref.kind in KINDS and KINDS[ref.kind].namespaced else ""
            return cache.objects.get(namespace, {}).get(ref.name) if cache else None

    def sight(self) -> Sight:
        """See the port. Kinds that the account never could list do not count for `synced` and `seen_at`; they are in `errors`."""
        with self._lock:
            counted = [c for c in self._caches.values() if not c.forbidden]
            errors = {c.kind: c.error for c in self._caches.values() if c.error}
            synced = bool(counted) and all(c.listed for c in counted)
            return Sight(synced, min((c.seen_at for c in counted), default=0.0), errors)

    # --- life

    def start(self) -> None:
        """Begin: one thread for each kind."""
        for kind in self._caches:
            thread = threading.Thread(target=self._keep, args=(kind,), name=f"informer-{self._context}-{kind}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait_settled(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds until each kind was listed or refused; True if so."""
        with self._settled:
            return self._settled.wait_for(lambda: all(c.listed or c.error for c in self._caches.values()), timeout)

    def stop(self, grace: float = 5.0) -> bool:
        """End all threads, waiting at most about `grace` seconds; True if all ended."""
        self._stopping.set()
        deadline = self._clock.monotonic() + grace
        for thread in self._threads:
            while thread.is_alive() and self._clock.monotonic() < deadline:
                # Again and again: a watch may begin just after it was interrupted.
                self._interrupt()
                thread.join(0.05)
        return not any(t.is_alive() for t in self._threads)

    # --- one kind

    def _keep(self, kind: str) -> None:
        cache = self._caches[kind]
        while not self._stopping.is_set():
            try:
                if not cache.version:
                    self._list(cache)
                self._watch(cache)
            except GoneError:
                # What we saw is too old to go on from; what is cached stays until the new list replaces it.
                cache.version = ""
            except ClusterError as error:
                if self._clock.now() - cache.seen_at > self._watch_seconds:
                    # Blind for long: a list shows at once that we see again, a watch of a quiet kind only when it ends.
                    cache.version = ""
                if not self._stopping.is_set():
                    self._stopping.wait(self._failed(cache, error))
            except Exception as error:
                # The boundary of the thread: a kind must not go blind for good.
                log.exception("the watch of %s in %s met something unforeseen", kind, self._context)
                cache.version = ""
                self._stopping.wait(self._failed(cache, ClusterError("Internal", f"{type(error).__name__}: {error}")))

    def _list(self, cache: _Cache) -> None:
        page = self._reader.list(cache.kind, self._namespace)
        fresh: dict[str, dict[str, JsonObject]] = {}
        for obj in (self._slim(cache.kind, item) for item in page.items):
            meta = obj["metadata"]
            fresh.setdefault(meta.get("namespace", ""), {})[meta["name"]] = obj
        with self._lock:
            old, cache.objects = cache.objects, fresh
            cache.version, cache.listed = page.resource_version, True
            self._seen(cache)
        if self._on_event is not None:
            for event in _differences(old, fresh):
                self._on_event(event)

    def _watch(self, cache: _Cache) -> None:
        began, heard = self._clock.monotonic(), False
        for event in self._reader.watch(cache.kind, cache.version, namespace=self._namespace, timeout=self._watch_seconds):
            heard = True
            self._take(cache, event)
            if self._stopping.is_set():
                return
        with self._lock:
            self._seen(cache)
        if not heard and self._clock.monotonic() - began < _ENDED_AT_ONCE:
            # A server that ends watches at once must not make us ask without pause.
            self._stopping.wait(self._wait_for(1))

    def _take(self, cache: _Cache, event: WatchEvent) -> None:
        obj = event.object
        meta = obj["metadata"]
        with self._lock:
            cache.version = meta["resourceVersion"]
            self._seen(cache)
            if event.type == "BOOKMARK":
                return
            obj = self._slim(cache.kind, obj)
            place = cache.objects.setdefault(meta.get("namespace", ""), {})
            if event.type == "DELETED":
                place.pop(meta["name"], None)
            else:
                place[meta["name"]] = obj
        if self._on_event is not None:
            self._on_event(event)

    def _slim(self, kind: str, obj: JsonObject) -> JsonObject:
        """Bookkeeping of field owners is often the larger half of an object; and what some kinds hold may be anything. Listeners get it whole."""
        if kind not in self._keep_managed:
            obj["metadata"].pop("managedFields", None)
        return obj if self._whole else slim(kind, obj)

    # --- how well we see

    def _seen(self, cache: _Cache) -> None:
        if cache.error:
            log.info("%s in %s can be seen again", cache.kind, self._context)
        cache.error, cache.forbidden, cache.failures = "", False, 0
        cache.seen_at = self._clock.now()
        self._settled.notify_all()

    def _failed(self, cache: _Cache, error: ClusterError) -> float:
        """Note it; how many seconds to wait."""
        with self._lock:
            if not cache.error:
                log.warning("%s in %s cannot be seen: %s", cache.kind, self._context, error)
            cache.error = str(error)
            # A kind that was never ours to see may be left out; one that we saw and lost, or an account that is not known (401), may not.
            cache.forbidden = isinstance(error, ForbiddenError) and error.status == 403 and not cache.listed
            cache.failures += 1
            self._settled.notify_all()
        return self._wait_for(cache.failures) if not isinstance(error, ForbiddenError) else _FORBIDDEN_WAIT * (0.5 + self._jitter())

    def _wait_for(self, failures: int) -> float:
        longest: float = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures - 1, 10))
        return longest * (0.5 + 0.5 * self._jitter())


def _differences(old: dict[str, dict[str, JsonObject]], new: dict[str, dict[str, JsonObject]]) -> Iterable[WatchEvent]:
    """What a watch would have said between two lists."""
    for namespace, place in old.items():
        for name, obj in place.items():
            if name not in new.get(namespace, {}):
                yield WatchEvent("DELETED", obj)
    for namespace, place in new.items():
        for name, obj in place.items():
            before = old.get(namespace, {}).get(name)
            if before is None or before["metadata"].get("resourceVersion") != obj["metadata"].get("resourceVersion"):
                yield WatchEvent("MODIFIED" if before else "ADDED", obj)

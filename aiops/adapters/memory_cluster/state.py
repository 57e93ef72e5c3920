"""What the in-memory cluster keeps: objects by kind and place, a bounded history for watches, and one rising resourceVersion.

The part of etcd and the watch cache. Neighbours: `server` and the controllers put and remove; the view reads straight from here.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiops.domain.errors import GoneError
from aiops.domain.target import KINDS, JsonObject
from aiops.ports.clock import Clock

from .objects import Key, key_of, timestamp

FIRST_VERSION = 1000
"""Where resourceVersions begin: what is below is too old, as on a server that has been running for a while."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the history. `type` is ADDED, MODIFIED or DELETED; `object` carries the resourceVersion of the step."""

    version: int
    type: str
    key: Key
    object: JsonObject


class State:
    """All objects. Every method holds `lock`; stored objects are never changed in place, so what was handed out stays as it was."""

    def __init__(self, clock: Clock, history: int) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.listeners: list[Callable[[Change], None]] = []
        self._objects: dict[str, dict[str, dict[str, JsonObject]]] = {kind: {} for kind in KINDS}
        self._children: dict[str, dict[Key, None]] = {}
        self._history: deque[Change] = deque(maxlen=history)
        self._floor = FIRST_VERSION
        self._version = FIRST_VERSION
        self._made = 0

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    def now(self) -> str:
        """The present time as objects carry it."""
        return timestamp(self.clock.now())

    def new_uid(self) -> str:
        """A fresh uid; the same ones in each run, so that recordings compare."""
        self._made += 1
        raw = hashlib.sha256(f"aiops/{self._made}".encode()).hexdigest()
        return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-8{raw[17:20]}-{raw[20:32]}"

    def find(self, key: Key) -> JsonObject | None:
        """The stored object, or None."""
        kind, namespace, name = key
        return self._objects[kind].get(namespace, {}).get(name)

    def all(self, kind: str, namespace: str = "") -> list[JsonObject]:
        """Every object of a kind, of one namespace or of all, in order of creation within a namespace."""
        with self.lock:
            places = self._objects[kind]
            if namespace:
                return list(places.get(namespace, {}).values())
            return [obj for place in places.values() for obj in place.values()]

    def children(self, uid: str, kind: str = "") -> list[JsonObject]:
        """Objects that name this uid as an owner, in order of creation."""
        with self.lock:
            found = (self.find(key) for key in self._children.get(uid, ()) if not kind or key[0] == kind)
            return [obj for obj in found if obj is not None]

    def put(self, obj: JsonObject) -> JsonObject:
        """Store a new state (the caller gives the object away); returns it with its new resourceVersion."""
        with self.lock:
            key = key_of(obj)
            before = self.find(key)
            self._version += 1
            obj["metadata"]["resourceVersion"] = str(self._version)
            if before is not None:
                self._unlink(before, key)
            self._objects[key[0]].setdefault(key[1], {})[key[2]] = obj
            for owner in obj["metadata"].get("ownerReferences") or ():
                self._children.setdefault(owner["uid"], {})[key] = None
            self._remember(Change(self._version, "MODIFIED" if before else "ADDED", key, obj))
            return obj

    def remove(self, key: Key) -> JsonObject | None:
        """Take an object away at once; returns its last state, or None if it was not there."""
        with self.lock:
            obj = self.find(key)
            if obj is None:
                return None
            self._unlink(obj, key)
            del self._objects[key[0]][key[1]][key[2]]
            self._version += 1
            last = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
            self._remember(Change(self._version, "DELETED", key, last))
            return last

    def _unlink(self, obj: JsonObject, key: Key) -> None:
        for owner in obj["metadata"].get("ownerReferences") or ():
            known = self._children.get(owner["uid"])
            if known is not None:
                known.pop(key, None)
                if not known:
                    del self._children[owner["uid"]]

    def _remember(self, change: Change) -> None:
        if self._history.maxlen and len(self._history) == self._history.maxlen:
            self._floor = self._history[0].version
        self._history.append(change)
        for listener in self.listeners:
            listener(change)
        self.changed.notify_all()

    def since(self, version: int, kind: str, namespace: str) -> Sequence[Change]:
        """Steps after `version`, oldest first. Raises GoneError (410) when some of them are no longer kept."""
        with self.lock:
            if version < self._floor:
                raise GoneError("Expired", f"too old resource version: {version} ({self._floor})", 410)
            found: list[Change] = []
            for change in reversed(self._history):
                if change.version <= version:
                    break
                if change.key[0] == kind and namespace in ("", change.key[1]):
                    found.append(change)
            return found[::-1]

    def compact(self) -> None:
        """Forget the history: watches from before are Gone."""
        with self.lock:
            self._history.clear()
            self._floor = self._version

"""The global kill switch: while any of its parts is on, nothing is written to the outside. People are told; watching and recording go on.

Four parts, so that one works when others do not: a file, a signal, a key of a ConfigMap, and what `aiops pause` stores. A part that is configured
and cannot be read counts as on. Neighbours: the guard `paused` at planning, `guarding.permit` just before each effect, also of an undo.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiops.domain.errors import ClusterError
from aiops.domain.target import JsonObject, TargetRef
from aiops.ports.clock import Clock
from aiops.ports.storage import Reading

PAUSED = "paused"
"""The store's value that says who paused acting, when and why."""
LOOK_EVERY = 5.0
"""Seconds between two reads of the ConfigMap."""
STALE_AFTER = 20.0
"""Seconds after which what was read of it is not believed any more."""

Get = Callable[[TargetRef], JsonObject]


class SignalSwitch:
    """SIGUSR1 switches it on, SIGUSR2 off; it begins off with each process. Setting it is safe in a signal handler."""

    def __init__(self) -> None:
        self.on = False

    def pause(self, *_: Any) -> None:
        """Handler of SIGUSR1."""
        self.on = True

    def resume(self, *_: Any) -> None:
        """Handler of SIGUSR2."""
        self.on = False


@dataclass(frozen=True, slots=True)
class ConfigMapKey:
    """`key` of the ConfigMap `ref` must say `false` (any case) for anything to be done; `get` reads the object. Raises the ClusterError family."""

    ref: TargetRef
    key: str
    get: Get


class KillSwitch:
    """Calling it says whether it is on. Thread-safe."""

    def __init__(
        self, store: Reading, clock: Clock, *, file: Path | None = None, signals: SignalSwitch | None = None, config_map: ConfigMapKey | None = None
    ) -> None:
        self._store, self._clock, self._file, self._config_map = store, clock, file, config_map
        self.signals = signals or SignalSwitch()
        self._lock = threading.Lock()
        self._read = ("it was not read yet", clock.now())

    @property
    def remote(self) -> bool:
        """Whether `look` has something to read."""
        return self._config_map is not None

    def __call__(self) -> bool:
        """Raises StoreError if nothing else is on and the store does not say."""
        return bool(self.why())

    def why(self, *, fresh: bool = False) -> str:
        """Which part is on and what it says, or empty. `fresh` asks the API server for the ConfigMap now, otherwise what was last read counts.

        Raises StoreError if nothing else is on and the store does not say.
        """
        if fresh:
            self.look()
        return self._by_file() or self._by_signal() or self._by_config_map() or self._by_store()

    def look(self) -> None:
        """Read the ConfigMap, if there is one. A request: never under a lock of the flow."""
        if self._config_map is None:
            return
        words = _said(self._config_map)
        with self._lock:
            self._read = (words, self._clock.now())

    def _by_file(self) -> str:
        try:
            return f"the pause file {self._file} is there" if self._file is not None and self._file.exists() else ""
        except OSError as error:  # a folder that may not be entered, a mount that is gone
            return f"the pause file {self._file} cannot be looked for: {error.strerror}"

    def _by_signal(self) -> str:
        return "SIGUSR1 was sent to the process; SIGUSR2 ends that" if self.signals.on else ""

    def _by_config_map(self) -> str:
        if self._config_map is None:
            return ""
        with self._lock:
            words, at = self._read
        age = self._clock.now() - at
        if not words and not 0.0 <= age <= STALE_AFTER:
            words = f"it was not read for {age:.0f} s"
        return f"ConfigMap {self._config_map.ref.namespace}/{self._config_map.ref.name}, key {self._config_map.key}: {words}" if words else ""

    def _by_store(self) -> str:
        value = self._store.value(PAUSED)
        if value is None:
            return ""
        said = value if isinstance(value, dict) else {}
        return f"paused by {said.get('by') or 'somebody'}" + (f": {said['reason']}" if said.get("reason") else "")


def _said(switch: ConfigMapKey) -> str:
    """Why it is on, or empty. Only a clear `false` is off."""
    try:
        data = switch.get(switch.ref).get("data")
    except ClusterError as error:
        return f"it cannot be read: {error}"
    if not isinstance(data, dict) or switch.key not in data:
        return "it is not there; `false` must be written there for anything to be done"
    value = str(data[switch.key]).strip().lower()
    if value == "false":
        return ""
    return "true" if value == "true" else f"{value[:40]!r} is neither true nor false"

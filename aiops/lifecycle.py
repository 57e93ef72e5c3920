"""Start in order, stop in the reverse order, under one deadline: each thing started registers its cleanup at once.

Neighbours: `app` starts everything through here. A cleanup that fails does not keep the others from running.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiops.domain.errors import AiopsError


class ShutdownError(AiopsError):
    """One or more cleanups failed; the causes are in `failures` by name."""

    def __init__(self, failures: dict[str, BaseException]) -> None:
        self.failures = failures
        super().__init__("; ".join(f"{name}: {error}" for name, error in failures.items()))


@dataclass
class Lifecycle:
    """A stack of named cleanups. `monotonic` in seconds."""

    monotonic: Callable[[], float]
    _stack: list[tuple[str, Callable[[float], object]]] = field(default_factory=list)

    def add(self, name: str, cleanup: Callable[[float], object]) -> None:
        """Register what undoes the start just made; it is called with the seconds that remain."""
        self._stack.append((name, cleanup))

    def stop(self, grace: float) -> None:
        """Run all cleanups backwards within `grace` seconds in all. Raises ShutdownError after all of them ran."""
        deadline = self.monotonic() + grace
        failures: dict[str, BaseException] = {}
        while self._stack:
            name, cleanup = self._stack.pop()
            try:
                cleanup(max(0.0, deadline - self.monotonic()))
            except Exception as error:  # noqa: BLE001 (the others must still run; all are reported)
                failures[name] = error
        if failures:
            raise ShutdownError(failures)

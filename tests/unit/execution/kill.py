"""A process that dies in the middle of what it sends: before the bytes have left, or after the effect and before the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aiops.domain.execution import Execution
from tests.unit.execution.stage import Stage


class Killed(BaseException):
    """Not to be caught by anybody."""


class Dying:
    """A port of which the named call kills the process, once, `before` or `after` it was carried out; or loses its answer, as often as is said."""

    def __init__(self, port: Any, name: str, *, when: str = "after", error: BaseException | None = None, times: int = 1) -> None:
        self._port, self._name, self._when, self._error, self.left = port, name, when, error or Killed(), times

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name != self._name:
            return call

        def doomed(*args: Any, **options: Any) -> Any:
            if self.left <= 0:
                return call(*args, **options)
            self.left -= 1
            if self._when == "after":
                call(*args, **options)
            raise self._error

        return doomed


def die_and_live(stage: Stage, execution: Execution, restore: Callable[[], None]) -> Any:
    """Run until the process is killed, start another one with sound ports, and run to the end."""
    with pytest.raises(Killed):
        stage.run(execution)
    restore()
    stage.restart()
    return stage.run(execution)

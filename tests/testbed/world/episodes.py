"""What became of each fault: when it began, when its condition was met and after whose write, and which writes were wrong. Pure.

Neighbours: `simulation` knows the faults, `writes` are collected by `live` and `virtual`; tests assert on `Episode`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.testbed.world.active import Active
from tests.testbed.world.writes import Write, is_allowed


@dataclass(frozen=True, slots=True)
class Episode:
    """One fault from when it was switched on. Times are Unix seconds; None: not (yet).

    `recovered` is when, after the cure, a time began in which the objective held for two minutes. `right` are writes that took effect while it was on and that it allows, `wrong` those that it does not; `tried` were dry-runs or refused.
    `cured_by` is the last right write before the cure; None if it was cured without one.
    """

    fault: str
    service: str
    act: str
    began: float
    cured: float | None
    ended: float | None
    cured_by: Write | None
    right: tuple[Write, ...]
    wrong: tuple[Write, ...]
    tried: tuple[Write, ...]
    recovered: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def episodes(history: Sequence[Active], writes: Sequence[Write], now: float, *, ignore: frozenset[str] = frozenset()) -> tuple[Episode, ...]:
    """One for each fault that was on. A write during several faults is right if one of them allows it; users in `ignore` are passed over."""
    return tuple(_episode(active, history, writes, now, ignore) for active in history)


def _episode(active: Active, history: Sequence[Active], writes: Sequence[Write], now: float, ignore: frozenset[str]) -> Episode:
    end = now if active.ended is None else active.ended
    during = [write for write in writes if write.counts and write.user not in ignore and active.begun <= write.at <= end]
    right, wrong, tried = [], [], []
    for write in during:
        if not write.done:
            tried.append(write)
        elif _allows(active, write, during):
            right.append(write)
        elif not any(_allows(other, write, during) for other in history if other.begun <= write.at and (other.ended is None or write.at <= other.ended)):
            wrong.append(write)
    cured_by = None
    if active.cured is not None:
        cured_by = next((write for write in reversed(right) if write.at <= active.cured), None)
    fault = active.fault
    name = f"{fault.namespace}/{fault.service}"
    return Episode(fault.name, name, fault.act, active.begun, active.cured, active.ended, cured_by, tuple(right), tuple(wrong), tuple(tried), active.recovered)


def _allows(active: Active, write: Write, during: Sequence[Write]) -> bool:
    """An entry with `times` allows only so many writes, the first ones."""
    for allowed in active.fault.allowed:
        if is_allowed(write, allowed, active.sick):
            before = [each for each in during if each.done and active.begun <= each.at and is_allowed(each, allowed, active.sick)]
            if allowed.times is None or any(each is write for each in before[: allowed.times]):
                return True
    return False

"""What a drift detector has seen of one feature, in cells: a stretch of time each, with the numbers or the counts of it. Bounded.

Neighbours: `drift` fills and cuts it, `reference` makes bins of it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiops.detect.population import OTHER
from aiops.detect.reference import Cell, Reference, loaded
from aiops.domain.series import Floats

MAX_NAMES = 200
"""Categories or buckets that one cell tells apart; the rest is counted together."""
MAX_COUNT = 2.0**53
_NAME = 200


@dataclass
class History:
    """Cells by time of their beginning, rising; the cell under way last. `last`: a counter's values at the last poll. `anchor`: when a fixed reference begins."""

    kind: str
    times: list[float] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    last: dict[str, float] | None = None
    seen: float = -math.inf
    anchor: float = math.nan
    fixed: Reference | None = None
    version: int = 1

    def add_values(self, at: float, values: Floats, spacing: float) -> None:
        """Numbers of one time; less than `spacing` seconds after the last they are left out."""
        # A hair's breadth of tolerance: polls as far apart as the spacing are all kept.
        if len(values) and (not self.times or at - self.times[-1] >= spacing * 0.999):
            self.times.append(at)
            self.cells.append(np.sort(values))

    def add_counts(self, at: float, counts: Mapping[str, float], length: float, *, counter: bool) -> None:
        """Counts since the last poll, or, of counters, since they began. A counter that fell began anew at zero."""
        counts = _bounded(counts, exact=self.kind == "histogram")
        if counter:
            before, self.last = self.last, dict(counts)
            if before is None:
                return
            counts = _increase(before, counts)
        if not counts or not any(counts.values()):
            return
        cell = self.cells[-1] if self.cells else None
        alike = isinstance(cell, dict) and (self.kind != "histogram" or cell.keys() == counts.keys())
        if cell is None or not alike or at - self.times[-1] >= length * 0.999:
            self.times.append(at)
            self.cells.append(dict(counts))
            return
        assert isinstance(cell, dict)
        for name, count in counts.items():
            cell[name if name in cell or len(cell) < MAX_NAMES else OTHER] = cell.get(name, 0.0) + count

    def between(self, start: float, end: float) -> tuple[list[float], list[Cell]]:
        """Times and cells with start <= t < end."""
        first, last = np.searchsorted(self.times, [start, end])
        return self.times[first:last], self.cells[first:last]

    def drop(self, start: float, end: float = math.inf) -> None:
        """Keep start <= t < end."""
        self.times, self.cells = self.between(start, end)

    def dump(self) -> dict[str, Any]:
        """JSON-ready; numbers are written so that they are read back exactly."""
        cells = [cell.tolist() if isinstance(cell, np.ndarray) else dict(cell) for cell in self.cells]
        return {
            "kind": self.kind, "times": self.times, "cells": cells, "last": self.last, "seen": self.seen, "anchor": self.anchor, "version": self.version,
            "fixed": None if self.fixed is None else self.fixed.dump(),
        }


def revived(dumped: Mapping[str, Any]) -> History:
    """What `dump` gave. Raises ValueError, KeyError or TypeError if it is something else."""
    cells: list[Cell] = [np.array(cell, dtype=np.float64) if isinstance(cell, list) else {str(k): float(v) for k, v in cell.items()} for cell in dumped["cells"]]
    times, fixed, last = [float(t) for t in dumped["times"]], dumped["fixed"], dumped["last"]
    if len(times) != len(cells):
        raise ValueError("times and cells differ in number")
    return History(
        str(dumped["kind"]), times, cells, None if last is None else {str(k): float(v) for k, v in last.items()}, float(dumped["seen"]),
        float(dumped["anchor"]), None if fixed is None else loaded(fixed), int(dumped["version"]),
    )


def _bounded(counts: Mapping[str, float], *, exact: bool) -> dict[str, float]:
    """Counts that can be added: finite, not negative, not absurd, and not too many names; of a histogram all or none."""
    fine = {name[:_NAME]: count for name, count in counts.items() if 0.0 <= count <= MAX_COUNT}
    if exact:
        return fine if len(fine) == len(counts) <= MAX_NAMES else {}
    if len(fine) <= MAX_NAMES:
        return fine
    ranked = sorted(fine.items(), key=lambda item: (-item[1], item[0]))
    kept = dict(ranked[: MAX_NAMES - 1])
    kept[OTHER] = kept.get(OTHER, 0.0) + sum(count for name, count in ranked[MAX_NAMES - 1 :] if name != OTHER)
    return kept


def _increase(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """Of a reset (any count is less than it was) what was counted since, as Prometheus does. Names that are new began at zero."""
    if any(now.get(name, count) < count for name, count in before.items()):
        return dict(now)
    return {name: count - before.get(name, 0.0) for name, count in now.items()}


def chosen(values: Sequence[tuple[str, float]], at: float, most: int) -> Floats:
    """At most `most` of the members' numbers; which ones changes from time to time but not with their order."""
    if len(values) > most:


        values = sorted(values, key=lambda item: (zlib.crc32(f"{at:.0f}/{item[0]}".encode()), item))[:most]
    return np.array([value for _, value in values], dtype=np.float64)

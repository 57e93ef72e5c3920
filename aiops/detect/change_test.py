"""What a test for a change of the mean is, whatever its algorithm. Neighbours: `adwin`, `page_hinkley` are such; `change` asks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aiops.detect.arrays import Column, Flags, RowArrays, Rows
from aiops.domain.series import Floats


@dataclass(frozen=True, slots=True)
class Step:
    """Of one value more for each row: `ratio` is 1.0 at the threshold, beyond it a change is found, NaN where nothing was tried; `up`: the mean rose; `mean` so far."""

    ratio: Floats
    up: Flags
    mean: Floats


class ChangeTest(Protocol):
    """Its state is part of the rows' (`columns`, beside a column `count` of samples since it began); `minimum`: samples before it says anything."""

    minimum: int

    @property
    def columns(self) -> dict[str, Column]:
        """State of one row."""
        ...

    def spread(self, state: RowArrays, rows: Rows) -> Floats:
        """Standard deviation of what it holds of each row."""
        ...

    def step(self, state: RowArrays, rows: Rows, values: Floats) -> Step:
        """Take one finite value for each of distinct rows."""
        ...

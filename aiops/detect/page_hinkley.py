"""Page's test with Hinkley's mean: departures from the mean so far are added up; a change is where the sum has gone far from its extreme.

Quick on lasting small shifts, and cheap: 40 bytes a series. The sums forget slowly. After a change all begins anew. Values are in units of the series'
spread (`change` sees to that).

Sources: Page, Biometrika 41 (1954), 100; Hinkley, Biometrika 58 (1971), 509. Checked against river's.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.arrays import Column, RowArrays, Rows
from aiops.detect.change_test import Step
from aiops.domain.rule import Direction
from aiops.domain.series import Floats

FORGETTING = 0.9999
"""What a sum keeps of itself from one sample to the next."""


class PageHinkleyTest:
    """`threshold`: how far a sum may go; `delta`: departures that are borne; both in units of the values. `minimum`: samples before it judges.

    `direction`: of the departures that are added up.
    """

    def __init__(self, *, threshold: float = 50.0, delta: float = 0.005, minimum: int = 30, direction: Direction = Direction.BOTH) -> None:
        if threshold <= 0.0 or delta < 0.0 or minimum < 1:
            raise ValueError(f"pageHinkley: threshold ({threshold:g}) must be above 0, delta ({delta:g}) not below 0, minimumSamples ({minimum}) at least 1")
        self._threshold, self._delta, self._direction = threshold, delta, direction
        self.minimum = minimum

    @property
    def columns(self) -> dict[str, Column]:
        """State of one row: the mean, the sums for a rise and a fall, and their extremes."""
        return {"level": Column(0.0), "rise": Column(0.0), "fall": Column(0.0), "lowest": Column(np.inf), "highest": Column(-1.0)}

    def spread(self, state: RowArrays, rows: Rows) -> Floats:
        """One unit: nothing better is known."""
        del state
        return np.ones(len(rows))

    def step(self, state: RowArrays, rows: Rows, values: Floats) -> Step:
        """One value more for each row; how far the sums have gone, in thresholds."""
        count = state["count"][rows] + 1
        level = state["level"][rows] + (values - state["level"][rows]) / count
        away = values - level
        rise = FORGETTING * state["rise"][rows] + away - self._delta
        fall = FORGETTING * state["fall"][rows] + away + self._delta
        lowest, highest = np.minimum(state["lowest"][rows], rise), np.maximum(state["highest"][rows], fall)
        for name, column in (("count", count), ("level", level), ("rise", rise), ("fall", fall), ("lowest", lowest), ("highest", highest)):
            state[name][rows] = column
        up = (rise - lowest) / self._threshold if self._direction is not Direction.DOWN else np.full(len(rows), -np.inf)
        down = (highest - fall) / self._threshold if self._direction is not Direction.UP else np.full(len(rows), -np.inf)
        return Step(np.where(count >= self.minimum, np.maximum(up, down), np.nan), up >= down, level)

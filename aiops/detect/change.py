"""A lasting change of one series' mean, told once: what the detectors `adwin` and `pageHinkley` have in common.

Values are measured in units of the series' own spread, which its first samples give. A value further than ten deviations from the mean counts as ten, so
that one wild outlier neither alarms nor blinds. A change is claimed for `hold` seconds, then what is new is usual: the claim ends as a regime change, and
the next change is one from there. Both tests take samples for independent: where neighbours in time resemble each other they alarm too often, and `drift`
is the better choice. Neighbours: `adwin`, `page_hinkley`, `contract`.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.adwin import AdwinTest
from aiops.detect.arrays import Column, Flags, RowArrays, Rows, nan, packed, restored
from aiops.detect.change_test import ChangeTest
from aiops.detect.contract import MAX_SCORE, Scores, scattered
from aiops.detect.page_hinkley import PageHinkleyTest
from aiops.domain.rule import Direction
from aiops.domain.series import Floats

WARM_UP = 30
"""Samples that give the unit."""
FLOOR = 0.001
"""The unit is never below this share of the mean's size: what is constant has no spread."""
FAR = 10.0
"""Deviations from the mean that a value counts as at most."""
HUGE = 1e140


class Change:
    """`unit`: what the test's one is, in the value's unit; None: the spread of the first 30 samples, anew after each change. `hold`: seconds a change is claimed."""

    reason = "MeanChanged"

    def __init__(self, name: str, test: ChangeTest, *, unit: float | None = None, hold: float = 900.0, direction: Direction = Direction.BOTH) -> None:
        if unit is not None and not 0.0 < unit < HUGE:
            raise ValueError(f"{name}: unit ({unit:g}) must be above 0")
        if hold <= 0.0:
            raise ValueError(f"{name}: hold ({hold:g} s) must be above 0")
        self._name, self._test, self._unit, self._hold, self._direction = name, test, unit, hold, direction
        self._state = self._fresh()

    def _fresh(self) -> RowArrays:
        return RowArrays(
            warm=Column(0, np.int8), mean=Column(0.0), square=Column(0.0), unit=Column(np.nan if self._unit is None else self._unit),
            until=Column(np.nan), score=Column(0.0), ready=Column(False, np.bool_), usual=Column(np.nan), count=Column(0, np.int64), **self._test.columns,
        )  # fmt: skip

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._state.bytes_each

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says. The newest sample belongs to what is judged, so learning comes first here; without `learn` the last verdict is given."""
        ok = np.isfinite(values)
        rows, times, values = rows[ok], times[ok], np.clip(values[ok], -HUGE, HUGE)
        self._state.cover(rows)
        ended = np.zeros(len(rows), dtype=np.bool_)
        if learn:
            ended = times >= self._state["until"][rows]
            self._state["until"][rows[ended]] = np.nan
            self._learn(rows, times, values)
        return scattered(self._told(rows, times, ended), ok)

    def _learn(self, rows: Rows, times: Floats, values: Floats) -> None:
        s = self._state
        warming = np.isnan(s["unit"][rows])
        self._measure(rows[warming], values[warming])
        rows, times, values = rows[~warming], times[~warming], values[~warming]
        if not len(rows):
            return
        unit = s["unit"][rows]
        known = s["count"][rows] > 0
        mean = np.where(known, s["usual"][rows], values / unit)
        reach = FAR * np.maximum(self._test.spread(s, rows), 1.0)
        step = self._test.step(s, rows, np.where(known, np.clip(values / unit, mean - reach, mean + reach), mean))
        s["usual"][rows] = step.mean
        tried = np.isfinite(step.ratio)
        s["ready"][rows] |= s["count"][rows] >= self._test.minimum
        claimed = np.isfinite(s["until"][rows])
        s["score"][rows] = np.where(tried & (~claimed | (step.ratio > s["score"][rows])), step.ratio, s["score"][rows])
        self._found(rows, times, tried & (step.ratio > 1.0), step.up)

    def _found(self, rows: Rows, times: Floats, hit: Flags, up: Flags) -> None:
        """Where a change was found: claim it, if it is one that counts, and begin anew."""
        s = self._state
        counts = hit if self._direction is Direction.BOTH else hit & (up == (self._direction is Direction.UP))
        s["score"][rows[hit & ~counts]] = 0.0
        s["until"][rows[counts]] = times[counts] + self._hold
        s.reset_some(("warm", "mean", "square", "unit", "count", *self._test.columns), rows[hit])

    def _measure(self, rows: Rows, values: Floats) -> None:
        """The first samples: their mean and spread, by Welford's update."""
        s = self._state
        s["warm"][rows] += 1
        count = s["warm"][rows]
        away = values - s["mean"][rows]
        s["mean"][rows] += away / count
        s["square"][rows] += away * (values - s["mean"][rows])
        done = count >= WARM_UP
        rows = rows[done]
        size = np.maximum(np.sqrt(s["square"][rows] / (WARM_UP - 1)), FLOOR * np.abs(s["mean"][rows]))
        s["unit"][rows] = np.where(size > 0.0, size, 1.0)

    def _told(self, rows: Rows, times: Floats, ended: Flags) -> Scores:
        s = self._state
        claimed = times < s["until"][rows]  # never, where there is no claim: NaN
        ready = s["ready"][rows] | ended
        known = ready & (s["count"][rows] > 0)
        score = np.where(claimed, s["score"][rows], np.minimum(s["score"][rows], 1.0))
        return Scores(
            score=np.where(ready, np.clip(score, 0.0, MAX_SCORE), np.nan),
            expected=np.where(known, s["usual"][rows] * s["unit"][rows], np.nan),
            lower=nan(len(rows)), upper=nan(len(rows)), ready=ready, breach=claimed & ready, critical=np.zeros(len(rows), dtype=np.bool_),
            recovered=ready & ~claimed, changed=ended & ~claimed,
        )  # fmt: skip

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)

    def snapshot(self) -> bytes:
        """All that was learned."""
        return packed(self._state, {"detector": self._name, "unit": self._unit})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged or of another detector."""
        state, header = restored(data, self._fresh())
        if header.get("detector") != self._name or header.get("unit") != self._unit:
            raise ValueError("snapshot is of another detector")
        self._state = state


def adwin(*, delta: float = 0.002, clock: int = 32, unit: float | None = None, hold: float = 900.0, direction: Direction = Direction.BOTH) -> Change:
    """Raises ValueError if a parameter is out of range."""
    return Change("adwin", AdwinTest(delta=delta, clock=clock), unit=unit, hold=hold, direction=direction)


def page_hinkley(
    *, threshold: float = 50.0, delta: float = 0.005, minimum_samples: int = 30, unit: float | None = None, hold: float = 900.0, direction: Direction = Direction.BOTH
) -> Change:
    """Raises ValueError if a parameter is out of range."""
    test = PageHinkleyTest(threshold=threshold, delta=delta, minimum=minimum_samples, direction=direction)
    return Change("pageHinkley", test, unit=unit, hold=hold, direction=direction)

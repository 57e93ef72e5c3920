"""When a departure has lasted so long that it is how things are now: a regime change, confirmed once, and by how much level and scale moved.

A watch begins with a breach and ends when departures have become rare. What is seen meanwhile teaches the baseline nothing: a fault does not become usual
while it lasts, and the shift is measured against the old baseline. After `CONFIRM` the change is taken as lasting; the way back to the former level is known
and confirmed after a few samples. Neighbours: `live_fleet` asks and re-seeds `fleet`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.detect.arrays import Column, Flags, Kept, RowArrays, Rows
from aiops.domain.series import Floats

CONFIRM, CONFIRM_SAMPLES = 7200.0, 60
"""Seconds and samples that a departure must last before it is a regime."""
BACK_SAMPLES, BACK_WITHIN = 10, 0.3
"""Samples after which a return to the former level is one, and the share of the shift that it may be off."""
REMEMBERED = 14 * 86400.0
"""Seconds for which the former level is known."""
DEPARTED = 2.0
"""Usual deviations from what is expected: beyond so many a sample departs."""
HEAT, HOT, COLD = 0.1, 0.3, 0.15
"""Gain of the mean share of departing samples, the share that makes a lasting departure a regime, and the one at which a watch ends."""
SAME = 2.0
"""The scale is taken as unchanged if it differs by less than this factor."""


@dataclass(frozen=True, slots=True)
class Change:
    """Confirmed now: rows, by how much their level moved (the value's unit), and by which factor their scale (1: as before)."""

    rows: Rows
    shift: Floats
    scale: Floats


class Regimes(Kept):
    """Watches by row."""

    def __init__(self) -> None:
        self._state = self._fresh()

    @staticmethod
    def _fresh() -> RowArrays:
        return RowArrays(
            since=Column(np.nan), heat=Column(0.0, np.float32), count=Column(0, np.int32), mean=Column(0.0), square=Column(0.0),
            back=Column(np.nan), back_until=Column(-np.inf),
        )  # fmt: skip

    def cover(self, rows: Rows) -> None:
        """Make rows usable."""
        self._state.cover(rows)

    def watching(self, rows: Rows) -> Flags:
        """Rows whose departure lasts. Shape (n,)."""
        return np.asarray(np.isfinite(self._state["since"][rows]))

    def step(self, rows: Rows, times: Floats, away: Floats, sigma: Floats, breach: Flags) -> Change:
        """One sample for each of distinct rows, shape (n,) each: departure from what is expected, usual deviation from it, whether the sample breaches."""
        s = self._state
        begins = breach & ~self.watching(rows)
        if begins.any():
            new = rows[begins]
            s["since"][new], s["heat"][new], s["count"][new], s["mean"][new], s["square"][new] = times[begins], 1.0, 0, 0.0, 0.0
        on = np.flatnonzero(self.watching(rows))
        if not len(on):
            return _NONE
        watched, moved = rows[on], away[on]
        departs = np.abs(moved) > DEPARTED * sigma[on]
        s["heat"][watched] += HEAT * (departs - s["heat"][watched])
        s["count"][watched] += 1
        gain = 1.0 / s["count"][watched]
        off = moved - s["mean"][watched]
        s["mean"][watched] += gain * off
        s["square"][watched] = (1.0 - gain) * (s["square"][watched] + gain * off * off)
        count, mean = s["count"][watched], s["mean"][watched]
        lasts = (times[on] - s["since"][watched] >= CONFIRM) & (count >= CONFIRM_SAMPLES)
        with np.errstate(invalid="ignore"):
            home = (times[on] <= s["back_until"][watched]) & (np.abs(mean + s["back"][watched]) <= BACK_WITHIN * np.abs(s["back"][watched]))
        confirmed = (s["heat"][watched] >= HOT) & (lasts | (home & (count >= BACK_SAMPLES)))
        over = (s["heat"][watched] < COLD) | lasts | confirmed
        s["since"][watched[over]] = np.nan
        found = watched[confirmed]
        if not len(found):
            return _NONE
        shift, usual = s["mean"][found], np.maximum(sigma[on][confirmed], 1e-300)
        scale = np.clip(np.sqrt(s["square"][found]) / usual, 0.05, 100.0)
        # A mean that hardly moved has no way back.
        s["back"][found], s["back_until"][found] = np.where(np.abs(shift) > DEPARTED * usual, shift, np.nan), times[on][confirmed] + REMEMBERED
        return Change(found, shift, np.where((scale < SAME) & (scale > 1.0 / SAME), 1.0, scale))


_NONE = Change(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))

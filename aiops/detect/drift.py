"""Lasting change: the last `window` of a series against the `reference` before it, by PSI, KL or JS.

The levels of the books (PSI 0.1 and 0.25) mean nothing without the sample size: with few samples, or autocorrelated ones, they are exceeded without
any drift. So both are asked for: the divergence exceeds its level *and* what chance reaches once in a thousand, for the number of independent
samples there are. A change stops being one when it has filled the reference. Neighbours: `divergence` computes, `contract` says what scores are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiops.detect import divergence as dv
from aiops.detect.arrays import Column, Flags, RowArrays, Rows, nan, packed, restored
from aiops.detect.contract import MAX_SCORE, Scores, scattered
from aiops.domain.series import Floats

SAMPLES = 1024
"""Samples kept a series; more than fit are thinned by time."""
MINIMUM_REFERENCE, MINIMUM_WINDOW = 50, 20
LOOKS = 5
"""How often in one `window` a series is compared: between looks the last verdict stands."""
STAGGER = 8
"""Series take their looks at this many different times, so that no poll bears them all."""
CHUNK = 128
RECOVERED_SHARE = 0.8


class Drift:
    """`method`: psi, kl or js. `warning`, `critical`: its levels. `reference`, `window`: seconds. `bins`: quantile bins of the reference."""

    reason = "Drifted"

    def __init__(
        self,
        *,
        method: str = "psi",
        warning: float = 0.1,
        critical: float = 0.25,
        reference: float = 7200.0,
        window: float = 600.0,
        bins: int = 10,
    ) -> None:
        if method not in dv.METHODS:
            raise ValueError(f"drift: no method {method!r}; allowed: {', '.join(dv.METHODS)}")
        if not 0.0 < warning <= critical:
            raise ValueError(f"drift: warning ({warning:g}) must be above 0 and critical ({critical:g}) not below it")
        if not 0.0 < window <= reference or bins < 2:
            raise ValueError(f"drift: window ({window:g} s) must be above 0 and at most reference ({reference:g} s), bins ({bins}) at least 2")
        self._method, self._warning, self._critical = method, warning, critical
        self._reference, self._window, self._bins = reference, window, bins
        self._spacing = (reference + window) / SAMPLES
        self._state = self._fresh()

    @staticmethod
    def _fresh() -> RowArrays:
        return RowArrays(
            times=Column(np.nan, shape=(SAMPLES,)),
            values=Column(np.nan, shape=(SAMPLES,)),
            count=Column(0, np.int64),
            stored_at=Column(-np.inf),
            looked_at=Column(-np.inf),
            score=Column(np.nan),
            worse=Column(False, np.bool_),
            median=Column(np.nan),
        )

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says. The newest sample belongs to what is judged, so learning comes first here; without `learn` the last verdict is given."""
        ok = np.isfinite(values)
        return scattered(self._finite(rows[ok], times[ok], values[ok], learn=learn), ok)

    def _finite(self, rows: Rows, times: Floats, values: Floats, *, learn: bool) -> Scores:
        self._state.cover(rows)
        if learn:
            self._store(rows, times, values)
            due = times - self._state["looked_at"][rows] >= self._window / LOOKS
            for start in range(0, int(due.sum()), CHUNK):
                self._look(rows[due][start : start + CHUNK], times[due][start : start + CHUNK])
        score = self._state["score"][rows]
        ready = np.isfinite(score)
        with np.errstate(invalid="ignore"):
            breach = ready & (score > 1.0)
            recovered = ready & (score <= RECOVERED_SHARE)
        return Scores(
            score=score,
            expected=np.where(ready, self._state["median"][rows], np.nan),
            lower=nan(len(rows)),
            upper=nan(len(rows)),
            ready=ready,
            breach=breach,
            critical=breach & self._state["worse"][rows],
            recovered=recovered,
        )

    def _store(self, rows: Rows, times: Floats, values: Floats) -> None:
        state = self._state
        # A hair's breadth of tolerance: polls as far apart as the spacing are all kept.
        due = times - state["stored_at"][rows] >= self._spacing * 0.999
        rows, times, values = rows[due], times[due], values[due]
        first = np.isneginf(state["stored_at"][rows])
        wait = self._window / LOOKS * (rows % STAGGER) / STAGGER
        state["looked_at"][rows] = np.where(first, times - wait, state["looked_at"][rows])
        place = state["count"][rows] % SAMPLES
        state["times"][rows, place], state["values"][rows, place] = times, values
        state["count"][rows] += 1
        state["stored_at"][rows] = times

    def _look(self, rows: Rows, now: Floats) -> None:
        """Compare window and reference of these rows, and keep the verdict."""
        state = self._state
        order = (state["count"][rows][:, None] + np.arange(SAMPLES)[None, :]) % SAMPLES
        times, values = state["times"][rows[:, None], order], state["values"][rows[:, None], order]
        age = now[:, None] - times
        with np.errstate(invalid="ignore"):
            current = np.where(age < self._window, values, np.nan)
            before = np.where((age >= self._window) & (age < self._window + self._reference), values, np.nan)
            reach = np.max(np.where(np.isnan(before), 0.0, age), axis=1)
        size, size_before = _size(current), _size(before)
        ready = (size >= MINIMUM_WINDOW) & (size_before >= MINIMUM_REFERENCE) & (reach >= self._window + self._reference / 2.0)
        state["looked_at"][rows] = now
        state["score"][rows], state["worse"][rows] = np.nan, False
        if ready.any():
            self._verdict(rows[ready], before[ready], current[ready], (size_before[ready], size[ready]))

    def _verdict(self, rows: Rows, before: Floats, current: Floats, sizes: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
        edges = dv.quantile_edges(before, self._bins)
        found = dv.divergence(self._method, dv.bin_shares(before, edges), dv.bin_shares(current, edges))
        correlation = dv.autocorrelation(before)
        chance = dv.chance_level(self._method, self._bins, dv.effective(sizes[0], correlation), dv.effective(sizes[1], correlation))
        self._state["score"][rows] = np.minimum(np.minimum(found / self._warning, found / chance), MAX_SCORE)
        self._state["worse"][rows] = _flags(found > self._critical)
        # A sample in the middle rather than the mean of two, which overflows for huge values.
        self._state["median"][rows] = np.take_along_axis(np.sort(before, axis=1), (sizes[0][:, None] - 1) // 2, axis=1)[:, 0]

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)

    def snapshot(self) -> bytes:
        """All that was learned."""
        return packed(self._state, {"detector": self.reason})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged or of other parameters."""
        self._state, _ = restored(data, self._fresh())


def _size(values: Floats) -> NDArray[np.int64]:
    return np.asarray(np.sum(~np.isnan(values), axis=1), dtype=np.int64)


def _flags(values: NDArray[np.bool_]) -> Flags:
    return np.asarray(values, dtype=np.bool_)

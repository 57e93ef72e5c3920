"""Fixed levels: above, below or outside, with a clear level (hysteresis) and a critical one. Knows nothing, learns nothing.

Neighbours: `contract` says what scores are, `bank` adds hold and dead bands.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.arrays import Flags, Rows, nan
from aiops.detect.contract import MAX_SCORE, Scores
from aiops.domain.series import Floats


class Threshold:
    """`above` and `below` are exclusive bounds in the value's unit; at least one is given.

    `clear`: level at which an alarm counts as over, on the good side of `above` (or of `below`, if `above` is not given).
    `critical`: the worse level on the same side. Raises ValueError if the levels contradict each other.
    """

    reason = "ThresholdCrossed"

    def __init__(self, *, above: float | None = None, below: float | None = None, clear: float | None = None, critical: float | None = None) -> None:
        if above is None and below is None:
            raise ValueError("threshold needs above or below")
        if above is not None and below is not None and below > above:
            raise ValueError(f"threshold: below ({below:g}) must not be over above ({above:g})")
        self._above, self._below = above, below
        upper_side = above is not None
        level = above if above is not None else below
        assert level is not None
        if clear is not None and (clear > level if upper_side else clear < level):
            raise ValueError(f"threshold: clear ({clear:g}) must lie on the good side of {level:g}")
        if critical is not None and (critical < level if upper_side else critical > level):
            raise ValueError(f"threshold: critical ({critical:g}) must lie beyond {level:g}")
        self._clear = level if clear is None else clear
        self._critical = critical
        self._upper_side = upper_side

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return 0

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """Nothing is learned. The score is 1 at the level and rises by 1 for each level's size beyond it."""
        del times, learn
        size = len(rows)
        ready = np.isfinite(values)
        score = np.zeros(size)
        breach = np.zeros(size, dtype=np.bool_)
        recovered = ready.copy()
        with np.errstate(invalid="ignore", over="ignore"):
            if self._above is not None:
                breach |= ready & (values > self._above)
                recovered &= values <= (self._clear if self._upper_side else self._above)
                score = np.maximum(score, 1.0 + (values - self._above) / _unit(self._above))
            if self._below is not None:
                breach |= ready & (values < self._below)
                recovered &= values >= (self._below if self._upper_side else self._clear)
                score = np.maximum(score, 1.0 + (self._below - values) / _unit(self._below))
        return Scores(
            score=np.where(ready, np.minimum(np.maximum(score, 0.0), MAX_SCORE), np.nan),
            expected=nan(size),
            lower=np.full(size, np.nan if self._below is None else self._below),
            upper=np.full(size, np.nan if self._above is None else self._above),
            ready=ready,
            breach=breach,
            critical=breach & self._beyond(values),
            recovered=recovered,
        )

    def _beyond(self, values: Floats) -> Flags:
        if self._critical is None:
            return np.zeros(len(values), dtype=np.bool_)
        return values > self._critical if self._upper_side else values < self._critical

    def forget(self, rows: Rows) -> None:
        """Nothing to forget."""

    def snapshot(self) -> bytes:
        """Nothing was learned."""
        return b""

    def restore(self, data: bytes) -> None:
        """Only the empty snapshot is ours."""
        if data:
            raise ValueError("a threshold has no state")


def _unit(level: float) -> float:
    """One step of score: the level's own size, or 1 where the level is zero (or so small that dividing by it means nothing)."""
    return abs(level) if abs(level) > 1e-300 else 1.0

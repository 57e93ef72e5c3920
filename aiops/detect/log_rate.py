"""More log records than usual: a minimum count, a ratio to the usual, and a Poisson test, all three at once.

Usual is the median of the last counts: a burst soon after the start, or one an hour, does not hide the next. A series that is absent has a count of zero (rules
feed it so), hence one that appears after the warm-up was at zero before. The test is on the difference of square roots, whose variance is about 1/4 each for
Poisson counts (Anscombe, Biometrika 35, 1948): it keeps small counts from alarming by chance. Neighbours: `contract`; `bank` feeds zeros for absent counts.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.arrays import Column, RowArrays, Rows, nan, pack, part, unpack
from aiops.detect.contract import MAX_SCORE, Scores, scattered
from aiops.detect.windows import Windows
from aiops.domain.series import Floats

WARM_UP = 5
"""Polls before anything is judged."""
MEMORY = 120
"""Polls whose median is the usual count."""
SLOWER = 8
"""One of so many counts of a burst is learned."""
SIGMAS = 3.0
RECOVERED_SHARE = 0.8


class LogErrorRate:
    """Each call is one poll, also one without any series.

    `minimum_count`: records in one window below which nothing is claimed. `ratio`: times the usual count. Only a rise is a claim.
    """

    reason = "LogErrorBurst"

    def __init__(self, *, minimum_count: float = 10, ratio: float = 5.0, new_templates: bool = False) -> None:
        if minimum_count <= 0 or ratio <= 1.0:
            raise ValueError(f"logErrorRate: minimumCount ({minimum_count:g}) must be above 0 and ratio ({ratio:g}) above 1")
        if new_templates:
            raise ValueError("logErrorRate: newTemplates is not supported; leave it out or set it to false")
        self._minimum, self._ratio = float(minimum_count), ratio
        self._state, self._recent = self._fresh(), Windows(MEMORY)
        self._polls = 0

    @staticmethod
    def _fresh() -> RowArrays:
        return RowArrays(seen=Column(-1, np.int64), bursts=Column(0, np.int64))

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._state.bytes_each + self._recent.bytes_each

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says; `values` are counts."""
        del times
        ok = np.isfinite(values)
        return scattered(self._finite(rows[ok], np.maximum(values[ok], 0.0), learn=learn), ok)

    def _finite(self, rows: Rows, values: Floats, *, learn: bool) -> Scores:
        self._state.cover(rows)
        self._recent.cover(rows)
        seen = self._state["seen"][rows]
        # Polls that went by before a series appeared were polls in which it counted zero.
        self._zeros(rows[seen < 0])
        seen = np.where(seen < 0, self._polls, seen)
        median = self._recent.spread(rows).median
        usual = np.where(np.isfinite(median), median, 0.0)
        ready = seen >= WARM_UP
        with np.errstate(over="ignore"):
            limit = np.maximum(self._minimum, np.maximum(self._ratio * usual, (np.sqrt(usual) + SIGMAS / np.sqrt(2.0)) ** 2))
            score = values / limit
        breach = ready & (score >= 1.0)
        if learn:
            self._learn(rows, values, seen, limit)
        return Scores(
            score=np.where(ready, np.minimum(score, MAX_SCORE), np.nan),
            expected=np.where(ready, usual, np.nan),
            lower=nan(len(rows)),
            upper=np.where(ready & np.isfinite(limit), limit, np.nan),
            ready=ready,
            breach=breach,
            critical=np.zeros(len(rows), dtype=np.bool_),
            recovered=ready & (score <= RECOVERED_SHARE),
        )

    def _zeros(self, new: Rows) -> None:
        for _ in range(min(self._polls, MEMORY) if len(new) else 0):
            self._recent.push(new, np.zeros(len(new)))
        # Known from now on, whether or not it is learned from.
        self._state["seen"][new] = self._polls

    def _learn(self, rows: Rows, values: Floats, seen: Rows, limit: Floats) -> None:
        # A burst teaches an eighth as fast: a fault that lasts becomes usual, but not within minutes.
        burst = (seen >= WARM_UP) & (values > limit)
        bursts = self._state["bursts"][rows] + burst
        taught = ~burst | (bursts % SLOWER == 0)
        self._recent.push(rows[taught], values[taught])
        self._state["bursts"][rows] = bursts
        self._state["seen"][rows] = seen + 1
        self._polls += 1

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)
        self._recent.forget(rows)

    def snapshot(self) -> bytes:
        """All that was learned."""
        parts = {"state": self._state.used(), "recent": self._recent.used()}
        return pack({f"{prefix}.{name}": array for prefix, columns in parts.items() for name, array in columns.items()}, {"polls": self._polls})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged."""
        arrays, header = unpack(data)
        state, recent = self._fresh(), Windows(MEMORY)
        state.replace(part(arrays, "state"))
        recent.replace(part(arrays, "recent"))
        try:
            polls = int(header["polls"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"snapshot is damaged: {error}") from error
        self._state, self._recent, self._polls = state, recent, polls

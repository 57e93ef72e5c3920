"""Robust seasonal z: is a value unlike the recent past *and* unlike this time of the season?

Each series has a window of its last values and, for each bucket of the season (an hour of the day), some values of the last four seasons.
A departure counts only if neither explains it; median and MAD bear up to half of what they hold being wrong. The window does not learn what breaches, so a
fault does not become usual while it lasts; after four windows of it in a row it is taken as a new regime. Buckets learn everything: what comes every
day is a breach at first, and one bad day among four is borne. Buckets follow UTC: a change
to daylight saving time shifts them by an hour, and the window bridges that. Neighbours: `windows`, `contract`.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.arrays import Column, Flags, RowArrays, Rows, nan, pack, part, unpack
from aiops.detect.contract import MAX_SCORE, Scores, scattered
from aiops.detect.windows import Spread, Windows
from aiops.domain.rule import Direction, MetricKind
from aiops.domain.series import Floats

BUCKET_LENGTH, PER_VISIT = 24, 6
"""Values a bucket holds, and how many of them one season may give."""
BUCKET_READY = 10
"""A bucket speaks once it holds this many: more than one season gives, so today is never judged by today alone."""
REGIME_WINDOWS = 4
RECOVERED_SHARE = 0.8
RATIO_FLOOR = 0.01
MAX_BUCKETS = 336


class SeasonalZ:
    """`z`: robust standard deviations that are too many. `season`, `bucket`: seconds (season 0: none). `window`, `minimum_samples`: samples.

    `scale_floor`: share of the expected value that the standard deviation is never below, so that a constant series does not alarm at a
    hair's breadth. Raises ValueError if the parameters contradict each other.
    """

    reason = "SeasonalDeparture"

    def __init__(
        self,
        *,
        z: float = 6.0,
        season: float = 86400.0,
        bucket: float = 3600.0,
        minimum_samples: int = 30,
        window: int = 60,
        scale_floor: float = 0.05,
        direction: Direction = Direction.BOTH,
        kind: MetricKind = MetricKind.GAUGE,
    ) -> None:
        if z <= 0.0 or scale_floor < 0.0:
            raise ValueError(f"seasonalZ: z ({z:g}) must be above 0 and scaleFloor ({scale_floor:g}) not below 0")
        if not 2 <= minimum_samples <= window:
            raise ValueError(f"seasonalZ: minimumSamples ({minimum_samples}) must lie between 2 and window ({window})")
        if season > 0.0 and not 0.0 < bucket <= season <= bucket * MAX_BUCKETS:
            raise ValueError(f"seasonalZ: season ({season:g} s) must hold 1 to {MAX_BUCKETS} buckets ({bucket:g} s)")
        self._z, self._season, self._bucket, self._floor = z, season, bucket, scale_floor
        self._minimum, self._patience = minimum_samples, REGIME_WINDOWS * window
        self._direction, self._kind = direction, kind
        self._recent = Windows(window)
        self._buckets = Windows(BUCKET_LENGTH, int(np.ceil(season / bucket))) if season > 0.0 else None
        self._state = RowArrays(streak=Column(0, np.int64), stored_at=Column(-np.inf))

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._state.bytes_each + self._recent.bytes_each + (self._buckets.bytes_each if self._buckets is not None else 0)

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says; ready once the window holds `minimum_samples`."""
        ok = np.isfinite(values)
        return scattered(self._finite(rows[ok], times[ok], values[ok], learn=learn), ok)

    def _finite(self, rows: Rows, times: Floats, values: Floats, *, learn: bool) -> Scores:
        self._state.cover(rows)
        self._recent.cover(rows)
        slot = self._slot(times)
        recent = self._recent.spread(rows)
        ready = recent.count >= self._minimum
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            expected, scale, score = self._judge(values, recent, self._bucket_spread(rows, slot), ready)
            scores = self._scores(expected, scale, np.where(np.isnan(score), 0.0, score), ready)
        if learn:
            self._learn(rows, times, values, slot, scores.breach)
        return scores

    def _judge(self, values: Floats, recent: Spread, bucket: Spread | None, ready: Flags) -> tuple[Floats, Floats, Floats]:
        """Expected value, scale and score (1.0 at `z`) by whichever of the two explains the value better."""
        scale = self._scale(recent)
        z = (values - recent.median) / scale
        expected = recent.median
        if bucket is not None:
            seasonal_scale = self._scale(bucket)
            seasonal = (values - bucket.median) / seasonal_scale
            speaks = (bucket.count >= BUCKET_READY) & ready
            better = speaks & (np.abs(seasonal) < np.abs(z))
            # Between what is usual now and what is usual at this time of the season: nothing to claim.
            between = speaks & (np.sign(seasonal) != np.sign(z))
            z = np.where(between, 0.0, np.where(better, seasonal, z))
            expected, scale = np.where(better, bucket.median, expected), np.where(better, seasonal_scale, scale)
        if self._direction is Direction.UP:
            z = np.maximum(z, 0.0)
        elif self._direction is Direction.DOWN:
            z = np.minimum(z, 0.0)
        return expected, scale, np.abs(z) / self._z

    def _scale(self, spread: Spread) -> Floats:
        floor = self._floor * np.abs(spread.median)
        if self._kind is MetricKind.COUNT:
            # A count of n events is uncertain by the root of n (Poisson), and by one where there are hardly any.
            floor = np.maximum(floor, np.sqrt(np.maximum(spread.median, 1.0)))
        elif self._kind is MetricKind.RATIO:
            floor = np.maximum(floor, RATIO_FLOOR)
        return np.asarray(np.maximum(np.maximum(spread.sigma, floor), np.finfo(np.float64).tiny))

    def _scores(self, expected: Floats, scale: Floats, score: Floats, ready: Flags) -> Scores:
        lower, upper = expected - self._z * scale, expected + self._z * scale
        if self._kind is not MetricKind.GAUGE:
            lower = np.maximum(lower, 0.0)
        if self._kind is MetricKind.RATIO:
            upper = np.minimum(upper, 1.0)
        known = ready & np.isfinite(expected)
        breach = known & (score > 1.0)
        return Scores(
            score=np.where(known, np.minimum(score, MAX_SCORE), np.nan),
            expected=np.where(known, expected, np.nan),
            lower=nan(len(score)) if self._direction is Direction.UP else np.where(known & np.isfinite(lower), lower, np.nan),
            upper=nan(len(score)) if self._direction is Direction.DOWN else np.where(known & np.isfinite(upper), upper, np.nan),
            ready=known,
            breach=breach,
            critical=np.zeros(len(score), dtype=np.bool_),
            recovered=known & (score <= RECOVERED_SHARE),
        )

    def _slot(self, times: Floats) -> Rows:
        if self._buckets is None:
            return np.zeros(len(times), dtype=np.int64)
        return np.asarray((times % self._season) // self._bucket, dtype=np.int64)

    def _bucket_spread(self, rows: Rows, slot: Rows) -> Spread | None:
        if self._buckets is None:
            return None
        self._buckets.cover(rows)
        return self._buckets.spread(rows, slot)

    def _learn(self, rows: Rows, times: Floats, values: Floats, slot: Rows, breach: Flags) -> None:
        streak = np.where(breach, self._state["streak"][rows] + 1, 0)
        self._state["streak"][rows] = streak
        usual = ~breach | (streak > self._patience)
        self._recent.push(rows[usual], values[usual])
        if self._buckets is None:
            return
        # At most PER_VISIT values from one visit of a bucket, whatever the poll's interval.
        due = times - self._state["stored_at"][rows] >= self._bucket / PER_VISIT
        self._buckets.push(rows[due], values[due], slot[due])
        self._state["stored_at"][rows[due]] = times[due]

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)
        self._recent.forget(rows)
        if self._buckets is not None:
            self._buckets.forget(rows)

    def snapshot(self) -> bytes:
        """All that was learned."""
        parts = {"state": self._state.used(), "recent": self._recent.used()}
        if self._buckets is not None:
            parts["buckets"] = self._buckets.used()
        arrays = {f"{prefix}.{name}": array for prefix, columns in parts.items() for name, array in columns.items()}
        return pack(arrays, {"detector": self.reason})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged or of other parameters."""
        arrays, _ = unpack(data)
        state, recent = RowArrays(streak=Column(0, np.int64), stored_at=Column(-np.inf)), Windows(self._recent.length)
        state.replace(part(arrays, "state"))
        recent.replace(part(arrays, "recent"))
        if self._buckets is not None:
            buckets = Windows(BUCKET_LENGTH, self._buckets.slots)
            buckets.replace(part(arrays, "buckets"))
            self._buckets = buckets
        self._state, self._recent = state, recent

"""The detector for every series of a fleet: three plain views of one value, averaged, then measured against the series' own past.

Views: departure from the mean of the same hour of a weekday or of a weekend day; the step within an hour; how far outside of the range seen so far a value
lies. Their mean is set against how far this series departs *usually* at its worst (the mean of the maxima of its past blocks), so that a restless series
has to depart further than a calm one, and one level does for all. No distribution is assumed. 1.8 kB a series, a few dozen vector operations a batch.

Hours are UTC, or those of the clocks of a `zone`. Sources: exponentially forgetting moments after Finch, "Incremental calculation of weighted mean and variance" (2009); block maxima as the
measure of the usual worst after Gumbel, "Statistics of Extremes" (1958). Neighbours: `contract`, `rest` (one alarm an episode, for recorded series; of live ones the alarms of `bank` make one).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Column, RowArrays, Rows, packed, restored
from aiops.detect.contract import Scores, plain_scores, scattered
from aiops.detect.views import Reasons
from aiops.domain.rule import Direction
from aiops.domain.series import Floats

_QUARTER = 900.0
"""Seconds; clocks are set on one."""
READY = 30
"""Samples before it judges."""
BUCKETS, BUCKET_READY = 48, 10
MEMORY, BUCKET_SECONDS, BUCKET_LEAST = 2000.0, 8 * 3600.0, 10.0
"""Samples that general moments remember; seconds, and at least samples, that one hour of the day remembers: eight days of it."""
CAP = 12.0
"""A view says at most so many deviations."""
CLIP = 3.0
FLOOR, STEP_FLOOR = 0.05, 0.01
"""Shares of the whole variance below which that of an hour, and that of steps, is not taken."""
BEYOND, FAR = 0.05, 0.25
"""Shares of the range: so far outside counts, and so far outside says as much as one view can."""
RANGE_WEIGHT = 2.0
BLOCK = 300
USUAL, USUAL_WEIGHT, USUAL_MOST = 3.0, 3.0, 200.0
"""What is taken for the usual worst before anything is known, how many blocks that is worth, and how many blocks are remembered."""
BREACH = 2.5
"""So many times the usual worst is wrong: the score is 1."""
HUGE = 1e150
"""Beyond this, squares overflow; values are cut here."""
MINUTES = 60
COMPILED_FROM = 2000
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Seen:
    """What one batch looks like before anything is learned of it; all of shape (n,)."""

    bucket: Rows
    minute: Rows
    hour_ago: Floats
    z: Floats
    step: Floats
    raw: Floats
    ready: NDArray[np.bool_]
    expected: Floats
    sigma: Floats


class Fleet:
    """See above. `direction`: which departures count; `compiled_from`: samples of a batch that are worth loading the compiled loops, which find the same;
    `zone`: whose clocks say which hour it is, for load that follows people and their daylight saving time; None: UTC.
    """

    reason = "UnlikeItself"

    def __init__(self, *, direction: Direction = Direction.BOTH, compiled_from: int = COMPILED_FROM, zone: tzinfo | None = None) -> None:
        self._direction, self._compiled_from, self._zone = direction, compiled_from, zone
        self._state = self._fresh()

    @staticmethod
    def _fresh() -> RowArrays:
        return RowArrays(
            count=Column(0, np.int64), at=Column(np.nan), every=Column(np.nan),
            mean=Column(0.0), variance=Column(0.0), low=Column(np.inf), high=Column(-np.inf),
            hour_mean=Column(0.0, shape=(BUCKETS,)), hour_variance=Column(0.0, shape=(BUCKETS,)), hour_count=Column(0, np.int16, (BUCKETS,)),
            z_variance=Column(1.0), z_count=Column(0, np.int64), step_variance=Column(0.0), step_count=Column(0, np.int64),
            past=Column(np.nan, shape=(MINUTES,)), past_minute=Column(-(2**31) + 1, np.int32, (MINUTES,)),
            block_worst=Column(0.0), block_size=Column(0, np.int32), worst_sum=Column(0.0), worst_count=Column(0.0),
        )

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._state.bytes_each

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says; ready after 30 samples."""
        ok = np.isfinite(values)
        return scattered(self._finite(rows[ok], times[ok], np.clip(values[ok], -HUGE, HUGE), learn=learn), ok)

    def _finite(self, rows: Rows, times: Floats, values: Floats, *, learn: bool) -> Scores:
        self._state.cover(rows)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            scores, seen = self.look(rows, times, values)
            if learn:
                self._learn(rows, times, values, seen)
        return scores

    def look(self, rows: Rows, times: Floats, values: Floats) -> tuple[Scores, Seen]:
        """Scores of finite values up to `HUGE`, and what `learn` wants to know. Learns nothing; floating-point warnings are the caller's to silence."""
        self._state.cover(rows)
        seen = self._look(rows, times, values)
        usual = self._usual(rows)
        ratio = seen.raw / usual
        reach = BREACH * usual * seen.sigma
        known = np.where(seen.ready, seen.expected, np.nan)
        return plain_scores(np.nan_to_num(ratio / BREACH, nan=0.0), seen.ready, expected=known, lower=known - reach, upper=known + reach), seen

    def learn(self, rows: Rows, times: Floats, values: Floats, seen: Seen, which: NDArray[np.bool_]) -> None:
        """Learn those of the samples that `which` flags; of the others only their time is noted. `seen` is what `look` gave."""
        if which.all():
            self._learn(rows, times, values, seen)
            return
        some = Seen(*(getattr(seen, f.name)[which] for f in fields(Seen)))
        self._learn(rows[which], times[which], values[which], some)
        self._state["at"][rows[~which]] = times[~which]

    def why(self, rows: Rows, values: Floats, seen: Seen, which: NDArray[np.bool_]) -> Reasons:
        """What speaks against each sample that `which` flags; before anything is learned of it."""
        s, some = self._state, rows[which]
        ago, steady = seen.hour_ago[which], np.sqrt(np.maximum(s["step_variance"][some], STEP_FLOOR * s["variance"][some]))
        ago = np.where(s["step_count"][some] >= READY, ago, np.nan)
        return Reasons((values[which], seen.expected[which], seen.sigma[which], ago, steady, s["low"][some], s["high"][some]))

    def deviation(self, rows: Rows, scores: Scores) -> Floats:
        """The usual deviation from what is expected, in the value's unit, shape (n,); NaN while not ready."""
        return np.asarray((scores.upper - scores.expected) / (BREACH * self._usual(rows)))

    def reseed(self, rows: Rows, shift: Floats, scale: Floats) -> None:
        """The level of these series has moved by `shift` and their deviation by the factor `scale`: so does what is expected. The range holds both."""
        if not len(rows):
            return
        s, more, factor = self._state, shift[:, None], np.square(scale)
        s["mean"][rows] += shift
        s["hour_mean"][rows] += more
        s["past"][rows] += more
        low, high = s["low"][rows], s["high"][rows]
        wider = 0.5 * (high - low) * (np.maximum(scale, 1.0) - 1.0)
        s["low"][rows], s["high"][rows] = np.minimum(low, low + shift) - wider, np.maximum(high, high + shift) + wider
        for name in ("variance", "step_variance"):
            s[name][rows] *= factor
        s["hour_variance"][rows] *= factor[:, None]

    def _usual(self, rows: Rows) -> Floats:
        s = self._state
        return np.asarray((USUAL_WEIGHT * USUAL + s["worst_sum"][rows]) / (USUAL_WEIGHT + s["worst_count"][rows]))

    def _look(self, rows: Rows, times: Floats, values: Floats) -> Seen:
        s = self._state
        bucket, minute = _bucket(times if self._zone is None else on_the_wall(times, self._zone)), (times // 60.0).astype(np.int64)
        if len(rows) >= self._compiled_from:
            return self._look_compiled(rows, values, bucket, minute)
        whole = s["variance"][rows]
        ready = s["count"][rows] >= READY
        hourly = s["hour_count"][rows, bucket] >= BUCKET_READY
        expected = np.where(hourly, s["hour_mean"][rows, bucket], s["mean"][rows])
        variance = np.where(hourly, np.maximum(s["hour_variance"][rows, bucket], FLOOR * whole), whole)
        hair = 1e-9 * np.abs(s["mean"][rows]) + _TINY
        sigma = np.sqrt(variance) + hair
        z = (values - expected) / sigma
        own = np.where(s["z_count"][rows] >= READY, np.maximum(np.sqrt(s["z_variance"][rows]), 0.3), 1.0)
        hour_ago = self._hour_ago(rows, minute)
        step = values - hour_ago
        steady = np.sqrt(np.maximum(s["step_variance"][rows], STEP_FLOOR * whole)) + hair
        stepped = np.where((s["step_count"][rows] >= READY) & ~np.isnan(step), step / steady, 0.0)
        low, high = s["low"][rows], s["high"][rows]
        above, below = values - high, low - values
        span = np.maximum(high - low, hair)
        views = [self._sided(z / own), self._sided(stepped)]
        beyond = {Direction.UP: above, Direction.DOWN: below, Direction.BOTH: np.maximum(above, below)}[self._direction] / span
        # The range of few samples is too narrow: the next few lie outside of it without being wrong.
        margin = BEYOND + 2.0 / np.sqrt(np.maximum(s["count"][rows], 1))
        outside = np.where(beyond > margin, CAP * np.minimum((beyond - margin) / (FAR - BEYOND), 1.0), 0.0)
        raw = sum(np.minimum(view, CAP) for view in views) / len(views) + RANGE_WEIGHT * outside
        return Seen(bucket, minute, hour_ago, np.clip(z, -CLIP, CLIP), step, np.where(ready, raw, 0.0), ready, expected, sigma * own)

    def _look_compiled(self, rows: Rows, values: Floats, bucket: Rows, minute: Rows) -> Seen:
        from aiops.detect.fleet_kernels import look_all  # deferred: numba is heavy

        ago, z, step, raw, expected, sigma = (np.empty(len(rows)) for _ in range(6))
        ready = np.empty(len(rows), dtype=np.bool_)
        look_all(*self._compiled(), rows, np.ascontiguousarray(values), bucket, minute, ago, z, step, raw, ready, expected, sigma)
        return Seen(bucket, minute, ago, z, step, raw, ready, expected, sigma)

    def _compiled(self) -> tuple[Any, Any]:
        """State and settings as the compiled loops take them."""
        from aiops.detect.fleet_kernels import Known, Settings  # deferred: numba is heavy

        side = {Direction.UP: 1, Direction.DOWN: -1, Direction.BOTH: 0}[self._direction]
        return Known(*(self._state[name] for name in Known._fields)), Settings(
            READY, BUCKET_READY, MEMORY, BUCKET_SECONDS, BUCKET_LEAST, CAP, CLIP, FLOOR, STEP_FLOOR, BEYOND, FAR, RANGE_WEIGHT,
            BLOCK, USUAL, USUAL_WEIGHT, USUAL_MOST, _TINY, side,
        )  # fmt: skip

    def _sided(self, z: Floats) -> Floats:
        return {Direction.UP: np.maximum(z, 0.0), Direction.DOWN: np.maximum(-z, 0.0), Direction.BOTH: np.abs(z)}[self._direction]

    def _hour_ago(self, rows: Rows, minute: Rows) -> Floats:
        """The last value of an hour ago: of this minute of the hour, or, where samples are rarer, the last before."""
        s = self._state
        found = s["past"][rows, minute % MINUTES]
        age = minute - s["past_minute"][rows, minute % MINUTES]
        exact = (age >= MINUTES) & (age < 2 * MINUTES)
        rare = s["every"][rows] > 60.0
        if not bool(np.any(rare & ~exact)):
            return np.where(exact, found, np.nan)
        # Rows that are sampled seldom or at odd minutes: the newest slot that is at least an hour old, else the oldest there is.
        odd = np.flatnonzero(rare & ~exact)
        ages = minute[odd, None] - s["past_minute"][rows[odd]]
        held = ~np.isnan(s["past"][rows[odd]])
        old = np.where(held & (ages >= MINUTES), ages, 2**40)
        young = np.where(held & (ages < MINUTES), ages, -1)
        place = np.where(old.min(axis=1) < 2**40, old.argmin(axis=1), young.argmax(axis=1))
        some = held.any(axis=1)
        whole = np.where(exact, found, np.nan)
        whole[odd] = np.where(some, s["past"][rows[odd], place], np.nan)
        return whole

    def _learn(self, rows: Rows, times: Floats, values: Floats, seen: Seen) -> None:
        s, b = self._state, seen.bucket
        if len(rows) >= self._compiled_from:
            from aiops.detect.fleet_kernels import learn_all  # deferred: numba is heavy

            learn_all(*self._compiled(), rows, times, np.ascontiguousarray(values), b, seen.minute, seen.z, seen.step, seen.raw, seen.ready)
            return
        gap = times - s["at"][rows]
        s["every"][rows] = np.where(np.isnan(s["every"][rows]), gap, s["every"][rows] + 0.1 * (np.minimum(gap, 86400.0) - s["every"][rows]))
        s["at"][rows] = times
        s["count"][rows] += 1
        _moments(s, rows, ("mean", "variance"), values, 1.0 / np.minimum(s["count"][rows], MEMORY))
        memory = np.clip(BUCKET_SECONDS / np.nan_to_num(s["every"][rows], nan=3600.0), BUCKET_LEAST, 32_000.0)
        held = np.minimum(s["hour_count"][rows, b] + 1.0, memory)
        s["hour_count"][rows, b] = held
        away = values - s["hour_mean"][rows, b]
        first = held <= 1.0
        s["hour_mean"][rows, b] += away / held
        s["hour_variance"][rows, b] = np.where(first, 0.0, (1.0 - 1.0 / held) * (s["hour_variance"][rows, b] + away * away / held))
        self._learn_scales(rows, seen)
        s["low"][rows], s["high"][rows] = np.minimum(s["low"][rows], values), np.maximum(s["high"][rows], values)
        s["past"][rows, seen.minute % MINUTES], s["past_minute"][rows, seen.minute % MINUTES] = values, seen.minute
        self._learn_block(rows, seen.raw)

    def _learn_scales(self, rows: Rows, seen: Seen) -> None:
        """How widely z and steps vary; what is far out is cut, so that one fault does not make the series restless."""
        s = self._state
        s["z_count"][rows] += seen.ready
        gain = seen.ready / np.minimum(np.maximum(s["z_count"][rows], 1), MEMORY)
        s["z_variance"][rows] += gain * (np.square(np.nan_to_num(seen.z)) - s["z_variance"][rows])
        known = ~np.isnan(seen.step)
        s["step_count"][rows] += known
        sigma = CLIP * np.sqrt(s["step_variance"][rows])
        cut = np.where(s["step_count"][rows] > 50, np.clip(seen.step, -sigma, sigma), seen.step)
        # A series that never stepped would be cut to nothing for ever.
        cut = np.where((sigma > 0.0) & known, cut, np.nan_to_num(seen.step))
        gain = known / np.minimum(np.maximum(s["step_count"][rows], 1), MEMORY)
        s["step_variance"][rows] += gain * (np.square(cut) - s["step_variance"][rows])

    def _learn_block(self, rows: Rows, raw: Floats) -> None:
        s = self._state
        usual = self._usual(rows)
        s["block_worst"][rows] = np.maximum(s["block_worst"][rows], raw)
        s["block_size"][rows] += 1
        full = rows[s["block_size"][rows] >= BLOCK]
        if not len(full):
            return
        most = 3.0 * usual[s["block_size"][rows] >= BLOCK]
        s["worst_sum"][full] += np.minimum(s["block_worst"][full], most)
        s["worst_count"][full] += 1.0
        shrink = np.minimum(USUAL_MOST / s["worst_count"][full], 1.0)
        s["worst_sum"][full] *= shrink
        s["worst_count"][full] *= shrink
        s["block_worst"][full], s["block_size"][full] = 0.0, 0

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)

    def snapshot(self) -> bytes:
        """All that was learned."""
        return packed(self._state, {"detector": self.reason})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged or of other parameters."""
        self._state, _ = restored(data, self._fresh())


def on_the_wall(times: Floats, zone: tzinfo) -> Floats:
    """Unix seconds as the clocks of `zone` show them. What no calendar reaches stays as it is."""
    quarters, which = np.unique(times // _QUARTER, return_inverse=True)
    return np.asarray(times + np.array([_offset(float(q) * _QUARTER, zone) for q in quarters])[which])


def _offset(at: float, zone: tzinfo) -> float:
    try:
        offset = zone.utcoffset(datetime.fromtimestamp(at, zone))
    except (OverflowError, ValueError, OSError):
        offset = None
    return offset.total_seconds() if offset is not None else 0.0


def _bucket(times: Floats) -> Rows:
    """Hour of the day, those of Saturday and Sunday apart: 0..47."""
    day = (times // 86400.0).astype(np.int64)
    weekend = (day + 4) % 7 % 6 == 0  # 1970-01-01 was a Thursday, day 4 of a week that begins on Sunday.
    return np.asarray((times % 86400.0 // 3600.0).astype(np.int64) + 24 * weekend)


def _moments(state: RowArrays, rows: Rows, names: tuple[str, str], values: Floats, gain: Floats) -> None:
    mean, variance = names
    away = values - state[mean][rows]
    state[mean][rows] += gain * away
    state[variance][rows] = np.where(gain >= 1.0, 0.0, (1.0 - gain) * (state[variance][rows] + gain * away * away))

